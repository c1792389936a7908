//! Rooms: followed on the socket, their members known, their policy pinned.
//!
//! Who is a member is the node's word; each change of it is told to the app. What the node cannot do is show a member as
//! another account, read what is sealed, or have the policy be another than was pinned when the room was first seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::answers::Pending;
use super::{ClientError, Worker, survive};
use crate::client::events::Event;
use crate::ids::{AccountId, LogEpoch, RoomId};
use crate::wire::{Command, Custody, ErrorCode, Message, Position, Presence, Protection, RoomPolicy, RoomSummary};

/// A room of this account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::client) struct Room {
    /// As it was first seen.
    pub(in crate::client) policy: RoomPolicy,
    /// As the app was told.
    pub(in crate::client) members: BTreeSet<AccountId>,
    /// How far the log was read: a record of its own.
    #[serde(skip)]
    pub(in crate::client) read: Option<Position>,
    pub(in crate::client) is_closed: bool,
    /// What the node has shown in place of the policy.
    pub(in crate::client) shown: Option<RoomPolicy>,
    #[serde(skip)]
    following: Following,
    /// Whether `members` is as the node has it.
    #[serde(skip)]
    is_level: bool,
}

/// Whether the socket follows a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Following {
    #[default]
    No,
    Asked,
    Yes,
}

impl Room {
    fn new(policy: RoomPolicy) -> Self {
        let (members, following) = (BTreeSet::new(), Following::No);
        Self { policy, members, read: None, is_closed: false, shown: None, following, is_level: false }
    }

    pub(in crate::client) fn is_followed(&self) -> bool {
        self.following == Following::Yes
    }

    /// Whether its log is to be asked for.
    fn is_wanting(&self) -> bool {
        let is_ours =
            matches!(self.policy, RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, .. });
        self.following == Following::No && self.shown.is_none() && is_ours
    }

    pub(super) fn unfollowed(&mut self) {
        self.following = Following::No;
        self.is_level = false;
    }
}

impl Worker {
    /// The policy of a room that can be written to.
    ///
    /// # Errors
    /// [`ClientError::NotJoined`]; [`ClientError::PolicyChanged`] if the node has shown another one.
    pub(super) fn usable(&self, room_id: RoomId) -> Result<RoomPolicy, ClientError> {
        let room = self.rooms.get(&room_id).ok_or(ClientError::NotJoined { room: room_id })?;
        match room.shown {
            Some(shown) => Err(ClientError::PolicyChanged { room: room_id, pinned: room.policy, shown }),
            None => Ok(room.policy),
        }
    }

    /// Whom a message to a room is sealed for: its members, and so this user's other devices.
    pub(super) async fn readers(&mut self, room_id: RoomId) -> Result<Vec<AccountId>, ClientError> {
        let is_level = self.rooms.get(&room_id).is_some_and(|room| room.is_level);
        if !is_level {
            match self.fetch_members(room_id).await {
                Ok(()) => {}
                // As they were: who was removed meanwhile is refused by the node, which gives them nothing.
                Err(error)
                    if error.is_transient()
                        && self.rooms.get(&room_id).is_some_and(|room| !room.members.is_empty()) => {}
                Err(error) => return Err(error),
            }
        }
        let room = self.rooms.get(&room_id).ok_or(ClientError::NotJoined { room: room_id })?;
        Ok(room.members.iter().copied().collect())
    }

    /// Has the members of a room as the node has them, and tells the app what has changed.
    async fn fetch_members(&mut self, room_id: RoomId) -> Result<(), ClientError> {
        let members = self.rest(|api| async move { api.members(room_id).await }).await?;
        let now: BTreeSet<AccountId> = members.into_iter().map(|member| member.account_id).collect();
        let Some(room) = self.rooms.get_mut(&room_id) else { return Ok(()) };
        let before = core::mem::replace(&mut room.members, now.clone());
        room.is_level = true;
        if before != now {
            self.save_room(room_id);
        }
        let own = self.machine.device().address().account_id;
        for account in before.symmetric_difference(&now).copied().filter(|account| *account != own) {
            let is_in = now.contains(&account);
            let (joined, left) =
                (Event::MemberJoined { room: room_id, account }, Event::MemberLeft { room: room_id, account });
            self.event(if is_in { joined } else { left });
        }
        Ok(())
    }

