//! What is sealed and waits until the node has it: each envelope as it was made, byte for byte, under its id.

use core::time::Duration;
use std::collections::BTreeMap;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::parts::Part;
use crate::client::message::Conversation;
use crate::client::store::StoreError;
use crate::ids::{MessageId, RoomId};
use crate::wire::{Destination, Envelope, Reader, RoomPolicy, Writer};

/// One envelope that waits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) envelope: Envelope,
    /// What it was made under.
    pub(super) policy: RoomPolicy,
    pub(super) conversation: Conversation,
    /// Of which message it is a part; none of a receipt or a request for repair.
    pub(super) message: Option<MessageId>,
}

/// Envelopes in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<u64, Waiting>,
    /// How many envelopes of a message wait.
    parts: BTreeMap<(Conversation, MessageId), usize>,
    /// Those that were sent and not answered, and those that wait for a time.
    held: BTreeMap<u64, Option<Instant>>,
}

impl Outbox {
    pub(super) fn load(saved: BTreeMap<u64, Vec<u8>>) -> Result<Self, StoreError> {
        let mut outbox = Self::default();
        for (number, bytes) in saved {
            outbox.put(number, Waiting::load(&bytes)?);
        }
        Ok(outbox)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn last_number(&self) -> u64 {
        self.waiting.last_key_value().map_or(0, |(number, _)| *number)
    }

    pub(super) fn saved_form(&self, number: u64) -> Option<Zeroizing<Vec<u8>>> {
        self.waiting.get(&number).map(Waiting::save)
    }

    pub(super) fn put(&mut self, number: u64, waiting: Waiting) {
        if let Some(message) = waiting.message {
            *self.parts.entry((waiting.conversation, message)).or_default() += 1;
        }
        if let Some(replaced) = self.waiting.insert(number, waiting) {
            self.take_part(&replaced);
        }
    }

    fn take_part(&mut self, waiting: &Waiting) {
        let Some(message) = waiting.message else { return };
        let key = (waiting.conversation, message);
        if let Some(count) = self.parts.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.parts.remove(&key);
            }
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&Waiting> {
        self.waiting.get(&number)
    }

    /// The node has it, or it is given up.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting> {
        self.held.remove(&number);
        let removed = self.waiting.remove(&number)?;
        self.take_part(&removed);
        Some(removed)
    }

    /// Those that are parts of messages.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        self.waiting.iter().filter_map(|(number, waiting)| {
            let (message, recipient) = (waiting.message?, waiting.envelope.recipient?);
            Some(Part { number: *number, conversation: waiting.conversation, message, recipient })
        })
    }

    /// Whether more of a message waits.
    pub(super) fn has(&self, conversation: Conversation, message: MessageId) -> bool {
        self.parts.contains_key(&(conversation, message))
    }

    /// Those that may be sent now, in order.
    pub(super) fn ready(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        self.waiting
            .iter()
            .filter(|(number, _)| !self.held.contains_key(number))
            .map(|(number, waiting)| (*number, waiting))
    }

    /// It was sent; its answer decides.
    pub(super) fn sent(&mut self, number: u64) {
        self.held.insert(number, None);
    }

    /// It is sent again after a while.
    pub(super) fn hold(&mut self, number: u64, wait: Duration) {
        self.held.insert(number, Some(Instant::now() + wait));
    }

    /// Whether all that waits waits for a time: none is to be sent, and none to be answered.
    pub(super) fn is_at_rest(&self) -> bool {
        self.waiting.keys().all(|number| matches!(self.held.get(number), Some(Some(_))))
    }

    /// No answer comes any more to what was sent: all of it is sent again.
    pub(super) fn release_all(&mut self) {
        self.held.clear();
    }

    pub(super) fn wake(&mut self, now: Instant) {
        self.held.retain(|_, until| until.is_none_or(|until| until > now));
    }

    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.held.values().flatten().min().copied()
    }

    /// Forgets what waits for a room.
    pub(super) fn of_room(&self, room: RoomId) -> Vec<u64> {
        let is_of_room = |waiting: &Waiting| waiting.envelope.destination == Destination::Room(room);
        self.waiting.iter().filter(|(_, waiting)| is_of_room(waiting)).map(|(number, _)| *number).collect()
    }
}

impl Waiting {
    const SAVED_VERSION: u8 = 1;

    /// Version 1, policy 3, conversation kind `u8` and id 16, message 0 or 1 and its id 16, the envelope in CBOR.
    fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { envelope, policy, conversation, message } = self;
        let writer = policy.write(Writer::default().u8(Self::SAVED_VERSION));
        let writer = match conversation {
            Conversation::Direct(account) => writer.u8(1).bytes(account.as_bytes()),
            Conversation::Room(room) => writer.u8(2).bytes(room.as_bytes()),
        };
        let writer = match message {
            None => writer.u8(0),
            Some(id) => writer.u8(1).bytes(id.as_bytes()),
        };
        writer.bytes(&envelope.to_cbor()).finish_secret()
    }

    fn load(saved: &[u8]) -> Result<Self, StoreError> {
        let broken = |_| StoreError::Broken;
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION).map_err(broken)?;
        let policy = RoomPolicy::read(&mut reader).map_err(broken)?;
        let kind = reader.u8().map_err(broken)?;
        let id = *reader.array().map_err(broken)?;
        let conversation = match kind {
            1 => Conversation::Direct(crate::ids::AccountId::from_bytes(id)),
            2 => Conversation::Room(RoomId::from_bytes(id)),
            _ => return Err(StoreError::Broken),
        };
        let has_message = reader.flag("message").map_err(broken)?;
        let message = if has_message { Some(*reader.array().map_err(broken)?) } else { None };
        let message = message.map(MessageId::from_bytes);
        let envelope = Envelope::from_cbor(reader.rest()).map_err(|_| StoreError::Broken)?;
        Ok(Self { envelope, policy, conversation, message })
    }
}

/// Envelopes that wait at most.
pub(super) const WAITING_MAX: usize = 20_000;
