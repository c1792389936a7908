//! A node in a process of its own, and a folder for it. For tests that start the program.

#![allow(dead_code, unreachable_pub, reason = "each user of this file takes the part that it needs")]

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A node in a process of its own. It ends with this.
pub struct NodeProcess {
    child: Child,
    pub url: String,
    pub metrics_url: String,
    /// What it prints after its addresses.
    said: Lines<BufReader<ChildStdout>>,
}

impl NodeProcess {
    /// Starts one on a data folder, with limits that are not met, and what else `change` sets.
    pub fn start(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
        command
            .arg("serve")
            .env("CONCLAVE__SERVER__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__METRICS__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__STORE__FOLDER", data)
            .env("CONCLAVE__LIMITS__COMMANDS_PER_MINUTE", "1000000")
            .env("CONCLAVE__LIMITS__REQUESTS_PER_MINUTE", "100000")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after =
            |words: &str| said.find_map(|line| Some(line.unwrap().split_once(words)?.1.trim().to_owned())).unwrap();
        let (url, metrics_url) = (after("listens on "), after("metrics "));
        Self { child, url, metrics_url, said }
    }

    /// The lines that it prints under the next one that begins so, up to an empty one.
    pub fn says_under(&mut self, heading: &str) -> Vec<String> {
        let mut lines = self.said.by_ref().map(Result::unwrap);
        lines.find(|line| line.starts_with(heading)).unwrap();
        lines.take_while(|line| !line.is_empty()).collect()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, once it has.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for NodeProcess {
    /// SIGKILL: nothing in the process runs after it.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that goes when the test does.
pub struct DataFolder(PathBuf);

#[expect(clippy::disallowed_methods, reason = "a node needs a folder")]
impl DataFolder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("conclave-node-{}-{number}", std::process::id()));
        // What a killed run left behind under the same number.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for DataFolder {
    #[expect(clippy::disallowed_methods, reason = "a node needs a folder")]
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
