//! A disk that is full or does not sync: nothing is acknowledged, who sends is told, and afterwards all is there that was
//! acknowledged before and after.

use super::*;
use conclave::wire::ErrorCode;

/// How often each thing is tried while the disk fails, and after.
const TRIES: usize = 5;

/// Envelopes for which there is room on a disk that is full.
const ROOM_LEFT_MAX: usize = 1_000;

async fn through_a_time_of(mode: Mode, seed: u64) {
    let disk = Disk::new();
    let node = disk.start_node();
    let mut load = Load::new(&node, seed).await;
    load.until_crash(node, Crash::Kill, &disk).await;
    let node = disk.start_node();
    load.send_one(&node).await.unwrap();
    load.deliver_one(&node).await.unwrap();

    disk.set(mode);
    assert_eq!(node.api.get("/readyz", None).await.status, 200, "nothing has failed yet");
    // What a file has room for without growing still goes.
    while load.send_one(&node).await.is_ok() {
        assert!(load.room.acknowledged() < ROOM_LEFT_MAX, "{mode:?}");
    }
    let before = (load.room.acknowledged(), load.mailbox.acknowledged());
    for _ in 0..TRIES {
        node.api.get("/readyz", None).await.refused(503, ErrorCode::Unavailable);
        assert_eq!(load.send_one(&node).await, Err(ErrorCode::Unavailable), "{mode:?}");
        assert_eq!(load.deliver_one(&node).await, Err(ErrorCode::Unavailable), "{mode:?}");
        assert!(node.metrics().await.contains("conclave_ready 0\n"), "{mode:?}");
    }
    assert_eq!((load.room.acknowledged(), load.mailbox.acknowledged()), before);
    // Who reads gets what was acknowledged.
    assert_eq!(load.check(&node).await, Ok(()), "{mode:?}");

    disk.set(Mode::Honest);
    assert_eq!(node.api.get("/readyz", None).await.status, 200, "{mode:?}");
    assert!(node.metrics().await.contains("conclave_ready 1\n"), "{mode:?}");
    for _ in 0..TRIES {
        load.send_one(&node).await.unwrap();
        load.deliver_one(&node).await.unwrap();
    }
    assert_eq!(load.check(&node).await, Ok(()), "{mode:?}");

    load.until_crash(node, Crash::PowerLoss, &disk).await;
    let node = disk.start_node();
    assert_eq!(load.check(&node).await, Ok(()), "after a loss of power, {mode:?}");
    node.kill();
}

#[actix_web::test]
async fn nothing_is_lost_through_a_time_without_room_on_the_disk() {
    through_a_time_of(Mode::Full, 21).await;
}

#[actix_web::test]
async fn nothing_is_lost_through_a_time_in_which_the_disk_does_not_sync() {
    through_a_time_of(Mode::Failing, 22).await;
}

/// A commit whose sync failed can be found by the next process, whole. It must be on the disk before it is told to anybody,
/// and to whoever sends it again it is told as done.
#[actix_web::test]
async fn what_a_start_finds_is_synced_before_it_counts() {
    let disk = Disk::new();
    let node = disk.start_node();
    let mut load = Load::new(&node, 23).await;
    disk.set(Mode::Failing);
    assert_eq!(load.send_one(&node).await, Err(ErrorCode::Unavailable));
    node.kill();
    disk.set(Mode::Honest);

    let node = disk.start_node();
    let [id] = load.room.open()[..] else { panic!("one was sent") };
    load.send_again(&node, id).await.unwrap();
    node.kill();
    disk.lose_power();

    let node = disk.start_node();
    assert_eq!(load.check(&node).await, Ok(()));
    node.kill();
}
