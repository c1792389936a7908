//! Somebody who sends and somebody who reads, through one crash of the node after the other.

use std::collections::BTreeMap;

use conclave::ids::{EnvelopeId, KeyId, RoomId};
use conclave::protocol::public::{SigningPublicKey, signing_key_id};
use conclave::wire::{
    Answer, ByteString, Bytes, Command, Delivery, Destination, Encoding, Envelope, ErrorCode, Joined, Log, LogPage,
    Message, Outcome, Position, RoomPolicy, RoomSummary, Signatures,
};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use serde_json::json;

use super::ledger::Ledger;
use super::{Disk, Fault, NodeProcess};
use crate::client::User;
use crate::process::now;
use crate::socket::Socket;
use crate::support::{POLICY, rng};

/// Envelopes that are sent before an answer is awaited.
const BURST: usize = 48;

/// How a node ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    /// Its process is killed.
    Kill,
    /// What was not synced is gone too.
    PowerLoss,
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
        let sender = User::join_without_prekeys(&node.api, "ada", 10).await;
        let reader = User::join_without_prekeys(&node.api, "grace", 20).await;
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

    /// Sends what was not acknowledged and what is new, to the room and to the reader's mailbox; after some of the
    /// answers the node crashes.
    pub(super) async fn until_crash(&mut self, node: NodeProcess, crash: Crash, disk: &Disk) {
        let mut reader = self.follow(&node).await;
        let mut sender = self.join_as_sender(&node).await;
        let mut asked = BTreeMap::new();
        for (log, id) in self.next_burst() {
            let envelope = self.envelope(log, id);
            let command = sender.begin(|command| match log {
                Log::Room(_) => Command::Send { id: command, envelope },
                Log::Mailbox => Command::Deliver { id: command, envelopes: vec![envelope] },
            });
            asked.insert(command.await, id);
        }
        let answers_until_crash = self.rng.next_u32() as usize % BURST;
        let mut node = Some(node);
        let mut answers = 0;
        loop {
            if answers >= answers_until_crash
                && let Some(node) = node.take()
            {
                node.kill();
            }
            // What was written before the crash still arrives.
            let Ok(message) = sender.receive().await else { break };
            if let Message::Ok(Answer { id, result: Some(outcome) }) = message {
                self.take_answer(asked[&id], &outcome);
                answers += 1;
            }
        }
        assert!(node.is_none(), "the node has ended by itself");
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

    /// Sends one new envelope to the room.
    pub(super) async fn send_one(&mut self, node: &NodeProcess) -> Result<EnvelopeId, ErrorCode> {
        let id = EnvelopeId::generate(&mut self.rng);
        self.room.sent.insert(id);
        self.send_again(node, id).await.map(|()| id)
    }

    /// Sends an envelope to the room that may be there.
    pub(super) async fn send_again(&mut self, node: &NodeProcess, id: EnvelopeId) -> Result<(), ErrorCode> {
        let mut sender = self.join_as_sender(node).await;
        let position = sender.send(&self.envelope(Log::Room(self.room_id), id)).await?;
        self.room.acknowledge(id, position);
        Ok(())
    }

    /// Sends one new envelope to the reader's mailbox.
    pub(super) async fn deliver_one(&mut self, node: &NodeProcess) -> Result<(), ErrorCode> {
        let mut sender = self.join_as_sender(node).await;
        let id = EnvelopeId::generate(&mut self.rng);
        self.mailbox.sent.insert(id);
        let envelopes = vec![self.envelope(Log::Mailbox, id)];
        let outcome = sender.ask(|id| Command::Deliver { id, envelopes }).await?.unwrap();
        self.take_answer(id, &outcome);
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
            let id = EnvelopeId::generate(&mut self.rng);
            if self.rng.next_u32().is_multiple_of(3) {
                self.mailbox.sent.insert(id);
                burst.push((mailbox, id));
            } else {
                self.room.sent.insert(id);
                burst.push((room, id));
            }
        }
        burst
    }

    /// An envelope of an id, stamped now. There are no signatures, so it is the id that tells one from another.
    fn envelope(&mut self, log: Log, id: EnvelopeId) -> Envelope {
        let mut nonce = [0; 12];
        self.rng.fill_bytes(&mut nonce);
        Envelope {
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
            payload: ByteString(id.as_bytes().to_vec()),
            signature: None,
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
            Message::Envelope(entry) => self.room.deliver(entry.position, entry.envelope.id),
            Message::Direct(entry) => self.mailbox.deliver(entry.position, entry.envelope.id),
            Message::Gap { log: Log::Room(_), .. } => self.room.find(Fault::Gap),
            Message::Gap { log: Log::Mailbox, .. } => self.mailbox.find(Fault::Gap),
            _ => {}
        }
    }
}
