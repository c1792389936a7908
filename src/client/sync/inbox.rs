//! What comes from the node: opened, kept, and then told.
//!
//! The node gives each envelope at least once; the app hears of each message once. A message is kept under its writer's
//! account and id, in the same commit that moves the session past it and saves how far the log was read.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{ClientError, Worker, survive};
use crate::client::content::{Body, Receipt, UnknownContent};
use crate::client::events::Event;
use crate::client::message::{Conversation, Message};
use crate::ids::{AccountId, DeviceAddress, MessageId, RoomId};
use crate::protocol::machine::{Input, MachineError, Opened, Repair};
use crate::wire::{self, Entry, Envelope, ErrorCode, Log, Position};

impl Worker {
    /// A message of the node.
    pub(super) async fn hear(&mut self, message: wire::Message) -> Result<(), ClientError> {
        match message {
            wire::Message::Ok(answer) => self.answered(answer).await?,
            wire::Message::Error { id, code, retry_after_ms } => {
                self.refused(id, code, retry_after_ms.map(Duration::from_millis)).await?;
            }
            wire::Message::Welcome { now, .. } => {
                self.node_time.compare(&self.clock, now);
            }
            wire::Message::Envelope(entry) => {
                if let wire::Destination::Room(room) = entry.envelope.destination
                    && self.rooms.get(&room).is_some_and(|room| room.key.is_some())
                {
                    self.entry(entry, Some(room)).await?;
                }
            }
            wire::Message::Direct(entry) => self.entry(entry, None).await?,
            wire::Message::CaughtUp { log, position } => self.caught_up(log, position).await?,
            wire::Message::Gap { log, position } => self.gap(log, position),
            wire::Message::PrekeysLow { one_time_prekeys, one_time_kem_prekeys } => {
                self.refill(one_time_prekeys, one_time_kem_prekeys).await?;
            }
            wire::Message::SessionExpiring { .. } => {
                let refreshed = self.refresh().await;
                survive(refreshed)?;
            }
            wire::Message::Reconnect { after_ms, .. } => self.leave_at(Duration::from_millis(after_ms)),
            // Of accounts that are known alone: a node could have this one keep any number.
            wire::Message::DevicesChanged { account_id, .. } if self.machine.device_list(account_id).is_some() => {
                let fetched = self.fetch_devices(account_id).await;
                if survive(fetched)?.is_none() {
                    self.fresh.remove(&account_id);
                }
            }
            other => self.room_news(&other).await?,
        }
        Ok(())
    }

    /// An envelope of a log.
    async fn entry(&mut self, entry: Entry, room: Option<RoomId>) -> Result<(), ClientError> {
        let Entry { position, envelope } = entry;
        let log = room.map_or(Log::Mailbox, Log::Room);
        self.notice_gap(log, Some(position), 1);
        let is_ours = envelope.sender == self.machine.device().address();
        if room.is_none() && (is_ours || matches!(envelope.destination, wire::Destination::Room(_))) {
            // No device writes to itself: it stands in the place of another. And what is for a room is opened there, or lost
            // to it.
            let (sender, envelope, repair) = (envelope.sender, envelope.id, Repair::Refuse);
            self.event(Event::Undecryptable { room, sender, envelope, reason: ErrorCode::NotForThisDevice, repair });
            self.has_read(room, position);
            return Ok(());
        }
        // In a room the node shows a device its own too.
        if !is_ours && let Some(later) = self.open(&envelope, room).await? {
            if later == Later::Told && self.is_holding_all() {
                // There is no room for it here. The node has it still, and gives it again.
                self.disconnect_for_a_while();
                return Ok(());
            }
            self.hold(envelope, room);
        }
        // After it: on the way there may have been a commit, and what is not kept is to be given again.
        self.has_read(room, position);
        Ok(())
    }

    /// How far a log was read.
    fn read_to(&self, log: Log) -> Option<Position> {
        match log {
            Log::Mailbox => self.mailbox,
            Log::Room(room_id) => self.rooms.get(&room_id)?.read,
        }
    }

