//! Rooms: followed on the socket, their policy pinned, their key known.
//!
//! Policy and key come from whoever invites, or from another device of this account: the node is not asked. A room whose key
//! is not here yet is followed when it is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::answers::Pending;
use super::members::{Admitted, Members, RefusedMembers};
use super::{ClientError, Worker, survive};
use crate::client::events::Event;
use crate::ids::{AccountId, LogEpoch, RoomId};
use crate::protocol::membership::{MembershipKey, ProofId};
use crate::wire::{Command, Custody, ErrorCode, Message, Position, Presence, Protection, RoomPolicy, RoomSummary};

/// A room of this account.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::client) struct Room {
    /// By the word of whoever has made the room or invited into it, if the key is here; else the node's.
    pub(in crate::client) policy: RoomPolicy,
    /// What the members share: a record of its own. Without it nobody is known to be a member.
    #[serde(skip)]
    pub(in crate::client) key: Option<Box<MembershipKey>>,
    /// As the app was told.
    pub(in crate::client) members: Members,
    /// Whom the node shows as members too.
    #[serde(skip)]
    pub(in crate::client) refused: RefusedMembers,
    /// Proofs that let nobody in any more.
    pub(super) spent: BTreeSet<ProofId>,
    /// Whom this device has removed, and nobody has let in again.
    pub(super) removed: BTreeSet<AccountId>,
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
    pub(super) is_level: bool,
    /// Whether it ever was.
    pub(super) was_level: bool,
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
        Self {
            policy,
            key: None,
            members: Members::new(),
            refused: RefusedMembers::new(),
            spent: BTreeSet::new(),
            removed: BTreeSet::new(),
            read: None,
            is_closed: false,
            shown: None,
            following: Following::No,
            is_level: false,
            was_level: false,
        }
    }

    pub(in crate::client) fn is_followed(&self) -> bool {
        self.following == Following::Yes
    }

    /// Whether this device reads and writes there.
    pub(in crate::client) fn is_open(&self) -> bool {
        let is_ours =
            matches!(self.policy, RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, .. });
        is_ours && self.shown.is_none() && self.key.is_some()
    }

    /// Whether its log is to be asked for.
    fn is_wanting(&self) -> bool {
        self.following == Following::No && self.is_open()
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
    /// [`ClientError::NotJoined`]; [`ClientError::PolicyChanged`] if the node has shown another one;
    /// [`ClientError::NoMembershipKey`].
    pub(super) fn usable(&self, room_id: RoomId) -> Result<RoomPolicy, ClientError> {
        let room = self.rooms.get(&room_id).ok_or(ClientError::NotJoined { room: room_id })?;
        match room.shown {
            Some(shown) => Err(ClientError::PolicyChanged { room: room_id, pinned: room.policy, shown }),
            // A room whose keys the node holds has none; nothing is sealed for it here.
            None if room.key.is_none() && room.policy.custody == Custody::Client => {
                Err(ClientError::NoMembershipKey { room: room_id })
            }
            None => Ok(room.policy),
        }
    }

    /// Takes a room that this account is in, or checks it against what is known.
    pub(in crate::client) fn see_room(&mut self, summary: &RoomSummary) -> Result<(), ClientError> {
        let RoomSummary { room_id, policy, closed_at, kept, .. } = *summary;
        let account = self.machine.device().address().account_id;
        let kept = kept.zip(self.vault_key());
        let kept = kept.and_then(|(kept, key)| MembershipKey::open_kept(key, (account, room_id), &kept).ok());
        match kept {
            Some((key, pinned)) => self.take_room(room_id, pinned, Some(key))?,
            None => self.take_room(room_id, policy, None)?,
        }
        self.check_policy(room_id, policy)?;
        if closed_at.is_some() {
            self.room_closed(room_id);
        }
        Ok(())
    }

    /// Takes a room with its policy and key. The first key holds, and the policy that it came with: what the node has said
    /// of a room before does not count.
    pub(super) fn take_room(
        &mut self,
        room_id: RoomId,
        policy: RoomPolicy,
        key: Option<MembershipKey>,
    ) -> Result<(), ClientError> {
        if self.rooms.get(&room_id).is_some_and(|room| room.key.is_some() || key.is_none()) {
            return Ok(());
        }
        let mut room = Room::new(policy);
        if let Some(key) = key {
            if self.left.len() >= ROOMS_LEFT_MAX && !self.left.contains_key(&room_id) {
                return Err(ClientError::TooManyRooms);
            }
            // A room that was left is what it was: nobody can take it away and give it back as another.
            if let Some(Left { policy, spent, removed }) = self.left.remove(&room_id) {
                (room.policy, room.spent, room.removed) = (policy, spent, removed);
            }
            room.key = Some(Box::new(key));
            room.members.insert(self.machine.device().address().account_id, Admitted::own());
        }
        self.rooms.insert(room_id, room);
        self.save_room(room_id);
        self.check_policy(room_id, policy)
    }

    /// The policy that a room has for good, if one is known for good.
    pub(super) fn pinned(&self, room_id: RoomId) -> Option<RoomPolicy> {
        let of_room = self.rooms.get(&room_id).filter(|room| room.key.is_some()).map(|room| room.policy);
        of_room.or_else(|| self.left.get(&room_id).map(|left| left.policy))
    }

    /// The key of a room, if this device has it.
    pub(super) fn membership_key(&self, room_id: RoomId) -> Option<MembershipKey> {
        let key = self.rooms.get(&room_id)?.key.as_ref()?;
        Some(MembershipKey::decode(&key.encode_secret()))
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
            self.room_left(room_id).await?;
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

    pub(super) fn joined(&mut self, room_id: RoomId, policy: RoomPolicy, online: Vec<AccountId>) {
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
    pub(in crate::client) async fn room_left(&mut self, room_id: RoomId) -> Result<(), ClientError> {
        let Some(room) = self.rooms.remove(&room_id) else { return Ok(()) };
        // The node's word for a room is nothing to keep.
        if room.key.is_some() {
            let Room { policy, spent, removed, .. } = room;
            self.left.insert(room_id, Left { policy, spent, removed });
        }
        self.save_room(room_id);
        for number in self.outbox.of_room(room_id) {
            if let Some(waiting) = self.outbox.remove(number) {
                self.not_sent(waiting.conversation, waiting.message, ErrorCode::UnknownRoom).await?;
            }
            self.save_waiting(number);
        }
        let account = self.machine.device().address().account_id;
        self.event(Event::MemberLeft { room: room_id, account });
        Ok(())
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
    pub(super) async fn room_news(&mut self, message: &Message) -> Result<(), ClientError> {
        match *message {
            Message::MemberJoined { room_id, account_id, proof } => {
                self.member_joined(room_id, account_id, proof.as_ref()).await?;
            }
            Message::MemberLeft { room_id, account_id } => self.member_left(room_id, account_id),
            Message::RoomClosed { room_id } => self.room_closed(room_id),
            Message::Presence { room_id, account_id, state } if self.rooms.contains_key(&room_id) => {
                self.event(Event::Presence { room: room_id, account: account_id, state });
            }
            Message::Typing { room_id, device, state }
                if self.rooms.contains_key(&room_id) && self.typing.hear(room_id, device, state, Instant::now()) =>
            {
                self.event(Event::Typing { room: room_id, account: device.account_id, state });
            }
            // Both are answered with new sessions, before the next message.
            Message::E2eeKeyRotation { room_id, key } | Message::E2eeKeyExchange { room_id, key }
                if self.renew_later(room_id, key.user_id) =>
            {
                self.event(Event::KeysRotated { room: room_id, account: key.user_id });
            }
            Message::E2eeKeyRevoke { room_id, user_id, .. } if self.renew_later(room_id, user_id) => {
                self.event(Event::KeysRevoked { room: room_id, account: user_id });
            }
            // Calls are the app's; and the rest was taken before.
            _ => {}
        }
        Ok(())
    }
}

/// What is kept of a room that was left: a record for each.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Left {
    policy: RoomPolicy,
    spent: BTreeSet<ProofId>,
    removed: BTreeSet<AccountId>,
}

/// Rooms that were left. Past that no room is new: who was removed from one that was forgotten could be
/// shown as a member again.
const ROOMS_LEFT_MAX: usize = 65_536;
