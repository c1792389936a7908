//! Several devices of one account: linked, recovered, revoked.

use std::collections::BTreeSet;

use conclave::client::{Client, ClientError, Conversation, Event, Linking, RecoveryKit, Store};
use conclave::protocol::public::VerifiedDevice;
use conclave::wire::{ErrorCode, Log, RoomPolicy};

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::rooms::admit;
use crate::user::{User, sign_in};

/// A second device of somebody, linked from the first.
async fn link(url: &str, name: &str, first: &User) -> User {
    let linking = Linking::begin(Store::in_memory(), sign_in(url, name).await).await.unwrap();
    assert_eq!(format!("{linking:?}"), format!("Linking({}, ..)", first.id()));
    let id = first.client.link_device(&linking.code()).await.unwrap();
    let (client, events) = linking.wait().await.unwrap();
    assert_eq!(client.device().device_id, id);
    assert_eq!(client.root_key(), first.client.root_key());
    User { client, events }
}

#[tokio::test]
async fn a_linked_device_has_what_is_written_to_and_by_its_user() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    ada.write(&grace, "from one device").await;
    assert_eq!(grace.text().await.1, "from one device");

    let mut tablet = link(&node.url, "ada", &ada).await;
    assert_eq!(tablet.id(), ada.id());
    let devices: BTreeSet<_> =
        grace.client.devices(ada.id()).await.unwrap().iter().map(VerifiedDevice::address).collect();
    assert_eq!(devices, BTreeSet::from([ada.client.device(), tablet.client.device()]));

    grace.write(&ada, "to both").await;
    assert_eq!(ada.text().await.1, "to both");
    assert_eq!(tablet.text().await.1, "to both");
    tablet.write(&grace, "from the other").await;
    assert_eq!(grace.text().await, (ada.id(), "from the other".to_owned()));
    let own = ada.message().await;
    assert_eq!((own.sender, own.conversation), (tablet.client.device(), Conversation::Direct(grace.id())));
    let refused = tablet.client.recovery_kit().await;
    assert!(matches!(refused, Err(ClientError::NoRootKey)), "{refused:?}");
}

#[tokio::test]
async fn a_room_that_one_device_comes_into_is_read_on_the_others() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut tablet = link(&node.url, "ada", &ada).await;
    tablet.is_level().await;
    let grace = User::new(&node.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    grace.client.send(Conversation::Room(room), "to all").await.unwrap();
    assert_eq!(ada.text().await.1, "to all");
    assert_eq!(tablet.text().await.1, "to all");
}

/// What the members of a room share comes to a linked device from another one of its account, and not from the node.
#[tokio::test]
async fn a_linked_device_uses_the_rooms_of_its_account_once_another_has_given_it_the_key() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let path = folder.path().join("ada");
    let store = Store::create(&path, passphrase()).await.unwrap();
    let mut ada = User::new_in(store, &node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    let place = Conversation::Room(room);

    let linking = Linking::begin(Store::in_memory(), sign_in(&node.url, "ada").await).await.unwrap();
    ada.client.link_device(&linking.code()).await.unwrap();
    ada.close().await;
    let (client, events) = linking.wait().await.unwrap();
    let mut tablet = User { client, events };
    tablet.is_level().await;
    let info = tablet.client.rooms().await.unwrap().remove(0);
    assert_eq!((info.room_id, info.has_key, info.members), (room, false, vec![]));
    let refused = tablet.client.send(place, "too early").await.unwrap_err();
    assert!(matches!(refused, ClientError::NoMembershipKey { .. }), "{refused:?}");
    let refused = tablet.client.create_room(RoomPolicy::default()).await.unwrap_err();
    assert!(matches!(refused, ClientError::NoVaultKey), "{refused:?}");
    grace.client.send(place, "while it was locked").await.unwrap();

    let mut ada = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    assert_eq!(ada.text().await.1, "while it was locked");
    tablet.until(|event| matches!(event, Event::CaughtUp { log } if *log == Log::Room(room)).then_some(())).await;
    tablet.client.send(place, "from the tablet").await.unwrap();
    assert_eq!(ada.text().await, (ada.id(), "from the tablet".to_owned()));
    assert_eq!(grace.text().await, (ada.id(), "from the tablet".to_owned()));
    grace.client.send(place, "to both").await.unwrap();
    assert_eq!(ada.text().await.1, "to both");
    assert_eq!(tablet.text().await.1, "to both");
}

