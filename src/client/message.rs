//! A message as the app sees it, and as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::content::{Content, Receipt};
use super::store::{StoreError, StoredMessage};
use crate::ids::{AccountId, DeviceAddress, MessageId, RoomId};
use crate::wire::{ErrorCode, Timestamp};

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    /// Between this account and another, or with itself.
    Direct(AccountId),
    /// In a room.
    Room(RoomId),
}

impl Conversation {
    /// The room, if it is one.
    pub(super) const fn room(self) -> Option<RoomId> {
        match self {
            Self::Direct(_) => None,
            Self::Room(room) => Some(room),
        }
    }

    /// The name by which the store knows it.
    pub(super) fn place(self) -> String {
        match self {
            Self::Direct(account) => format!("direct/{account}"),
            Self::Room(room) => format!("room/{room}"),
        }
    }
}

/// A message that was received, or sent by a device of this account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Grows with each message that this device keeps: the order in which they came.
    pub number: u64,
    /// The sender's name for it: with the sender's account, the same on every device.
    pub id: MessageId,
    /// Where it stands.
    pub conversation: Conversation,
    /// The device that wrote it; this is certain.
    pub sender: DeviceAddress,
    /// When, by the sender's clock.
    pub sent_at: Timestamp,
    /// What it says.
    pub content: Content,
    /// Whether the node has it in every mailbox and log that it is for; true of those that came from there.
    pub is_sent: bool,
    /// Why the node refuses it for good, for some or all of those it is for.
    pub refused: Option<ErrorCode>,
    /// What readers have said of it, where this account wrote it.
    pub receipts: BTreeMap<AccountId, Receipt>,
}

impl Message {
    /// What names it in the store: whose it is, and its id. Nobody can take the name of another's message.
    pub(super) fn name(sender: AccountId, id: MessageId) -> String {
        format!("{sender}/{id}")
    }

    pub(super) fn store(&self) -> StoredMessage {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        // Into memory, and of types that all have a JSON form.
        let _ = serde_json::to_writer(&mut *bytes, &Saved::from(self.clone()));
        StoredMessage {
            number: self.number,
            id: Self::name(self.sender.account_id, self.id),
            place: self.conversation.place(),
            bytes,
        }
    }

    pub(super) fn load(stored: &StoredMessage) -> Result<Self, StoreError> {
        let Some((&VERSION, json)) = stored.bytes.split_first() else { return Err(StoreError::Broken) };
        let saved: Saved = serde_json::from_slice(json).map_err(|_| StoreError::Broken)?;
        let Saved { id, conversation, sender, sent_at, content, is_sent, refused, receipts } = saved;
        let receipts = receipts.into_iter().collect();
        Ok(Self { number: stored.number, id, conversation, sender, sent_at, content, is_sent, refused, receipts })
    }
}

/// The saved form, version 1: JSON. The number stands beside it.
#[derive(Serialize, Deserialize)]
struct Saved {
    id: MessageId,
    conversation: Conversation,
    sender: DeviceAddress,
    sent_at: Timestamp,
    content: Content,
    is_sent: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    refused: Option<ErrorCode>,
    receipts: Vec<(AccountId, Receipt)>,
}

impl From<Message> for Saved {
    fn from(message: Message) -> Self {
        let Message { number: _, id, conversation, sender, sent_at, content, is_sent, refused, receipts } = message;
        Self { id, conversation, sender, sent_at, content, is_sent, refused, receipts: receipts.into_iter().collect() }
    }
}

const VERSION: u8 = 1;
