//! Connections that are lost at each step: a command, a message, or the answer to a call. Whatever the step is, everything
//! that is written arrives once, and in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use conclave::client::store::{Batch, LocalStore, MessagePage, Records, StoredMessage, Work};
use conclave::client::{Client, ClientError, Conversation, Event, Http, Linking, SignedIn, Store};
use conclave::ids::RoomId;
use conclave::wire::{Command, Message, RoomPolicy};

use crate::process::{DataFolder, NodeProcess};
use crate::proxy::{Proxy, Step};
use crate::rooms::admit;
use crate::user::{User, sign_in};

/// The steps of a socket: each command and message that a conversation has. `history` is not among them: the SDK reads a
/// room's log by its position in `join`.
const STEPS: [(&str, IsStep); 14] = [
    ("hello", |step| matches!(step, Step::Asks(Command::Hello { .. }))),
    ("welcome", |step| matches!(step, Step::Tells(Message::Welcome { .. }, _))),
    ("the answer to hello", |step| matches!(step, Step::Tells(_, Some(Command::Hello { .. })))),
    ("join", |step| matches!(step, Step::Asks(Command::Join { .. }))),
    ("the answer to join", |step| matches!(step, Step::Tells(_, Some(Command::Join { .. })))),
    ("the end of a log", |step| matches!(step, Step::Tells(Message::CaughtUp { .. }, _))),
    ("send", |step| matches!(step, Step::Asks(Command::Send { .. }))),
    ("the answer to send", |step| matches!(step, Step::Tells(_, Some(Command::Send { .. })))),
    ("deliver", |step| matches!(step, Step::Asks(Command::Deliver { .. }))),
    ("the answer to deliver", |step| matches!(step, Step::Tells(_, Some(Command::Deliver { .. })))),
    ("an envelope of a room", |step| matches!(step, Step::Tells(Message::Envelope(_), _))),
    ("an envelope of the mailbox", |step| matches!(step, Step::Tells(Message::Direct(_), _))),
    ("ack", |step| matches!(step, Step::Asks(Command::Ack { .. }))),
    ("the answer to ack", |step| matches!(step, Step::Tells(_, Some(Command::Ack { .. })))),
];

type IsStep = fn(Step<'_>) -> bool;

/// Messages in each conversation and direction at a time.
const AT_A_TIME: usize = 2;

/// Writes to a room and to one of its members.
async fn writes(from: &User, to: &User, room: RoomId, text: &str) {
    for n in 0..AT_A_TIME {
        for place in [Conversation::Room(room), Conversation::Direct(to.id())] {
            from.client.send(place, format!("{text}, {n}")).await.unwrap();
        }
    }
}

/// Until all that was written of and to somebody is there; nothing may be missing, twice or out of order.
async fn has_all(user: &mut User, room: RoomId, text: &str) {
    let (mut in_room, mut direct, mut sent) = (Vec::new(), Vec::new(), 0);
    while in_room.len() + direct.len() < 2 * AT_A_TIME || sent < 2 * AT_A_TIME {
        let heard = user.until(|event| match event {
            Event::Message(message) => Some(Some((**message).clone())),
            Event::Sent { .. } => Some(None),
            Event::NotSent { .. } | Event::Undecryptable { .. } | Event::Gap { .. } => panic!("{text}: {event:?}"),
            _ => None,
        });
        match heard.await {
            None => sent += 1,
            Some(message) => {
                let texts = if message.conversation == Conversation::Room(room) { &mut in_room } else { &mut direct };
                texts.push(message.content.text().unwrap().to_owned());
            }
        }
    }
    let expected: Vec<String> = (0..AT_A_TIME).map(|n| format!("{text}, {n}")).collect();
    assert_eq!((&in_room, &direct), (&expected, &expected), "{text}");
}

/// Both write at once, and have all of it.
async fn talk(ada: &mut User, grace: &mut User, room: RoomId, text: &str) {
    tokio::join!(writes(ada, grace, room, text), writes(grace, ada, room, text));
    tokio::join!(has_all(ada, room, text), has_all(grace, room, text));
}

#[tokio::test]
async fn a_socket_that_is_lost_at_any_step_loses_repeats_and_reorders_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxies = [Proxy::before(&node).await, Proxy::before(&node).await];
    let mut ada = User::new(&proxies[0].url, "ada").await;
    let mut grace = User::new(&proxies[1].url, "grace").await;
    let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
    admit(&mut ada, room, &grace).await;
    talk(&mut ada, &mut grace, room, "first").await;
    for (name, is_it) in STEPS {
        for (whose, proxy) in proxies.iter().enumerate() {
            // The step is one of the next socket's: it begins with hello.
            proxy.cut();
            proxy.cut_at(is_it);
            talk(&mut ada, &mut grace, room, &format!("{name} of {whose}")).await;
            // The last steps may come after what they are about has arrived.
            proxy.has_been_cut().await;
        }
    }
    talk(&mut ada, &mut grace, room, "last").await;
    for (user, other) in [(&ada, &grace), (&grace, &ada)] {
        for place in [Conversation::Room(room), Conversation::Direct(other.id())] {
            let rounds = 2 + 2 * STEPS.len();
            assert_eq!(user.kept(place).await.len(), 2 * AT_A_TIME * rounds, "{place:?}");
        }
    }
}

