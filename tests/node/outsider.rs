//! What the node answers to whatever is thrown at it: one form, one code, and never a fault of its own.

use std::time::Duration;

use actix_web::rt::net::TcpStream;
use conclave::ids::DeviceAddress;
use conclave::node::config::Bounded;
use conclave::wire::limits::{
    DECRYPT_JSON_BYTES_MAX, DEVICE_LIST_JSON_BYTES_MAX, ENCRYPT_JSON_BYTES_MAX, PREKEYS_JSON_BYTES_MAX,
    REQUEST_BYTES_MAX, VAULT_PUT_JSON_BYTES_MAX,
};
use conclave::wire::{ErrorCode, PrekeyStatus};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Person, User};
use crate::metrics::Numbers;
use crate::server::{Answer, TestNode};
use crate::socket::Socket;

/// Every call that takes JSON, and the most that its body may have.
const CALLS: [(&str, &str, usize); 16] = [
    ("POST", "/api/auth/flows", REQUEST_BYTES_MAX),
    ("POST", "/api/auth/flows/complete", REQUEST_BYTES_MAX),
    ("POST", "/api/auth/refresh", REQUEST_BYTES_MAX),
    ("POST", "/api/auth/device", REQUEST_BYTES_MAX),
    ("POST", "/api/auth/device/token", REQUEST_BYTES_MAX),
    ("PUT", "/api/session/device", REQUEST_BYTES_MAX),
    ("PUT", "/api/devices", DEVICE_LIST_JSON_BYTES_MAX),
    ("PUT", "/api/prekeys", PREKEYS_JSON_BYTES_MAX),
    ("POST", "/api/rooms", REQUEST_BYTES_MAX),
    ("POST", "/api/rooms/join", REQUEST_BYTES_MAX),
    ("POST", "/api/rooms/AAAAAAAAAAAAAAAAAAAAAA/invitations", REQUEST_BYTES_MAX),
    ("PUT", "/api/rooms/AAAAAAAAAAAAAAAAAAAAAA/members/AAAAAAAAAAAAAAAAAAAAAA", REQUEST_BYTES_MAX),
    ("POST", "/api/webrtc/rooms/AAAAAAAAAAAAAAAAAAAAAA/e2ee/keys/exchange", REQUEST_BYTES_MAX),
    ("POST", "/api/webrtc/rooms/AAAAAAAAAAAAAAAAAAAAAA/e2ee/encrypt", ENCRYPT_JSON_BYTES_MAX),
    ("POST", "/api/webrtc/rooms/AAAAAAAAAAAAAAAAAAAAAA/e2ee/decrypt", DECRYPT_JSON_BYTES_MAX),
    ("PUT", "/api/vault/memories/AAAAAAAAAAAAAAAAAAAAAA", VAULT_PUT_JSON_BYTES_MAX),
];

#[actix_web::test]
async fn bodies_that_are_no_such_json_are_refused() {
    let node = TestNode::start_with(|settings| settings.limits.sign_in_per_minute = Bounded::of::<1_000>()).await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;
    let deep = "[".repeat(2_000);
    let bodies = [
        "",
        "{",
        "null",
        "[1]",
        "[]",
        "[null,null]",
        "1",
        "\"x\"",
        "{\"a\":}",
        "{\"surprise\":1}",
        "\u{0}",
        "{}{}",
        &deep,
        "{\"provider\":\"development\",\"surprise\":1}",
        "{\"code\":1,\"state\":2}",
        "{\"refresh_token\":null}",
        "{\"device_id\":\"AAAA\"}",
        "{\"device_id\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}",
        "{\"version\":-1}",
        "{\"one_time_prekeys\":[{}]}",
        "{\"signed_prekey\":{\"key_id\":\"AAAAAAAAAAA\"}}",
        "{\"one_time_prekeys\":1e999}",
    ];

    for (method, path, _) in CALLS {
        for body in bodies {
            let request = node.request(method.parse().unwrap(), path).body(body.to_owned());
            let request = request.header("content-type", "application/json").bearer_auth(ada.person.token().expose());
            Answer::of(request).await.refused(400, ErrorCode::MalformedRequest);
        }
    }
    node.stop().await;
}

