//! Somebody who sends and somebody who reads, through one crash of the node after the other.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use actix_web::rt;
use conclave::ids::{EnvelopeId, KeyId, RoomId};
use conclave::protocol::public::{SigningPublicKey, signing_key_id};
use conclave::wire::{
    Answer, ByteString, Bytes, Command, Delivery, Destination, Encoding, Envelope, ErrorCode, Joined, Log, LogPage,
    Message, Outcome, Position, RoomPolicy, RoomSummary, Signatures,
};
use futures_util::future::join;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use serde_json::json;

use super::ledger::Ledger;
use super::line::Line;
use super::{Disk, Farewell, Fault, NodeProcess, listen};
use crate::client::User;
use crate::process::now;
use crate::socket::Socket;
use crate::support::{POLICY, rng};

/// Envelopes that are sent before an answer is awaited.
const BURST: usize = 48;

/// Bytes of what an envelope usually carries.
const PAYLOAD_BYTES: usize = 64;

/// Microseconds after which a node is killed at most, from before the first envelope is sent: some bursts long.
const KILL_MICROS_MAX: u64 = 100_000;

/// Envelopes that a silent reader does not read, and the bytes of each: with 12 MB they are more than the system keeps of what
/// a socket sends, and less than one account's share of a mailbox.
const UNREAD: usize = 200;
const UNREAD_BYTES: usize = 60_000;

/// How a node ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    /// Its process is killed.
    Kill,
    /// What was not synced is gone too.
    PowerLoss,
}

/// When a node is killed: after so many answers, or after a time, wherever it is then.
enum Moment {
    Answers(usize),
    Time(Duration),
}

/// A sender, a reader, and what both know.
pub(super) struct Load {
    sender: User,
    reader: User,
    key_id: KeyId,
    room_id: RoomId,
    rng: ChaCha20Rng,
    pub(super) room: Ledger,
    pub(super) mailbox: Ledger,
}

impl Load {
    pub(super) async fn new(node: &NodeProcess, seed: u64) -> Self {
        let sender = User::join_without_prekeys(&node.api, &format!("ada-{seed}"), 10).await;
        let reader = User::join_without_prekeys(&node.api, &format!("grace-{seed}"), 20).await;
        let policy = RoomPolicy { signatures: Signatures::Off, ..POLICY };
        let ada = Some(sender.person.token());
        let room: RoomSummary = node.api.post("/api/rooms", ada, &json!({ "policy": policy })).await.ok();
        let room_id = room.room_id;
        let invitation = node.api.post(&format!("/api/rooms/{room_id}/invitations"), ada, &json!({})).await;
        let token = invitation.ok::<serde_json::Value>()["token"].clone();
        let grace = Some(reader.person.token());
        node.api.post("/api/rooms/join", grace, &json!({ "token": token })).await.ok::<Joined>();
        let key = SigningPublicKey::parse(sender.person.account.certificates[0].signing_key.as_array()).unwrap();
        Self {
            key_id: signing_key_id(&key),
            sender,
            reader,
            room_id,
            rng: rng(seed),
            room: Ledger::default(),
            mailbox: Ledger::default(),
        }
    }

    /// Sends what was not acknowledged and what is new, to the room and to the reader's mailbox, as long as the node takes it;
    /// at some moment the node crashes.
    pub(super) async fn until_crash(&mut self, node: NodeProcess, crash: Crash, disk: &Disk) {
        let mut reader = self.follow(&node).await;
        let mut line = self.open_line(&node).await;
        let (mut node, mut killer, mut answers_until_crash) = (Some(node), None, None);
        match self.moment() {
            Moment::Answers(answers) => answers_until_crash = Some(answers),
            Moment::Time(after) => killer = node.take().map(|node| kill_after(node, after)),
        }
        for (log, id) in self.next_burst() {
            self.put(&mut line, log, id).await;
        }
        let mut answers = 0;
        loop {
            if answers_until_crash.is_some_and(|until| answers >= until)
                && let Some(node) = node.take()
            {
                node.kill();
            }
            // What was written before the crash still arrives.
            let Ok(message) = line.socket.receive().await else { break };
            if self.take_message(&mut line, message) {
                answers += 1;
                let (log, id) = self.next();
                self.put(&mut line, log, id).await;
            }
        }
        assert!(node.is_none(), "the node has ended by itself");
        self.check_order(&line);
        if let Some(killer) = killer {
            killer.await.unwrap();
        }
        while let Some(event) = reader.pending() {
            self.take_event(event);
        }
        while let Ok(event) = reader.receive().await {
            self.take_event(event);
        }
        if matches!(crash, Crash::PowerLoss) {
            disk.lose_power();
        }
    }

