//! What the node counts: the numbers are exact, each node has its own, they are in the form that Prometheus reads, and
//! nothing in them is of anybody.

use std::collections::{BTreeMap, BTreeSet};

use conclave::protocol::machine::{Encrypt, Input, Place};
use conclave::wire::{Envelope, ErrorCode, InvitationCreated, Position, PrekeyBundle, RoomSummary};
use serde_json::json;

use crate::client::User;
use crate::server::{Answer, Api, TestNode};
use crate::socket::Socket;
use crate::support::POLICY;

/// What was read, by name and labels as they stand.
pub(crate) struct Numbers {
    text: String,
    values: BTreeMap<String, f64>,
}

impl Numbers {
    pub(crate) async fn of(node: &TestNode) -> Self {
        let url = format!("http://{}", node.node.metrics_address().unwrap());
        let answer = Api::at(&url).get("/metrics", None).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
        Self { values: parse(&answer.body), text: answer.body }
    }

    /// The number, if it was ever counted.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// Whether a number has this among its labels.
    pub(crate) fn has(&self, label: &str) -> bool {
        self.values.keys().any(|key| key.contains(label))
    }

    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        let value = self.values.get(name).unwrap_or_else(|| panic!("{name} is not in\n{}", self.text));
        value.to_string().parse().unwrap()
    }
}

/// Reads the text strictly: each number has a name and a help, and belongs to the type that was announced before it.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut helped, mut types, mut values) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    let mut current = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(help.len() > 10 && helped.insert(name), "{line}");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert!(helped.contains(name), "no help: {line}");
            assert!(types.insert(name, kind).is_none(), "twice: {line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            current = name;
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = key.split_once('{').map_or((key, ""), |(name, rest)| (name, rest));
            assert!(name.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '_')), "{line}");
            assert!(labels.is_empty() || labels.ends_with("\"}"), "{line}");
            let family = match types[current] {
                "histogram" => {
                    let parts = ["_bucket", "_sum", "_count"];
                    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or_else(|| panic!("{line}"))
                }
                _ => name,
            };
            assert_eq!(family, current, "{line}");
            assert!(values.insert(key.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
    }
    assert_buckets_add_up(&values);
    values
}

/// Each bucket holds what the smaller ones do, and the last one all.
fn assert_buckets_add_up(values: &BTreeMap<String, f64>) {
    let mut by_series = BTreeMap::<String, Vec<(f64, f64)>>::new();
    for (key, value) in values.iter().filter(|(key, _)| key.contains("_bucket{")) {
        let (series, bound) = key.split_once("le=\"").unwrap();
        let bound = bound.trim_end_matches("\"}");
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
        by_series.entry(series.trim_end_matches(',').to_owned()).or_default().push((bound, *value));
    }
    assert!(!by_series.is_empty());
    for (series, mut buckets) in by_series {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{series} {buckets:?}");
        let all = series.replacen("_bucket{", "_count{", 1);
        let all = if all.ends_with('{') { all.trim_end_matches('{').to_owned() } else { format!("{all}}}") };
        assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, values[&all]), "{series}");
    }
}

async fn write(node: &TestNode, from: &mut User, to: &User, place: Place) -> Envelope {
    let accounts = [to.address().account_id];
    let encrypt = Encrypt { accounts: &accounts, except: &[], place, policy: POLICY, plaintext: b"a canary's song" };
    let outputs = from.device.handle(Input::Encrypt(encrypt)).unwrap();
    for device in &outputs.claim {
        let bundle: PrekeyBundle = from.person.claim(node, *device).await.ok();
        from.device.handle(Input::Bundle(&bundle)).unwrap();
    }
    let outputs = if outputs.claim.is_empty() { outputs } else { from.device.handle(Input::Encrypt(encrypt)).unwrap() };
    outputs.send.into_iter().next().unwrap()
}

