//! One conversation in each of the four ways in which it can be held: plain and over TLS, in JSON and in CBOR. What is
//! asked, what is answered and what the two hear of it stands in one table.

use conclave::ids::{LogEpoch, RoomId};
use conclave::protocol::machine::{Encrypt, Input, Place};
use conclave::wire::{
    ByteString, Command, Delivery, Encoding, Entry, Envelope, ErrorCode, Log, LogEntry, LogPage, Message, Outcome,
    PageLimit, Position, PrekeyBundle, Presence, RoomSummary, SignalKind, TypingState,
};
use serde_json::json;

use crate::client::User;
use crate::rooms::admit;
use crate::server::{Api, START, TestNode};
use crate::socket::Socket;
use crate::support::POLICY;
use crate::tls::Files;

/// What the connections go over.
#[derive(Clone, Copy, Debug)]
enum Transport {
    Plain,
    Tls,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Ada,
    Grace,
}

use Who::{Ada, Grace};

/// What there is when the conversation begins: Ada and Grace in a room, and one message in Grace's mailbox.
struct Story {
    node: TestNode,
    ada: User,
    grace: User,
    room_id: RoomId,
    room: LogEpoch,
    mailbox: LogEpoch,
    /// What is in the mailbox, what comes there, and what comes to the room.
    waiting: Envelope,
    direct: Envelope,
    envelope: Envelope,
}

/// One command.
struct Case {
    what: &'static str,
    by: Who,
    command: fn(&Story, u32) -> Command,
    answer: fn(&Story) -> Result<Option<Outcome>, ErrorCode>,
    heard: fn(&Story) -> Vec<(Who, Message)>,
}

impl Story {
    async fn new(transport: Transport, encoding: Encoding) -> Self {
        let node = match transport {
            Transport::Plain => TestNode::start().await,
            Transport::Tls => {
                let files = Files::new();
                TestNode::start_with(|settings| files.name_in(settings)).await.trusting(files.certificate())
            }
        };
        let (mut ada, grace) = (User::join(&node, "ada", 10).await, User::join(&node, "grace", 20).await);
        ada.learn(&node, grace.address().account_id).await;
        let made: RoomSummary = node.post("/api/rooms", Some(ada.person.token()), &json!({})).await.ok();
        let room_id = made.room_id;
        admit(&node, room_id, &ada.person, &grace.person).await;
        let page = format!("/api/rooms/{room_id}/history");
        let page: LogPage = node.get(&page, Some(grace.person.token())).await.ok();

        let waiting = write(&node, &mut ada, &grace, Place::Direct).await;
        let direct = write(&node, &mut ada, &grace, Place::Direct).await;
        let envelope = write(&node, &mut ada, &grace, Place::Room(room_id)).await;
        let mut before = Socket::open_as(&node, &ada, encoding).await;
        let [Delivery::Stored(stored)] = before.deliver(vec![waiting.clone()]).await[..] else {
            panic!("one envelope")
        };
        Self { room: page.epoch, mailbox: stored.epoch, node, ada, grace, room_id, waiting, direct, envelope }
    }

    fn user(&self, who: Who) -> &User {
        match who {
            Ada => &self.ada,
            Grace => &self.grace,
        }
    }

    fn in_room(&self, seq: u64) -> Position {
        Position { epoch: self.room, seq }
    }

    fn in_mailbox(&self, seq: u64) -> Position {
        Position { epoch: self.mailbox, seq }
    }

    /// Of the room, before anything was sent.
    fn caught_up(&self) -> Message {
        Message::CaughtUp { log: Log::Room(self.room_id), position: Some(self.in_room(0)) }
    }

    fn welcome(&self, who: Who) -> (Who, Message) {
        let User { person, device } = self.user(who);
        let (session_id, expires_at) = (person.tokens.session_id, person.tokens.access_expires_at);
        (who, Message::Welcome { device: device.address(), session_id, expires_at, now: START })
    }

    /// What `to` hears of somebody who comes or goes.
    fn presence(&self, to: Who, of: Who, state: Presence) -> (Who, Message) {
        let account_id = self.user(of).address().account_id;
        (to, Message::Presence { room_id: self.room_id, account_id, state })
    }

    fn signal(&self) -> (SignalKind, ByteString) {
        (SignalKind::Offer, ByteString(self.room_id.as_bytes().to_vec()))
    }

    async fn connect(&self, who: Who, encoding: Encoding) -> Socket {
        Socket::connect(&self.node, encoding, Some(self.user(who).person.token())).await
    }
}

fn altered(envelope: &Envelope) -> Envelope {
    let mut altered = envelope.clone();
    altered.payload.0[0] ^= 1;
    altered
}

