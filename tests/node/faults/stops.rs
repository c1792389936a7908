//! A node that is told to stop while others write: it says when to come again, closes in time, and loses nothing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use conclave::wire::Message;
use futures_util::future::join_all;

use super::*;
use crate::server::DataFolder;
use crate::socket::{End, Socket};

/// Seconds that requests may still take, as the node is set here.
const STOP_SECONDS_MAX: u64 = 3;

/// Seconds that everything else may take: the time until sockets are closed, and the store.
const REST_SECONDS_MAX: u64 = 4;

const ROUNDS: usize = 3;

/// How long a signal may take to be heard.
const PATIENCE: Duration = Duration::from_secs(20);

/// Over what time clients come again, and how long their sockets stay open, in milliseconds.
const AFTER_MS_MAX: u64 = 5_000;
const WITHIN_MS: u64 = 500;

/// What a socket was told when the node stopped.
#[derive(Debug)]
pub(super) struct Farewell {
    /// When to come again and how long the socket stays open, in milliseconds.
    pub(super) reconnect: Option<(u64, u64)>,
    pub(super) end: End,
    /// What was acknowledged after that.
    pub(super) late_answers: usize,
}

/// Reads a socket to its end: all events, and how the node took leave.
pub(super) async fn listen(mut socket: Socket) -> (Vec<Message>, Farewell) {
    let (mut events, mut reconnect) = (Vec::new(), None);
    loop {
        match socket.try_event().await {
            Ok(Message::Reconnect { after_ms, within_ms }) => reconnect = Some((after_ms, within_ms)),
            Ok(event) => events.push(event),
            Err(end) => return (events, Farewell { reconnect, end, late_answers: 0 }),
        }
    }
}

fn start(data: &DataFolder) -> NodeProcess {
    NodeProcess::start(data.path(), |process| {
        process.env("CONCLAVE__SERVER__STOP_SECONDS_MAX", STOP_SECONDS_MAX.to_string());
    })
}

async fn assert_ends_in_time(node: NodeProcess) {
    let status = node.ended(Duration::from_secs(STOP_SECONDS_MAX + REST_SECONDS_MAX)).await;
    assert!(status.is_some_and(|status| status.success()), "{status:?}: it has not ended by itself and in time");
}

async fn status(node: &NodeProcess, path: &str) -> u16 {
    node.api.get(path, None).await.status
}

/// Each socket is told to come again, and then closed with the code for it; no two come at one time.
fn assert_typed(farewells: &[Farewell]) {
    let mut times = BTreeSet::new();
    for Farewell { reconnect, end, .. } in farewells {
        let (after_ms, within_ms) = reconnect.unwrap();
        assert!(after_ms < AFTER_MS_MAX && within_ms == WITHIN_MS, "{farewells:?}");
        assert!(times.insert(after_ms), "two at one time: {farewells:?}");
        assert_eq!(*end, End::Closed(4000), "{farewells:?}");
    }
}

#[actix_web::test]
async fn a_node_that_is_told_to_stop_under_load_says_when_to_come_again_and_loses_nothing() {
    let data = DataFolder::new();
    let mut node = start(&data);
    let mut loads = Vec::new();
    for seed in 31..34 {
        loads.push(Load::new(&node, seed).await);
    }

    let mut late_answers = 0;
    for _ in 0..ROUNDS {
        let waited_for = Cell::new(loads.len());
        let farewells = join_all(loads.iter_mut().map(|load| load.until_stopped(&node, &waited_for))).await;
        let farewells: Vec<Farewell> = farewells.into_iter().flatten().collect();
        assert_ends_in_time(node).await;
        assert_typed(&farewells);
        late_answers += farewells.iter().map(|farewell| farewell.late_answers).sum::<usize>();
        node = start(&data);
        for load in &mut loads {
            assert_eq!(load.check(&node).await, Ok(()));
        }
    }
    assert!(late_answers > 0, "nobody wrote while the node drained");
    node.kill();
}

#[actix_web::test]
async fn a_node_that_is_told_to_stop_is_not_ready_and_goes_on_until_its_notice_is_over_or_it_is_told_again() {
    let data = DataFolder::new();
    let node = NodeProcess::start(data.path(), |process| {
        process.env("CONCLAVE__SERVER__STOP_NOTICE_SECONDS", "300");
    });
    assert_eq!(status(&node, "/readyz").await, 200);

    node.terminate();
    let is_heard = async { while status(&node, "/readyz").await != 503 {} };
    tokio::time::timeout(PATIENCE, is_heard).await.unwrap();

    let mut load = Load::new(&node, 36).await;
    load.send_one(&node).await.unwrap();
    assert_eq!((status(&node, "/healthz").await, status(&node, "/readyz").await), (200, 503));
    node.terminate();
    assert_ends_in_time(node).await;
    let node = start(&data);
    assert_eq!((load.check(&node).await, status(&node, "/readyz").await), (Ok(()), 200));
    node.kill();
}

#[actix_web::test]
async fn a_socket_that_reads_nothing_does_not_hold_a_stop_up() {
    let data = DataFolder::new();
    let node = start(&data);
    let (mut load, mut other) = (Load::new(&node, 34).await, Load::new(&node, 35).await);
    let mut silent = other.silent_reader(&node).await;

    let farewells = load.until_stopped(&node, &Cell::new(1)).await;
    assert_ends_in_time(node).await;

    assert_typed(&farewells);
    // There was no room for a word to it.
    let end = loop {
        if let Err(end) = silent.receive().await {
            break end;
        }
    };
    assert_eq!(end, End::Gone);
    let node = start(&data);
    assert_eq!((load.check(&node).await, other.check(&node).await), (Ok(()), Ok(())));
    node.kill();
}