/// The first that the device hears of a member is a receipt, before it knows that there is one.
#[tokio::test]
async fn a_device_that_was_away_reads_a_member_who_came_meanwhile() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    let place = Conversation::Room(room);
    let path = folder.path().join("tablet");
    let store = Store::create(&path, passphrase()).await.unwrap();
    let linking = Linking::begin(store, sign_in(&node.url, "ada").await).await.unwrap();
    ada.client.link_device(&linking.code()).await.unwrap();
    let (client, events) = linking.wait().await.unwrap();
    let mut tablet = User { client, events };
    tablet.until(|event| matches!(event, Event::CaughtUp { log } if *log == Log::Room(room)).then_some(())).await;
    tablet.close().await;

    let mut grace = User::new(&node.url, "grace").await;
    admit(&mut ada, room, &grace).await;
    ada.client.send(place, "welcome").await.unwrap();
    let message = grace.message().await;
    grace.client.mark_read(vec![(ada.id(), message.id)]).await.unwrap();
    ada.until(|event| matches!(event, Event::Receipt { .. }).then_some(())).await;
    grace.client.send(place, "thank you").await.unwrap();
    assert_eq!(ada.text().await.1, "thank you");

    let mut tablet = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let said = tablet.until(|event| match event {
            Event::Message(message) => Some(message.content.text().unwrap().to_owned()),
            Event::Undecryptable { reason, .. } => panic!("{reason:?}"),
            _ => None,
        });
        texts.push(said.await);
    }
    assert_eq!(texts, ["welcome", "thank you"]);
}

#[tokio::test]
async fn a_revoked_device_is_signed_out_and_is_not_written_to() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let mut tablet = link(&node.url, "ada", &ada).await;
    tablet.is_level().await;
    grace.write(&ada, "to both").await;
    assert_eq!(ada.text().await.1, "to both");
    assert_eq!(tablet.text().await.1, "to both");

    ada.client.revoke_device(tablet.client.device().device_id).await.unwrap();
    tablet.until(|event| matches!(event, Event::SignedOut { .. }).then_some(())).await;
    let id = grace.write(&ada, "to one").await;
    grace.is_sent(id).await;
    assert_eq!(ada.text().await.1, "to one");
    assert_eq!(tablet.kept(Conversation::Direct(grace.id())).await, ["to both"]);
    let itself = ada.client.revoke_device(ada.client.device().device_id).await;
    assert!(matches!(itself, Err(ClientError::DeviceList)), "{itself:?}");
}

#[tokio::test]
async fn a_recovery_kit_brings_an_account_back_and_opens_no_other() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let kit = ada.client.recovery_kit().await.unwrap().to_text();
    let (id, root_key) = (ada.id(), ada.client.root_key().clone());
    ada.close().await;

    let kit = RecoveryKit::parse(&kit).unwrap();
    let refused = Client::recover(Store::in_memory(), sign_in(&node.url, "joan").await, &kit).await;
    assert!(matches!(refused, Err(ClientError::OtherAccount)), "{:?}", refused.err());
    let (client, events) = Client::recover(Store::in_memory(), sign_in(&node.url, "ada").await, &kit).await.unwrap();
    let mut ada = User { client, events };
    assert_eq!((ada.id(), ada.client.root_key()), (id, &root_key));
    grace.write(&ada, "welcome back").await;
    assert_eq!(ada.text().await.1, "welcome back");
    ada.write(&grace, "thank you").await;
    assert_eq!(grace.text().await, (id, "thank you".to_owned()));
    assert!(ada.client.recovery_kit().await.is_ok());
}

