//! What happens to a run itself: Ctrl-C, a node that goes and comes back, one that stays away, one that never answers.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::Value;
use tokio::net::TcpListener;

use super::read;
use crate::front::Front;
use crate::process::{DataFolder, NodeProcess};

/// Six clients in two rooms.
const SIX: &[&str] = &["--clients", "6", "--room-size", "3", "--rate", "30", "--warm-up", "1"];

/// A run under way, in a group of processes of its own, as a terminal has it.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    said: String,
}

impl Running {
    fn start(url: &str, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
        command.args(["load", "--url", url, "--report", folder.join("report").to_str().unwrap()]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, said: String::new() }
    }

    /// Reads on until it has said this.
    fn says(mut self, words: &str) -> Self {
        while !self.said.contains(words) {
            assert_ne!(self.lines.read_line(&mut self.said).unwrap(), 0, "{words}: {}", self.said);
        }
        self
    }

    /// Ctrl-C: all of the group gets the signal.
    fn interrupt(&self) {
        let group = format!("-{}", self.child.id());
        assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    }

    /// How it ends, and all that it has said.
    fn end(mut self) -> (ExitStatus, String) {
        self.lines.read_to_string(&mut self.said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut self.said).unwrap();
        (self.child.wait().unwrap(), core::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does what blocks while what stands before the node goes on.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn report(folder: &Path, said: &str) -> Value {
    serde_json::from_str(&read(&folder.join("report/report.json"), said)).unwrap()
}

#[test]
fn an_interrupted_run_reports_what_was_until_then() {
    for processes in ["1", "2"] {
        let folder = DataFolder::new();
        let node = NodeProcess::start(folder.path(), |_| ());
        let arguments = [SIX, &["--seconds", "600", "--processes", processes]].concat();
        let running = Running::start(&node.url, folder.path(), &arguments).says(" timed ");
        running.interrupt();
        // Standard error ends when the last of the processes has.
        let (status, said) = running.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert!(said.contains("INTERRUPTED after "), "{said}");
        let report = report(folder.path(), &said);
        let after = report["interrupted_after_seconds"].as_u64().unwrap();
        assert!((5..60).contains(&after) && !report["passed"].as_bool().unwrap(), "{said}");
        let (due, delivered) = (&report["checks"]["due"], &report["checks"]["delivered"]);
        assert!(due.as_u64().unwrap() > 100 && due == delivered, "{said}");
    }
}

#[test]
fn a_second_interrupt_does_not_wait_for_what_is_under_way() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let arguments = [SIX, &["--seconds", "600", "--drain", "600"]].concat();
    let running = Running::start(&node.url, folder.path(), &arguments).says(" timed ");
    drop(node);
    let running = running.says("0 of 6 connected");
    running.interrupt();
    let running = running.says(" drain ");
    running.interrupt();
    let (status, said) = running.end();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted: there is no report"), "{said}");
}

#[tokio::test]
async fn nothing_is_reported_of_a_run_that_was_interrupted_before_its_first_message() {
    let folder = DataFolder::new();
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let running = Running::start(&url, folder.path(), &[SIX, &["--seconds", "600"]].concat());
    let _connection = silent.accept().await.unwrap();
    running.interrupt();
    let (status, said) = running.end();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted: there is no report"), "{said}");
    assert!(!folder.path().join("report/report.json").exists());
}

#[tokio::test]
async fn a_node_that_is_killed_and_comes_back_loses_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let front = Front::before(&node).await;
    let running = Running::start(&front.url, folder.path(), &[SIX, &["--seconds", "12"]].concat());
    let running = aside(move || running.says(" timed ")).await;
    drop(node);
    let running = aside(move || running.says("0 of 6 connected")).await;
    let node = NodeProcess::start(folder.path(), |_| ());
    front.lead_to(&node);
    let (status, said) = aside(move || running.end()).await;
    assert_eq!(status.code(), Some(0), "{said}");
    let report = report(folder.path(), &said);
    assert!(report["notes"][0].as_str().unwrap().ends_with("At the end all were connected."), "{said}");
    assert!(report["connections_lost"].as_u64().unwrap() >= 6, "{said}");
}

#[test]
fn a_node_that_stays_away_does_not_take_the_report_with_it() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let metrics = node.metrics_url.clone();
    let arguments = [SIX, &["--seconds", "8", "--drain", "2", "--metrics-url", &metrics]].concat();
    let running = Running::start(&node.url, folder.path(), &arguments).says(" timed ");
    drop(node);
    let (status, said) = running.end();
    assert_eq!(status.code(), Some(3), "{said}");
    let report = report(folder.path(), &said);
    let notes = report["notes"].to_string();
    assert!(notes.contains("At the end none was connected: the node was gone, or refused them."), "{notes}");
    assert!(notes.contains("its metrics could not be read at the end"), "{notes}");
    assert!(report["checks"]["due"].as_u64() > report["checks"]["delivered"].as_u64(), "{said}");
}
