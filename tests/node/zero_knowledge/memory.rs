//! The memory of a process, which is what a core dump has.

use std::fs::{File, read_dir, read_to_string};
use std::iter::repeat_with;
use std::os::unix::fs::FileExt;

/// Which memory is looked at, of that which a process can write.
#[derive(Clone, Copy)]
pub(super) enum Memory {
    /// Heap, stacks and data.
    All,
    /// All but the stacks of its threads: a value that is moved leaves its bytes where it was, until the next call.
    #[cfg(feature = "custody")]
    WithoutStacks,
}

#[expect(clippy::disallowed_methods, reason = "the memory of a process is a file")]
impl Memory {
    pub(super) fn read(self, process: u32) -> Vec<u8> {
        let left_out = match self {
            Self::All => Vec::new(),
            #[cfg(feature = "custody")]
            Self::WithoutStacks => stack_pointers(process),
        };
        let maps = read_to_string(format!("/proc/{process}/maps")).unwrap();
        let memory = File::open(format!("/proc/{process}/mem")).unwrap();
        let mut all = Vec::new();
        for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            let is_wanted = !left_out.iter().any(|pointer| (from..to).contains(pointer));
            if is_wanted && memory.read_exact_at(&mut bytes, from).is_ok() {
                all.extend(bytes);
            }
        }
        all
    }
}

/// Where the stack of each thread is. A thread tells it once it waits, which all do before long.
#[cfg(feature = "custody")]
#[expect(clippy::disallowed_methods, reason = "what the system knows of a thread is a file")]
fn stack_pointers(process: u32) -> Vec<u64> {
    let pointer = |text: String| {
        let pointer = text.rsplit(' ').nth(1)?.strip_prefix("0x")?;
        Some(u64::from_str_radix(pointer, 16).unwrap())
    };
    let threads = read_dir(format!("/proc/{process}/task")).unwrap().map(|thread| thread.unwrap().path());
    let tell = |thread: std::path::PathBuf| {
        repeat_with(|| read_to_string(thread.join("syscall")).unwrap()).find_map(pointer).unwrap()
    };
    threads.map(tell).collect()
}
