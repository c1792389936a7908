//! Rooms: created, joined, spoken in, left.

use conclave::client::{ClientError, Conversation, Event, Store};
use conclave::ids::RoomId;
use conclave::wire::{CreateInvitation, Presence, RoomPolicy, Signatures, TypingState};

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::user::User;

/// Has somebody come into a room, and waits until its owner has heard of it.
pub(crate) async fn admit(owner: &mut User, room: RoomId, guest: &User) {
    let invitation = CreateInvitation { for_account: Some(guest.id()), ..CreateInvitation::default() };
    let invitation = owner.client.invite(room, invitation).await.unwrap();
    assert_eq!(guest.client.join(invitation.code.expose()).await.unwrap(), room);
    let id = guest.id();
    owner.until(|event| matches!(event, Event::MemberJoined { account, .. } if *account == id).then_some(())).await;
}

#[tokio::test]
async fn members_read_what_is_said_and_who_was_removed_does_not() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let mut joan = User::new(&node.url, "joan").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    admit(&mut ada, room, &joan).await;

    let place = Conversation::Room(room);
    let id = ada.client.send(place, "welcome").await.unwrap();
    ada.is_sent(id).await;
    for user in [&mut grace, &mut joan] {
        let message = user.message().await;
        assert_eq!((message.conversation, message.id, message.sender), (place, id, ada.client.device()));
        assert_eq!(message.content.text(), Some("welcome"));
    }
    grace.client.send(place, "thank you").await.unwrap();
    assert_eq!(ada.text().await, (grace.id(), "thank you".to_owned()));
    assert_eq!(joan.text().await, (grace.id(), "thank you".to_owned()));

    ada.client.remove(room, joan.id()).await.unwrap();
    let gone = joan.id();
    for user in [&mut grace, &mut joan] {
        user.until(|event| matches!(event, Event::MemberLeft { account, .. } if *account == gone).then_some(())).await;
    }
    let id = grace.client.send(place, "among ourselves").await.unwrap();
    grace.is_sent(id).await;
    assert_eq!(ada.text().await.1, "among ourselves");
    let refused = joan.client.send(place, "and I?").await;
    assert!(matches!(refused, Err(ClientError::NotJoined { .. })), "{refused:?}");
    assert_eq!(joan.kept(place).await, ["welcome", "thank you"]);
    let members = ada.client.rooms().await.unwrap().remove(0).members;
    assert_eq!(members.len(), 2);
}

#[tokio::test]
async fn what_was_said_while_a_member_was_away_is_read_later_in_order() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let path = folder.path().join("grace");
    let store = Store::create(&path, passphrase()).await.unwrap();
    let grace = User::new_in(store, &node.url, "grace").await;
    let deniable = RoomPolicy { signatures: Signatures::Off, ..RoomPolicy::default() };
    let room = ada.client.create_room(deniable).await.unwrap();
    admit(&mut ada, room, &grace).await;
    grace.close().await;

    let place = Conversation::Room(room);
    let said: Vec<String> = (0..40).map(|n| format!("number {n}")).collect();
    for text in &said {
        ada.client.send(place, text.as_str()).await.unwrap();
    }
    let store = Store::open(&path, passphrase()).await.unwrap();
    let mut grace = User::open(store).await;
    for text in &said {
        assert_eq!(grace.text().await, (ada.id(), text.clone()));
    }
    assert_eq!(grace.kept(place).await, said);
    assert_eq!(grace.client.rooms().await.unwrap()[0].policy, deniable);
}

/// Who is no member any more when a message is read was one when it was written.
#[tokio::test]
async fn what_somebody_said_who_has_come_and_gone_meanwhile_is_read() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let path = folder.path().join("grace");
    let store = Store::create(&path, passphrase()).await.unwrap();
    let grace = User::new_in(store, &node.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    grace.close().await;
    let mut joan = User::new(&node.url, "joan").await;
    admit(&mut ada, room, &joan).await;
    let said = joan.client.send(Conversation::Room(room), "only passing by").await.unwrap();
    joan.is_sent(said).await;
    joan.client.leave(room).await.unwrap();
    let mut grace = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    assert_eq!(grace.text().await, (joan.id(), "only passing by".to_owned()));
    assert_eq!(grace.client.rooms().await.unwrap().remove(0).members.len(), 2);
}

/// Who has left comes in again by another invitation, and is read and written to as before.
#[tokio::test]
async fn who_has_left_or_was_removed_comes_in_again() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    let place = Conversation::Room(room);
    let guest = grace.id();
    for is_removed in [true, false] {
        admit(&mut ada, room, &grace).await;
        ada.client.send(place, "welcome").await.unwrap();
        assert_eq!(grace.text().await.1, "welcome");
        grace.client.send(place, "thank you").await.unwrap();
        assert_eq!(ada.text().await.1, "thank you");
        if is_removed {
            ada.client.remove(room, guest).await.unwrap();
        } else {
            grace.client.leave(room).await.unwrap();
        }
        for user in [&mut ada, &mut grace] {
            let is_gone = |event: &Event| matches!(event, Event::MemberLeft { account, .. } if *account == guest);
            user.until(|event| is_gone(event).then_some(())).await;
        }
    }
    admit(&mut ada, room, &grace).await;
    ada.client.send(place, "for the third time").await.unwrap();
    assert_eq!(grace.text().await.1, "for the third time");
}

#[tokio::test]
async fn who_writes_and_who_is_there_is_told() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    let (ada_id, grace_id) = (ada.id(), grace.id());
    let is_online =
        |event: &Event| matches!(event, Event::Presence { account, state: Presence::Online, .. } if *account == ada_id);
    grace.until(|event| is_online(event).then_some(())).await;
    let is_here = |event: &Event| matches!(event, Event::Presence { account, state: Presence::Online, .. } if *account == grace_id);
    ada.until(|event| is_here(event).then_some(())).await;
    ada.client.typing(room, TypingState::Started).await.unwrap();
    grace
        .until(|event| {
            matches!(event, Event::Typing { account, state: TypingState::Started, .. } if *account == ada_id)
                .then_some(())
        })
        .await;
    grace.close().await;
    ada.until(|event| {
        matches!(event, Event::Presence { account, state: Presence::Offline, .. } if *account == grace_id).then_some(())
    })
    .await;
}
