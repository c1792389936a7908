//! Actors that panic, on a real node.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::node::actors::one_room::{OWNER, OneRoom, ROOM, fell};
use crate::node::actors::room::Changed;

/// How many ask for a room at once.
const ASKERS: usize = 500;

#[actix_web::test]
async fn a_room_that_many_ask_for_is_one_room_even_before_it_begins() {
    let one = OneRoom::new("one-of-it").await;
    fell(&*one.room().await).await;
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

    fell(&first).await;
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
    fell(&first).await;

    for count in 1..4 {
        let room = one.room().await;
        fell(&room).await;
        let wait = back_off(count);
        one.clock.advance(wait.saturating_sub(Duration::from_millis(1)));
        assert_eq!(routes.room(ROOM).await.err(), Some(ErrorCode::Unavailable), "after {count}");
        one.clock.advance(Duration::from_millis(1));
    }

    assert!(one.room().await.connected());
    one.stop().await;
}

/// Those who had joined are still there, and nobody else may ask for the room for long.
#[actix_web::test]
async fn a_room_that_panicked_is_started_again_by_what_the_store_has_changed_in_it() {
    let one = OneRoom::new("is-told").await;
    fell(&*one.room().await).await;
    let routes = &one.node.state().routes;
    assert!(routes.live_room(ROOM).is_none());

    routes.tell_room(ROOM, Changed::Member(OWNER)).await;

    assert!(routes.live_room(ROOM).is_some());
    one.stop().await;
}

#[actix_web::test]
async fn a_node_that_has_lost_what_nothing_starts_again_says_so() {
    let one = OneRoom::new("no-supervisor").await;
    assert_eq!(health(&one).await, "200");
    fell(one.node.state().routes.supervisor().unwrap()).await;
    assert_eq!(health(&one).await, "503");
    one.stop().await;

    let one = OneRoom::new("no-shard").await;
    // The workers have started when there is a room.
    fell(&*one.room().await).await;
    assert_eq!(health(&one).await, "200", "a room is started again");
    fell(&one.node.state().routes.shards()[0]).await;
    assert_eq!(health(&one).await, "503");
    one.stop().await;

    let one = OneRoom::new("no-writer").await;
    one.node.state().store.fell_writer().await;
    assert_eq!(health(&one).await, "503");
    one.stop().await;
}

/// The status of `/healthz`.
async fn health(one: &OneRoom) -> String {
    let mut stream = TcpStream::connect(one.node.address()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn back_off_is_doubled_up_to_a_minute() {
    let waits: Vec<u128> = (0..=12).map(|count| back_off(count).as_millis()).collect();
    assert_eq!(waits[..4], [100, 200, 400, 800]);
    assert_eq!(waits[9..], [51_200, 60_000, 60_000, 60_000]);
}
