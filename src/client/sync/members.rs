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
    /// The root key that they have proven it for. None: the user has taken another one of theirs since.
    root_key: Option<Bytes<32>>,
    /// Every proof of theirs that was seen.
    proofs: BTreeSet<ProofId>,
}

/// Somebody whom the node shows as a member, and who is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Refused {
    reason: ErrorCode,
    /// What they have proven under the room's key all the same: which proof, and for which root key.
    proven: Option<(ProofId, Bytes<32>)>,
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
        Self { root_key: None, proofs: BTreeSet::new() }
    }
}

impl Room {
    /// Admits an account that the node shows as a member, if it was let in. `pinned` is the root key that it is known by.
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
        let proven = Some((proof.id(), *proof.root_key()));
        let is_another_root = pinned.is_some_and(|pinned| pinned != proof.root_key());
        if let Some(admitted) = self.members.get_mut(&account) {
            let is_new = admitted.proofs.len() < PROOFS_MAX && admitted.proofs.insert(proof.id());
            if is_new && !is_another_root {
                admitted.root_key = Some(*proof.root_key());
            }
            return if is_new { Admission::Again } else { Admission::Known };
        }
        if self.spent.contains(&proof.id()) {
            return self.refuse(account, ErrorCode::MemberRemoved, proven);
        }
        if is_another_root {
            return self.refuse(account, ErrorCode::IdentityChanged, proven);
        }
        self.refused.remove(&account);
        self.removed.remove(&account);
        let proofs = BTreeSet::from([proof.id()]);
        self.members.insert(account, Admitted { root_key: Some(*proof.root_key()), proofs });
        Admission::New
    }

    fn refuse(&mut self, account: AccountId, reason: ErrorCode, proven: Option<(ProofId, Bytes<32>)>) -> Admission {
        let before = self.refused.get(&account).map(|refused| refused.reason);
        // Who was let in before needs no proof again.
        if self.members.contains_key(&account) || before == Some(reason) {
            return Admission::Known;
        }
        if before.is_none() && self.refused.len() >= REFUSED_MAX {
            return Admission::Known;
        }
        self.refused.insert(account, Refused { reason, proven });
        Admission::Refused(reason)
    }

    /// The proofs that somebody was shown with.
    fn proofs_of(&self, account: AccountId) -> impl Iterator<Item = ProofId> {
        let of_member = self.members.get(&account).into_iter().flat_map(|admitted| &admitted.proofs);
        let of_refused = self.refused.get(&account).and_then(|refused| refused.proven).map(|(proof, _)| proof);
        of_member.copied().chain(of_refused)
    }

    /// The root key that an account has proven to have been let in with.
    fn proven_root(&self, account: AccountId) -> Option<Bytes<32>> {
        match self.members.get(&account) {
            Some(admitted) => admitted.root_key,
            None => self.refused.get(&account)?.proven.map(|(_, root_key)| root_key),
        }
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
        let mut has_changed = !room.was_level;
        (room.is_level, room.was_level) = (true, true);
        let is_there: BTreeSet<AccountId> = now.iter().map(|member| member.account_id).collect();
        room.refused.retain(|account, _| is_there.contains(account));
        let gone: Vec<AccountId> = room.members.keys().copied().filter(|known| !is_there.contains(known)).collect();
        let own = self.own_id();
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
            // What the socket tells may be older than a call by which the account has come back: the list says.
            self.is_synced = false;
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
        match self.learn(account).await {
            Ok(true) if proven.is_none_or(|proven| self.root_key_of(account) == Some(proven)) => Ok(true),
            Ok(false) => Ok(false),
            Ok(true) | Err(ClientError::OtherRootKey) => {
                self.expel(room_id, account);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether members have let an account in, and never with this root key.
    pub(super) fn is_let_in_with_another(&self, account: AccountId, root_key: &Bytes<32>) -> bool {
        let proven: Vec<Bytes<32>> = self.rooms.values().filter_map(|room| room.proven_root(account)).collect();
        !proven.is_empty() && !proven.contains(root_key)
    }

    /// Shuts somebody out of a room: the proofs that they have let them in no more. Returns those that were good until now.
    pub(super) fn shut_out(&mut self, room_id: RoomId, account: AccountId) -> Vec<ProofId> {
        let Some(room) = self.rooms.get_mut(&room_id) else { return Vec::new() };
        let good: Vec<ProofId> = room.proofs_of(account).filter(|proof| !room.spent.contains(proof)).collect();
        room.spent.extend(&good);
        room.removed.insert(account);
        self.save_room(room_id);
        good
    }

    /// Has somebody be a member as before, by these proofs.
    pub(super) fn let_back(&mut self, room_id: RoomId, account: AccountId, proofs: &[ProofId]) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.spent.retain(|spent| !proofs.contains(spent));
            room.removed.remove(&account);
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
        let is_member = room.members.contains_key(&writer);
        let is_shut_out = room.refused.contains_key(&writer) || room.removed.contains(&writer);
        (is_member || !is_shut_out) && key.has_marked(room_id, writer, root_key, mark)
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
        if self.root_key_of(account).is_none() && self.is_refused_for_root(room_id, account) {
            // Perhaps it is shown with the right one by now; before it is, they are not let in again by what they had.
            let learned = self.learn(account).await;
            if survive(learned)? != Some(true) {
                return Ok(false);
            }
        }
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
        let (proven, reason) =
            (room.proofs_of(account).last().zip(room.proven_root(account)), ErrorCode::IdentityChanged);
        room.members.remove(&account);
        room.refuse(account, reason, proven);
        self.save_room(room_id);
        self.event(Event::MemberRefused { room: room_id, account, reason });
    }

    fn is_refused_for_root(&self, room_id: RoomId, account: AccountId) -> bool {
        let refused = self.rooms.get(&room_id).and_then(|room| room.refused.get(&account));
        refused.is_some_and(|refused| refused.reason == ErrorCode::IdentityChanged)
    }

    /// The root key that an account is known by.
    fn root_key_of(&self, account: AccountId) -> Option<Bytes<32>> {
        self.machine.device_list(account).map(|list| list.root_key().to_wire())
    }

    fn own_id(&self) -> AccountId {
        self.machine.device().address().account_id
    }
}

/// Refused members of a room that are remembered, so that each is told of once in a run.
const REFUSED_MAX: usize = 1_024;

/// Proofs of a member that are remembered. It makes a new one each time that it comes in.
const PROOFS_MAX: usize = 16;
