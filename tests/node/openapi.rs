//! The OpenAPI document: under review as a snapshot, served as it says, and complete.

use std::collections::BTreeSet;
use std::path::Path;

use conclave::node::config::Bounded;
use conclave::wire::{ErrorCode, Problem};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, TestNode};

/// A node that lets a test ask for every call.
async fn start() -> TestNode {
    TestNode::start_with(|settings| settings.limits.sign_in_per_minute = Bounded::of::<10_000>()).await
}

async fn document(node: &TestNode) -> Value {
    let answer = node.get("/api/openapi.json", None).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

/// Every call of the document: its path, method and operation.
fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let calls = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, call)| (path.clone(), method.to_uppercase().parse().unwrap(), call.clone()))
    });
    calls.collect()
}

/// A path with something in place of its parameters.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for part in path.split('/').skip(1) {
        let part = match part {
            "{provider}" => "development",
            "{file}" => "swagger-ui.css",
            part if part.starts_with('{') => "AAAAAAAAAAAAAAAAAAAAAA",
            part => part,
        };
        filled.extend(["/", part]);
    }
    filled
}

#[actix_web::test]
async fn document_is_as_it_was_reviewed() {
    let node = TestNode::start().await;
    let document = document(&node).await;
    node.stop().await;
    insta::assert_json_snapshot!("openapi", document);
}

#[actix_web::test]
async fn every_call_of_the_document_is_served_and_no_other_method() {
    let node = start().await;
    let document = document(&node).await;
    let operations = operations(&document);
    assert!(operations.len() > 40, "{}", operations.len());

    for (path, method, operation) in &operations {
        let answer = Answer::of(node.request(method.clone(), &filled(path))).await;
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.contains_key(&answer.status.to_string()),
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
        assert_ne!(answer.status, 405, "{method} {path}");
        if answer.status == 404 {
            let problem: Problem = serde_json::from_str(&answer.body).unwrap();
            assert_ne!(problem.code, ErrorCode::NotFound, "{method} {path}");
        }
        if operation.get("security").is_some() {
            answer.refused(401, ErrorCode::TokenMissing);
        }
    }
    let paths: BTreeSet<&String> = operations.iter().map(|(path, ..)| path).collect();
    for path in paths {
        let methods: BTreeSet<&str> =
            operations.iter().filter(|(other, ..)| other == path).map(|(_, method, _)| method.as_str()).collect();
        let answer = Answer::of(node.request(Method::PATCH, &filled(path))).await;
        answer.refused(405, ErrorCode::MethodNotAllowed);
        let allowed: BTreeSet<&str> = answer.header("allow").split(", ").collect();
        assert_eq!(allowed, methods, "{path}");
    }
    node.stop().await;
}

/// There is one way to register a call, and it describes what it registers.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads the program's source")]
fn nothing_is_served_that_is_not_described() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/node/http");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for way in ["web::resource(", "web::scope(", ".route(", "#[get(", "#[post("] {
                assert!(!text.contains(way), "{}: {way}", path.display());
            }
        }
    }
}

#[actix_web::test]
async fn document_is_whole() {
    let node = TestNode::start().await;
    let document = document(&node).await;
    let (text, mut ids) = (document.to_string(), BTreeSet::new());

    for (path, method, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{method} {path}");
        let in_path: BTreeSet<String> =
            path.split('/').filter(|part| part.starts_with('{')).map(|part| part.replace(['{', '}'], "")).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let described: BTreeSet<String> = described.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(in_path, described, "{method} {path}");
    }
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let room_id = &document["components"]["schemas"]["RoomId"];
    assert_eq!(room_id["pattern"], json!("^[A-Za-z0-9_-]{21}[AQgw]$"));
    assert_eq!(document["components"]["schemas"]["CreateRoom"]["additionalProperties"], json!(false));
    node.stop().await;
}

#[actix_web::test]
async fn page_to_try_it_loads_nothing_from_elsewhere() {
    let node = TestNode::start().await;

    let sent = node.get("/api/docs", None).await;
    assert_eq!((sent.status, sent.header("location")), (303, "/api/docs/"));
    let index = node.get("/api/docs/initializer-that-is-not", None).await;
    index.refused(404, ErrorCode::NotFound);
    for (file, kind) in [
        ("", "text/html"),
        ("swagger-initializer.js", "text/javascript"),
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-ui-standalone-preset.js", "text/javascript"),
        ("swagger-ui.css", "text/css"),
        ("index.css", "text/css"),
    ] {
        let answer = node.get(&format!("/api/docs/{file}"), None).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{file}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        let encoding = if file == "swagger-initializer.js" { "" } else { "gzip" };
        assert_eq!(answer.header("content-encoding"), encoding, "{file}");
        if file == "swagger-initializer.js" {
            assert!(answer.body.contains("\"/api/openapi.json\"") && !answer.body.contains("http"), "{}", answer.body);
        }
    }
    node.stop().await;
}
