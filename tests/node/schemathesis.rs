//! The calls of the OpenAPI document, by schemathesis: what it makes up of the document, fitting and not, is answered as the
//! document says, and never with a fault of the node.

use std::path::Path;
use std::process::{Command, Output};

use actix_web::rt;
use conclave::node::config::Bounded;
use conclave::wire::RoomSummary;
use serde_json::json;

use crate::client::User;
use crate::metrics::Numbers;
use crate::server::{DataFolder, TestNode};

/// Cases for each call and phase, beside those that cover each limit of each field.
const CASES: &str = "50";

/// These end the session that asks, so they are asked by another one.
const ENDING: [&str; 2] = ["sessions.sign_out", "sessions.sign_out_everywhere"];

/// Runs schemathesis over a node's document, as whoever the token is of.
async fn run(node: &TestNode, folder: &DataFolder, token: &str, arguments: &[String]) -> Output {
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/schemathesis");
    let program = peer.join(".venv/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed: run scripts/install-test-tools");
    let mut suite = Command::new(program);
    suite
        .args(["--config-file", peer.join("schemathesis.toml").to_str().unwrap()])
        .args(["run", &format!("{}/api/openapi.json", node.url)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--seed", "1", "--max-examples", CASES, "--phases", "coverage,fuzzing", "--continue-on-failure"])
        .args(arguments)
        .env("NO_COLOR", "1")
        // It keeps notes where it runs.
        .current_dir(folder.path());
    rt::task::spawn_blocking(move || suite.output()).await.unwrap().unwrap()
}

#[track_caller]
fn passed(output: &Output) {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
}

#[actix_web::test]
async fn no_call_of_the_document_is_answered_otherwise_than_it_says() {
    let node = TestNode::start_with(|settings| {
        let turn = crate::config::load("[turn]\nurls = [\"turn:turn.example\"]\nsecret = \"north\"", &[]);
        settings.turn = turn.unwrap().turn;
        settings.custody.enabled = true;
        settings.limits.sign_in_per_minute = Bounded::of::<100_000>();
        settings.limits.requests_per_minute = Bounded::of::<1_000_000>();
        settings.limits.claims_per_minute = Bounded::of::<1_000>();
    })
    .await;
    let folder = DataFolder::new();
    let (ada, joan) = (User::join(&node, "ada", 10).await, node.sign_in("joan").await);
    // It finds ids in answers and asks with them; of this room it hears nothing.
    let room: RoomSummary = node.post("/api/rooms", Some(&joan.access_token), &json!({})).await.ok();

    let flag = |name: &str, value: &str| [format!("--{name}"), value.to_owned()];
    let others: Vec<String> = ENDING.iter().flat_map(|id| flag("exclude-operation-id", id)).collect();
    passed(&run(&node, &folder, ada.person.token().expose(), &others).await);
    let ending: Vec<String> = ENDING.iter().flat_map(|id| flag("include-operation-id", id)).collect();
    let grace = node.sign_in("grace").await;
    passed(&run(&node, &folder, grace.access_token.expose(), &ending).await);

    let numbers = Numbers::of(&node).await;
    assert!(!numbers.has("status=\"5xx\""));
    // What was made up has met what there is, and has not touched what is another's.
    assert!(numbers.count("conclave_http_requests_total{method=\"POST\",route=\"/api/rooms\",status=\"2xx\"}") > 1);
    let path = format!("/api/rooms/{}", room.room_id);
    assert_eq!(node.get(&path, Some(&joan.access_token)).await.ok::<RoomSummary>(), room);
    node.stop().await;
}