/// A store that outlives the client that had it.
#[derive(Clone, Debug)]
struct Kept(Arc<tokio::sync::Mutex<Box<dyn LocalStore>>>);

impl Kept {
    fn new() -> Self {
        Self(Arc::new(tokio::sync::Mutex::new(Store::in_memory().into_inner())))
    }

    fn store(&self) -> Store {
        Store::of(self.clone())
    }

    /// A client of what is in it: what an app does that is begun again.
    async fn open(&self) -> Result<User, ClientError> {
        let (client, events) = Client::open(self.store(), Http::new().unwrap()).await?;
        Ok(User { client, events })
    }
}

impl LocalStore for Kept {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        Box::pin(async { self.0.lock().await.load().await })
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        Box::pin(async { self.0.lock().await.commit(batch).await })
    }

    fn message<'a>(&'a mut self, id: &str) -> Work<'a, Option<StoredMessage>> {
        let id = id.to_owned();
        Box::pin(async move { self.0.lock().await.message(&id).await })
    }

    fn messages(&mut self, page: MessagePage) -> Work<'_, Vec<StoredMessage>> {
        Box::pin(async { self.0.lock().await.messages(page).await })
    }

    fn close(&mut self) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Calls whose answers pass, but for one.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    /// Loses the answer to the call of this number, of those to come. The node has done what was asked.
    fn lose(proxy: &Proxy, lost: usize) -> Self {
        let calls = Self::default();
        let count = Arc::new(AtomicUsize::new(0));
        let kept = calls.clone();
        proxy.answers(move |asks, answer| {
            if count.fetch_add(1, Ordering::SeqCst) == lost {
                kept.0.lock().unwrap().push(asks.to_owned());
                answer.lose();
            }
        });
        calls
    }

    /// Which one was lost; none if there were not so many.
    fn lost(&self) -> Option<String> {
        self.0.lock().unwrap().first().cloned()
    }
}

/// Sets a device up; what breaks on the way is begun again with the same store, as an app does.
async fn set_up(signed_in: SignedIn) -> User {
    let kept = Kept::new();
    match Client::set_up(kept.store(), signed_in.clone()).await {
        Ok((client, events)) => User { client, events },
        Err(ClientError::Api(error)) if error.is_transient() => match kept.open().await {
            Ok(user) => user,
            Err(ClientError::NotSetUp) => {
                let (client, events) = Client::set_up(kept.store(), signed_in).await.unwrap();
                User { client, events }
            }
            Err(error) => panic!("{error:?}"),
        },
        Err(error) => panic!("{error:?}"),
    }
}

/// Says something and hears the answer.
async fn greets(user: &mut User, other: &mut User, text: &str) {
    let id = user.write(other, text).await;
    user.is_sent(id).await;
    assert_eq!(other.text().await, (user.id(), text.to_owned()));
    other.write(user, text).await;
    assert_eq!(user.text().await, (other.id(), text.to_owned()));
}

/// From the first call after the sign-in to the first answer of somebody else: list, proof, prekeys, socket, rooms, claim.
#[tokio::test]
async fn a_set_up_goes_on_whatever_answer_is_lost() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), limits);
    let proxy = Proxy::before(&node).await;
    let mut grace = User::new(&node.url, "grace").await;
    let mut all = Vec::new();
    for lost in 0.. {
        let signed_in = sign_in(&proxy.url, &format!("ada-{lost}")).await;
        let calls = Calls::lose(&proxy, lost);
        let mut ada = set_up(signed_in).await;
        ada.is_level().await;
        greets(&mut ada, &mut grace, &format!("without answer {lost}")).await;
        let Some(call) = calls.lost() else { break };
        all.push(call);
        ada.close().await;
    }
    for call in ["PUT /api/devices", "PUT /api/session/device", "PUT /api/prekeys", "GET /ws", "GET /api/rooms"] {
        assert!(all.iter().any(|lost| lost == call), "{call} is not among {all:?}");
    }
}

