//! The members of a room: those who have proven that a member let them in.
//!
//! The node says who has come and gone. Who has come is believed with a proof under the room's key, which the node has not;
//! without one they are refused: the app is told, nothing is sealed for them, and nothing of theirs is shown. Who has gone
//! is believed at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::rooms::Room;
use super::{ClientError, Worker, survive};
use crate::client::events::Event;
use crate::ids::{AccountId, RoomId};
use crate::protocol::membership::{MembershipProof, ProofId};
use crate::protocol::public::VerifiedDeviceList;
use crate::wire::{Bytes, ErrorCode, MemberMark, MembershipProofBytes};

/// A member who was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::client) struct Admitted {
    /// The root key that the proof is for. None: it is this account, or the user has taken another key of theirs since.
    root_key: Option<Bytes<32>>,
    /// None of this account.
    proof: Option<ProofId>,
}

/// Somebody whom the node shows as a member, and who is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Refused {
    reason: ErrorCode,
    /// One that is under the room's key.
    proof: Option<ProofId>,
}

/// The members of a room, and how they were let in.
pub(super) type Members = BTreeMap<AccountId, Admitted>;

/// Whom the node shows as members too.
pub(super) type RefusedMembers = BTreeMap<AccountId, Refused>;

/// What became of somebody whom the node shows as a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// Nothing is new.
    Known,
    /// A member has proven anew.
    Again,
    New,
    /// For the first time, or for another reason than before.
    Refused(ErrorCode),
}

impl Admitted {
    /// This account itself, which needs no proof here.
    pub(super) const fn own() -> Self {
        Self { root_key: None, proof: None }
    }
}

impl Room {
    /// Takes an account in that the node shows as a member, if it was let in. `pinned` is the root key that it is known by.
    fn admit(
        &mut self,
        room_id: RoomId,
        account: AccountId,
        shown: Option<&MembershipProofBytes>,
        pinned: Option<&Bytes<32>>,
    ) -> Admission {
        let Some(key) = &self.key else { return Admission::Known };
        let proof = shown.and_then(|bytes| MembershipProof::parse(bytes).ok());
        let Some(proof) = proof.filter(|proof| key.has_proven(room_id, account, proof)) else {
            return self.refuse(account, ErrorCode::NotVouched, None);
        };
        if self.spent.contains(&proof.id()) {
            self.refuse(account, ErrorCode::MemberRemoved, Some(proof.id()))
        } else if pinned.is_some_and(|pinned| pinned != proof.root_key()) {
            self.refuse(account, ErrorCode::IdentityChanged, Some(proof.id()))
        } else {
            self.take_in(account, &proof)
        }
    }

    fn take_in(&mut self, account: AccountId, proof: &MembershipProof) -> Admission {
        self.refused.remove(&account);
        let admitted = Admitted { root_key: Some(*proof.root_key()), proof: Some(proof.id()) };
        let before = self.members.get(&account).map(|before| before.proof);
        match before {
            None => {}
            Some(before) if before == admitted.proof || self.spent.len() >= SPENT_MAX => return Admission::Known,
            // The one before is not to bring them back when they are gone.
            Some(before) => self.spent.extend(before),
        }
        self.members.insert(account, admitted);
        if before.is_some() { Admission::Again } else { Admission::New }
    }

    fn refuse(&mut self, account: AccountId, reason: ErrorCode, proof: Option<ProofId>) -> Admission {
        let before = self.refused.get(&account).map(|refused| refused.reason);
        // Who was let in before needs no proof again.
        if self.members.contains_key(&account) || before == Some(reason) {
            return Admission::Known;
        }
        if before.is_none() && self.refused.len() >= REFUSED_MAX {
            return Admission::Known;
        }
        self.refused.insert(account, Refused { reason, proof });
        Admission::Refused(reason)
    }

    /// The proof that somebody is shown with.
    fn proof_of(&self, account: AccountId) -> Option<ProofId> {
        let of_member = self.members.get(&account).and_then(|admitted| admitted.proof);
        of_member.or_else(|| self.refused.get(&account)?.proof)
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
                Err(error) if error.is_transient() && self.rooms.get(&room_id).is_some_and(|room| room.was_level) => {}
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
        (room.is_level, room.was_level) = (true, true);
        let is_there: BTreeSet<AccountId> = now.iter().map(|member| member.account_id).collect();
        room.refused.retain(|account, _| is_there.contains(account));
        let gone: Vec<AccountId> = room.members.keys().copied().filter(|known| !is_there.contains(known)).collect();
        let (own, mut has_changed) = (self.own_id(), false);
        for account in gone.into_iter().filter(|account| *account != own) {
            has_changed |= self.take_out(room_id, account);
        }
        for member in now {
            has_changed |= self.take_in(room_id, member.account_id, member.proof.as_ref()).await?;
        }
        if has_changed {
            self.save_room(room_id);
        }
        Ok(())
    }

    /// The node shows somebody as a member.
    pub(super) async fn member_joined(
        &mut self,
        room_id: RoomId,
        account: AccountId,
        proof: Option<&MembershipProofBytes>,
    ) -> Result<(), ClientError> {
        if self.take_in(room_id, account, proof).await? {
            self.save_room(room_id);
        }
        Ok(())
    }

