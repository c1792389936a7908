//! Envelopes that the node tells again, or tells as something else than they are.

use conclave::client::{Conversation, Event};
use conclave::ids::{DeviceId, RoomId};
use conclave::protocol::machine::Repair;
use conclave::wire::{Destination, Entry, ErrorCode, Message, Position, RoomPolicy, Signatures};

use super::{at, found_room, watched};
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::rooms::admit;
use crate::user::User;

/// Ada at the real node, Grace behind an evil one, and two rooms of theirs.
struct Scene {
    evil: Proxy,
    ada: User,
    grace: User,
    rooms: [RoomId; 2],
    node: NodeProcess,
    _folder: DataFolder,
}

impl Scene {
    async fn new(policy: RoomPolicy) -> Self {
        let folder = DataFolder::new();
        let node = NodeProcess::start(folder.path(), |_| ());
        let evil = Proxy::before(&node).await;
        let mut ada = User::new(&node.url, "ada").await;
        let (mut grace, _) = watched(&evil, "grace").await;
        let mut rooms = Vec::new();
        for _ in 0..2 {
            let room = found_room(&mut ada, policy).await;
            admit(&mut ada, room, &grace).await;
            // Both follow it, and the sessions stand.
            ada.client.send(Conversation::Room(room), "hello").await.unwrap();
            assert_eq!(grace.text().await.1, "hello");
            grace.client.send(Conversation::Room(room), "hello").await.unwrap();
            assert_eq!(ada.text().await.1, "hello");
            rooms.push(room);
        }
        Self { evil, ada, grace, rooms: rooms.try_into().unwrap(), node, _folder: folder }
    }

    /// Has the next envelope of a log told as something else. The true one is kept back.
    fn relabels(&self, lie: impl Fn(Entry) -> Message + Send + 'static) {
        let mut is_done = false;
        self.evil.tells(move |_, message| match message {
            Message::Envelope(entry) | Message::Direct(entry) if !is_done => {
                is_done = true;
                vec![lie(entry)]
            }
            other => vec![other],
        });
    }

    /// Grace is told that something does not open, and of no message before it.
    async fn refusal(&mut self) -> (Option<RoomId>, ErrorCode, Repair) {
        let refusal = self.grace.until(|event| match event {
            Event::Undecryptable { room, reason, repair, .. } => Some((*room, *reason, *repair)),
            Event::Message(message) => panic!("{message:?} was shown"),
            _ => None,
        });
        refusal.await
    }
}

fn deniable() -> RoomPolicy {
    RoomPolicy { signatures: Signatures::Off, ..RoomPolicy::default() }
}

fn in_room(room: RoomId, mut entry: Entry) -> Message {
    entry.envelope.destination = Destination::Room(room);
    Message::Envelope(entry)
}

#[tokio::test]
async fn an_envelope_of_one_room_opens_in_no_other() {
    for (policy, expected) in
        [(RoomPolicy::default(), ErrorCode::SignatureInvalid), (deniable(), ErrorCode::DoesNotOpen)]
    {
        let mut scene = Scene::new(policy).await;
        let [here, there] = scene.rooms;
        scene.relabels(move |entry| in_room(there, entry));
        scene.ada.client.send(Conversation::Room(here), "said here").await.unwrap();
        let (room, reason, _) = scene.refusal().await;
        assert_eq!((room, reason), (Some(there), expected));
        assert!(!scene.grace.kept(Conversation::Room(there)).await.contains(&"said here".to_owned()));
    }
}

#[tokio::test]
async fn an_envelope_of_a_room_is_no_direct_message() {
    for (policy, of_changed) in
        [(RoomPolicy::default(), ErrorCode::SignatureInvalid), (deniable(), ErrorCode::SignatureMissing)]
    {
        let mut scene = Scene::new(policy).await;
        let (room, grace) = (scene.rooms[0], scene.grace.client.device());
        // As it is, and with its address changed.
        for (is_changed, reason) in [(false, ErrorCode::NotForThisDevice), (true, of_changed)] {
            scene.relabels(move |mut entry| {
                if is_changed {
                    entry.envelope.destination = Destination::Mailbox(grace.device_id);
                }
                Message::Direct(entry)
            });
            scene.ada.client.send(Conversation::Room(room), "said in a room").await.unwrap();
            assert_eq!(scene.refusal().await, (None, reason, Repair::Refuse));
            assert!(scene.grace.kept(Conversation::Direct(scene.ada.id())).await.is_empty());
            // Nothing was lost by looking at it.
            scene.evil.says(&Message::Envelope(scene.evil.told().pop().unwrap()));
            assert_eq!(scene.grace.text().await.1, "said in a room");
        }
    }
}

#[tokio::test]
async fn a_direct_message_is_not_said_in_a_room() {
    let mut scene = Scene::new(RoomPolicy::default()).await;
    let room = scene.rooms[0];
    scene.relabels(move |entry| in_room(room, entry));
    scene.ada.write(&scene.grace, "between us").await;
    let (told, reason, repair) = scene.refusal().await;
    assert_eq!((told, reason, repair), (Some(room), ErrorCode::SignatureInvalid, Repair::Refuse));
    assert_eq!(scene.grace.kept(Conversation::Room(room)).await, ["hello", "hello"]);
}