/// What `from` encrypts for the one device of `to`, claiming from the node what is missing.
async fn write(node: &Api, from: &mut User, to: &User, place: Place) -> Envelope {
    let accounts = [to.address().account_id];
    let encrypt = Encrypt { accounts: &accounts, except: &[], place, policy: POLICY, plaintext: b"one of four" };
    let mut outputs = from.device.handle(Input::Encrypt(encrypt)).unwrap();
    for device in std::mem::take(&mut outputs.claim) {
        let bundle: PrekeyBundle = from.person.claim(node, device).await.ok();
        from.device.handle(Input::Bundle(&bundle)).unwrap();
        outputs = from.device.handle(Input::Encrypt(encrypt)).unwrap();
    }
    let [envelope] = <[Envelope; 1]>::try_from(outputs.send).unwrap();
    envelope
}

const CASES: &[Case] = &[
    Case {
        what: "who says hello is welcome",
        by: Ada,
        command: |_, id| Command::Hello { id, credential: None, mailbox: None },
        answer: |_| Ok(None),
        heard: |story| vec![story.welcome(Ada), (Ada, Message::CaughtUp { log: Log::Mailbox, position: None })],
    },
    Case {
        what: "who says hello gets what waits",
        by: Grace,
        command: |_, id| Command::Hello { id, credential: None, mailbox: None },
        answer: |_| Ok(None),
        heard: |story| {
            let position = story.in_mailbox(1);
            let entry = Entry { position, envelope: story.waiting.clone() };
            let end = Message::CaughtUp { log: Log::Mailbox, position: Some(position) };
            vec![story.welcome(Grace), (Grace, Message::Direct(entry)), (Grace, end)]
        },
    },
    Case {
        what: "hello is said once",
        by: Grace,
        command: |_, id| Command::Hello { id, credential: None, mailbox: None },
        answer: |_| Err(ErrorCode::HelloTwice),
        heard: |_| vec![],
    },
    Case {
        what: "nothing is sent to a room that was not joined",
        by: Ada,
        command: |story, id| Command::Send { id, envelope: story.envelope.clone() },
        answer: |_| Err(ErrorCode::NotJoined),
        heard: |_| vec![],
    },
    Case {
        what: "a room that is not there is not joined",
        by: Ada,
        command: |_, id| Command::Join { id, room_id: RoomId::from_bytes([9; 16]), after: None },
        answer: |_| Err(ErrorCode::UnknownRoom),
        heard: |_| vec![],
    },
    Case {
        what: "the first to join is alone",
        by: Ada,
        command: |story, id| Command::Join { id, room_id: story.room_id, after: None },
        answer: |story| Ok(Some(Outcome::Joined { policy: POLICY, head: story.in_room(0), online: vec![] })),
        heard: |story| vec![story.presence(Ada, Ada, Presence::Online), (Ada, story.caught_up())],
    },
    Case {
        what: "the second to join is told of the first, and the first of her",
        by: Grace,
        command: |story, id| Command::Join { id, room_id: story.room_id, after: Some(story.in_room(0)) },
        answer: |story| {
            let online = vec![story.ada.address().account_id];
            Ok(Some(Outcome::Joined { policy: POLICY, head: story.in_room(0), online }))
        },
        heard: |story| {
            let online = [Ada, Grace].map(|to| story.presence(to, Grace, Presence::Online));
            [online.to_vec(), vec![(Grace, story.caught_up())]].concat()
        },
    },
    Case {
        what: "what was altered is refused",
        by: Ada,
        command: |story, id| Command::Send { id, envelope: altered(&story.envelope) },
        answer: |_| Err(ErrorCode::SignatureInvalid),
        heard: |_| vec![],
    },
    Case {
        what: "what one sends the other reads",
        by: Ada,
        command: |story, id| Command::Send { id, envelope: story.envelope.clone() },
        answer: |story| Ok(Some(Outcome::Sent(story.in_room(1)))),
        heard: |story| {
            let entry = Entry { position: story.in_room(1), envelope: story.envelope.clone() };
            vec![(Grace, Message::Envelope(entry))]
        },
    },
    Case {
        what: "the same again has the same place, and is not read again",
        by: Ada,
        command: |story, id| Command::Send { id, envelope: story.envelope.clone() },
        answer: |story| Ok(Some(Outcome::Sent(story.in_room(1)))),
        heard: |_| vec![],
    },
    Case {
        what: "each envelope of a delivery is answered by itself",
        by: Ada,
        command: |story, id| {
            let envelopes = vec![altered(&story.direct), story.direct.clone(), story.envelope.clone()];
            Command::Deliver { id, envelopes }
        },
        answer: |story| {
            Ok(Some(Outcome::Delivered(vec![
                Delivery::Refused(ErrorCode::SignatureInvalid),
                Delivery::Stored(story.in_mailbox(2)),
                Delivery::Refused(ErrorCode::EnvelopeMalformed),
            ])))
        },
        heard: |story| {
            let entry = Entry { position: story.in_mailbox(2), envelope: story.direct.clone() };
            vec![(Grace, Message::Direct(entry))]
        },
    },
    Case {
        what: "what another log has is not acknowledged",
        by: Grace,
        command: |story, id| Command::Ack { id, position: story.in_room(1) },
        answer: |_| Err(ErrorCode::OtherLogEpoch),
        heard: |_| vec![],
    },
    Case {
        what: "what was saved is acknowledged",
        by: Grace,
        command: |story, id| Command::Ack { id, position: story.in_mailbox(2) },
        answer: |_| Ok(None),
        heard: |_| vec![],
    },
    Case {
        what: "history has what was sent",
        by: Grace,
        command: |story, id| Command::History { id, room_id: story.room_id, after: 0, limit: PageLimit::default() },
        answer: |story| {
            let entries = vec![LogEntry { seq: 1, envelope: story.envelope.clone() }];
            Ok(Some(Outcome::Page(LogPage { epoch: story.room, entries, read_to: 1, head: 1 })))
        },
        heard: |_| vec![],
    },
    Case {
        what: "a room that is not joined has no history",
        by: Grace,
        command: |_, id| Command::History {
            id,
            room_id: RoomId::from_bytes([9; 16]),
            after: 0,
            limit: PageLimit::default(),
        },
        answer: |_| Err(ErrorCode::NotJoined),
        heard: |_| vec![],
    },
    Case {
        what: "who writes is seen writing",
        by: Ada,
        command: |story, id| Command::Typing { id, room_id: story.room_id, state: TypingState::Started },
        answer: |_| Ok(None),
        heard: |story| {
            let (room_id, device) = (story.room_id, story.ada.address());
            vec![(Grace, Message::Typing { room_id, device, state: TypingState::Started })]
        },
    },
    Case {
        what: "a signal reaches whom it is for",
        by: Ada,
        command: |story, id| {
            let (kind, payload) = story.signal();
            Command::Signal { id, room_id: story.room_id, to: story.grace.address(), kind, payload }
        },
        answer: |_| Ok(None),
        heard: |story| {
            let (kind, payload) = story.signal();
            vec![(Grace, Message::Signal { room_id: story.room_id, from: story.ada.address(), kind, payload })]
        },
    },
    Case {
        what: "a ping is answered",
        by: Ada,
        command: |_, id| Command::Ping { id },
        answer: |_| Ok(None),
        heard: |_| vec![],
    },
    Case {
        what: "a token of another is refused",
        by: Ada,
        command: |story, id| Command::Refresh { id, token: story.grace.person.token().clone() },
        answer: |_| Err(ErrorCode::TokenRefused),
        heard: |_| vec![],
    },
    Case {
        what: "who leaves is seen leaving",
        by: Grace,
        command: |story, id| Command::Leave { id, room_id: story.room_id },
        answer: |_| Ok(None),
        heard: |story| vec![story.presence(Ada, Grace, Presence::Offline)],
    },
];

