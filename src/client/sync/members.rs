//! The members of a room: those who have proven that a member let them in.
//!
//! The node says who has come and gone. Who has come is believed with a proof under the room's key, which the node has not;
//! without one they are refused: the app is told, nothing is sealed for them, and nothing of theirs is shown. Who has gone is
//! believed at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ClientError, Room, Worker};
use crate::client::events::Event;
use crate::ids::{AccountId, RoomId};
use crate::protocol::membership::{MembershipKey, MembershipProof, ProofId};
use crate::protocol::public::VerifiedDeviceList;
use crate::wire::{Bytes, MemberMark, MembershipProofBytes};

/// A member who was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::client) struct Admitted {
    /// The root key that the proof is for. None: the user has taken another one since.
    root_key: Option<Bytes<32>>,
    proof: ProofId,
}

/// What became of somebody whom the node shows as a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// Nothing is new.
    Known,
    /// A member has proven anew.
    Again,
    New,
    /// For the first time.
    Refused,
}

impl Room {
    /// Takes in an account that the node shows as a member, if it was let in. `pinned` is the root key that it is known by.
    fn admit(
        &mut self,
        room_id: RoomId,
        account: AccountId,
        proof: Option<&MembershipProofBytes>,
        pinned: Option<&Bytes<32>>,
    ) -> Admission {
        let Some(key) = &self.key else { return Admission::Known };
        let is_good = |proof: &MembershipProof| {
            !self.removed.contains(&proof.id())
                && pinned.is_none_or(|pinned| pinned == proof.root_key())
                && key.has_proven(room_id, account, proof)
        };
        let proof = proof.and_then(|bytes| MembershipProof::parse(bytes).ok()).filter(is_good);
        let Some(proof) = proof else {
            // Who was let in before needs no proof again.
            let is_news = !self.members.contains_key(&account) && self.refuse(account);
            return if is_news { Admission::Refused } else { Admission::Known };
        };
        self.refused.remove(&account);
        let admitted = Admitted { root_key: Some(*proof.root_key()), proof: proof.id() };
        match self.members.insert(account, admitted) {
            None => Admission::New,
            Some(before) if before.proof == proof.id() => {
                // What the user has taken stands.
                self.members.insert(account, before);
                Admission::Known
            }
            Some(_) => Admission::Again,
        }
    }

    /// Remembers that somebody was refused. False if that is known, or cannot be kept.
    fn refuse(&mut self, account: AccountId) -> bool {
        self.refused.len() < REFUSED_MAX && self.refused.insert(account)
    }
}

impl Worker {
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
        Ok(room.members.keys().copied().collect())
    }

    /// Has the members of a room as the node has them, and tells the app what has changed.
    pub(super) async fn fetch_members(&mut self, room_id: RoomId) -> Result<(), ClientError> {
        let now = self.rest(|api| async move { api.members(room_id).await }).await?;
        let Some(room) = self.rooms.get_mut(&room_id) else { return Ok(()) };
        room.is_level = true;
        let is_there: BTreeSet<AccountId> = now.iter().map(|member| member.account_id).collect();
        room.refused.retain(|account| is_there.contains(account));
        let gone: Vec<AccountId> = room.members.keys().copied().filter(|known| !is_there.contains(known)).collect();
        let own = self.machine.device().address().account_id;
        for account in gone.into_iter().filter(|account| *account != own) {
            self.member_left(room_id, account);
        }
        for member in now {
            self.member_joined(room_id, member.account_id, member.proof.as_ref());
        }
        Ok(())
    }

    /// The node shows somebody as a member.
    pub(super) fn member_joined(&mut self, room_id: RoomId, account: AccountId, proof: Option<&MembershipProofBytes>) {
        let pinned = self.machine.device_list(account).map(|list| list.root_key().to_wire());
        let is_own = account == self.machine.device().address().account_id;
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        match room.admit(room_id, account, proof, pinned.as_ref()) {
            Admission::Known => return,
            Admission::Again => {}
            Admission::New if is_own => {}
            Admission::New => self.event(Event::MemberJoined { room: room_id, account }),
            Admission::Refused => return self.event(Event::MemberRefused { room: room_id, account }),
        }
        self.save_room(room_id);
    }

    /// Somebody is no member any more.
    pub(in crate::client) fn member_left(&mut self, room_id: RoomId, account: AccountId) {
        if account == self.machine.device().address().account_id {
            return self.room_left(room_id);
        }
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        room.refused.remove(&account);
        if room.members.remove(&account).is_some() {
            self.save_room(room_id);
            self.event(Event::MemberLeft { room: room_id, account });
        }
    }

    /// This device has removed somebody: the proof that they had does not let them in again.
    pub(super) fn member_removed(&mut self, room_id: RoomId, account: AccountId) {
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        if let Some(admitted) = room.members.get(&account) {
            room.removed.insert(admitted.proof);
        }
        self.member_left(room_id, account);
    }

    /// Whether somebody is a member with the root key that they are known by. Who is one with another is refused.
    pub(super) fn is_admitted(&mut self, room_id: RoomId, account: AccountId) -> bool {
        let known = self.machine.device_list(account).map(|list| list.root_key().to_wire());
        let Some(room) = self.rooms.get_mut(&room_id) else { return false };
        let Some(admitted) = room.members.get(&account) else { return false };
        if admitted.root_key.is_none_or(|proven| known.is_none_or(|known| known == proven)) {
            return true;
        }
        room.members.remove(&account);
        let is_news = room.refuse(account);
        self.save_room(room_id);
        if is_news {
            self.event(Event::MemberRefused { room: room_id, account });
        }
        false
    }

    /// The user has taken another root key of an account: it is a member with that one.
    pub(super) fn admit_with_new_root(&mut self, account: AccountId) {
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room_id in rooms {
            let Some(room) = self.rooms.get_mut(&room_id) else { continue };
            // One who was refused may have proven it for this key.
            room.is_level &= !room.refused.contains(&account);
            if let Some(admitted) = room.members.get_mut(&account) {
                admitted.root_key = None;
                self.save_room(room_id);
            }
        }
    }

    /// What this account's messages in a room carry.
    pub(super) fn own_mark(&self, room_id: RoomId) -> Option<MemberMark> {
        let (own, key) = (self.machine.device(), self.rooms.get(&room_id)?.key.as_ref()?);
        Some(key.mark(room_id, own.address().account_id, own.root_key()))
    }

    /// Whether a message carries what its writer's messages in a room do.
    pub(super) fn is_marked(&self, room_id: RoomId, writer: AccountId, mark: Option<&MemberMark>) -> bool {
        let key = self.rooms.get(&room_id).and_then(|room| room.key.as_ref());
        let root_key = self.machine.device_list(writer).map(VerifiedDeviceList::root_key);
        let (Some(key), Some(root_key), Some(mark)) = (key, root_key, mark) else { return false };
        key.has_marked(room_id, writer, root_key, mark)
    }

    /// The key of a room, if this device has it.
    pub(super) fn membership_key(&self, room_id: RoomId) -> Option<MembershipKey> {
        let key = self.rooms.get(&room_id)?.key.as_ref()?;
        Some(MembershipKey::decode(&key.encode_secret()))
    }
}

/// The members of a room, and how they were let in.
pub(super) type Members = BTreeMap<AccountId, Admitted>;

/// Refused members of a room that are remembered, so that each is told of once.
const REFUSED_MAX: usize = 1_024;