    /// Takes a room that this account is in, or checks it against what is known.
    pub(in crate::client) fn see_room(&mut self, summary: &RoomSummary) -> Result<(), ClientError> {
        let RoomSummary { room_id, policy, closed_at, .. } = *summary;
        if !self.rooms.contains_key(&room_id) {
            if self.left.len() >= ROOMS_LEFT_MAX && !self.left.contains_key(&room_id) {
                return Err(ClientError::TooManyRooms);
            }
            // A room that was left is what it was: the node cannot take it away and give it back as another.
            let pinned = self.left.remove(&room_id).unwrap_or(policy);
            self.rooms.insert(room_id, Room::new(pinned));
            self.save_room(room_id);
        }
        self.check_policy(room_id, policy)?;
        if closed_at.is_some() {
            self.room_closed(room_id);
        }
        Ok(())
    }

    /// Whether a room is followed here, or was.
    pub(super) fn is_known_room(&self, room_id: RoomId) -> bool {
        self.rooms.contains_key(&room_id) || self.left.contains_key(&room_id)
    }

    fn check_policy(&mut self, room_id: RoomId, shown: RoomPolicy) -> Result<(), ClientError> {
        let Some(room) = self.rooms.get_mut(&room_id) else { return Ok(()) };
        let pinned = room.policy;
        if pinned == shown {
            return Ok(());
        }
        if room.shown != Some(shown) {
            room.shown = Some(shown);
            self.save_room(room_id);
            self.event(Event::PolicyChanged { room: room_id, pinned, shown });
        }
        Err(ClientError::PolicyChanged { room: room_id, pinned, shown })
    }

    /// All rooms as the node has them.
    pub(super) async fn sync_rooms(&mut self) -> Result<(), ClientError> {
        let summaries = self.rest(|api| async move { api.rooms().await }).await;
        let summaries = match summaries {
            Ok(summaries) => summaries,
            Err(error) => {
                self.retry_later();
                return Err(error);
            }
        };
        let gone: Vec<RoomId> =
            self.rooms.keys().copied().filter(|known| !summaries.iter().any(|room| room.room_id == *known)).collect();
        for room_id in gone {
            self.room_left(room_id);
        }
        for summary in &summaries {
            match self.see_room(summary) {
                Ok(()) | Err(ClientError::PolicyChanged { .. } | ClientError::TooManyRooms) => {}
                Err(error) => return Err(error),
            }
        }
        self.is_synced = true;
        Ok(())
    }

    /// Has the members of the rooms that are followed. Not before: who came while the socket was not told would be missed.
    pub(super) async fn level_rooms(&mut self) -> Result<(), ClientError> {
        let is_behind = |room: &Room| room.is_followed() && !room.is_level;
        let behind: Vec<RoomId> =
            self.rooms.iter().filter(|(_, room)| is_behind(room)).map(|(room_id, _)| *room_id).collect();
        for room_id in behind {
            if self.retry_at.is_some() {
                break;
            }
            let fetched = self.fetch_members(room_id).await;
            if survive(fetched)?.is_none() {
                self.retry_later();
            }
        }
        Ok(())
    }

    /// Asks the socket for the logs of rooms that it does not follow, as far as there are places.
    pub(super) fn follow_rooms(&mut self) {
        if self.retry_at.is_some() {
            return;
        }
        let wanting = self.rooms.iter().filter(|(_, room)| room.is_wanting()).map(|(room_id, _)| *room_id);
        for room_id in wanting.take(self.free_places()).collect::<Vec<_>>() {
            self.follow(room_id);
        }
    }

    fn follow(&mut self, room_id: RoomId) {
        let Some(room) = self.rooms.get(&room_id) else { return };
        // What was sealed for this device between its joining and now is in the log: a room that was never read is read
        // from its beginning, which the node does for an epoch that it does not know.
        let after = room.read.or(Some(Position { epoch: LogEpoch::from_bytes([0; 8]), seq: 0 }));
        if self.command(Pending::Join(room_id), |id| Command::Join { id, room_id, after })
            && let Some(room) = self.rooms.get_mut(&room_id)
        {
            room.following = Following::Asked;
        }
    }

