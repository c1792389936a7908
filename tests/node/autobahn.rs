//! The Autobahn test suite against the node's socket code, by a route that sends back what it gets.
//!
//! The route stands here and not in the node. From the upgrade on it is the node's own connection: its frames, its
//! answers to pings and closes, its way of ending a peer that breaks the protocol.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::task::{Poll, ready};

use actix_codec::Framed;
use actix_http::header::SEC_WEBSOCKET_KEY;
use actix_http::{HttpService, Request, h1, ws};
use actix_server::{Server, ServerHandle};
use actix_service::{fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::rt::{self, net::TcpStream};
use conclave::node::ws::{Arrival, Connection, ConnectionError, Incomings, Turn, frame};
use futures_util::Stream;
use serde_json::{Value, json};

use tokio::io::AsyncWriteExt;

use crate::server::DataFolder;

/// The suite's longest messages.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How cases may end. `NON-STRICT` is within the RFC, and so is what `INFORMATIONAL` ones look at.
const GOOD: [&str; 3] = ["OK", "NON-STRICT", "INFORMATIONAL"];

/// Cases whose number begins so are about compression, which the node does not offer.
const COMPRESSION: [&str; 2] = ["12.*", "13.*"];

/// Sends back what one socket gets.
async fn echo((request, framed): (Request, Framed<TcpStream, h1::Codec>)) -> Result<(), actix_web::Error> {
    let mut parts = framed.into_parts();
    let key = request.head().headers().get(SEC_WEBSOCKET_KEY).unwrap().as_bytes();
    let accept = ws::hash_key(key);
    let accept = std::str::from_utf8(&accept).unwrap();
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
    parts.io.write_all(format!("{head}sec-websocket-accept: {accept}\r\n\r\n").as_bytes()).await?;

    let turn = Turn::new();
    let connection = Connection::new(Rc::clone(&turn), Box::new(parts.io), &parts.read_buf, MESSAGE_BYTES_MAX);
    let mut arrivals = Incomings::of(Rc::clone(&connection));
    let mut is_over = false;
    poll_fn(|task| {
        while !is_over {
            match Pin::new(&mut arrivals).poll_next(task) {
                Poll::Ready(Some(Ok(Arrival::Text(bytes)))) => connection.push(frame::text(&bytes)),
                Poll::Ready(Some(Ok(Arrival::Rest))) => {}
                Poll::Ready(Some(Ok(Arrival::Binary(bytes)))) => connection.push(frame::binary(&bytes)),
                Poll::Ready(Some(Err(ConnectionError::Closed | ConnectionError::Frame(_)))) => is_over = true,
                Poll::Ready(Some(Err(ConnectionError::Gone)) | None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        turn.poll_write(task);
        if connection.poll_write(task).is_err() {
            return Poll::Ready(());
        }
        if is_over && connection.is_flushed() {
            let _ = ready!(connection.poll_shutdown(task));
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    Ok(())
}

fn start() -> (SocketAddr, ServerHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::build().disable_signals().workers(1).listen("echo", listener, || {
        let app = map_config(App::new(), |()| AppConfig::default());
        HttpService::build().tcp_nodelay(true).upgrade(fn_service(echo)).finish(app).tcp()
    });
    let server = server.unwrap().run();
    let handle = server.handle();
    rt::spawn(server);
    (address, handle)
}

/// Runs the cases; how each ended, by its number.
async fn run(address: SocketAddr, folder: &DataFolder) -> BTreeMap<String, Value> {
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/autobahn");
    assert!(peer.join(".venv/suite").exists(), "the suite is not installed: run scripts/install-test-tools");
    let report = folder.path().join("report");
    let spec = json!({
        "outdir": report,
        "servers": [{ "agent": "node", "url": format!("ws://{address}/echo") }],
        "cases": ["*"],
        "exclude-cases": COMPRESSION,
        "exclude-agent-cases": {},
    });
    let spec = folder.write("spec.json", &spec.to_string());
    let mut suite = Command::new(peer.join(".venv/bin/python"));
    suite.arg(peer.join("run.py")).arg(spec).arg(peer.join(".venv/suite")).stdout(Stdio::null());
    let status = rt::task::spawn_blocking(move || suite.status()).await.unwrap().unwrap();
    assert!(status.success(), "the suite ended with {status}");
    read(&report.join("index.json"))
}

#[expect(clippy::disallowed_methods, reason = "the suite writes its report into a file")]
fn read(index: &Path) -> BTreeMap<String, Value> {
    let index: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_slice(&std::fs::read(index).unwrap()).unwrap();
    index["node"].clone()
}

#[actix_web::test]
async fn no_case_of_the_autobahn_suite_fails() {
    let (address, server) = start();
    let folder = DataFolder::new();

    let cases = run(address, &folder).await;

    let failed: BTreeMap<&String, &Value> = cases
        .iter()
        .filter(|(_, case)| {
            ["behavior", "behaviorClose"].iter().any(|end| !GOOD.contains(&case[end].as_str().unwrap()))
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(cases.len(), CASES, "cases that ran");
    server.stop(false).await;
}

/// Cases of the suite outside compression.
const CASES: usize = 301;
