//! The parts of a message: an envelope for each device that it is for. When the node has them all, the message is sent; if it
//! refuses one for good, it is not.
//!
//! Devices come and go while parts wait. What is for one that is gone is given up, and what is missing for those that are
//! there is sealed for them, before the rest goes.

use std::collections::BTreeSet;

use super::letters::{Letter, To};
use super::{Worker, survive};
use crate::client::content::Body;
use crate::client::error::ClientError;
use crate::client::events::Event;
use crate::client::message::{Conversation, Message};
use crate::ids::{AccountId, DeviceAddress, MessageId};
use crate::protocol::public::{VerifiedDevice, VerifiedDeviceList};
use crate::wire::ErrorCode;

impl Worker {
    /// Whether a part of a message is not with the node yet.
    pub(super) fn is_waiting(&self, conversation: Conversation, id: MessageId) -> bool {
        let is_letter = |letter: &Letter| letter.message == Some(id) && letter.conversation == conversation;
        self.outbox.has(conversation, id) || self.drafts.values().any(is_letter)
    }

    /// Says so, if the node has all of a message.
    pub(super) async fn is_done(&mut self, conversation: Conversation, id: MessageId) -> Result<(), ClientError> {
        if self.is_waiting(conversation, id) {
            return Ok(());
        }
        self.delays.remove(&id);
        if let Some(mut message) = self.unsent(id).await? {
            message.is_sent = true;
            self.keep(&message);
            self.event(Event::Sent { conversation, id });
        }
        Ok(())
    }

    /// A part will not be taken: the message counts as not sent from now on. What else waits of it goes all the same.
    pub(super) async fn not_sent(
        &mut self,
        conversation: Conversation,
        id: Option<MessageId>,
        reason: ErrorCode,
    ) -> Result<(), ClientError> {
        if let Some(id) = id {
            // Once; and a part that was asked for again does not undo what was told.
            let Some(mut message) = self.unsent(id).await? else { return Ok(()) };
            message.refused = Some(reason);
            self.keep(&message);
            self.delays.remove(&id);
        }
        self.event(Event::NotSent { conversation, id, reason });
        Ok(())
    }

    /// Notes why a message waits.
    pub(super) fn is_delayed(&mut self, id: Option<MessageId>, reason: ErrorCode) {
        if let Some(id) = id {
            self.delays.insert(id, reason);
        }
    }

    /// Why a message waits, if it does and something else than the connection is in its way.
    pub(in crate::client) fn delay(&self, id: MessageId) -> Option<ErrorCode> {
        self.link.socket().and_then(|_| self.delays.get(&id).copied())
    }

    /// A message of this device of which nothing was told yet.
    async fn unsent(&mut self, id: MessageId) -> Result<Option<Message>, ClientError> {
        let own = self.machine.device().address();
        let message = self.find(own.account_id, id).await?;
        Ok(message.filter(|message| message.sender == own && !message.is_sent && message.refused.is_none()))
    }

    /// Notes that the devices of those for whom messages wait may be others by now.
    pub(super) fn look_for_devices(&mut self) {
        let waiting = self.outbox.parts().map(|part| part.recipient.account_id);
        self.moved.extend(waiting);
    }

    /// Has what waits be for the devices that there are now.
    pub(super) async fn follow_devices(&mut self) -> Result<(), ClientError> {
        for account in core::mem::take(&mut self.moved) {
            if self.retry_at.is_some() {
                // The node has just failed at another.
                self.moved.insert(account);
                continue;
            }
            let followed = self.follow_devices_of(account).await;
            if survive(followed)?.is_none() {
                self.moved.insert(account);
                self.retry_later();
            }
        }
        Ok(())
    }

    async fn follow_devices_of(&mut self, account: AccountId) -> Result<(), ClientError> {
        self.fetch_devices(account).await?;
        let list = self.machine.device_list(account);
        let devices = list.into_iter().flat_map(VerifiedDeviceList::devices).map(VerifiedDevice::address);
        let own = self.machine.device().address();
        let devices: BTreeSet<DeviceAddress> = devices.filter(|device| *device != own).collect();
        let parts: Vec<Part> = self.outbox.parts().filter(|part| part.recipient.account_id == account).collect();
        let messages: BTreeSet<(Conversation, MessageId)> =
            parts.iter().map(|part| (part.conversation, part.message)).collect();
        for (conversation, id) in messages {
            let served = self.carried_to(id).filter(|device| devices.contains(device)).collect();
            if served != devices {
                self.serve(account, conversation, id, served).await?;
            }
        }
        for part in parts.iter().filter(|part| !devices.contains(&part.recipient)) {
            self.outbox.remove(part.number);
            self.save_waiting(part.number);
            self.is_done(part.conversation, part.message).await?;
        }
        Ok(())
    }

    /// Seals a message for the devices of an account that have no part of it.
    async fn serve(
        &mut self,
        account: AccountId,
        conversation: Conversation,
        id: MessageId,
        served: BTreeSet<DeviceAddress>,
    ) -> Result<(), ClientError> {
        let own = self.machine.device().address().account_id;
        let is_reader = conversation.room().is_none_or(|room| self.is_member(room, account));
        let Some(message) = self.find(own, id).await?.filter(|_| is_reader) else { return Ok(()) };
        let body = self.body_again(message);
        let letter = Letter { served, ..Letter::new(conversation, To::Account(account), Some(id), body) };
        self.post(letter).await
    }

    /// What a message of this account says, as it is sealed once more.
    pub(super) fn body_again(&self, message: Message) -> Body {
        let Message { id, conversation, sent_at, content, .. } = message;
        let (to, mark) = match conversation {
            Conversation::Direct(account) => (Some(account), None),
            Conversation::Room(room) => (None, self.own_mark(room)),
        };
        Body::Message { id, to, mark, sent_at, content }
    }
}

/// A part of a message that waits in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u64,
    pub(super) conversation: Conversation,
    pub(super) message: MessageId,
    pub(super) recipient: DeviceAddress,
}
