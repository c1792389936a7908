//! Nodes and connections that go away.

use conclave::client::{Conversation, Event, Store};

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::{Proxy, Step};
use crate::rooms::admit;
use crate::user::User;
use conclave::wire::{Command, RoomPolicy};

#[tokio::test]
async fn what_is_sent_without_a_node_goes_when_it_is_back_and_once() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&proxy.url, "ada").await;
    let mut grace = User::new(&proxy.url, "grace").await;
    // Nothing is known of Grace yet: what is written now is sealed later.
    proxy.close();
    drop(node);
    ada.until(|event| matches!(event, Event::Disconnected { retry_in: Some(_) }).then_some(())).await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(ada.write(&grace, text).await);
    }
    let node = NodeProcess::start(folder.path(), |_| ());
    proxy.lead_to(&node);
    for text in ["one", "two", "three"] {
        assert_eq!(grace.text().await, (ada.id(), text.to_owned()));
    }
    // Nothing is known to be missing: sealed at once, and sent later.
    drop(node);
    proxy.close();
    ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    ada.write(&grace, "four").await;
    grace.write(&ada, "five").await;
    let node = NodeProcess::start(folder.path(), |_| ());
    proxy.lead_to(&node);
    assert_eq!(grace.text().await.1, "four");
    assert_eq!(ada.text().await.1, "five");
    ada.write(&grace, "the end").await;
    assert_eq!(grace.text().await.1, "the end");
    let kept = grace.kept(Conversation::Direct(ada.id())).await;
    assert_eq!(kept, ["one", "two", "three", "five", "four", "the end"]);
    drop(node);
}

#[tokio::test]
async fn a_client_that_ended_sends_what_waited_when_it_is_opened() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let path = folder.path().join("ada");
    let ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &proxy.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    ada.write(&grace, "first").await;
    assert_eq!(grace.text().await.1, "first");
    proxy.close();
    ada.write(&grace, "second").await;
    ada.write(&grace, "third").await;
    ada.close().await;

    let ada = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    proxy.lead_to(&node);
    assert_eq!(grace.text().await, (ada.id(), "second".to_owned()));
    assert_eq!(grace.text().await, (ada.id(), "third".to_owned()));
}

/// The node has it, and the answer is lost with the connection and the process.
#[tokio::test]
async fn what_goes_again_after_a_restart_is_byte_for_byte_what_went_before() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let path = folder.path().join("ada");
    let mut ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &proxy.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let first = ada.write(&grace, "first").await;
    ada.is_sent(first).await;
    assert_eq!(grace.text().await.1, "first");
    proxy.cut_at(|step| matches!(step, Step::Tells(_, Some(Command::Deliver { .. }))));
    let id = ada.write(&grace, "second").await;
    proxy.has_been_cut().await;
    proxy.close();
    ada.close().await;
    let before = proxy.envelopes().pop().unwrap();

    proxy.lead_to(&node);
    let mut ada = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    ada.is_sent(id).await;
    let envelopes = proxy.envelopes();
    let same: Vec<_> = envelopes.iter().filter(|envelope| envelope.id == before.id).collect();
    assert!(same.len() > 1 && same.iter().all(|envelope| **envelope == before), "{same:?}");
    assert_eq!(grace.text().await.1, "second");
    ada.write(&grace, "third").await;
    assert_eq!(grace.text().await.1, "third");
}

/// Cuts the connections of both sides after every so many bytes, wherever in a handshake, a command or an answer that is.
#[tokio::test]
async fn a_socket_that_is_lost_at_any_byte_loses_repeats_and_reorders_nothing() {
    const STEP: usize = 331;
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&proxy.url, "ada").await;
    let mut grace = User::new(&proxy.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    let mut expected = Vec::new();
    for round in 0..24 {
        proxy.cut_after(1 + round * STEP);
        let place = if round % 2 == 0 { Conversation::Room(room) } else { Conversation::Direct(grace.id()) };
        for n in 0..3 {
            let text = format!("{round}.{n}");
            let id = ada.client.send(place, text.as_str()).await.unwrap();
            assert_eq!(grace.text().await, (ada.id(), text.clone()));
            ada.is_sent(id).await;
            if round % 2 == 0 {
                expected.push(text);
            }
        }
        // What has not been used up of this round's bytes is not added to the next one's.
        proxy.cut();
    }
    assert!(proxy.was_cut());
    assert_eq!(grace.kept(Conversation::Room(room)).await, expected);
}
