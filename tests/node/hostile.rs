//! Clients that hold on to connections, or send without end: they lose theirs, and nobody else notices.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use conclave::node::config::Bounded;
use conclave::wire::Encoding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::User;
use crate::process::NodeProcess;
use crate::server::{Api, Connection, DataFolder, TestNode};
use crate::socket::{Socket, open, request};
use crate::tls::Files;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads until the node ends the connection, and sends a byte of an endless header every now and then.
async fn drip(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let mut answer = Vec::new();
    let ended = async {
        loop {
            tokio::select! {
                read = from.read_buf(&mut answer) => if matches!(read, Ok(0) | Err(_)) { return },
                // It fails once the node has ended the connection, which is read then.
                _ = beat.tick() => { let _ = to.write_all(b"x").await; }
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[actix_web::test]
async fn who_sends_headers_drop_by_drop_loses_the_connection() {
    let node = TestNode::start_with(|settings| settings.server.header_seconds_max = Bounded::of::<1>()).await;
    let address = node.node.address();
    let heads = ["", "GET", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: here\r\nx-slow: "];

    let slow = heads.iter().cycle().take(40).map(|head| drip(address, head));
    let answers = futures_util::future::join_all(slow);
    // The node answers others meanwhile.
    let (answers, health) = tokio::join!(answers, node.get("/healthz", None));

    assert_eq!(health.status, 200);
    for answer in answers {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    node.stop().await;
}

fn raw(data: Vec<u8>, kind: Data, is_last: bool) -> Frame {
    Frame::Frame(RawFrame::message(data, OpCode::Data(kind), is_last))
}

/// Sends a frame again and again until the node closes. The code it closes with.
async fn flooded(node: &TestNode, user: &User, first: Frame, then: Frame) -> u16 {
    let mut socket = Socket::open_as(node, user, Encoding::Cbor).await;
    socket.send_frame(first).await;
    // More than the node takes; it reads no further than to its limit.
    for _ in 0..10_000 {
        if socket.try_send_frame(then.clone()).await.is_err() {
            break;
        }
    }
    socket.closed().await
}

#[actix_web::test]
async fn messages_without_end_close_the_socket() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;

    let empty = flooded(&node, &ada, raw(vec![], Data::Binary, false), raw(vec![], Data::Continue, false)).await;
    let long = vec![0; 1_000];
    let full = flooded(&node, &ada, raw(long.clone(), Data::Binary, false), raw(long, Data::Continue, false)).await;
    let whole =
        flooded(&node, &ada, raw(vec![0; 256 * 1024 + 1], Data::Binary, true), Frame::Ping(vec![].into())).await;

    assert_eq!([empty, full, whole], [1009; 3]);
    // The account can come again.
    Socket::open(&node, &ada).await;
    node.stop().await;
}

/// A request for a socket from another address of this machine.
async fn open_from(local: &str, node: &NodeProcess, headers: &[(&str, &str)]) -> Result<(), u16> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(local.parse().unwrap()).unwrap();
    let address = node.api.url.trim_start_matches("http://").parse().unwrap();
    let stream = socket.connect(address).await.unwrap();
    match tokio_tungstenite::client_async(request(&node.api, JSON, headers), stream).await {
        Ok(_) => Ok(()),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Connections that ask for nothing.
#[actix_web::test]
async fn connections_past_an_addresss_share_are_closed_and_others_are_served() {
    const SHARE: usize = 40;
    let node = TestNode::start_with(|settings| {
        settings.server.connections_per_worker_max = Bounded::of::<100>();
        settings.limits.connections_per_address = Bounded::of::<40>();
    })
    .await;
    let to = node.node.address();
    let connect = async |from: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap()
    };
    let mut idle = Vec::new();
    for _ in 0..SHARE * 10 {
        idle.push(connect("127.0.0.2:0").await);
    }
    // All others are closed, without a word.
    let is_open =
        |stream: &TcpStream| matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    let closed = async {
        while idle.iter().filter(|stream| is_open(stream)).count() > SHARE {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
    idle.retain(is_open);
    assert_eq!(idle.len(), SHARE);
    let answer = async |stream: &mut TcpStream| {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        status
    };
    assert_eq!(&answer(&mut connect("127.0.0.3:0").await).await, b"HTTP/1.1 200");
    // Those within it are served, and whoever lets go of one has another.
    assert_eq!(&answer(&mut idle[0]).await, b"HTTP/1.1 200");
    idle.clear();
    let again = async {
        loop {
            let mut stream = connect("127.0.0.2:0").await;
            if stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n").await.is_ok()
                && matches!(stream.read(&mut [0; 12]).await, Ok(12))
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    node.stop().await;
}

/// A file of the page that documents the calls: half a megabyte.
const LARGE: &str = "/api/docs/swagger-ui-bundle.js";

/// Answers that are asked for at once. No buffer of the system holds so many.
const ANSWERS: usize = 32;

/// A node that answers at once whatever is asked for, and gives a client one second for a part of an answer. It speaks TLS if
/// it has files for that.
async fn node_that_waits_a_second(files: Option<&Files>) -> TestNode {
    let node = TestNode::start_with(|settings| {
        settings.server.answer_seconds_max = Bounded::of::<1>();
        settings.server.keep_alive_seconds = Bounded::of::<300>();
        settings.limits.connections_per_address = Bounded::of::<1>();
        settings.limits.sign_in_per_minute = Bounded::of::<1_000>();
        if let Some(files) = files {
            files.name_in(settings);
        }
    })
    .await;
    if let Some(files) = files { node.trusting(files.certificate()) } else { node }
}

/// A connection from an address of its own, by which answers are asked for.
async fn ask_for_answers(from: &str, node: &Api) -> Box<dyn Connection> {
    let mut stream = node.connect_from(from).await.unwrap();
    let ask = |connection: &str| format!("GET {LARGE} HTTP/1.1\r\nhost: here\r\nconnection: {connection}\r\n\r\n");
    let asked = ask("keep-alive").repeat(ANSWERS - 1) + &ask("close");
    stream.write_all(asked.as_bytes()).await.unwrap();
    stream
}

#[actix_web::test]
async fn who_reads_none_of_an_answer_loses_the_connection() {
    let files = Files::new();
    for files in [None, Some(&files)] {
        let node = node_that_waits_a_second(files).await;
        let deaf = ask_for_answers("127.0.0.2:0", &node).await;

        // Its place is the only one of its address.
        let again = async {
            loop {
                let Some(mut stream) = node.connect_from("127.0.0.2:0").await else { continue };
                if stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n").await.is_ok()
                    && matches!(stream.read(&mut [0; 12]).await, Ok(12))
                {
                    return;
                }
            }
        };

        tokio::time::timeout(PATIENCE, again).await.unwrap();
        drop(deaf);
        node.stop().await;
    }
}

#[actix_web::test]
async fn who_reads_slowly_has_all_of_every_answer() {
    const READ_AT_ONCE: usize = 400_000;
    let node = node_that_waits_a_second(None).await;
    let mut slow = ask_for_answers("127.0.0.2:0", &node).await;
    let mut beat = tokio::time::interval(Duration::from_millis(100));

    let read = async {
        let mut answers = Vec::new();
        loop {
            beat.tick().await;
            let mut some = vec![0; READ_AT_ONCE];
            let mut length = 0;
            while length < some.len() {
                match slow.read(&mut some[length..]).await.unwrap() {
                    0 => return [&answers[..], &some[..length]].concat(),
                    more => length += more,
                }
            }
            answers.extend(some);
        }
    };
    let answers = tokio::time::timeout(PATIENCE, read).await.unwrap();

    let body = node.request(reqwest::Method::GET, LARGE).send().await.unwrap().bytes().await.unwrap();
    let found = answers.windows(body.len()).filter(|window| *window == body).count();
    assert_eq!(found, ANSWERS);
    assert!(answers.len() > 30 * READ_AT_ONCE, "it took less than three seconds");
    node.stop().await;
}

#[actix_web::test]
async fn ten_thousand_sockets_from_one_address_take_nobody_elses_place() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = User::join_without_prekeys(&node.api, "ada", 10).await;
    let authorization = format!("Bearer {}", ada.person.token().expose());
    let headers = [("authorization", authorization.as_str())];

    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..10_000 {
        match open(&node.api, request(&node.api, JSON, &headers)).await {
            Ok(stream) => held.push(stream),
            Err(429) => refused += 1,
            Err(status) => panic!("{status}"),
        }
    }

    assert_eq!((held.len(), refused), (1_000, 9_000));
    open_from("127.0.0.2:0", &node, &headers).await.unwrap();
    assert_eq!(node.api.get("/healthz", None).await.status, 200);
    assert!(node.metrics().await.contains("conclave_sockets_refused_total{code=\"rate_limited\"} 9000"));
    held.clear();
    // The node sees the end of them when it next looks.
    while open(&node.api, request(&node.api, JSON, &headers)).await.is_err() {
        tokio::task::yield_now().await;
    }
    node.kill();
}

const JSON: &str = "conclave.v1.json";
