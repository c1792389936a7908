//! A server in a process of its own: what it costs is asked of the system, so nothing of the benchmark's own is in it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process that is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it, and returns when it has said where it listens: `.. listens on http://ADDRESS`.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let (_, address) = line.trim().split_once("listens on http://").expect("the server has not started");
        Self { child, address: address.parse().unwrap(), output }
    }

    /// The next line of what it says that begins with this, without it.
    pub(crate) fn says(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has not said {beginning}");
            if let Some(rest) = line.trim().strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
    }

    /// What its threads have used of the processors, in the system too. Those that have ended are not counted: servers keep
    /// theirs.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.map(|thread| cpu_of(&thread.unwrap().path())).sum()
    }

    /// Bytes of its memory that are in the machine's.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

/// What the calling thread has used of a processor, in the system too.
pub(crate) fn cpu_of_this_thread() -> Duration {
    cpu_of(Path::new("/proc/thread-self"))
}

fn cpu_of(thread: &Path) -> Duration {
    // Nanoseconds on a processor, then what is of no interest here. A thread may end meanwhile.
    let schedule = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    Duration::from_nanos(schedule.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0))
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
