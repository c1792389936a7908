//! The machine that a run was on: figures mean little without it.

use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Machine {
    /// The model of its processor, as it names itself.
    pub(in super::super) processor: String,
    /// Processors that this process may use.
    pub(in super::super) processors: usize,
    /// Bytes of memory.
    pub(in super::super) memory_bytes: u64,
}

impl Machine {
    /// This one; what the system does not say is unknown, or 0.
    pub(in super::super) fn own() -> Self {
        let processor = value_in(&file("/proc/cpuinfo"), "model name").unwrap_or("unknown").to_owned();
        let memory = file("/proc/meminfo");
        let kib = value_in(&memory, "MemTotal").and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok());
        Self {
            processor,
            processors: thread::available_parallelism().map_or(0, Into::into),
            memory_bytes: kib.unwrap_or_default() * 1_024,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the system's own figures, which nobody can hand in")]
fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first line with this name.
fn value_in<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then_some(value.trim())
    })
}