/// Holds the conversation, and holds it against the table.
async fn converse(transport: Transport, encoding: Encoding) {
    let story = Story::new(transport, encoding).await;
    let (mut ada, mut grace) = (story.connect(Ada, encoding).await, story.connect(Grace, encoding).await);
    for Case { what, by, command, answer, heard } in CASES {
        let at = format!("{what}, {transport:?}, {encoding:?}");
        let asker = match by {
            Ada => &mut ada,
            Grace => &mut grace,
        };
        assert_eq!(asker.ask(|id| command(&story, id)).await, answer(&story), "{at}");
        // What comes from a room and what comes from its log come beside each other.
        let mut missing = heard(&story);
        while let Some((who, _)) = missing.first() {
            let who = *who;
            let listener = match who {
                Ada => &mut ada,
                Grace => &mut grace,
            };
            let event = (who, listener.event().await);
            let Some(index) = missing.iter().position(|expected| *expected == event) else {
                panic!("{at}: {event:?} in place of {missing:?}");
            };
            missing.remove(index);
        }
        assert_eq!((ada.pending(), grace.pending()), (None, None), "{at}: more was heard");
    }
    // Whatever else was said has come before the answer to a ping.
    for (socket, who) in [(&mut ada, Ada), (&mut grace, Grace)] {
        socket.ask(|id| Command::Ping { id }).await.unwrap();
        assert_eq!(socket.pending(), None, "{who:?} has heard more, {transport:?}, {encoding:?}");
    }
    grace.send_bytes(b"no command".to_vec()).await;
    let refused = Message::Error { id: 0, code: ErrorCode::CommandMalformed, retry_after_ms: None };
    assert_eq!(grace.event().await, refused, "{transport:?}, {encoding:?}");
    assert_eq!(grace.closed().await, 4201, "{transport:?}, {encoding:?}");
    drop((ada, grace));
    story.node.stop().await;
}

#[actix_web::test]
async fn one_conversation_goes_the_same_way_plain_and_over_tls_in_json_and_in_cbor() {
    for transport in [Transport::Plain, Transport::Tls] {
        for encoding in Encoding::ALL {
            Box::pin(converse(transport, encoding)).await;
        }
    }
}
