//! Receipts, what did not open and is asked for again, and what is held until it can be opened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::letters::{Letter, To};
use super::{ClientError, Worker, state, survive};
use crate::client::content::{Body, IDS_MAX, Receipt};
use crate::client::events::Event;
use crate::client::message::{Conversation, Message};
use crate::client::settings::Receipts;
use crate::client::store::StoreError;
use crate::ids::{AccountId, DeviceAddress, EnvelopeId, MessageId, RoomId};
use crate::protocol::machine::Repair;
use crate::wire::{Envelope, ErrorCode, Timestamp};

/// An envelope that cannot be opened yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    room: Option<RoomId>,
    envelope: Envelope,
}

/// What an envelope carried, and for whom: so that it can be sent again if it does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Carried {
    envelope: EnvelopeId,
    recipient: DeviceAddress,
    message: MessageId,
}

/// What is owed to writers: for each conversation and writer, what is said of which messages.
pub(super) type Owed = Vec<(Conversation, AccountId, Receipt, Vec<MessageId>)>;

/// New sessions that were begun with a device because something did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Repairs {
    device: DeviceAddress,
    since: Timestamp,
    count: u32,
}

pub(super) const RECEIPTS: &str = "receipts";
pub(super) const REPAIRS: &str = "repairs";
pub(super) const HELD: &str = "held/";
pub(super) const CARRIED: &str = "carried/";

impl Worker {
    /// Notes that the writer of a message is to hear that it arrived.
    pub(super) fn owe_receipt(&mut self, message: &Message) {
        let own = self.machine.device().address().account_id;
        if self.settings.receipts == Receipts::Direct
            && matches!(message.conversation, Conversation::Direct(_))
            && message.sender.account_id != own
        {
            self.owe(message.conversation, message.sender.account_id, Receipt::Delivered, message.id);
        }
    }

    /// Notes that a writer is to hear something of a message.
    pub(in crate::client) fn owe(&mut self, place: Conversation, writer: AccountId, state: Receipt, id: MessageId) {
        let is_full = self.owed.len() >= OWED_MAX;
        let owed = self.owed.iter_mut().find(|(conversation, account, owed, of)| {
            (*conversation, *account, *owed) == (place, writer, state) && of.len() < IDS_MAX
        });
        match owed {
            Some((.., of)) => of.push(id),
            None if is_full => return,
            None => self.owed.push((place, writer, state, vec![id])),
        }
        self.batch.put(RECEIPTS, state::encode(&self.owed));
    }

    /// Sends the receipts that are owed.
    pub(super) async fn send_receipts(&mut self) -> Result<(), ClientError> {
        if self.owed.is_empty() || self.retry_at.is_some() {
            return Ok(());
        }
        for (conversation, writer, state, of) in core::mem::take(&mut self.owed) {
            let body = Body::Receipt { of, state };
            let letter = Letter::new(conversation, To::Account(writer), None, body);
            let posted = self.post(letter).await;
            survive(posted)?;
        }
        self.batch.delete(RECEIPTS);
        Ok(())
    }

    /// Whether no more envelopes can be held.
    pub(super) fn is_holding_all(&self) -> bool {
        self.held.len() >= HELD_MAX
    }

    /// Keeps an envelope until it can be opened. Past the limit what waits for the user is given up.
    pub(super) fn hold(&mut self, envelope: Envelope, room: Option<RoomId>) {
        if self.is_holding_all() {
            let (sender, id, reason) = (envelope.sender, envelope.id, ErrorCode::IdentityChanged);
            self.event(Event::Undecryptable { room, sender, envelope: id, reason, repair: Repair::AskUser });
            return;
        }
        let number = self.number();
        let held = Held { room, envelope };
        self.batch.put(format!("{HELD}{number}"), state::encode(&held));
        self.held.insert(number, held);
    }

    /// Tries to open what is held.
    pub(in crate::client) async fn open_held(&mut self) -> Result<(), ClientError> {
        let mut before = core::mem::take(&mut self.held);
        let after = before.split_off(&(self.lookups.failed_at + 1));
        for (number, held) in after.into_iter().chain(before) {
            let may_ask = self.lookups.may_ask();
            if self.open(&held.envelope, held.room).await?.is_some() {
                if may_ask && !self.lookups.may_ask() {
                    self.lookups.failed_at = number;
                }
                self.held.insert(number, held);
            } else {
                // After it: on the way there may have been a commit.
                self.batch.delete(format!("{HELD}{number}"));
            }
        }
        Ok(())
    }

