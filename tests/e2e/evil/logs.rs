//! Logs that the node does not tell as they are, and commands that it says it has carried out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use conclave::client::{Conversation, Event, Receipt};
use conclave::ids::{LogEpoch, MessageId};
use conclave::wire::{Command, Delivery, Entry, ErrorCode, Log, Message, Outcome, Position, RoomPolicy};
use tokio::time::timeout;

use super::{at, found_room, watched};
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::rooms::admit;
use crate::user::{PATIENCE, User};

/// Two people who have written to each other: one behind an evil node, the other at the real one.
struct Scene {
    evil: Proxy,
    victim: User,
    friend: User,
    node: NodeProcess,
    _folder: DataFolder,
}

impl Scene {
    async fn new() -> Self {
        let folder = DataFolder::new();
        let node = NodeProcess::start(folder.path(), |_| ());
        let evil = Proxy::before(&node).await;
        let (mut victim, _) = watched(&evil, "victim").await;
        let mut friend = User::new(&node.url, "friend").await;
        friend.write(&victim, "hello").await;
        assert_eq!(victim.text().await.1, "hello");
        victim.write(&friend, "hello").await;
        assert_eq!(friend.text().await.1, "hello");
        // Its receipt: nothing else comes by itself after that.
        victim.until(|event| matches!(event, Event::Receipt { .. }).then_some(())).await;
        Self { evil, victim, friend, node, _folder: folder }
    }

    /// Gaps and texts, up to a text.
    async fn told_up_to(&mut self, last: &str) -> Vec<String> {
        let mut told = Vec::new();
        self.victim
            .until(|event| {
                match event {
                    Event::Gap { log: Log::Mailbox } => told.push("a gap".to_owned()),
                    Event::Gap { .. } => told.push("a gap in a room".to_owned()),
                    Event::Message(message) => told.push(message.content.text().unwrap().to_owned()),
                    _ => {}
                }
                (told.last().is_some_and(|told| told == last)).then_some(())
            })
            .await;
        told
    }

    async fn writes(&self, text: &str) -> MessageId {
        self.friend.write(&self.victim, text).await
    }
}

fn in_epoch(byte: u8, entry: &Entry) -> Entry {
    at(Position { epoch: LogEpoch::from_bytes([byte; 8]), ..entry.position }, entry)
}

#[tokio::test]
async fn messages_in_another_order_are_told_once_each_behind_a_gap() {
    let mut scene = Scene::new().await;
    let mut first = None;
    scene.evil.tells(move |_, message| match (message, &mut first) {
        (Message::Direct(entry), None) => {
            first = Some(entry);
            Vec::new()
        }
        (Message::Direct(entry), Some(first)) => vec![Message::Direct(entry), Message::Direct(first.clone())],
        (other, _) => vec![other],
    });
    scene.writes("one").await;
    scene.writes("two").await;
    assert_eq!(scene.told_up_to("one").await, ["a gap", "two", "one"]);
    scene.evil.tells(|_, message| vec![message]);
    scene.writes("three").await;
    assert_eq!(scene.told_up_to("three").await, ["three"]);
    let kept = scene.victim.kept(Conversation::Direct(scene.friend.id())).await;
    assert_eq!(kept, ["hello", "hello", "two", "one", "three"]);
}

#[tokio::test]
async fn a_message_that_is_withheld_leaves_a_gap() {
    let mut scene = Scene::new().await;
    let mut is_held = false;
    scene.evil.tells(move |_, message| match message {
        Message::Direct(_) if !is_held => {
            is_held = true;
            Vec::new()
        }
        other => vec![other],
    });
    scene.writes("withheld").await;
    scene.writes("told").await;
    assert_eq!(scene.told_up_to("told").await, ["a gap", "told"]);
}

/// The log has no hole then. Nobody writes to themselves, and what is for somebody else is in another mailbox.
#[tokio::test]
async fn what_stands_in_the_place_of_a_message_is_told() {
    let mut scene = Scene::new().await;
    let (own, friend) = (scene.victim.client.device(), scene.friend.client.device());
    for (sender, recipient) in [(own, own), (friend, friend)] {
        scene.evil.tells(move |_, message| match message {
            Message::Direct(mut entry) => {
                (entry.envelope.sender, entry.envelope.recipient) = (sender, Some(recipient));
                vec![Message::Direct(entry)]
            }
            other => vec![other],
        });
        scene.writes("withheld").await;
        let told = scene.victim.until(|event| match event {
            Event::Undecryptable { room: None, sender, reason, .. } => Some((*sender, *reason)),
            _ => None,
        });
        assert_eq!(told.await, (sender, ErrorCode::NotForThisDevice));
    }
}

