//! Crashes under load: what was acknowledged is there once, where it was said to be, in order, and nothing is there that
//! nobody has sent.

use rusqlite::Connection;

use super::*;
use conclave::node::store::Store;

const CRASHES: u32 = 50;

#[actix_web::test]
async fn what_was_acknowledged_is_there_once_after_every_crash() {
    let (disk, mut node, mut load) = begin(7).await;

    for number in 0..CRASHES {
        let crash = if number % 3 == 2 { Crash::PowerLoss } else { Crash::Kill };
        load.until_crash(node, crash, &disk).await;
        node = disk.start_node();
    }

    assert_eq!(load.check(&node).await, Ok(()));
    let acknowledged = (load.room.acknowledged(), load.mailbox.acknowledged());
    assert!(acknowledged.0 > 200 && acknowledged.1 > 100, "{acknowledged:?} acknowledged");
    node.kill();
}

/// The check is good for something: a store that does not sync is found out.
#[actix_web::test]
async fn a_node_that_does_not_sync_is_found_out() {
    let (disk, node, mut load) = begin(8).await;
    disk.set(Mode::Lying);
    load.until_crash(node, Crash::PowerLoss, &disk).await;
    disk.set(Mode::Honest);
    let node = disk.start_node();

    let found = load.check(&node).await;

    assert!(matches!(found, Err(Fault::Lost(_) | Fault::Gap)), "{found:?}");
    node.kill();
}

/// And so is one that stores what it has.
#[actix_web::test]
async fn a_node_that_stores_twice_in_a_room_is_found_out() {
    let (disk, node, mut load) = begin(9).await;
    let id = load.send_one(&node).await.unwrap();

    let node = forget_ids(node, &disk, "room_log");
    load.send_again(&node, id).await.unwrap();

    is_found_out(load, node).await;
}

#[actix_web::test]
async fn a_node_that_stores_twice_in_a_mailbox_is_found_out() {
    let (disk, node, mut load) = begin(10).await;
    let id = load.deliver_one(&node).await.unwrap();

    let node = forget_ids(node, &disk, "mailbox_log");
    load.deliver_again(&node, id).await.unwrap();

    is_found_out(load, node).await;
}

async fn begin(seed: u64) -> (Disk, NodeProcess, Load) {
    let disk = Disk::new();
    let node = disk.start_node();
    let load = Load::new(&node, seed).await;
    (disk, node, load)
}

/// What is twice in a log is either where it was not said to be, or in two places.
async fn is_found_out(mut load: Load, node: NodeProcess) {
    let found = load.check(&node).await;
    assert!(matches!(found, Err(Fault::Moved(_) | Fault::Twice(_))), "{found:?}");
    node.kill();
}

/// Takes away the rule that a log rests on: what is there does not count as the same any more. The node is another one
/// afterwards, which has not seen the nonces either.
fn forget_ids(node: NodeProcess, disk: &Disk, log: &str) -> NodeProcess {
    node.kill();
    let database = Connection::open(disk.data().join(Store::FILE_NAME)).unwrap();
    database.execute(&format!("UPDATE {log} SET envelope_id = randomblob(16)"), []).unwrap();
    database.close().unwrap();
    disk.start_node()
}