/// Serde takes an array of a struct's values in order for the struct, at any depth.
#[actix_web::test]
async fn arrays_in_place_of_objects_in_a_body_are_refused() {
    let node = TestNode::start().await;
    let mut ada = User::join_without_prekeys(&node, "ada", 10).await;
    let prekeys = json!(ada.new_prekeys());
    let array = |key: &Value, names: &[&str]| names.iter().map(|name| key[name].clone()).collect::<Value>();
    let put = async |body: &Value| node.put("/api/prekeys", Some(ada.person.token()), body).await;

    let mut in_a_field = prekeys.clone();
    in_a_field["signed_prekey"] =
        array(&prekeys["signed_prekey"], &["key_id", "public_key", "created_at", "signature"]);
    let mut in_a_list = prekeys.clone();
    in_a_list["one_time_prekeys"][0] = array(&prekeys["one_time_prekeys"][0], &["key_id", "public_key"]);

    put(&in_a_field).await.refused(400, ErrorCode::MalformedRequest);
    put(&in_a_list).await.refused(400, ErrorCode::MalformedRequest);
    let _: PrekeyStatus = put(&prekeys).await.ok();
    node.stop().await;
}

#[actix_web::test]
async fn bodies_over_their_limit_are_refused() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;

    for (method, path, bytes_max) in CALLS {
        let body = |bytes: usize| {
            let request = node.request(method.parse().unwrap(), path).header("content-type", "application/json");
            request.bearer_auth(ada.person.token().expose()).body(" ".repeat(bytes))
        };
        Answer::of(body(bytes_max + 1)).await.refused(413, ErrorCode::BodyTooLarge);
        Answer::of(body(bytes_max)).await.refused(400, ErrorCode::MalformedRequest);
    }
    node.stop().await;
}

/// Were the connection closed at once, the system would reset it under the client's hands.
#[actix_web::test]
async fn who_is_refused_while_sending_may_finish_and_reads_why() {
    let node = TestNode::start().await;
    let (address, length) = (node.node.address(), 1024 * 1024);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/auth/flows HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n",
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // It is answered.
    stream.readable().await.unwrap();

    // In pieces: the first one is taken after a reset too.
    for _ in 0..16 {
        stream.write_all(&vec![b' '; length / 16]).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();

    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    node.stop().await;
}

#[actix_web::test]
async fn bodies_of_another_type_are_refused() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;

    for (method, path, _) in CALLS {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""]
        {
            let request = node.request(method.parse().unwrap(), path).header("content-type", kind);
            let request = request.bearer_auth(ada.person.token().expose()).body("{}");
            Answer::of(request).await.refused(415, ErrorCode::UnsupportedMediaType);
        }
    }
    node.stop().await;
}

#[actix_web::test]
async fn paths_methods_and_ids_that_are_none_are_refused() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let get = async |path: &str| node.get(path, Some(ada.token())).await;

    for path in ["/", "/api", "/api/auth", "/api/nothing", "/api/users", "/..%2f..%2fetc/passwd", "/ws"] {
        get(path).await.refused(404, ErrorCode::NotFound);
    }
    for (method, path) in [("GET", "/api/auth/flows"), ("POST", "/healthz"), ("DELETE", "/api/devices")] {
        let answer = node.send(method.parse().unwrap(), path, Some(ada.token()), &json!({})).await;
        answer.refused(405, ErrorCode::MethodNotAllowed);
    }
    for id in ["x", "AAAA", "AAAAAAAAAAAAAAAAAAAAA%00", &"A".repeat(3_000), "%ff"] {
        for path in [format!("/api/users/{id}/devices"), format!("/api/rooms/{id}"), format!("/api/rooms?after={id}")] {
            get(&path).await.refused(400, ErrorCode::MalformedRequest);
        }
    }
    for query in ["limit=0", "limit=257", "limit=-1", "limit=x", "after=", "surprise=1"] {
        get(&format!("/api/rooms?{query}")).await.refused(400, ErrorCode::MalformedRequest);
    }
    for query in ["", "?code=1", "?response_type=code", "?%ff", "?a=%"] {
        get(&format!("/development/authorize{query}")).await.refused(400, ErrorCode::MalformedRequest);
    }
    node.stop().await;
}

