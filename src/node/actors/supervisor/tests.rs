//! A room that panics, on a real node.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic, and makes a folder"
)]

use std::path::PathBuf;

use futures_util::future::join_all;

use super::*;
use crate::ids::LogEpoch;
use crate::node::clock::ManualClock;
use crate::node::config::Settings;
use crate::node::lifecycle::Node;
use crate::node::store::{NewRoom, ProviderIdentity};
use crate::wire::{Custody, Protection, RoomPolicy, Signatures, Timestamp};

const ROOM: RoomId = RoomId::from_bytes([7; 16]);
const OWNER: AccountId = AccountId::from_bytes([8; 16]);
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// After so long a room does not start at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many ask for a room at once.
const ASKERS: usize = 500;

/// A node with one room, a clock that tests move, and its folder.
struct OneRoom {
    node: Node,
    clock: ManualClock,
    folder: PathBuf,
}

impl OneRoom {
    async fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("conclave-{name}-{}", std::process::id()));
        let clock = ManualClock::at(START);
        let mut settings = Settings::default();
        settings.server.address.set_port(0);
        settings.metrics.address.set_port(0);
        settings.store.folder.clone_from(&folder);
        let node = Node::start(settings, clock.clone().into()).await.unwrap();
        let store = &node.state().store;
        let identity = ProviderIdentity::new("https://issuer.example", "1").unwrap();
        store.find_or_create_account(&identity, OWNER, START).await.unwrap();
        let policy =
            RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::On };
        let epoch = LogEpoch::from_bytes([9; 8]);
        let room = NewRoom { room_id: ROOM, policy, owner: OWNER, membership: None, epoch, created_at: START };
        store.create_room(&room).await.unwrap();
        Self { node, clock, folder }
    }

    /// The room, which can be started.
    async fn room(&self) -> Arc<Addr<Room>> {
        let started = async {
            loop {
                match self.node.state().routes.room(ROOM).await {
                    Ok(room) => return room,
                    // The workers are starting still, or the room is at the end of its fall.
                    Err(ErrorCode::Unavailable) => tokio::task::yield_now().await,
                    Err(code) => panic!("{code:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, started).await.unwrap()
    }

    /// Has the room panic, and waits until it is gone.
    async fn fell(&self, room: &Addr<Room>) {
        assert!(room.send(Panic).await.is_err(), "it has answered");
        while room.connected() {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) {
        self.node.stop().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Makes a room panic.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Room {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("a test has asked for it");
    }
}

#[actix_web::test]
async fn a_room_that_many_ask_for_is_one_room_even_before_it_begins() {
    let one = OneRoom::new("one-of-it").await;
    one.fell(&one.room().await).await;
    let routes = &one.node.state().routes;
    let (release, held) = std::sync::mpsc::channel::<()>();
    // The thread that it is to run on does something else.
    assert!(routes.arbiter_of(ROOM).unwrap().spawn_fn(move || {
        let _ = held.recv();
    }));

    let mut rooms = Vec::new();
    for _ in 0..2 {
        rooms.extend(join_all((0..ASKERS).map(|_| routes.room(ROOM))).await);
    }
    release.send(()).unwrap();

    let first = rooms[0].clone().unwrap();
    assert!(rooms.iter().all(|room| room.as_ref().is_ok_and(|room| **room == *first)), "there are several");
    assert_eq!(*one.room().await, *first);
    one.stop().await;
}

#[actix_web::test]
async fn a_room_that_panics_is_started_again_by_whoever_asks_for_it() {
    let one = OneRoom::new("falls").await;
    let first = one.room().await;

    one.fell(&first).await;
    let second = one.room().await;

    assert!(second.connected() && *second != *first);
    assert_eq!(one.node.state().routes.rooms(), 1);
    one.stop().await;
}

#[actix_web::test]
async fn a_room_that_panics_again_waits_twice_as_long_each_time() {
    let one = OneRoom::new("falls-again").await;
    let routes = one.node.state().routes.clone();
    let first = one.room().await;
    one.fell(&first).await;

    for count in 1..4 {
        let room = one.room().await;
        one.fell(&room).await;
        let wait = back_off(count);
        one.clock.advance(wait.saturating_sub(Duration::from_millis(1)));
        assert_eq!(routes.room(ROOM).await.err(), Some(ErrorCode::Unavailable), "after {count}");
        one.clock.advance(Duration::from_millis(1));
    }

    assert!(one.room().await.connected());
    one.stop().await;
}

#[test]
fn back_off_is_doubled_up_to_a_minute() {
    let waits: Vec<u128> = (0..=12).map(|count| back_off(count).as_millis()).collect();
    assert_eq!(waits[..4], [100, 200, 400, 800]);
    assert_eq!(waits[9..], [51_200, 60_000, 60_000, 60_000]);
}
