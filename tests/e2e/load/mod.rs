//! `conclave load` finds what a node does wrong: between it and a real node stands a proxy that loses an envelope, gives one
//! twice, swaps two, or alters one; or somebody who is not of the run writes to one of its clients.

mod fault;
mod trouble;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use conclave::wire::Message;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::user::User;
use fault::Fault;

/// A short run of four clients in one room. Its drain is long enough for a busy machine: it ends when all has arrived.
const SHORT: &[&str] =
    &["--clients", "4", "--room-size", "4", "--rate", "40", "--seconds", "3", "--warm-up", "1", "--drain", "12"];

/// What came of a run.
struct Outcome {
    status: i32,
    said: String,
    /// The checks in `report.json`, and whether they passed.
    report: Value,
}

impl Outcome {
    fn check(&self, name: &str) -> u64 {
        self.report["checks"][name].as_u64().unwrap()
    }

    fn lost(&self) -> u64 {
        self.check("due") - self.check("delivered")
    }

    fn repeated_misordered_undecryptable_invented(&self) -> [u64; 4] {
        ["repeated", "misordered", "undecryptable", "invented"].map(|name| self.check(name))
    }
}

fn load(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
    command.args(["load", "--url", url]).args(arguments).output().unwrap()
}

/// Puts load on a node, and reads the report.
fn run(url: &str, folder: &Path, arguments: &[&str]) -> Outcome {
    let report = folder.join("report");
    let output = load(url, &[arguments, &["--report", report.to_str().unwrap()]].concat());
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let page = read(&report.join("report.html"), &said);
    let report: Value = serde_json::from_str(&read(&report.join("report.json"), &said)).unwrap();
    let passed = report["passed"].as_bool().unwrap();
    assert_eq!(passed, page.contains("PASSED") && said.contains("PASSED"), "{said}");
    assert_ne!(passed, page.contains("FAILED") && said.contains("FAILED"), "{said}");
    Outcome { status: output.status.code().unwrap(), said, report }
}

#[expect(clippy::disallowed_methods, reason = "the test reads the report")]
fn read(path: &Path, said: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}: {said}", path.display()))
}

/// A short run, beside which what stands before the node goes on.
async fn short(proxy: &Proxy, folder: &DataFolder) -> Outcome {
    let (url, path) = (proxy.url.clone(), folder.path().to_owned());
    tokio::task::spawn_blocking(move || run(&url, &path, SHORT)).await.unwrap()
}

/// A short run through a proxy that does one thing wrong, once.
async fn with(fault: Option<Fault>) -> Outcome {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let is_done = fault.map(|fault| fault.happens_on(&proxy));
    let outcome = short(&proxy, &folder).await;
    assert!(is_done.is_none_or(|is_done| is_done.load(Ordering::SeqCst)), "{}", outcome.said);
    assert!(outcome.check("due") > 300, "{}", outcome.said);
    outcome
}

#[tokio::test]
async fn a_faultless_run_passes() {
    let clean = with(None).await;
    assert_eq!((clean.status, clean.lost()), (0, 0), "{}", clean.said);
    assert_eq!(clean.repeated_misordered_undecryptable_invented(), [0; 4]);
    let timed = clean.report["latency"]["count"].as_u64().unwrap();
    assert!(timed > 200 && timed < clean.check("delivered"), "{timed}");
}

#[tokio::test]
async fn a_lost_envelope_is_reported() {
    let outcome = with(Some(Fault::Drop)).await;
    assert_eq!((outcome.status, outcome.lost()), (3, 1), "{}", outcome.said);
    assert_eq!(outcome.repeated_misordered_undecryptable_invented(), [0; 4], "{}", outcome.said);
}

#[tokio::test]
async fn an_envelope_that_comes_twice_is_reported() {
    let outcome = with(Some(Fault::Repeat)).await;
    assert_eq!((outcome.status, outcome.lost()), (4, 0), "{}", outcome.said);
    assert_eq!(outcome.repeated_misordered_undecryptable_invented(), [1, 0, 0, 0], "{}", outcome.said);
}

#[tokio::test]
async fn envelopes_that_change_places_are_reported() {
    let outcome = with(Some(Fault::Swap)).await;
    assert_eq!((outcome.status, outcome.lost()), (5, 0), "{}", outcome.said);
    assert_eq!(outcome.repeated_misordered_undecryptable_invented(), [0, 1, 0, 0], "{}", outcome.said);
}