#[actix_web::test]
async fn visitors_wait_when_they_ask_too_often() {
    let node = TestNode::start_with(|settings| settings.limits.sign_in_per_minute = Bounded::of::<6>()).await;
    for _ in 0..6 {
        assert_eq!(node.get("/api/auth/providers", None).await.status, 200);
    }

    let answer = node.get("/api/auth/providers", None).await;
    answer.refused(429, ErrorCode::RateLimited);
    assert_eq!(answer.header("retry-after"), "10");
    for path in ["/api/auth/flows", "/api/auth/flows/complete", "/api/auth/refresh"] {
        node.post(path, None, &json!({})).await.refused(429, ErrorCode::RateLimited);
    }
    // Guessing tokens counts as well.
    node.get("/api/auth/sessions", None).await.refused(429, ErrorCode::RateLimited);
    assert_eq!(node.get("/healthz", None).await.status, 200);

    node.clock.advance(Duration::from_secs(10));
    assert_eq!(node.get("/api/auth/providers", None).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn accounts_wait_when_they_ask_too_often() {
    let node = TestNode::start_with(|settings| settings.limits.requests_per_minute = Bounded::of::<3>()).await;
    let (ada, grace) = (node.sign_in("ada").await, node.sign_in("grace").await);
    for _ in 0..3 {
        assert!(node.accepts(&ada.access_token).await);
    }

    let answer = node.get("/api/auth/sessions", Some(&ada.access_token)).await;
    answer.refused(429, ErrorCode::RateLimited);
    assert_eq!(answer.header("retry-after"), "20");
    assert!(node.accepts(&grace.access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn nobody_empties_the_keys_of_a_device() {
    let node = TestNode::start_with(|settings| settings.limits.claims_per_minute = Bounded::of::<2>()).await;
    let (ada, joan) = (User::join(&node, "ada", 10).await, User::join(&node, "joan", 40).await);
    let (grace, other) = (Person::sign_in(&node, "grace", 20).await, Person::sign_in(&node, "alan", 30).await);
    let claim = async |asker: &Person, device: DeviceAddress| asker.claim(&node, device).await;

    for _ in 0..2 {
        assert_eq!(claim(&grace, ada.address()).await.status, 200);
    }
    claim(&grace, ada.address()).await.refused(429, ErrorCode::RateLimited);
    assert_eq!(claim(&other, ada.address()).await.status, 200);
    assert_eq!(claim(&grace, joan.address()).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn health_is_told_to_anybody() {
    let node = TestNode::start().await;
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = node.get(path, None).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    node.stop().await;
}

/// Whoever spreads the load sees it first; who comes all the same is served.
#[actix_web::test]
async fn node_that_is_about_to_leave_says_so_and_goes_on() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;
    node.node.leave();

    node.get("/readyz", None).await.refused(503, ErrorCode::Unavailable);
    assert_eq!(node.get("/healthz", None).await.status, 200);
    let answer = node.get("/api/auth/sessions", Some(ada.person.token())).await;
    assert_eq!((answer.status, answer.header("connection")), (200, ""));
    Socket::open(&node, &ada).await;
    assert_eq!(Numbers::of(&node).await.count("conclave_ready"), 0);
    node.stop().await;
}

/// A request that is under way when the node is told to stop is answered; then the node is gone.
#[actix_web::test]
async fn stop_finishes_what_is_under_way() {
    let node = TestNode::start().await;
    let (address, body) = (node.node.address(), "{\"provider\":\"development\"}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let idle = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/auth/flows HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{}",
        body.len(),
        &body[..5],
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The node has taken both connections when it answers a third.
    assert_eq!(node.request(Method::GET, "/healthz").send().await.unwrap().status(), 200);

    let answered = async {
        stream.write_all(&body.as_bytes()[5..]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(node.stop(), answered);

    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}
