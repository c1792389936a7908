//! The node's process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::Disk;
use crate::server::Api;

/// A node in a process of its own, on a disk of the test's.
pub(super) struct NodeProcess {
    child: Child,
    pub(super) api: Api,
}

impl NodeProcess {
    pub(super) fn start(disk: &Disk) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
        disk.put_under(&mut command);
        let mut child = command
            .arg("serve")
            .env("CONCLAVE__SERVER__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__METRICS__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__STORE__FOLDER", disk.data())
            .env("CONCLAVE__LIMITS__COMMANDS_PER_MINUTE", "1000000")
            .env("CONCLAVE__LIMITS__REQUESTS_PER_MINUTE", "100000")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        let url = first.trim().split_once("listens on ").unwrap().1;
        Self { api: Api::at(url), child }
    }

    /// SIGKILL: nothing in the process runs after it.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