    /// Keeps sending until the node closes; it is told to stop when all who are waited for have had some answers. Returns what
    /// the sender and the reader were told.
    pub(super) async fn until_stopped(&mut self, node: &NodeProcess, waited_for: &Cell<usize>) -> [Farewell; 2] {
        let reader = self.follow(node).await;
        let mut line = self.open_line(node).await;
        let written = async {
            for (log, id) in self.next_burst() {
                self.put(&mut line, log, id).await;
            }
            let (mut reconnect, mut answers, mut late_answers) = (None, 0, 0);
            loop {
                match line.socket.try_event().await {
                    Ok(Message::Reconnect { after_ms, within_ms }) => reconnect = Some((after_ms, within_ms)),
                    Ok(message) => {
                        if !self.take_message(&mut line, message) {
                            continue;
                        }
                        answers += 1;
                        late_answers += usize::from(reconnect.is_some());
                        if answers == BURST {
                            waited_for.update(|waited_for| waited_for - 1);
                        }
                        if answers == BURST && waited_for.get() == 0 {
                            node.terminate();
                        }
                        let (log, id) = self.next();
                        self.put(&mut line, log, id).await;
                    }
                    Err(end) => return Farewell { reconnect, end, late_answers },
                }
            }
        };
        let (written, (events, read)) = join(written, listen(reader)).await;
        self.check_order(&line);
        for event in events {
            self.take_event(event);
        }
        [written, read]
    }

    /// Puts more into the reader's mailbox than the system keeps of what a socket sends, and connects a reader that reads none.
    pub(super) async fn silent_reader(&mut self, node: &NodeProcess) -> Socket {
        let mut line = self.open_line(node).await;
        for _ in 0..UNREAD {
            let id = self.compose(Log::Mailbox, UNREAD_BYTES);
            self.put(&mut line, Log::Mailbox, id).await;
        }
        let mut answers = 0;
        while answers < UNREAD {
            let message = line.socket.receive().await.unwrap();
            answers += usize::from(self.take_message(&mut line, message));
        }
        assert_eq!(self.mailbox.acknowledged(), UNREAD);
        let connection = node.api.connect_narrow().await;
        let token = Some(self.reader.person.token());
        let mut silent = Socket::connect_over(connection, &node.api, Encoding::Cbor, token).await;
        silent.begin(|id| Command::Hello { id, credential: None, mailbox: None }).await;
        silent
    }

    /// Sends one new envelope to the room.
    pub(super) async fn send_one(&mut self, node: &NodeProcess) -> Result<EnvelopeId, ErrorCode> {
        let id = self.compose(Log::Room(self.room_id), PAYLOAD_BYTES);
        self.send_again(node, id).await.map(|()| id)
    }

    /// Sends an envelope to the room that may be there.
    pub(super) async fn send_again(&mut self, node: &NodeProcess, id: EnvelopeId) -> Result<(), ErrorCode> {
        let envelope = self.room.envelope(id).clone();
        self.ask(node, id, |id| Command::Send { id, envelope }).await
    }

    /// Sends one new envelope to the reader's mailbox.
    pub(super) async fn deliver_one(&mut self, node: &NodeProcess) -> Result<EnvelopeId, ErrorCode> {
        let id = self.compose(Log::Mailbox, PAYLOAD_BYTES);
        self.deliver_again(node, id).await.map(|()| id)
    }

    /// Sends an envelope to the reader's mailbox that may be there.
    pub(super) async fn deliver_again(&mut self, node: &NodeProcess, id: EnvelopeId) -> Result<(), ErrorCode> {
        let envelopes = vec![self.mailbox.envelope(id).clone()];
        self.ask(node, id, |id| Command::Deliver { id, envelopes }).await
    }

    async fn ask(
        &mut self,
        node: &NodeProcess,
        id: EnvelopeId,
        command: impl FnOnce(u32) -> Command,
    ) -> Result<(), ErrorCode> {
        let outcome = self.join_as_sender(node).await.ask(command).await?;
        self.take_answer(id, &outcome.unwrap());
        Ok(())
    }

    /// Reads both logs to their ends, and looks at what was read.
    pub(super) async fn check(&mut self, node: &NodeProcess) -> Result<(), Fault> {
        let mut reader = self.follow(node).await;
        let mut logs = vec![Log::Mailbox, Log::Room(self.room_id)];
        while !logs.is_empty() {
            let event = reader.event().await;
            if let Message::CaughtUp { log, .. } = event {
                logs.retain(|waiting| *waiting != log);
            }
            self.take_event(event);
        }
        self.room.check().and(self.mailbox.check())
    }

    fn moment(&mut self) -> Moment {
        let random = self.rng.next_u32();
        if random.is_multiple_of(2) {
            Moment::Answers(random as usize / 2 % BURST)
        } else {
            Moment::Time(Duration::from_micros(u64::from(random / 2) % KILL_MICROS_MAX))
        }
    }

    async fn open_line(&self, node: &NodeProcess) -> Line {
        let old = self.room.open().into_iter().chain(self.mailbox.open()).collect();
        Line::new(self.join_as_sender(node).await, old)
    }

    /// Sends an envelope, if the node still takes it.
    async fn put(&mut self, line: &mut Line, log: Log, id: EnvelopeId) {
        let envelope = self.books(log).envelope(id).clone();
        let command = line.socket.try_begin(|command| match log {
            Log::Room(_) => Command::Send { id: command, envelope },
            Log::Mailbox => Command::Deliver { id: command, envelopes: vec![envelope] },
        });
        let (asked, _) = command.await;
        line.asked(asked, id);
    }

