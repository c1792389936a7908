//! Which threads go first where there are more than processors: those that commit, before those that serve.
//!
//! A worker with signatures to check keeps its processor for milliseconds, and everybody waits for the commit that could run
//! meanwhile. So workers give way to the threads of the store. On Linux a thread has a priority of its own; elsewhere all are
//! alike.

#[cfg(target_os = "linux")]
use rustix::process::{getpid, getpriority_process, setpriority_process};

/// Has the calling thread give way to the other threads of the process.
pub(super) fn give_way() {
    #[cfg(target_os = "linux")]
    {
        let of_process = getpriority_process(Some(getpid())).unwrap_or(0);
        // One that may not change it goes on as it is.
        let _ = setpriority_process(None, of_process + NICENESS);
    }
}

/// By how much a thread is nicer then than the process: beside it others get three times as much of a processor.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;