/// The second device of somebody, with what either of the two has to ask the node for.
#[tokio::test]
async fn a_device_is_linked_whatever_answer_is_lost_on_either_side() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), limits);
    let proxies = [Proxy::before(&node).await, Proxy::before(&node).await];
    let mut grace = User::new(&node.url, "grace").await;
    for (side, proxy) in proxies.iter().enumerate() {
        let mut all = Vec::new();
        for lost in 0.. {
            let name = format!("ada-{side}-{lost}");
            let mut ada = User::new(&proxies[0].url, &name).await;
            ada.is_level().await;
            let signed_in = sign_in(&proxies[1].url, &name).await;
            let calls = Calls::lose(proxy, lost);
            let mut tablet = link(&ada, signed_in).await;
            tablet.is_level().await;
            grace.write(&ada, "to both").await;
            assert_eq!(ada.text().await, (grace.id(), "to both".to_owned()));
            assert_eq!(tablet.text().await, (grace.id(), "to both".to_owned()));
            tablet.write(&grace, &name).await;
            assert_eq!(grace.text().await, (ada.id(), name.clone()));
            assert_eq!(ada.text().await, (ada.id(), name));
            proxy.answers(|_, _| ());
            let Some(call) = calls.lost() else { break };
            all.push(call);
            tablet.close().await;
            ada.close().await;
        }
        let call = ["PUT /api/devices", "PUT /api/session/device"][side];
        assert!(all.iter().any(|lost| lost == call), "{call} is not among {all:?}");
    }
}

/// A device that is taken in by another; what breaks on the way is begun again.
async fn link(first: &User, signed_in: SignedIn) -> User {
    let kept = Kept::new();
    let linking = Linking::begin(kept.store(), signed_in.clone()).await.unwrap();
    while let Err(error) = first.client.link_device(&linking.code()).await {
        assert!(error.is_transient(), "{error:?}");
    }
    match linking.wait().await {
        Ok((client, events)) => User { client, events },
        Err(error) => {
            assert!(error.is_transient(), "{error:?}");
            kept.open().await.unwrap()
        }
    }
}

#[tokio::test]
async fn keys_whose_publication_is_not_answered_are_good_all_the_same() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&proxy.url, "ada").await;
    ada.is_level().await;
    for (name, is_answered) in [("grace", false), ("joan", true)] {
        let (say, mut published) = tokio::sync::mpsc::unbounded_channel();
        proxy.answers(move |asks, answer| {
            if asks == "PUT /api/prekeys" {
                let _ = say.send(());
                if !is_answered {
                    answer.lose();
                }
            }
        });
        proxy.says(&Message::PrekeysLow { one_time_prekeys: 0, one_time_kem_prekeys: 0 });
        published.recv().await.unwrap();
        let mut other = User::new(&node.url, name).await;
        greets(&mut other, &mut ada, name).await;
    }
}

/// A refresh token is good once. If the session is lost with the answer, a new sign-in goes on where it was.
#[tokio::test]
async fn what_waits_while_the_answer_to_a_refresh_is_lost_goes_once() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut ada = User::new(&proxy.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    greets(&mut ada, &mut grace, "before").await;
    let mut is_lost = false;
    proxy.answers(move |asks, answer| {
        if asks == "POST /api/auth/refresh" && !is_lost {
            is_lost = true;
            answer.lose();
        }
    });
    proxy.closes(4101);
    ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let id = ada.write(&grace, "meanwhile").await;
    let is_signed_out = ada.until(|event| match event {
        Event::SignedOut { .. } => Some(true),
        Event::Connected => Some(false),
        _ => None,
    });
    if is_signed_out.await {
        ada.client.sign_in_again(sign_in(&proxy.url, "ada").await).await.unwrap();
    }
    ada.is_sent(id).await;
    assert_eq!(grace.text().await, (ada.id(), "meanwhile".to_owned()));
    greets(&mut ada, &mut grace, "after").await;
    assert_eq!(grace.kept(Conversation::Direct(ada.id())).await, ["before", "before", "meanwhile", "after", "after"]);
}

/// As many sign-ins as these tests have.
fn limits(command: &mut std::process::Command) {
    command.env("CONCLAVE__LIMITS__SIGN_IN_PER_MINUTE", "10000");
}
