//! Receipts, what does not open and its repair, identities that change.

use std::collections::BTreeSet;
use std::path::Path;

use conclave::client::store::Batch;
use conclave::client::{Client, ClientError, Conversation, Event, Receipt, Receipts, Settings, Store};
use conclave::ids::{DeviceAddress, MessageId, OpeningId, RoomId};
use conclave::protocol::machine::{MachineError, Repair};
use conclave::wire::{Destination, Envelope, ErrorCode, RoomPolicy};

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::rooms::admit;
use crate::rotation::opening_of;
use crate::user::{User, sign_in};

/// Until a message's receipt comes.
async fn receipt(user: &mut User, wanted: Receipt, message: MessageId) {
    user.until(|event| match event {
        Event::Receipt { of, state, .. } if of.contains(&message) && *state == wanted => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_writer_hears_that_a_message_arrived_and_was_read() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let first = ada.write(&grace, "have you seen this?").await;
    let message = grace.message().await;
    receipt(&mut ada, Receipt::Delivered, first).await;
    grace.client.mark_read(vec![(ada.id(), message.id)]).await.unwrap();
    receipt(&mut ada, Receipt::Read, first).await;
    let history = ada.client.history(Conversation::Direct(grace.id()), None, 10).await.unwrap();
    assert_eq!(history[0].receipts.get(&grace.id()), Some(&Receipt::Read));

    grace.client.configure(Settings { receipts: Receipts::Off, ..Settings::default() }).await.unwrap();
    let second = ada.write(&grace, "and this?").await;
    grace.message().await;
    let third = grace.write(&ada, "a word that comes after").await;
    ada.message().await;
    receipt(&mut grace, Receipt::Delivered, third).await;
    let history = ada.client.history(Conversation::Direct(grace.id()), None, 10).await.unwrap();
    let second = history.iter().find(|message| message.id == second).unwrap();
    assert!(second.receipts.is_empty() && second.is_sent);
}

/// Puts an old copy of a device's store back, as somebody does who restores a disk: what was agreed since is gone.
#[tokio::test]
async fn what_an_old_store_cannot_open_is_told_and_sent_again() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let path = folder.path().join("grace");
    let mut grace = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &node.url, "grace").await;
    ada.write(&grace, "one").await;
    assert_eq!(grace.text().await.1, "one");
    let place = Conversation::Direct(ada.id());
    grace.close().await;
    let copy = folder.path().join("copy");
    copy_file(&path, &copy);

    let mut grace = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    // Both ratchets move on.
    for n in 0..3 {
        grace.write(&ada, &format!("question {n}")).await;
        ada.message().await;
        ada.write(&grace, &format!("answer {n}")).await;
        grace.message().await;
    }
    grace.close().await;
    copy_file(&copy, &path);
    let mut grace = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    grace.is_level().await;
    ada.write(&grace, "do you read me?").await;
    let repair = grace.until(|event| match event {
        Event::Undecryptable { repair, .. } => Some(*repair),
        _ => None,
    });
    assert!(matches!(repair.await, Repair::NewSession | Repair::AskAgain));
    // What the node had not heard to be saved comes again too.
    while grace.text().await.1 != "do you read me?" {}
    grace.write(&ada, "loud and clear").await;
    assert_eq!(ada.text().await.1, "loud and clear");
    let kept = grace.kept(place).await;
    assert_eq!(kept.iter().filter(|text| *text == "do you read me?").count(), 1, "{kept:?}");
}

/// The same in a room: a device that has lost its sessions begins a new one, and what did not open comes on it.
#[tokio::test]
async fn what_does_not_open_in_a_room_is_told_and_comes_again_on_a_new_session() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&proxy.url, "ada").await;
    let path = folder.path().join("grace");
    let mut grace = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &proxy.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    let place = Conversation::Room(room);
    says(&ada, &mut grace, place, "one").await;
    says(&grace, &mut ada, place, "two").await;
    says(&ada, &mut grace, place, "three").await;
    let [here, there] = [&ada, &grace].map(|user| user.client.device());
    let begun = || -> BTreeSet<OpeningId> {
        sent(&proxy, room, there, here).iter().filter_map(opening_of).map(|opening| opening.id()).collect()
    };
    assert!(begun().is_empty());
    grace.events.finish();
    grace.close().await;
    forget_sessions(&path).await;

    let mut grace = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    grace.is_level().await;
    let id = ada.client.send(place, "do you read me?").await.unwrap();
    ada.is_sent(id).await;
    let told = grace.until(|event| match event {
        Event::Undecryptable { room, sender, envelope, repair, .. } => Some((*room, *sender, *envelope, *repair)),
        Event::Message(message) => panic!("{message:?} has opened"),
        _ => None,
    });
    let lost = &sent(&proxy, room, here, there)[2];
    assert_eq!(told.await, (Some(room), here, lost.id, Repair::NewSession));
    let message = grace.message().await;
    assert_eq!((message.id, message.sender, message.content.text()), (id, here, Some("do you read me?")));
    // One was begun by her request, and Ada has answered on it.
    let new = begun();
    assert_eq!(new.len(), 1);
    says(&grace, &mut ada, place, "loud and clear").await;
    let reply = sent(&proxy, room, there, here).pop().unwrap();
    assert!(opening_of(&reply).is_none() && begun() == new);
    assert_eq!(grace.kept(place).await, ["one", "two", "three", "do you read me?", "loud and clear"]);
}