#[tokio::test]
async fn an_envelope_under_another_sender_or_device_is_refused() {
    let mut scene = Scene::new(deniable()).await;
    let room = scene.rooms[0];
    let grace = scene.grace.client.device();
    // As Ada's other device, which she does not have.
    let other = DeviceId::from_bytes([9; 16]);
    scene.relabels(move |mut entry| {
        entry.envelope.sender.device_id = other;
        Message::Envelope(entry)
    });
    scene.ada.client.send(Conversation::Room(room), "by whom?").await.unwrap();
    assert_eq!(scene.refusal().await.1, ErrorCode::UnknownDevice);
    // As a message of Grace's own account, from a device that she does not have.
    scene.relabels(move |mut entry| {
        entry.envelope.sender.account_id = grace.account_id;
        Message::Envelope(entry)
    });
    scene.ada.client.send(Conversation::Room(room), "by whom?").await.unwrap();
    assert_eq!(scene.refusal().await.1, ErrorCode::UnknownDevice);
    // Ada's words as those of somebody whom Grace knows.
    let mut joan = User::new(&scene.node.url, "joan").await;
    admit(&mut scene.ada, room, &joan).await;
    joan.client.send(Conversation::Room(room), "I am new").await.unwrap();
    joan.is_level().await;
    assert_eq!(scene.grace.text().await, (joan.id(), "I am new".to_owned()));
    let theirs = scene.evil.told().pop().unwrap().envelope;
    assert_eq!(theirs.sender, joan.client.device());
    scene.relabels(move |mut entry| {
        (entry.envelope.sender, entry.envelope.key_id) = (theirs.sender, theirs.key_id);
        Message::Envelope(entry)
    });
    scene.ada.client.send(Conversation::Room(room), "by whom?").await.unwrap();
    assert_eq!(scene.refusal().await.1, ErrorCode::ChainGone);
    assert!(!scene.grace.kept(Conversation::Room(room)).await.contains(&"by whom?".to_owned()));
}

#[tokio::test]
async fn a_message_that_is_told_again_is_heard_once() {
    let mut scene = Scene::new(deniable()).await;
    let room = scene.rooms[0];
    scene.ada.client.send(Conversation::Room(room), "once").await.unwrap();
    assert_eq!(scene.grace.text().await.1, "once");
    let entry = scene.evil.told().pop().unwrap();
    let next = |n| Position { seq: entry.position.seq + n, ..entry.position };
    scene.evil.says(&Message::Envelope(entry.clone()));
    scene.evil.says(&Message::Envelope(at(next(1), &entry)));
    // Under another id, which nothing covers in a room without signatures.
    let mut renamed = at(next(2), &entry);
    renamed.envelope.id = conclave::ids::EnvelopeId::from_bytes([3; 16]);
    scene.evil.says(&Message::Envelope(renamed));
    scene.ada.client.send(Conversation::Room(room), "twice").await.unwrap();
    assert_eq!(scene.grace.text().await.1, "twice");
    assert_eq!(scene.grace.kept(Conversation::Room(room)).await, ["hello", "hello", "once", "twice"]);
}

/// As long as its session lives a first message is known by its key; after that, by what is remembered of it.
#[tokio::test]
async fn a_first_message_opens_one_session_once() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let evil = Proxy::before(&node).await;
    let mut ada = User::new(&node.url, "ada").await;
    let (mut grace, _) = watched(&evil, "grace").await;
    ada.write(&grace, "the first").await;
    assert_eq!(grace.text().await.1, "the first");
    let first = evil.told().pop().unwrap();
    let room = found_room(&mut ada, RoomPolicy::default()).await;
    admit(&mut ada, room, &grace).await;
    // More sessions than a device keeps.
    for n in 0..6 {
        ada.client.rotate_keys(room).await.unwrap();
        ada.write(&grace, &format!("session {n}")).await;
        assert_eq!(grace.text().await.1, format!("session {n}"));
    }
    let last = evil.told().pop().unwrap().position;
    evil.says(&Message::Direct(at(Position { seq: last.seq + 1, ..last }, &first)));
    let refusal = grace.until(|event| match event {
        Event::Undecryptable { reason, repair, .. } => Some((*reason, *repair)),
        Event::Message(message) => panic!("{message:?} was shown"),
        _ => None,
    });
    assert_eq!(refusal.await, (ErrorCode::OpeningReplayed, Repair::AskAgain));
    // What is asked for again is known.
    ada.write(&grace, "the last").await;
    assert_eq!(grace.text().await.1, "the last");
    let kept = grace.kept(Conversation::Direct(ada.id())).await;
    assert_eq!(kept.iter().filter(|text| *text == "the first").count(), 1, "{kept:?}");
}
