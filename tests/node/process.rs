//! A node in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use conclave::wire::Timestamp;

use crate::server::Api;

/// A node in a process of its own. It ends with this.
pub(crate) struct NodeProcess {
    child: Child,
    pub(crate) api: Api,
    metrics: String,
}

impl NodeProcess {
    /// Starts one on a data folder, with limits that are not met, and what else `change` sets.
    pub(crate) fn start(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
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
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        let mut after = |words: &str| lines.find_map(|line| Some(line.split_once(words)?.1.trim().to_owned())).unwrap();
        let (url, metrics) = (after("listens on "), after("metrics "));
        Self { api: Api::at(&url), metrics, child }
    }

    /// What the node has counted, as Prometheus reads it.
    pub(crate) async fn metrics(&self) -> String {
        let (url, path) = self.metrics.rsplit_once('/').unwrap();
        Api::at(url).get(&format!("/{path}"), None).await.body
    }

    /// SIGKILL: nothing in the process runs after it.
    pub(crate) fn kill(self) {
        drop(self);
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time by the system's clock, which the process has.
#[expect(clippy::disallowed_methods, reason = "the node is a process of its own, with the system's clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}
