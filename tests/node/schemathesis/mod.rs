//! The calls of the OpenAPI document, by schemathesis: what it makes up of the document, fitting and not, is answered as the
//! document says, and never with a fault of the node; and with what there is on a node, each call succeeds.

mod known;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use actix_web::rt;
use conclave::node::config::Bounded;
use conclave::wire::{RoomSummary, SecretText};
use serde_json::{Value, json};

use crate::client::User;
use crate::metrics::Numbers;
use crate::server::{DataFolder, TestNode};
use known::Known;

/// What is made up for a call: so many cases, beside those that cover each limit of each field.
const MADE_UP: [&str; 4] = ["--max-examples", "50", "--phases", "coverage,fuzzing"];

/// What is made up of the rest of a call, where what it needs is known.
const KNOWN: [&str; 6] = ["--max-examples", "2", "--phases", "fuzzing", "--mode", "positive"];

/// These end the session that asks, so each is asked by another one.
const ENDING: [&str; 2] = ["sessions.sign_out", "sessions.sign_out_everywhere"];

/// schemathesis over a node's document, as whoever the token is of.
fn suite(node: &TestNode, folder: &DataFolder, token: &str) -> Command {
    let program = peer().join(".venv/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed: run scripts/install-test-tools");
    let mut suite = Command::new(program);
    suite
        .args(["--config-file", peer().join("schemathesis.toml").to_str().unwrap()])
        .args(["run", &format!("{}/api/openapi.json", node.url)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--seed", "1", "--continue-on-failure"])
        .env("NO_COLOR", "1")
        // It keeps notes where it runs.
        .current_dir(folder.path());
    suite
}

fn peer() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/schemathesis")
}

/// Which calls are made.
#[derive(Clone, Copy)]
enum Which {
    /// One that ends the session that asks.
    Ending(&'static str),
    Others,
}

async fn run(mut suite: Command, which: Which) {
    match which {
        Which::Ending(id) => suite.args(["--include-operation-id", id]),
        Which::Others => suite.args(ENDING.iter().flat_map(|id| ["--exclude-operation-id", id])),
    };
    passed(&rt::task::spawn_blocking(move || suite.output()).await.unwrap().unwrap());
}

/// All calls, those that end a session each in one of its own: what to make, and as whom.
async fn all(node: &TestNode, token: &SecretText) -> Vec<(Which, SecretText)> {
    let mut all = vec![(Which::Others, token.clone())];
    for id in ENDING {
        all.push((Which::Ending(id), node.sign_in("linus").await.access_token));
    }
    all
}

/// A node on which every call can be made, as often as one likes.
async fn start() -> TestNode {
    TestNode::start_with(|settings| {
        let turn = crate::config::load("[turn]\nurls = [\"turn:turn.example\"]\nsecret = \"north\"", &[]);
        settings.turn = turn.unwrap().turn;
        settings.custody.enabled = true;
        settings.limits.sign_in_per_minute = Bounded::of::<100_000>();
        settings.limits.requests_per_minute = Bounded::of::<1_000_000>();
        settings.limits.claims_per_minute = Bounded::of::<1_000>();
    })
    .await
}

#[track_caller]
fn passed(output: &Output) {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
}

#[actix_web::test]
async fn no_call_of_the_document_is_answered_otherwise_than_it_says() {
    let node = start().await;
    let folder = DataFolder::new();
    let (ada, joan) = (User::join(&node, "ada", 10).await, node.sign_in("joan").await);
    // It finds ids in answers and asks with them; of this room it hears nothing.
    let room: RoomSummary = node.post("/api/rooms", Some(&joan.access_token), &json!({})).await.ok();

    for (which, token) in all(&node, ada.person.token()).await {
        let mut suite = suite(&node, &folder, token.expose());
        suite.args(MADE_UP);
        run(suite, which).await;
    }

    let numbers = Numbers::of(&node).await;
    assert!(!numbers.has("status=\"5xx\""));
    // What was made up has met what there is, and has not touched what is another's.
    assert!(numbers.count("conclave_http_requests_total{method=\"POST\",route=\"/api/rooms\",status=\"2xx\"}") > 1);
    let path = format!("/api/rooms/{}", room.room_id);
    assert_eq!(node.get(&path, Some(&joan.access_token)).await.ok::<RoomSummary>(), room);
    node.stop().await;
}

#[actix_web::test]
async fn each_call_of_the_document_succeeds_with_what_there_is() {
    let node = start().await;
    let folder = DataFolder::new();
    let known = Known::on(&node).await;
    let file = folder.write("known.json", &known.to_json());
    let calls = all(&node, known.token()).await;
    let before = Numbers::of(&node).await;

    for (which, token) in calls {
        let mut suite = suite(&node, &folder, token.expose());
        suite.args(KNOWN).env("SCHEMATHESIS_HOOKS", peer().join("known.py")).env("KNOWN", &file);
        run(suite, which).await;
    }

    let after = Numbers::of(&node).await;
    let document: Value = serde_json::from_str(&node.get("/api/openapi.json", None).await.body).unwrap();
    let mut never = Vec::new();
    for (route, calls) in document["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            let method = method.to_uppercase();
            let succeeds = |status| {
                let name = "conclave_http_requests_total";
                let number = format!("{name}{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
                after.value(&number) > before.value(&number)
            };
            if !["2xx", "3xx"].into_iter().any(succeeds) {
                never.push(call["operationId"].as_str().unwrap());
            }
        }
    }
    assert!(never.is_empty(), "these have never succeeded: {never:?}");
    node.stop().await;
}