/// The devices of one account are not to be had. What it has written waits, and nothing else does.
#[tokio::test]
async fn what_cannot_be_opened_yet_keeps_nothing_else_waiting() {
    let mut scene = Scene::new().await;
    let stranger = User::new(&scene.node.url, "stranger").await;
    let path = format!("GET /api/users/{}/devices", stranger.id());
    scene.evil.answers(move |asks, answer| {
        if asks == path {
            answer.become_json(&"no list");
        }
    });
    let id = stranger.write(&scene.victim, "who am I?").await;
    scene.evil.is_told_of(stranger.client.device()).await;
    let room = found_room(&mut scene.friend, RoomPolicy::default()).await;
    admit(&mut scene.friend, room, &scene.victim).await;
    scene.friend.client.send(Conversation::Room(room), "in the room").await.unwrap();
    assert_eq!(scene.told_up_to("in the room").await, ["in the room"]);
    scene.evil.answers(|_, _| ());
    assert_eq!(scene.told_up_to("who am I?").await, ["who am I?"]);
    let kept = scene.victim.client.history(Conversation::Direct(stranger.id()), None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|message| message.id).collect::<Vec<_>>(), [id]);
}

/// Each of many envelopes needs what the node does not tell. It is not asked for each: a call may take long, and everything
/// else would wait for it.
#[tokio::test]
async fn a_node_that_does_not_tell_whose_devices_there_are_is_left_alone_for_a_while() {
    const WRITTEN: usize = 24;
    let mut scene = Scene::new().await;
    let stranger = User::new(&scene.node.url, "stranger").await;
    let path = format!("GET /api/users/{}/devices", stranger.id());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    scene.evil.answers(move |asks, answer| {
        if asks == path {
            count.fetch_add(1, Ordering::Relaxed);
            answer.become_json(&"no list");
        }
    });
    for n in 0..WRITTEN {
        stranger.write(&scene.victim, &format!("{n}")).await;
    }
    scene.writes("the last").await;
    assert_eq!(scene.told_up_to("the last").await, ["the last"]);
    let asked = asked.load(Ordering::Relaxed);
    assert!((1..WRITTEN / 2).contains(&asked), "{asked}");
    scene.evil.answers(|_, _| ());
    let last = format!("{}", WRITTEN - 1);
    assert_eq!(scene.told_up_to(&last).await, (0..WRITTEN).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_last_message_withheld_leaves_a_gap_at_the_next_connection() {
    let mut scene = Scene::new().await;
    scene.evil.tells(|_, message| if matches!(message, Message::Direct(_)) { Vec::new() } else { vec![message] });
    let id = scene.writes("withheld").await;
    scene.friend.is_sent(id).await;
    scene.evil.cut();
    scene.victim.until(|event| matches!(event, Event::Gap { log: Log::Mailbox }).then_some(())).await;
    // Nothing was acknowledged: an honest node has it still.
    scene.evil.tells(|_, message| vec![message]);
    scene.evil.cut();
    assert_eq!(scene.told_up_to("withheld").await, ["withheld"]);
}

#[tokio::test]
async fn a_log_in_another_epoch_is_a_gap() {
    let mut scene = Scene::new().await;
    scene.evil.tells(|_, message| match message {
        Message::Direct(entry) => vec![Message::Direct(in_epoch(5, &entry))],
        other => vec![other],
    });
    scene.writes("elsewhere").await;
    assert_eq!(scene.told_up_to("elsewhere").await, ["a gap", "elsewhere"]);
    scene.writes("there too").await;
    assert_eq!(scene.told_up_to("there too").await, ["there too"]);
    // The true log is another one again.
    scene.evil.tells(|_, message| vec![message]);
    scene.evil.cut();
    scene.writes("back").await;
    let told = scene.told_up_to("back").await;
    assert_eq!(told.first().map(String::as_str), Some("a gap"), "{told:?}");
    assert_eq!(told.iter().filter(|text| *text != "a gap").collect::<Vec<_>>(), ["back"]);
}

#[tokio::test]
async fn a_room_in_another_epoch_is_a_gap() {
    let mut scene = Scene::new().await;
    let room = found_room(&mut scene.friend, RoomPolicy::default()).await;
    admit(&mut scene.friend, room, &scene.victim).await;
    let place = Conversation::Room(room);
    scene.friend.client.send(place, "in the room").await.unwrap();
    assert_eq!(scene.told_up_to("in the room").await, ["in the room"]);
    scene.evil.tells(|_, message| match message {
        Message::Envelope(entry) => vec![Message::Envelope(in_epoch(5, &entry))],
        other => vec![other],
    });
    scene.friend.client.send(place, "elsewhere").await.unwrap();
    assert_eq!(scene.told_up_to("elsewhere").await, ["a gap in a room", "elsewhere"]);
}

/// That the node has something is its word; that somebody has it is theirs.
#[tokio::test]
async fn what_the_node_only_says_it_has_is_never_called_delivered() {
    let mut scene = Scene::new().await;
    scene.evil.hears(|command| match command {
        Command::Deliver { id, envelopes } => {
            let position = Position { epoch: LogEpoch::from_bytes([1; 8]), seq: 1 };
            let stored = envelopes.iter().map(|_| Delivery::Stored(position)).collect();
            Some(Message::answer(*id, Outcome::Delivered(stored)))
        }
        _ => None,
    });
    let lost = scene.victim.write(&scene.friend, "lost").await;
    scene.victim.is_sent(lost).await;
    scene.evil.hears(|_| None);
    let told = scene.victim.write(&scene.friend, "told").await;
    assert_eq!(scene.friend.text().await.1, "told");
    let receipt = scene.victim.until(|event| match event {
        Event::Receipt { of, state: Receipt::Delivered, .. } => Some(of.clone()),
        _ => None,
    });
    assert_eq!(receipt.await, [told]);
    let history = scene.victim.client.history(Conversation::Direct(scene.friend.id()), None, 10).await.unwrap();
    let receipts = |id| history.iter().find(|message| message.id == id).unwrap().receipts.len();
    assert_eq!((receipts(lost), receipts(told)), (0, 1));
}

/// It waits, and the app can say for what.
#[tokio::test]
async fn a_message_that_the_node_does_not_take_now_waits_with_its_reason() {
    let mut scene = Scene::new().await;
    scene.evil.hears(|command| match command {
        Command::Deliver { id, envelopes } => {
            let full = envelopes.iter().map(|_| Delivery::Refused(ErrorCode::MailboxFull)).collect();
            Some(Message::answer(*id, Outcome::Delivered(full)))
        }
        _ => None,
    });
    let id = scene.victim.write(&scene.friend, "when there is room").await;
    let reason = async {
        loop {
            if let Some(reason) = scene.victim.client.delay(id).await.unwrap() {
                return reason;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(timeout(PATIENCE, reason).await.unwrap(), ErrorCode::MailboxFull);
    scene.evil.hears(|_| None);
    scene.victim.is_sent(id).await;
    assert_eq!(scene.friend.text().await.1, "when there is room");
    assert_eq!(scene.victim.client.delay(id).await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_that_does_not_name_an_envelope_does_not_count_as_its_delivery() {
    let mut scene = Scene::new().await;
    let mut is_done = false;
    scene.evil.hears(move |command| match command {
        Command::Deliver { id, .. } if !is_done => {
            is_done = true;
            Some(Message::answer(*id, Outcome::Delivered(Vec::new())))
        }
        _ => None,
    });
    let id = scene.victim.write(&scene.friend, "said to be done").await;
    assert_eq!(scene.friend.text().await.1, "said to be done");
    scene.victim.is_sent(id).await;
    // Byte for byte the same.
    let sent = scene.evil.envelopes();
    let [.., first, second] = &*sent else { panic!("{sent:?}") };
    assert_eq!(first, second);
}

/// Whatever the clocks say. It is left once, to compare them anew, and asked again after a while.
#[tokio::test]
async fn a_node_that_refuses_every_time_of_day_is_not_connected_to_again_and_again() {
    let mut scene = Scene::new().await;
    let (say, mut offers) = tokio::sync::mpsc::unbounded_channel();
    scene.evil.hears(move |command| match command {
        Command::Deliver { id, envelopes } => {
            let _ = say.send(());
            let refused = envelopes.iter().map(|_| Delivery::Refused(ErrorCode::TimestampTooOld)).collect();
            Some(Message::answer(*id, Outcome::Delivered(refused)))
        }
        _ => None,
    });
    let id = scene.victim.write(&scene.friend, "in time").await;
    scene.victim.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    scene.victim.is_level().await;
    for _ in 0..2 {
        timeout(PATIENCE, offers.recv()).await.unwrap().unwrap();
    }
    // It is on the second socket by now, and stays there.
    let room = scene.victim.client.create_room(RoomPolicy::default()).await.unwrap();
    scene
        .victim
        .until(|event| {
            assert!(!matches!(event, Event::Disconnected { .. }));
            matches!(event, Event::CaughtUp { log } if *log == Log::Room(room)).then_some(())
        })
        .await;
    assert_eq!(scene.victim.client.delay(id).await.unwrap(), Some(ErrorCode::TimestampTooOld));
    assert!(offers.try_recv().is_err());
}

/// An answer of another kind is the word of a node that is confused: the envelope goes again, on a new connection.
#[tokio::test]
async fn an_answer_to_something_else_does_not_count_as_delivery() {
    let mut scene = Scene::new().await;
    let mut is_done = false;
    scene.evil.hears(move |command| match command {
        Command::Deliver { id, .. } if !is_done => {
            is_done = true;
            Some(Message::done(*id))
        }
        _ => None,
    });
    let id = scene.victim.write(&scene.friend, "said to be done").await;
    scene.victim.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    assert_eq!(scene.friend.text().await.1, "said to be done");
    scene.victim.is_sent(id).await;
}