    /// Does what helps against an envelope that did not open.
    pub(super) async fn repair(
        &mut self,
        envelope: &Envelope,
        room: Option<RoomId>,
        repair: Repair,
    ) -> Result<(), ClientError> {
        let device = envelope.sender;
        if room.is_some_and(|room| !self.is_member(room, device.account_id)) {
            return Ok(());
        }
        match repair {
            Repair::NewSession if self.may_repair(device) => {
                let met = self.meet(device).await;
                if survive(met)? != Some(true) {
                    return Ok(());
                }
            }
            Repair::AskAgain if self.may_repair(device) => {}
            _ => return Ok(()),
        }
        let conversation = room.map_or(Conversation::Direct(device.account_id), Conversation::Room);
        let body = Body::Repair { envelopes: vec![envelope.id] };
        let letter = Letter::new(conversation, To::Device(device), None, body);
        let posted = self.post(letter).await;
        survive(posted).map(|_| ())
    }

    /// Counts a repair with a device: a node could bring any number about.
    fn may_repair(&mut self, device: DeviceAddress) -> bool {
        let now = self.clock.now();
        self.repairs.retain(|known| now.since(known.since) < REPAIRS_SPAN);
        let known = self.repairs.iter_mut().find(|known| known.device == device);
        let may = if let Some(known) = known {
            known.count = known.count.saturating_add(1);
            known.count <= REPAIRS_MAX
        } else if self.repairs.len() >= REPAIRS_KEPT {
            false
        } else {
            self.repairs.push(Repairs { device, since: now, count: 1 });
            true
        };
        self.batch.put(REPAIRS, state::encode(&self.repairs));
        may
    }

    /// Remembers what an envelope carries. The oldest is forgotten past the limit.
    pub(super) fn carries(&mut self, envelope: &Envelope, message: MessageId) {
        let Some(recipient) = envelope.recipient else { return };
        let number = self.number();
        let carried = Carried { envelope: envelope.id, recipient, message };
        self.batch.put(format!("{CARRIED}{number}"), state::encode(&carried));
        self.carried.insert(number, carried);
        while self.carried.len() > self.settings.envelopes_remembered as usize
            && let Some((number, _)) = self.carried.pop_first()
        {
            self.batch.delete(format!("{CARRIED}{number}"));
        }
    }

    /// The devices for which a message was sealed, as far as is remembered.
    pub(super) fn carried_to(&self, message: MessageId) -> impl Iterator<Item = DeviceAddress> {
        self.carried.values().filter(move |carried| carried.message == message).map(|carried| carried.recipient)
    }

    /// A device could not open these: they are sealed for it again, if they were for it.
    pub(super) async fn send_again(
        &mut self,
        device: DeviceAddress,
        envelopes: Vec<EnvelopeId>,
    ) -> Result<(), ClientError> {
        let own = self.machine.device().address().account_id;
        for envelope in envelopes {
            let carried = self.carried.iter().rev().map(|(number, carried)| (*number, *carried));
            let asked =
                carried.into_iter().find(|(_, carried)| (carried.envelope, carried.recipient) == (envelope, device));
            let Some((number, carried)) = asked else { continue };
            let Some(message) = self.find(own, carried.message).await? else { continue };
            let conversation = message.conversation;
            if conversation.room().is_some_and(|room| !self.is_member(room, device.account_id)) {
                continue;
            }
            let (id, body) = (message.id, self.body_again(message));
            let letter = Letter::new(conversation, To::Device(device), Some(id), body);
            let posted = self.post(letter).await;
            if survive(posted)?.is_some() {
                // Once: what does not open again is asked for under its new envelope's id.
                self.carried.remove(&number);
                self.batch.delete(format!("{CARRIED}{number}"));
            }
        }
        Ok(())
    }
}

impl Held {
    pub(super) fn load(bytes: &[u8]) -> Result<Self, StoreError> {
        state::decode(bytes)
    }
}

impl Carried {
    pub(super) fn load(bytes: &[u8]) -> Result<Self, StoreError> {
        state::decode(bytes)
    }
}

/// What a worker remembers for repairs.
pub(super) type CarriedMap = BTreeMap<u64, Carried>;

/// Receipts that are owed at most, in bundles of [`IDS_MAX`]: one record of a few hundred KiB. They are a courtesy.
const OWED_MAX: usize = 256;

/// Envelopes that are held at most, some 60 MiB of the largest.
const HELD_MAX: usize = 512;

/// Repairs with one device in [`REPAIRS_SPAN`].
const REPAIRS_MAX: u32 = 8;

/// Devices of which repairs are counted.
const REPAIRS_KEPT: usize = 1_024;

/// A day.
const REPAIRS_SPAN: core::time::Duration = core::time::Duration::from_secs(86_400);