#[actix_web::test]
async fn numbers_of_a_small_run_are_exact_and_hold_nothing_of_anybody() {
    let node = TestNode::start().await;
    let mut ada = User::join(&node, "canary-ada", 10).await;
    let grace = User::join(&node, "canary-grace", 20).await;
    ada.learn(&node, grace.address().account_id).await;
    let room = node.post("/api/rooms", Some(ada.person.token()), &json!({})).await.ok::<RoomSummary>().room_id;
    let path = format!("/api/rooms/{room}/invitations");
    let invitation: InvitationCreated = node.post(&path, Some(ada.person.token()), &json!({})).await.ok();
    let join = json!({ "token": invitation.token });
    assert_eq!(node.post("/api/rooms/join", Some(grace.person.token()), &join).await.status, 200);
    let mut from = Socket::open(&node, &ada).await;
    let mut to = Socket::open(&node, &grace).await;
    let start = from.join(room, None).await.unwrap();
    to.join(room, None).await.unwrap();

    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(write(&node, &mut ada, &grace, Place::Room(room)).await);
        from.send(sent.last().unwrap()).await.unwrap();
        to.envelope().await;
    }
    // The same again, and one whose signature does not hold.
    from.send(&sent[0]).await.unwrap();
    let mut altered = write(&node, &mut ada, &grace, Place::Room(room)).await;
    altered.signature.as_mut().unwrap().0[0] ^= 1;
    assert_eq!(from.send(&altered).await.unwrap_err(), ErrorCode::SignatureInvalid);
    let direct = write(&node, &mut ada, &grace, Place::Direct).await;
    from.deliver(vec![direct]).await;
    to.direct().await;
    // It reads the room from the beginning.
    let mut late = Socket::open(&node, &grace).await;
    late.join(room, Some(Position { seq: 0, ..start })).await.unwrap();
    for _ in 0..3 {
        late.envelope().await;
    }
    let numbers = Numbers::of(&node).await;

    for (name, value) in [
        ("conclave_envelopes_stored_total{log=\"room\"}", 3),
        ("conclave_envelopes_stored_total{log=\"mailbox\"}", 1),
        ("conclave_envelopes_delivered_total{log=\"room\",way=\"live\"}", 3),
        ("conclave_envelopes_delivered_total{log=\"mailbox\",way=\"live\"}", 1),
        ("conclave_envelopes_delivered_total{log=\"room\",way=\"read\"}", 3),
        // The socket that took over reads what was not acknowledged.
        ("conclave_envelopes_delivered_total{log=\"mailbox\",way=\"read\"}", 1),
        ("conclave_envelope_delivery_seconds_count", 4),
        ("conclave_room_batch_envelopes_count", 4),
        ("conclave_room_envelopes_waiting", 0),
        ("conclave_signatures_failed_total", 1),
        ("conclave_replays_refused_total", 0),
        ("conclave_commands_refused_total{code=\"signature_invalid\"}", 1),
        ("conclave_key_exchanges_total", 0),
        ("conclave_sockets_opened_total", 3),
        ("conclave_sockets_closed_total{code=\"4200\"}", 1),
        ("conclave_sessions_open", 2),
        ("conclave_rooms_active", 1),
        ("conclave_feeds_behind", 0),
        ("conclave_sign_ins_total{provider=\"development\",outcome=\"signed_in\"}", 2),
        ("conclave_http_requests_total{method=\"POST\",route=\"/api/rooms\",status=\"2xx\"}", 1),
        ("conclave_http_request_seconds_count{method=\"POST\",route=\"/api/rooms\"}", 1),
        ("conclave_store_commits_failed_total", 0),
        ("conclave_store_writes_waiting", 0),
        ("conclave_rate_limited_total{limit=\"account\"}", 0),
        ("conclave_ready", 1),
        ("process_start_time_seconds", 1_800_000_000),
    ] {
        assert_eq!(numbers.count(name), value, "{name}");
    }
    assert_eq!(numbers.count("conclave_store_commits_total"), numbers.count("conclave_store_commit_seconds_count"));
    let ids = [ada.address().account_id, grace.address().account_id].map(|id| id.to_string());
    let secrets = [ada.person.token(), grace.person.token()].map(|token| token.expose().to_owned());
    let canaries = ["canary".to_owned(), "127.0.0.1".to_owned(), room.to_string(), sent[0].id.to_string()];
    for canary in ids.iter().chain(&secrets).chain(&canaries) {
        assert!(!numbers.text.contains(canary.as_str()), "{canary} is in the numbers");
    }
    node.stop().await;
}

#[actix_web::test]
async fn nodes_of_one_process_count_each_for_itself() {
    let (one, other) = (TestNode::start().await, TestNode::start().await);
    one.sign_in("ada").await;
    let name = "conclave_sign_ins_total{provider=\"development\",outcome=\"signed_in\"}";

    assert_eq!(Numbers::of(&one).await.count(name), 1);
    assert!(!Numbers::of(&other).await.values.contains_key(name));
    one.stop().await;
    other.stop().await;
}

#[actix_web::test]
async fn what_a_stranger_makes_up_is_no_label() {
    let node = TestNode::start().await;
    node.get("/canary", None).await.refused(404, ErrorCode::NotFound);
    let made_up = reqwest::Method::from_bytes(b"CANARY").unwrap();
    Answer::of(node.request(made_up, "/api/rooms/canary")).await.refused(405, ErrorCode::MethodNotAllowed);
    node.post("/api/auth/flows", None, &json!({ "provider": "canary" })).await.refused(400, ErrorCode::UnknownProvider);
    let numbers = Numbers::of(&node).await;

    assert_eq!(numbers.count("conclave_http_requests_total{method=\"GET\",route=\"none\",status=\"4xx\"}"), 1);
    assert!(!numbers.text.to_lowercase().contains("canary"), "{}", numbers.text);
    node.stop().await;
}

#[actix_web::test]
async fn numbers_are_not_on_the_nodes_own_address_and_nothing_else_is_on_theirs() {
    let node = TestNode::start().await;
    let metrics = Api::at(&format!("http://{}", node.node.metrics_address().unwrap()));

    node.get("/metrics", None).await.refused(404, ErrorCode::NotFound);
    assert_eq!(metrics.get("/healthz", None).await.status, 404);
    assert_eq!(metrics.get("/api/auth/providers", None).await.status, 404);
    node.stop().await;

    let off = TestNode::start_with(|settings| settings.metrics.enabled = false).await;
    assert_eq!(off.node.metrics_address(), None);
    off.stop().await;
}
