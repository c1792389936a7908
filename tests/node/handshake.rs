//! Who gets a socket at all, and what a client that breaks the protocol is told.

use conclave::node::config::{Bounded, WebAddress};
use conclave::wire::{Encoding, ErrorCode};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::User;
use crate::server::{Answer, TestNode};
use crate::socket::{Socket, open, request};

const JSON: &str = "conclave.v1.json";

/// Asks for a socket as over REST, with headers beside the usual or in their place.
async fn ask(node: &TestNode, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let usual = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-protocol", JSON),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let mut request = node.request(reqwest::Method::GET, path);
    for (name, value) in usual.iter().filter(|(usual, _)| !headers.iter().any(|(name, _)| name == usual)).chain(headers)
    {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

async fn status(node: &TestNode, request: Request) -> u16 {
    open(node, request).await.err().unwrap_or(101)
}

#[actix_web::test]
async fn pages_of_other_origins_get_no_socket() {
    let friend = WebAddress::parse("https://app.example:443/page").unwrap();
    let node = TestNode::start_with(|settings| settings.server.origins = vec![friend]).await;
    let own = node.url.clone();
    for (origin, expected) in [
        ("", 101),
        (own.as_str(), 101),
        ("https://app.example", 101),
        ("http://app.example", 403),
        ("https://app.example.evil", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        assert_eq!(status(&node, request(&node, JSON, &[("origin", origin)])).await, expected, "{origin}");
        if expected == 403 {
            ask(&node, "/ws", &[("origin", origin)]).await.refused(403, ErrorCode::OriginRefused);
        }
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_socket_has_a_subprotocol_that_the_node_speaks() {
    let node = TestNode::start().await;
    for (offered, expected) in [
        (JSON, 101),
        ("conclave.v1.cbor", 101),
        ("conclave.v9.json, conclave.v1.json", 101),
        ("", 400),
        ("conclave.v9.json", 400),
        ("chat", 400),
    ] {
        assert_eq!(status(&node, request(&node, offered, &[])).await, expected, "{offered}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_request_that_gets_no_socket_is_answered_as_over_rest() {
    let node = TestNode::start().await;
    ask(&node, "/ws", &[("sec-websocket-version", "12")]).await.refused(400, ErrorCode::MalformedRequest);
    ask(&node, "/api/rooms", &[]).await.refused(404, ErrorCode::NotFound);
    ask(&node, "/ws", &[("authorization", "Bearer nonsense")]).await.refused(401, ErrorCode::TokenRefused);
    // Without an upgrade there is nothing at this path.
    node.get("/ws", None).await.refused(404, ErrorCode::NotFound);
    node.stop().await;
}

#[actix_web::test]
async fn an_address_has_so_many_sockets_and_no_more() {
    let node = TestNode::start_with(|settings| settings.limits.sockets_per_address = Bounded::of::<2>()).await;
    let first = open(&node, request(&node, JSON, &[])).await.unwrap();
    let _second = open(&node, request(&node, JSON, &[])).await.unwrap();
    assert_eq!(status(&node, request(&node, JSON, &[])).await, 429);

    drop(first);
    // The node sees the end of it when it next looks.
    while open(&node, request(&node, JSON, &[])).await.is_err() {
        tokio::task::yield_now().await;
    }
    node.stop().await;
}

#[actix_web::test]
async fn frames_of_the_wrong_kind_or_against_the_protocol_close_the_socket() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;

    let mut socket = Socket::open(&node, &ada).await;
    socket.send_frame(Frame::binary(b"{}".to_vec())).await;
    assert_eq!(socket.closed().await, 4201);

    let mut socket = Socket::open_as(&node, &ada, Encoding::Cbor).await;
    socket.send_frame(Frame::text("{}")).await;
    assert_eq!(socket.closed().await, 4201);

    // Nothing is begun that the first could go on with, and the second is not UTF-8.
    let mut codes = Vec::new();
    for (bytes, kind) in [(vec![], Data::Continue), (vec![0xff], Data::Text)] {
        let mut socket = Socket::open(&node, &ada).await;
        socket.send_frame(Frame::Frame(RawFrame::message(bytes, OpCode::Data(kind), true))).await;
        codes.push(socket.closed().await);
    }
    assert_eq!(codes, [1002, 1007]);

    let mut socket = Socket::open(&node, &ada).await;
    socket.send_frame(Frame::Close(None)).await;
    assert_eq!(socket.closed().await, 1000);
    node.stop().await;
}