    /// Somebody is no member any more.
    pub(in crate::client) fn member_left(&mut self, room_id: RoomId, account: AccountId) {
        if account == self.own_id() {
            self.room_left(room_id);
        } else if self.take_out(room_id, account) {
            self.save_room(room_id);
        }
    }

    /// Whether a member's devices are known, and are those of the root key that they were let in with. Else nothing is sealed
    /// for them: one with another root key is refused, and that key is not taken for theirs.
    ///
    /// # Errors
    /// As [`learn`](Self::learn).
    pub(super) async fn learn_member(&mut self, room_id: RoomId, account: AccountId) -> Result<bool, ClientError> {
        let Some(admitted) = self.rooms.get(&room_id).and_then(|room| room.members.get(&account)) else {
            return Ok(false);
        };
        let proven = admitted.root_key;
        if self.root_key_of(account).is_none()
            && let Some(proven) = proven
        {
            let Some(list) = self.rest(|api| async move { api.device_list(account).await }).await? else {
                return Ok(false);
            };
            if list.root_key != proven {
                self.expel(room_id, account);
                return Ok(false);
            }
            self.take_devices(account, &list)?;
        } else if !self.learn(account).await? {
            return Ok(false);
        }
        let is_proven = proven.is_none_or(|proven| self.root_key_of(account) == Some(proven));
        if !is_proven {
            self.expel(room_id, account);
        }
        Ok(is_proven)
    }

    /// Has the proof of a member let nobody in again. Returns it, if it was good until now.
    pub(super) fn spend_proof(&mut self, room_id: RoomId, account: AccountId) -> Option<ProofId> {
        let room = self.rooms.get_mut(&room_id)?;
        let proof = room.proof_of(account).filter(|proof| !room.spent.contains(proof))?;
        room.spent.insert(proof);
        self.save_room(room_id);
        Some(proof)
    }

    /// Has a proof be good again.
    pub(super) fn restore_proof(&mut self, room_id: RoomId, proof: ProofId) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.spent.remove(&proof);
            self.save_room(room_id);
        }
    }

    /// The user has taken another root key of an account: it is a member with that one.
    pub(super) fn admit_with_new_root(&mut self, account: AccountId) {
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room_id in rooms {
            let Some(room) = self.rooms.get_mut(&room_id) else { continue };
            // One who was refused may have proven it for this key.
            room.is_level &= room.refused.remove(&account).is_none();
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

    /// Whether a message in a room is of somebody who is a member, or was one: by the mark that it carries.
    pub(super) fn is_of_member(&self, room_id: RoomId, writer: AccountId, mark: Option<&MemberMark>) -> bool {
        let Some(room) = self.rooms.get(&room_id) else { return false };
        let root_key = self.machine.device_list(writer).map(VerifiedDeviceList::root_key);
        let (Some(key), Some(root_key), Some(mark)) = (&room.key, root_key, mark) else { return false };
        !room.refused.contains_key(&writer) && key.has_marked(room_id, writer, root_key, mark)
    }

    /// Whether somebody is a member now.
    pub(super) fn is_member(&self, room_id: RoomId, account: AccountId) -> bool {
        self.rooms.get(&room_id).is_some_and(|room| room.members.contains_key(&account))
    }
}

impl Worker {
    /// True if the room has changed, and is to be saved.
    async fn take_in(
        &mut self,
        room_id: RoomId,
        account: AccountId,
        proof: Option<&MembershipProofBytes>,
    ) -> Result<bool, ClientError> {
        let pinned = self.root_key_of(account);
        let Some(room) = self.rooms.get_mut(&room_id) else { return Ok(false) };
        match room.admit(room_id, account, proof, pinned.as_ref()) {
            Admission::Known => return Ok(false),
            Admission::Again => {}
            Admission::New => self.event(Event::MemberJoined { room: room_id, account }),
            Admission::Refused(reason) => {
                self.event(Event::MemberRefused { room: room_id, account, reason });
                if reason == ErrorCode::IdentityChanged {
                    // If the account has begun anew, the user is asked to take its new key.
                    let fetched = self.fetch_devices(account).await;
                    survive(fetched)?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if the room has changed, and is to be saved.
    fn take_out(&mut self, room_id: RoomId, account: AccountId) -> bool {
        let Some(room) = self.rooms.get_mut(&room_id) else { return false };
        room.refused.remove(&account);
        let was_member = room.members.remove(&account).is_some();
        if was_member {
            self.event(Event::MemberLeft { room: room_id, account });
        }
        was_member
    }

    /// Somebody who was let in is shown with another root key than that was for.
    fn expel(&mut self, room_id: RoomId, account: AccountId) {
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        let (proof, reason) = (room.proof_of(account), ErrorCode::IdentityChanged);
        room.members.remove(&account);
        room.refuse(account, reason, proof);
        self.save_room(room_id);
        self.event(Event::MemberRefused { room: room_id, account, reason });
    }

    /// The root key that an account is known by.
    fn root_key_of(&self, account: AccountId) -> Option<Bytes<32>> {
        self.machine.device_list(account).map(|list| list.root_key().to_wire())
    }

    fn own_id(&self) -> AccountId {
        self.machine.device().address().account_id
    }
}

/// Refused members of a room that are remembered, so that each is told of once.
const REFUSED_MAX: usize = 1_024;

/// Proofs that are remembered because another took their place, some 100 KiB. Past that none takes another's place.
const SPENT_MAX: usize = 4_096;