    /// Whether it is what became of an envelope.
    fn take_message(&mut self, line: &mut Line, message: Message) -> bool {
        let Message::Ok(Answer { id, result: Some(outcome) }) = message else { return false };
        self.take_answer(line.envelope(id), &outcome);
        line.answered(id, &outcome);
        true
    }

    fn check_order(&mut self, line: &Line) {
        if let Some(id) = line.overtaken() {
            self.room.find(Fault::Overtaken(id));
        }
    }

    async fn join_as_sender(&self, node: &NodeProcess) -> Socket {
        let mut socket = Socket::open_as(&node.api, &self.sender, Encoding::Cbor).await;
        socket.join(self.room_id, None).await.unwrap();
        socket
    }

    /// Follows both logs from where they were read to. Sometimes the mailbox's is acknowledged.
    async fn follow(&mut self, node: &NodeProcess) -> Socket {
        let mut socket = Socket::connect(&node.api, Encoding::Cbor, Some(self.reader.person.token())).await;
        let saved = self.mailbox.head();
        socket.hello(None, saved).await.unwrap();
        if let Some(position) = saved
            && self.rng.next_u32().is_multiple_of(2)
        {
            let _ = socket.ask(|id| Command::Ack { id, position }).await;
        }
        let room_id = self.room_id;
        // From the beginning, where nothing was read: a number below the first.
        let after = match self.room.head() {
            Some(position) => position,
            None => Position { seq: 0, ..self.room_head(node).await },
        };
        socket.join(room_id, Some(after)).await.unwrap();
        socket
    }

    async fn room_head(&self, node: &NodeProcess) -> Position {
        let path = format!("/api/rooms/{}/history", self.room_id);
        let page: LogPage = node.api.get(&path, Some(self.reader.person.token())).await.ok();
        Position { epoch: page.epoch, seq: page.head }
    }

    fn next_burst(&mut self) -> Vec<(Log, EnvelopeId)> {
        let (room, mailbox) = (Log::Room(self.room_id), Log::Mailbox);
        let mut burst: Vec<(Log, EnvelopeId)> = self.room.open().into_iter().map(|id| (room, id)).collect();
        burst.extend(self.mailbox.open().into_iter().map(|id| (mailbox, id)));
        while burst.len() < BURST {
            burst.push(self.next());
        }
        burst
    }

    /// Something new to send.
    fn next(&mut self) -> (Log, EnvelopeId) {
        let log = if self.rng.next_u32().is_multiple_of(3) { Log::Mailbox } else { Log::Room(self.room_id) };
        (log, self.compose(log, PAYLOAD_BYTES))
    }

    /// Makes an envelope and enters it in the books. It stays as it is, however often it is sent.
    fn compose(&mut self, log: Log, payload_bytes: usize) -> EnvelopeId {
        let id = EnvelopeId::generate(&mut self.rng);
        let (mut nonce, mut payload) = ([0; 12], vec![0; payload_bytes]);
        self.rng.fill_bytes(&mut nonce);
        self.rng.fill_bytes(&mut payload);
        let envelope = Envelope {
            id,
            destination: match log {
                Log::Room(room_id) => Destination::Room(room_id),
                Log::Mailbox => Destination::Mailbox(self.reader.address().device_id),
            },
            sender: self.sender.address(),
            recipient: Some(self.reader.address()),
            key_id: self.key_id,
            epoch: None,
            nonce: Bytes(nonce),
            timestamp: now(),
            payload: ByteString(payload),
            signature: None,
        };
        self.books(log).send(envelope);
        id
    }

    fn books(&mut self, log: Log) -> &mut Ledger {
        match log {
            Log::Room(_) => &mut self.room,
            Log::Mailbox => &mut self.mailbox,
        }
    }

    fn take_answer(&mut self, id: EnvelopeId, outcome: &Outcome) {
        match outcome {
            Outcome::Sent(position) => self.room.acknowledge(id, *position),
            Outcome::Delivered(deliveries) => match deliveries[..] {
                [Delivery::Stored(position)] => self.mailbox.acknowledge(id, position),
                [Delivery::Refused(_)] => {}
                _ => panic!("one outcome for one envelope"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn take_event(&mut self, event: Message) {
        match event {
            Message::Envelope(entry) => self.room.deliver(&entry),
            Message::Direct(entry) => self.mailbox.deliver(&entry),
            Message::Gap { log: Log::Room(_), .. } => self.room.find(Fault::Gap),
            Message::Gap { log: Log::Mailbox, .. } => self.mailbox.find(Fault::Gap),
            _ => {}
        }
    }
}

/// Kills a node after a time that does not depend on what it does.
fn kill_after(node: NodeProcess, after: Duration) -> rt::task::JoinHandle<()> {
    rt::task::spawn_blocking(move || {
        thread::park_timeout(after);
        node.kill();
    })
}
