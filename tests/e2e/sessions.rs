//! Sessions that run out or are ended. The node's database is told that the time has come.

use conclave::client::{ClientError, Event, Store};
use conclave::ids::AccountId;
use conclave::wire::ErrorCode;
use rusqlite::Connection;

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::user::{User, sign_in};

pub(crate) fn change(folder: &DataFolder, statement: &str, account: AccountId) {
    let database = Connection::open(folder.path().join("conclave.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    database.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    assert!(database.execute(statement, [account.as_bytes()]).unwrap() > 0);
}

pub(crate) const EXPIRE: &str = "UPDATE sessions SET access_expires_at = 1 WHERE account_id = ?";
const END: &str = "DELETE FROM sessions WHERE account_id = ?";

#[tokio::test]
async fn a_token_that_has_expired_is_traded_and_kept() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let path = folder.path().join("ada");
    let ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &node.url, "ada").await;
    let grace = User::new(&node.url, "grace").await;
    // In the middle of a call.
    change(&folder, EXPIRE, ada.id());
    assert_eq!(ada.client.devices(grace.id()).await.unwrap().len(), 1);
    let ada_id = ada.id();
    ada.close().await;

    // Between two runs: what was traded before was kept, and is traded again.
    change(&folder, EXPIRE, ada_id);
    let mut ada = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    ada.is_level().await;
    let id = ada.write(&grace, "still here").await;
    ada.is_sent(id).await;
}

#[tokio::test]
async fn a_session_that_was_ended_is_told_and_another_one_goes_on() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    ada.is_level().await;
    change(&folder, END, ada.id());
    let refused = ada.client.devices(grace.id()).await;
    assert!(matches!(refused, Err(ClientError::SignedOut)), "{refused:?}");
    let reason = ada.until(|event| match event {
        Event::SignedOut { reason } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.await, ErrorCode::RefreshRefused);
    // What is written meanwhile waits.
    let id = ada.write(&grace, "from outside").await;

    let other = ada.client.sign_in_again(sign_in(&node.url, "joan").await).await;
    assert!(matches!(other, Err(ClientError::OtherAccount)), "{other:?}");
    ada.client.sign_in_again(sign_in(&node.url, "ada").await).await.unwrap();
    ada.is_sent(id).await;
    assert_eq!(grace.text().await, (ada.id(), "from outside".to_owned()));
}

#[tokio::test]
async fn a_session_that_was_begun_at_another_address_is_used_there_alone() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (old, new) = (Proxy::before(&node).await, Proxy::before(&node).await);
    let path = folder.path().join("ada");
    let mut ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &old.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    ada.is_level().await;

    // Not even to a node that is there.
    let other = ada.client.sign_in_again(sign_in(&new.url, "joan").await).await;
    assert!(matches!(other, Err(ClientError::OtherAccount)), "{other:?}");
    ada.write(&grace, "where I was").await;
    assert_eq!(grace.text().await.1, "where I was");
    assert!(!new.has_seen(b"GET /ws"));

    let signed_in = sign_in(&new.url, "ada").await;
    let token = signed_in.tokens().access_token.clone();
    ada.client.sign_in_again(signed_in).await.unwrap();
    ada.is_level().await;
    ada.write(&grace, "where I am").await;
    assert_eq!(grace.text().await.1, "where I am");
    assert_eq!(ada.client.devices(grace.id()).await.unwrap().len(), 1);
    assert!(new.has_seen(token.expose().as_bytes()) && !old.has_seen(token.expose().as_bytes()));

    old.close();
    ada.close().await;
    let ada = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    ada.write(&grace, "and stay").await;
    assert_eq!(grace.text().await.1, "and stay");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_keeps_the_device() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let device = ada.client.device();
    ada.is_level().await;
    ada.client.sign_out().await.unwrap();
    let refused = ada.client.devices(ada.id()).await;
    assert!(matches!(refused, Err(ClientError::SignedOut)), "{refused:?}");
    ada.client.sign_in_again(sign_in(&node.url, "ada").await).await.unwrap();
    ada.is_level().await;
    assert_eq!(ada.client.device(), device);
}