/// An old copy of the store, in a room: its log is read again from where the copy stood.
#[tokio::test]
async fn what_an_old_store_cannot_open_in_a_room_is_told_and_sent_again() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let (path, copy) = (folder.path().join("grace"), folder.path().join("copy"));
    let mut grace = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &node.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    let place = Conversation::Room(room);
    says(&ada, &mut grace, place, "one").await;
    says(&grace, &mut ada, place, "two").await;
    grace.events.finish();
    grace.close().await;
    copy_file(&path, &copy);

    let mut grace = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    // The copy opens the first answer. Of the second it knows neither the chain nor what brought it about.
    for n in 0..2 {
        says(&grace, &mut ada, place, &format!("question {n}")).await;
        says(&ada, &mut grace, place, &format!("answer {n}")).await;
    }
    grace.close().await;
    copy_file(&copy, &path);

    let mut grace = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    let told = grace.until(|event| match event {
        Event::Undecryptable { room, sender, reason, repair, .. } => Some((*room, *sender, *reason, *repair)),
        _ => None,
    });
    assert_eq!(told.await, (Some(room), ada.client.device(), ErrorCode::ChainGone, Repair::NewSession));
    assert_eq!(grace.text().await, (ada.id(), "answer 1".to_owned()));
    says(&grace, &mut ada, place, "loud and clear").await;
    assert_eq!(grace.kept(place).await, ["one", "two", "answer 0", "answer 1", "loud and clear"]);
}

async fn says(from: &User, to: &mut User, place: Conversation, text: &str) {
    from.client.send(place, text).await.unwrap();
    assert_eq!(to.text().await, (from.id(), text.to_owned()));
}

/// What one device has sent to another in a room.
fn sent(proxy: &Proxy, room: RoomId, from: DeviceAddress, to: DeviceAddress) -> Vec<Envelope> {
    let mut sent = proxy.envelopes();
    sent.retain(|envelope| {
        (envelope.destination, envelope.sender, envelope.recipient) == (Destination::Room(room), from, Some(to))
    });
    sent
}

/// Takes the sessions out of a device's store.
async fn forget_sessions(path: &Path) {
    let mut store = Store::open(path, passphrase()).await.unwrap().into_inner();
    let (records, _) = store.load().await.unwrap();
    let mut lost = Batch::default();
    for name in records.into_keys().filter(|name| name.starts_with("machine/session/")) {
        lost.delete(name);
    }
    assert!(!lost.is_empty());
    store.commit(lost).await.unwrap();
    store.close().await.unwrap();
}

/// The node's database forgets an account's devices, and with them the root key that it has pinned.
#[tokio::test]
async fn a_new_identity_blocks_sending_until_it_is_accepted() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let grace = User::new(&node.url, "grace").await;
    let id = ada.write(&grace, "hello").await;
    ada.is_sent(id).await;
    let (grace_id, old_key) = (grace.id(), grace.client.root_key().clone());
    grace.close().await;
    forget_devices(folder.path(), grace_id);

    let (client, events) = Client::set_up(Store::in_memory(), sign_in(&node.url, "grace").await).await.unwrap();
    let mut grace = User { client, events };
    assert_eq!(grace.id(), grace_id);
    grace.write(&ada, "it is me").await;
    let changed = ada.until(|event| match event {
        Event::IdentityChanged { account } => Some(*account),
        Event::Message(message) => panic!("{message:?} was shown"),
        _ => None,
    });
    assert_eq!(changed.await, grace_id);
    let refused = ada.client.send_direct(grace_id, "a secret").await;
    let Err(ClientError::Machine(MachineError::IdentityChanged { account })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(account, grace_id);

    let known = ada.client.known_account(grace_id).await.unwrap().unwrap();
    assert_eq!((known.root_key, known.changed_to.as_ref()), (old_key, Some(grace.client.root_key())));
    let theirs = grace.client.safety_number(ada.id()).await.unwrap().unwrap();
    let ours = ada.client.changed_safety_number(grace_id).await.unwrap().unwrap();
    assert_eq!(ours.to_string(), theirs.to_string());
    ada.client.accept_identity(grace_id, known.changed_to.unwrap()).await.unwrap();
    assert_eq!(ada.text().await, (grace_id, "it is me".to_owned()));
    ada.client.send_direct(grace_id, "a secret").await.unwrap();
    assert_eq!(grace.text().await, (ada.id(), "a secret".to_owned()));
}

/// It was sealed for devices that are gone with the old identity.
#[tokio::test]
async fn what_waits_while_an_identity_changes_goes_to_the_new_one_once_it_is_accepted() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&proxy.url, "ada").await;
    let grace = User::new(&node.url, "grace").await;
    let id = ada.write(&grace, "hello").await;
    ada.is_sent(id).await;
    proxy.close();
    ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let waiting = ada.write(&grace, "for whoever is there").await;
    let grace_id = grace.id();
    grace.close().await;
    forget_devices(folder.path(), grace_id);
    let mut grace = User::new(&node.url, "grace").await;

    proxy.lead_to(&node);
    ada.until(|event| matches!(event, Event::IdentityChanged { .. }).then_some(())).await;
    let known = ada.client.known_account(grace_id).await.unwrap().unwrap();
    ada.client.accept_identity(grace_id, known.changed_to.unwrap()).await.unwrap();
    assert_eq!(grace.text().await, (ada.id(), "for whoever is there".to_owned()));
    ada.is_sent(waiting).await;
}

pub(crate) fn forget_devices(folder: &Path, account: conclave::ids::AccountId) {
    let database = rusqlite::Connection::open(folder.join("conclave.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    database.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    for table in ["sessions", "devices", "device_lists"] {
        let forget = format!("DELETE FROM {table} WHERE account_id = ?");
        assert!(database.execute(&forget, [account.as_bytes()]).unwrap() > 0, "{table}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a disk is restored")]
fn copy_file(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}
