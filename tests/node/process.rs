//! A node in a process of its own, as the tests here talk to it.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::rt;
use conclave::wire::Timestamp;

use crate::node_process;
use crate::server::Api;

/// A node in a process of its own. It ends with this.
pub(crate) struct NodeProcess {
    process: node_process::NodeProcess,
    pub(crate) api: Api,
}

impl NodeProcess {
    /// Starts one on a data folder, with limits that are not met, and what else `change` sets.
    pub(crate) fn start(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let process = node_process::NodeProcess::start(data, change);
        Self { api: Api::at(&process.url), process }
    }

    /// What the node has counted, as Prometheus reads it.
    pub(crate) async fn metrics(&self) -> String {
        let (url, path) = self.process.metrics_url.rsplit_once('/').unwrap();
        Api::at(url).get(&format!("/{path}"), None).await.body
    }

    /// SIGKILL: nothing in the process runs after it.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// SIGTERM: the node is told to stop.
    pub(crate) fn terminate(&self) {
        signal("TERM", self.id());
    }

    /// How the process ended by itself; none if it did not within this time, and was killed.
    pub(crate) async fn ended(self, within: Duration) -> Option<ExitStatus> {
        let (id, process) = (self.id(), self.process);
        let mut end = rt::task::spawn_blocking(move || process.wait());
        if let Ok(status) = tokio::time::timeout(within, &mut end).await {
            return Some(status.unwrap());
        }
        signal("KILL", id);
        end.await.unwrap();
        None
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(status.success(), "{process} gets no signal");
}

/// The time by the system's clock, which the process has.
#[expect(clippy::disallowed_methods, reason = "the node is a process of its own, with the system's clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}