/// Its signature does not hold, so nobody asks for it again, and it stays away.
#[tokio::test]
async fn an_altered_envelope_is_reported_and_its_message_is_lost() {
    let outcome = with(Some(Fault::Alter)).await;
    assert_eq!((outcome.status, outcome.lost()), (3, 1), "{}", outcome.said);
    assert_eq!(outcome.repeated_misordered_undecryptable_invented(), [0, 0, 1, 0], "{}", outcome.said);
}

#[tokio::test]
async fn an_altered_copy_is_reported_where_nothing_is_lost() {
    let outcome = with(Some(Fault::AlterCopy)).await;
    assert_eq!((outcome.status, outcome.lost()), (6, 0), "{}", outcome.said);
    assert_eq!(outcome.repeated_misordered_undecryptable_invented(), [0, 0, 1, 0], "{}", outcome.said);
}

/// A node cannot write in a member's name: what it makes of others' envelopes does not open, as above. But it can have an
/// account of its own, and write to a client of the run as anybody may.
#[tokio::test]
async fn what_nobody_of_the_run_has_sent_is_reported() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let (say, mut told) = mpsc::unbounded_channel();
    proxy.tells(move |to, message| {
        if matches!(message, Message::Envelope(_)) {
            let _ = say.send(to.unwrap().account_id);
        }
        vec![message]
    });
    let mut stranger = User::new(&node.url, "stranger").await;
    let write = async {
        let client = told.recv().await.unwrap();
        let id = stranger.client.send_direct(client, "of the run, or not?").await.unwrap();
        stranger.is_sent(id).await;
    };
    let (outcome, ()) = tokio::join!(short(&proxy, &folder), write);
    assert_eq!((outcome.status, outcome.lost()), (7, 0), "{}", outcome.said);
    assert_eq!(outcome.repeated_misordered_undecryptable_invented(), [0, 0, 0, 1], "{}", outcome.said);
}

#[test]
fn processes_share_a_run_and_their_results_are_put_together() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let metrics = node.metrics_url.clone();
    let clients = ["--clients", "5", "--room-size", "3", "--processes", "2", "--metrics-url", metrics.as_str()];
    let times = ["--rate", "20", "--seconds", "2", "--warm-up", "1"];
    let outcome = run(&node.url, folder.path(), &[clients.as_slice(), &times].concat());
    assert_eq!((outcome.status, outcome.lost()), (0, 0), "{}", outcome.said);
    // Three and two clients: in one room a message has two receivers, in the other one.
    let (sent, due) = (outcome.check("sent"), outcome.check("due"));
    assert!(sent < due && due < 2 * sent, "{sent} {due}");
    // The node was found by its port, and what it counted is what was sent.
    assert!(outcome.report["cost"]["node"]["bytes_max"].as_u64().unwrap() > 1_000_000);
    let stored = outcome.report["node_counters"]["conclave_envelopes_stored_total"].as_f64().unwrap();
    let due = u32::try_from(due).unwrap();
    assert!((stored - f64::from(due)).abs() < 0.5, "{stored} {due}");
}

#[test]
fn a_run_that_cannot_be_made_says_why() {
    // A port that nobody listens on: it was given out, and given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unreachable = load(&format!("http://127.0.0.1:{port}"), SHORT);
    assert_eq!(unreachable.status.code(), Some(1));
    let said = String::from_utf8(unreachable.stderr).unwrap();
    assert!(said.contains("Connection refused") && said.contains("is the node running?"), "{said}");

    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |command| {
        command.env("CONCLAVE__LIMITS__SIGN_IN_PER_MINUTE", "4");
    });
    let limited = load(&node.url, SHORT);
    assert_eq!(limited.status.code(), Some(1));
    let said = String::from_utf8(limited.stderr).unwrap();
    assert!(said.contains("raise the node's limits"), "{said}");

    let no_folder = load(&node.url, &["--report", "/dev/null/report"]);
    assert_eq!(no_folder.status.code(), Some(1));
    let said = String::from_utf8(no_folder.stderr).unwrap();
    assert!(said.contains("/dev/null/report cannot be made"), "{said}");

    for wrong in [["--clients", "1"], ["--rate", "0"], ["--processes", "11"]] {
        assert_eq!(load(&node.url, &wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(load("127.0.0.1:7400", SHORT).status.code(), Some(2));
}