    pub(super) fn follow_again(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.following = Following::No;
        }
    }

    pub(super) fn joined(&mut self, room_id: RoomId, policy: RoomPolicy, _head: Position, online: Vec<AccountId>) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.following = Following::Yes;
            room.is_level = false;
        }
        if self.check_policy(room_id, policy).is_err() {
            return;
        }
        for account in online {
            self.event(Event::Presence { room: room_id, account, state: Presence::Online });
        }
    }

    pub(super) fn join_refused(&mut self, room_id: RoomId, code: ErrorCode) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.following = if code == ErrorCode::AlreadyJoined { Following::Yes } else { Following::No };
        }
        if code != ErrorCode::AlreadyJoined {
            // Whether it is still a room of ours is looked up anew.
            self.is_synced = false;
            self.retry_later();
        }
    }

    /// This account is no member any more: what waits for the room is given up.
    pub(in crate::client) fn room_left(&mut self, room_id: RoomId) {
        let Some(room) = self.rooms.remove(&room_id) else { return };
        self.left.insert(room_id, room.policy);
        self.save_room(room_id);
        for number in self.outbox.of_room(room_id) {
            if let Some(waiting) = self.outbox.remove(number) {
                let (conversation, id) = (waiting.conversation, waiting.message);
                self.event(Event::NotSent { conversation, id, reason: ErrorCode::UnknownRoom });
            }
            self.save_waiting(number);
        }
        let account = self.machine.device().address().account_id;
        self.event(Event::MemberLeft { room: room_id, account });
    }

    fn room_closed(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&room_id)
            && !room.is_closed
        {
            room.is_closed = true;
            self.save_room(room_id);
            self.event(Event::RoomClosed { room: room_id });
        }
    }

    /// What happens in rooms beside messages.
    pub(super) fn room_news(&mut self, message: &Message) {
        match *message {
            Message::MemberJoined { room_id, account_id } => self.member_joined(room_id, account_id),
            Message::MemberLeft { room_id, account_id } => self.member_left(room_id, account_id),
            Message::RoomClosed { room_id } => self.room_closed(room_id),
            Message::Presence { room_id, account_id, state } if self.rooms.contains_key(&room_id) => {
                self.event(Event::Presence { room: room_id, account: account_id, state });
            }
            Message::Typing { room_id, device, state } if self.rooms.contains_key(&room_id) => {
                self.event(Event::Typing { room: room_id, account: device.account_id, state });
            }
            Message::E2eeKeyRotation { room_id, key } | Message::E2eeKeyExchange { room_id, key }
                if self.rooms.contains_key(&room_id) =>
            {
                // Answered with new sessions, before the next message.
                self.renew_later(key.user_id);
                self.event(Event::KeysRotated { room: room_id, account: key.user_id });
            }
            // Calls are the app's; and the rest was taken before.
            _ => {}
        }
    }

    pub(in crate::client) fn member_joined(&mut self, room_id: RoomId, account: AccountId) {
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        if !room.members.insert(account) {
            return;
        }
        self.save_room(room_id);
        if account != self.machine.device().address().account_id {
            self.event(Event::MemberJoined { room: room_id, account });
        }
    }

    pub(in crate::client) fn member_left(&mut self, room_id: RoomId, account: AccountId) {
        if account == self.machine.device().address().account_id {
            return self.room_left(room_id);
        }
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        if room.members.remove(&account) {
            self.save_room(room_id);
            self.event(Event::MemberLeft { room: room_id, account });
        }
    }
}

/// The policies of rooms that were left: a record for each.
pub(super) type Left = BTreeMap<RoomId, RoomPolicy>;

/// Rooms that were left at most, some 10 MiB. Past that no room is new: a policy that was forgotten could be shown as another.
const ROOMS_LEFT_MAX: usize = 65_536;