    /// Tells of what is missing before a position that should come `steps` after what was read. A mailbox counts without a
    /// hole; in a room's log stands what is for others too, and only another log is seen.
    fn notice_gap(&mut self, log: Log, position: Option<Position>, steps: u64) {
        let (Some(read), Some(position)) = (self.read_to(log), position) else { return };
        let is_other = position.epoch != read.epoch;
        if is_other || (log == Log::Mailbox && position.seq > read.seq.saturating_add(steps)) {
            self.event(Event::Gap { log });
        }
    }

    fn has_read(&mut self, room: Option<RoomId>, position: Position) {
        let read = self.read_to(room.map_or(Log::Mailbox, Log::Room));
        // What is told again, or late, does not bring back what was read since.
        let position = match read {
            Some(read) if read.epoch == position.epoch && read.seq > position.seq => read,
            _ => position,
        };
        match room {
            None => {
                self.mailbox = Some(position);
                self.batch.put(super::state::MAILBOX, super::state::encode(&position));
                self.ack_due = true;
            }
            Some(room_id) => {
                if let Some(room) = self.rooms.get_mut(&room_id) {
                    room.read = Some(position);
                    self.save_read(room_id);
                }
            }
        }
    }

    /// Opens an envelope. What has to come first, if it cannot be opened yet.
    pub(super) async fn open(
        &mut self,
        envelope: &Envelope,
        room: Option<RoomId>,
    ) -> Result<Option<Later>, ClientError> {
        let account = envelope.sender.account_id;
        let was_known = self.machine.device_list(account).is_some();
        if let Some(room) = room
            && !self.knows_members(room, account).await?
        {
            return Ok(Some(Later::Told));
        }
        match self.try_open(envelope, room).await {
            Ok(opened) => {
                let body = Body::parse(&opened.plaintext);
                if room.is_none_or(|room| self.is_vouched(&body, account, room)) {
                    self.opened(opened, body, room).await?;
                } else {
                    self.refuse(&opened, room, ErrorCode::NotVouched);
                    if !was_known {
                        self.forget(account)?;
                    }
                }
                Ok(None)
            }
            Err(error) if error.is_fatal() => Err(error),
            Err(ClientError::Machine(error)) if error.repair() != Repair::AskUser => {
                self.undecryptable(envelope, room, &error).await?;
                if !was_known {
                    self.forget_stranger(account)?;
                }
                Ok(None)
            }
            Err(ClientError::Machine(_)) => Ok(Some(Later::Accepted)),
            Err(ClientError::OtherRootKey) => {
                let (sender, envelope, reason) = (envelope.sender, envelope.id, ErrorCode::IdentityChanged);
                self.event(Event::Undecryptable { room, sender, envelope, reason, repair: Repair::Refuse });
                Ok(None)
            }
            Err(_) => {
                self.retry_later();
                Ok(Some(Later::Told))
            }
        }
    }

    async fn try_open(&mut self, envelope: &Envelope, room: Option<RoomId>) -> Result<Opened, ClientError> {
        let policy = match room {
            None => super::letters::direct_policy(),
            Some(room) => self.rooms.get(&room).map_or_else(super::letters::direct_policy, |room| room.policy),
        };
        let outputs = match self.handle(Input::Open { envelope, policy }) {
            Err(ClientError::Machine(error)) if error.repair() == Repair::FetchDevices => {
                if !self.lookups.may_ask() {
                    return Err(ClientError::NotConnected);
                }
                let fetched = self.fetch_devices(envelope.sender.account_id).await;
                self.lookups.note(&fetched);
                fetched?;
                self.handle(Input::Open { envelope, policy })?
            }
            outputs => outputs?,
        };
        outputs.opened.ok_or(MachineError::Internal { what: "an envelope opened to nothing" }.into())
    }

