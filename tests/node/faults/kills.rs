//! Crashes under load: what was acknowledged is there once, where it was said to be, in order, and nothing is there that
//! nobody has sent.

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;
use conclave::node::store::Store;

const CRASHES: u32 = 50;

#[actix_web::test]
async fn what_was_acknowledged_is_there_once_after_every_crash() {
    let disk = Disk::new();
    let mut node = disk.start_node();
    let mut load = Load::new(&node, 7).await;

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
    let disk = Disk::new();
    let node = disk.start_node();
    let mut load = Load::new(&node, 8).await;
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
async fn a_node_that_stores_twice_is_found_out() {
    let disk = Disk::new();
    let node = disk.start_node();
    let mut load = Load::new(&node, 9).await;
    // The rule that the log rests on is taken away: what is there does not count as the same any more.
    let file = SqliteConnectOptions::new().filename(disk.data().join(Store::FILE_NAME));
    let mut database = file.connect().await.unwrap();
    sqlx::query(
        "CREATE TRIGGER no_uniqueness BEFORE INSERT ON room_log BEGIN
             UPDATE room_log SET envelope_id = randomblob(16) WHERE envelope_id = new.envelope_id;
         END",
    )
    .execute(&mut database)
    .await
    .unwrap();
    drop(database);
    let id = load.send_one(&node).await.unwrap();
    load.send_again(&node, id).await.unwrap();

    let found = load.check(&node).await;

    assert!(matches!(found, Err(Fault::Moved(_) | Fault::Twice(_))), "{found:?}");
    node.kill();
}