#[tokio::test]
async fn a_code_that_was_mistyped_or_is_another_accounts_links_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = User::new(&node.url, "ada").await;
    let linking = Linking::begin(Store::in_memory(), sign_in(&node.url, "ada").await).await.unwrap();
    let mistyped = linking.code().replacen(|_: char| true, "", 1);
    let refused = ada.client.link_device(&mistyped).await;
    assert!(matches!(refused, Err(ClientError::LinkCode)), "{refused:?}");
    let of_grace = Linking::begin(Store::in_memory(), sign_in(&node.url, "grace").await).await.unwrap();
    let refused = ada.client.link_device(&of_grace.code()).await;
    assert!(matches!(refused, Err(ClientError::OtherAccount)), "{refused:?}");
    assert_eq!(ada.client.devices(ada.id()).await.unwrap().len(), 1);
}

/// What was sealed for devices that are gone, or that were not all, when the node has it.
#[tokio::test]
async fn what_was_written_without_a_node_reaches_the_devices_that_there_are_then() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&proxy.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    let welcome = ada.client.send(Conversation::Room(room), "welcome").await.unwrap();
    assert_eq!(grace.text().await.1, "welcome");
    ada.is_sent(welcome).await;
    let hello = ada.write(&grace, "hello").await;
    assert_eq!(grace.text().await.1, "hello");
    ada.is_sent(hello).await;
    proxy.close();
    ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let direct = ada.write(&grace, "to whom it finds").await;
    let in_room = ada.client.send(Conversation::Room(room), "in the room too").await.unwrap();

    let kit = RecoveryKit::parse(&grace.client.recovery_kit().await.unwrap().to_text()).unwrap();
    let (client, events) = Client::recover(Store::in_memory(), sign_in(&node.url, "grace").await, &kit).await.unwrap();
    let mut phone = User { client, events };
    phone.is_level().await;
    let mut tablet = link(&node.url, "grace", &phone).await;
    tablet.until(|event| matches!(event, Event::VaultOpened).then_some(())).await;
    phone.client.revoke_device(grace.client.device().device_id).await.unwrap();
    proxy.lead_to(&node);
    for device in [&mut phone, &mut tablet] {
        let mut texts = [device.text().await.1, device.text().await.1];
        texts.sort();
        assert_eq!(texts, ["in the room too", "to whom it finds"]);
    }
    for id in [direct, in_room] {
        let kept = [Conversation::Direct(grace.id()), Conversation::Room(room)]
            .map(|place| ada.client.history(place, None, 10));
        let kept = futures_util::future::try_join_all(kept).await.unwrap().concat();
        let message = kept.iter().find(|message| message.id == id).unwrap();
        assert!(message.refused.is_none(), "{message:?}");
    }
}

#[tokio::test]
async fn a_message_that_the_node_refuses_is_never_called_sent() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&proxy.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    let place = Conversation::Room(room);
    admit(&mut ada, room, &grace).await;
    let first = grace.client.send(place, "here I am").await.unwrap();
    assert_eq!(ada.text().await.1, "here I am");
    grace.is_sent(first).await;
    proxy.close();
    grace.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let id = grace.client.send(place, "too late").await.unwrap();
    ada.client.remove(room, grace.id()).await.unwrap();
    proxy.lead_to(&node);
    let told = grace.until(|event| match event {
        Event::NotSent { id: Some(refused), reason, .. } => Some((*refused, *reason)),
        Event::Sent { .. } => panic!("{event:?}"),
        _ => None,
    });
    assert_eq!(told.await, (id, ErrorCode::UnknownRoom));
    let kept = grace.client.history(place, None, 10).await.unwrap();
    let message = kept.iter().find(|message| message.id == id).unwrap();
    assert_eq!((message.is_sent, message.refused), (false, Some(ErrorCode::UnknownRoom)));
}