    /// Whether it can be said whether somebody is a member: before the list was read, who is new is taken for none.
    async fn knows_members(&mut self, room_id: RoomId, account: AccountId) -> Result<bool, ClientError> {
        if self.is_member(room_id, account) || self.rooms.get(&room_id).is_none_or(|room| room.is_level) {
            return Ok(true);
        }
        if !self.lookups.may_ask() {
            self.retry_later();
            return Ok(false);
        }
        let fetched = self.fetch_members(room_id).await;
        self.lookups.note(&fetched);
        let is_known = survive(fetched)?.is_some();
        if !is_known {
            self.retry_later();
        }
        Ok(is_known)
    }

    /// Whether what was opened in a room is of a member, or a message of somebody who was one.
    fn is_vouched(&self, body: &Result<Body, UnknownContent>, writer: AccountId, room: RoomId) -> bool {
        match body {
            Ok(Body::Message { mark, .. }) => self.is_of_member(room, writer, mark.as_ref()),
            _ => self.is_member(room, writer),
        }
    }

    /// What was opened.
    async fn opened(
        &mut self,
        opened: Opened,
        body: Result<Body, UnknownContent>,
        room: Option<RoomId>,
    ) -> Result<(), ClientError> {
        let sender = opened.sender;
        match body {
            Ok(Body::Message { id, to, mark: _, sent_at, content }) => {
                let Some(conversation) = self.conversation(sender, room, to) else {
                    self.refuse(&opened, room, ErrorCode::NotForThisDevice);
                    return Ok(());
                };
                if self.find(sender.account_id, id).await?.is_some() {
                    return Ok(());
                }
                let number = self.number();
                let receipts = BTreeMap::new();
                let message = Message {
                    number,
                    id,
                    conversation,
                    sender,
                    sent_at,
                    content,
                    is_sent: true,
                    refused: None,
                    receipts,
                };
                self.keep(&message);
                self.owe_receipt(&message);
                self.event(Event::Message(Box::new(message)));
                Ok(())
            }
            Ok(Body::Receipt { of, state }) => self.receipt(sender.account_id, of, state).await,
            Ok(Body::Rooms {}) => {
                // Of our own account alone: others cannot have us ask the node for nothing.
                self.is_synced &= sender.account_id != self.machine.device().address().account_id;
                Ok(())
            }
            Ok(Body::VaultKeyWanted {}) => self.vault_key_wanted(sender).await,
            Ok(Body::VaultKey { key }) => {
                self.take_vault_key(sender, &key);
                Ok(())
            }
            Ok(Body::Repair { envelopes }) => self.send_again(sender, envelopes).await,
            Err(UnknownContent) => {
                self.refuse(&opened, room, ErrorCode::MessageMalformed);
                Ok(())
            }
        }
    }

    /// Where a message stands. None if it was written to somebody else and is passed on here.
    fn conversation(&self, sender: DeviceAddress, room: Option<RoomId>, to: Option<AccountId>) -> Option<Conversation> {
        let own = self.machine.device().address().account_id;
        match (room, to) {
            (Some(room), None) => Some(Conversation::Room(room)),
            (None, Some(to)) if sender.account_id == own => Some(Conversation::Direct(to)),
            (None, Some(to)) if to == own => Some(Conversation::Direct(sender.account_id)),
            _ => None,
        }
    }

    fn refuse(&mut self, opened: &Opened, room: Option<RoomId>, reason: ErrorCode) {
        let (sender, envelope) = (opened.sender, opened.envelope_id);
        self.event(Event::Undecryptable { room, sender, envelope, reason, repair: Repair::Refuse });
    }

