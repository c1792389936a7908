//! Which process listens on a port of this machine.
//!
//! Source: `proc_pid_net(5)` for the tables of sockets, `proc_pid_fd(5)` for who holds them.

use std::fs;
use std::path::Path;

use super::process::Process;

/// The state of a socket that listens, in the tables.
const LISTENS: &str = "0A";

/// The process that listens on a TCP port; none if there is none, or if it is not ours to look at.
pub(in super::super) fn listener_of(port: u16) -> Option<Process> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(file);
    let inode = tables.iter().find_map(|table| inode_in(table, port))?;
    let socket = format!("socket:[{inode}]");
    folder("/proc").find_map(|entry| {
        let id = entry.file_name()?.to_str()?.parse().ok()?;
        let holds = |entry: &Path| fs::read_link(entry).is_ok_and(|target| target.as_os_str() == socket.as_str());
        folder(entry.join("fd")).any(|entry| holds(&entry)).then_some(Process::of(id))
    })
}

/// A line has a number, the local address as `ADDRESS:PORT` in hexadecimal, the other one, the state, and six more fields,
/// the last of which is the inode.
fn inode_in(table: &str, port: u16) -> Option<u64> {
    let port = format!(":{port:04X}");
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&port) && *fields.get(3)? == LISTENS;
        if listens { fields.get(9)?.parse().ok() } else { None }
    })
}

#[expect(clippy::disallowed_methods, reason = "the system's own tables, which nobody can hand in")]
fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the system's own tables, which nobody can hand in")]
fn folder(path: impl AsRef<Path>) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::net::TcpListener;

    use super::{inode_in, listener_of};
    use crate::cli::load::usage::Process;

    #[test]
    fn the_listener_on_a_port_is_found_by_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_of(port), Some(Process::own()));
    }

    #[test]
    fn a_connection_on_the_port_is_no_listener() {
        let line = |state| format!("  0: 0100007F:1CE8 00000000:0000 {state} 0:0 0:0 0 1000 0 4711 1 0 100 0 0 10 0");
        assert_eq!(inode_in(&line("0A"), 7_400), Some(4_711));
        assert_eq!(inode_in(&line("01"), 7_400), None);
        assert_eq!(inode_in(&line("0A"), 7_401), None);
    }
}
