//! A process of this machine.
//!
//! Source: `proc_pid_stat(5)`, `proc_pid_status(5)`.

use core::time::Duration;
use std::fs;

use serde::{Deserialize, Serialize};

/// Ticks in a second of the times in `/proc/PID/stat`: `USER_HZ`, which is 100 on x86-64 and on aarch64.
const TICKS_PER_SECOND: u64 = 100;

/// A process, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Process(u32);

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Usage {
    /// Milliseconds on a processor, of all threads, in the system too.
    pub(in super::super) cpu_ms: u64,
    /// Bytes of its memory that are in the machine's.
    pub(in super::super) resident_bytes: u64,
}

impl Process {
    /// This one.
    pub(in super::super) fn own() -> Self {
        Self(std::process::id())
    }

    /// Another.
    pub(in super::super) fn of(id: u32) -> Self {
        Self(id)
    }

    /// What it has used; none if there is no such process, or no `/proc`.
    pub(in super::super) fn usage(self) -> Option<Usage> {
        let cpu_ms = cpu_in(&self.file("stat")?)?;
        Some(Usage { cpu_ms, resident_bytes: resident_in(&self.file("status")?)? })
    }

    #[expect(clippy::disallowed_methods, reason = "the system's own figures, which nobody can hand in")]
    fn file(self, name: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.0)).ok()
    }
}

/// The fields of `stat` are separated by spaces; the second is the program's name in parentheses, and may have both.
fn cpu_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) * 1_000 / TICKS_PER_SECOND)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

impl Usage {
    /// What both have used.
    pub(in super::super) fn plus(self, other: Self) -> Self {
        Self { cpu_ms: self.cpu_ms + other.cpu_ms, resident_bytes: self.resident_bytes + other.resident_bytes }
    }

    /// The part of a processor, in percent, that was used since an earlier time: 200 is two processors.
    pub(in super::super) fn percent_since(self, earlier: Self, span: Duration) -> u64 {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        (self.cpu_ms.saturating_sub(earlier.cpu_ms) * 100).checked_div(span_ms).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use core::time::Duration;

    use super::{Process, Usage, cpu_in, resident_in};

    #[test]
    fn figures_are_read_where_the_manual_says() {
        let stat = "42 (a ) name (1) R 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 4 0 99 1000 200";
        assert_eq!(cpu_in(stat), Some(3_000));
        assert_eq!(resident_in("VmPeak:\t  9 kB\nVmRSS:\t  2048 kB\n"), Some(2_048 * 1_024));
        assert_eq!((cpu_in("42 (x) R 1"), resident_in("VmPeak:\t  9 kB\n")), (None, None));
    }

    #[test]
    fn this_process_has_memory_and_one_that_is_not_there_has_none() {
        assert!(Process::own().usage().unwrap().resident_bytes > 1_024 * 1_024);
        // Numbers of processes are at most 2^22.
        assert_eq!(Process::of(u32::MAX).usage(), None);
    }

    #[test]
    fn two_busy_processors_are_200_percent() {
        let (before, after) = (Usage { cpu_ms: 500, resident_bytes: 1 }, Usage { cpu_ms: 2_500, resident_bytes: 9 });
        assert_eq!(after.percent_since(before, Duration::from_secs(1)), 200);
        assert_eq!(after.percent_since(before, Duration::ZERO), 0);
    }
}