    async fn undecryptable(
        &mut self,
        envelope: &Envelope,
        room: Option<RoomId>,
        error: &MachineError,
    ) -> Result<(), ClientError> {
        let repair = error.repair();
        let (sender, reason) = (envelope.sender, error.code());
        // A room's log has what is for others too, and of both the node gives some twice.
        match reason {
            ErrorCode::NotForThisDevice if room.is_some() => return Ok(()),
            ErrorCode::MessageKeyGone => {
                self.event(Event::Repeated { room, sender, envelope: envelope.id });
                return Ok(());
            }
            _ => {}
        }
        self.event(Event::Undecryptable { room, sender, envelope: envelope.id, reason, repair });
        self.repair(envelope, room, repair).await
    }

    /// The message of an account and id, also if it was kept in this very turn.
    pub(super) async fn find(&mut self, sender: AccountId, id: MessageId) -> Result<Option<Message>, ClientError> {
        let name = Message::name(sender, id);
        if let Some(staged) = self.batch.messages.iter().rev().find(|message| message.id == name) {
            return Ok(Some(Message::load(staged)?));
        }
        let stored = self.store.message(&name).await?;
        Ok(stored.as_ref().map(Message::load).transpose()?)
    }

    /// Saves a message with this turn.
    pub(super) fn keep(&mut self, message: &Message) {
        self.batch.messages.push(message.store());
    }

    async fn caught_up(&mut self, log: Log, position: Option<Position>) -> Result<(), ClientError> {
        match log {
            Log::Room(room) if self.rooms.get(&room).is_none_or(|room| room.key.is_none()) => return Ok(()),
            Log::Room(room) => {
                if let Some(position) = position {
                    self.has_read(Some(room), position);
                }
            }
            Log::Mailbox => {
                // Not before: a node that falls over at each welcome is not asked four times a second.
                self.back_off.reset();
                // What was not told and stands before the end is missing.
                self.notice_gap(log, position, 0);
                let left = self.rest(|api| async move { api.prekeys_left().await }).await;
                if let Some(left) = survive(left)? {
                    self.refill(left.one_time_prekeys, left.one_time_kem_prekeys).await?;
                }
                // Only now: until what waited is read, it may need keys that are old.
                self.maintain().await?;
                self.want_vault_key().await?;
            }
        }
        self.event(Event::CaughtUp { log });
        Ok(())
    }

    fn gap(&mut self, log: Log, position: Option<Position>) {
        match log {
            Log::Mailbox => {
                self.mailbox = position;
                match position {
                    Some(position) => self.batch.put(super::state::MAILBOX, super::state::encode(&position)),
                    None => self.batch.delete(super::state::MAILBOX),
                }
            }
            Log::Room(room_id) => {
                let Some(room) = self.rooms.get_mut(&room_id).filter(|room| room.key.is_some()) else { return };
                let was_read = room.read.is_some();
                room.read = position;
                self.save_read(room_id);
                // A room that was never read has asked for everything that there is.
                if !was_read {
                    return;
                }
            }
        }
        self.event(Event::Gap { log });
    }

    async fn receipt(&mut self, by: AccountId, of: Vec<MessageId>, state: Receipt) -> Result<(), ClientError> {
        let own = self.machine.device().address().account_id;
        let mut told: Vec<(Conversation, Vec<MessageId>)> = Vec::new();
        for id in of {
            let Some(mut message) = self.find(own, id).await? else { continue };
            let is_reader = match message.conversation {
                Conversation::Direct(account) => account == by,
                Conversation::Room(room) => self.is_member(room, by),
            };
            if !is_reader || message.receipts.get(&by).is_some_and(|known| *known >= state) {
                continue;
            }
            message.receipts.insert(by, state);
            self.keep(&message);
            match told.iter_mut().find(|(conversation, _)| *conversation == message.conversation) {
                Some((_, of)) => of.push(id),
                None => told.push((message.conversation, vec![id])),
            }
        }
        for (conversation, of) in told {
            self.event(Event::Receipt { conversation, by, of, state });
        }
        Ok(())
    }
}

/// What has to come before an envelope opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Later {
    /// The node is to tell who its writer is.
    Told,
    /// The user is to accept its writer's new identity.
    Accepted,
}
