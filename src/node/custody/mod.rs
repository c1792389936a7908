//! Rooms whose keys the node holds (custody `node`), for thin clients. Whoever is the node can read what is said there.
//!
//! It is off unless `custody.enabled` is set, and a build without the feature `custody` has no code for it. This is the
//! one part of the node that can name a private key.
//!
//! ```text
//! Custody ── one of the seven calls ──► Keeper, one for each room with keys ── HeldRoom ── Participant, each member's keys
//! ```
//!
//! - Keys live in memory alone, in the room's keeper, on the worker that the room's id hashes to. A restart forgets them.
//! - A member has an identity (Ed25519 and X25519) and session keys (Ed25519 and X25519), which the identity certifies as
//!   an account's root certifies a device. Between two members runs a pairwise session of the protocol core: `PQXDH`, then
//!   the Double Ratchet. Both ends are in the same keeper, so a session is agreed whole: no opening is ever sent.
//! - An envelope is opened in this order: recipient, signature, nonce, ratchet; then the nonce is remembered. After an
//!   error everything is as it was.
//! - Keys are wiped when their owner leaves or is removed, takes their device off the account's list, revokes or rotates them, when they expire (looked at with every
//!   call, and each second), when the room is closed and when the node stops.
//! - Session keys are made anew when their member asks, and by schedule if one is set. Identities expire whatever is set, and what
//!   they certify with them.
//! - Whatever grows has a limit in `limits.rs`; nonces have theirs in `node/nonces.rs`.
//!
//! What an attacker can still do: one who reads the node's memory, or what the system writes of it to a disk (swap, core
//! dumps, snapshots of a virtual machine), has keys and messages; run it with both off. One who is the operator can read
//! everything in such a room. A stolen access token encrypts and decrypts as its device, while keys are held. The texts of
//! messages pass through JSON values and buffers of HTTP, which the program's allocator wipes when they are freed.

mod error;
mod exchange;
mod held_room;
mod keeper;
mod limits;
mod participant;
mod retired;
mod seats;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Addr;
use dashmap::DashMap;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::ids::{AccountId, DeviceAddress, DeviceId, KeyId, RoomId};
use crate::node::store::Room;
use crate::wire::{DecryptedMessage, Envelope, ErrorCode, RoomKey, RoomKeyType, RoomKeys};

pub use held_room::Times;
pub use keeper::KeeperParts;

use held_room::{Answer, HeldRoom, Request};
use keeper::{Ask, Close, Forget, ForgetUnlisted, Keeper};
use seats::Seats;

/// The keys that the node holds.
#[derive(Clone)]
pub struct Custody(Arc<Inner>);

struct Inner {
    parts: KeeperParts,
    seats: Seats,
    /// The node stops: no keys are made any more.
    is_stopping: AtomicBool,
    /// Shared addresses, as in [`Routes`](crate::node::actors::Routes).
    keepers: DashMap<RoomId, Arc<Addr<Keeper>>>,
}

impl core::fmt::Debug for Custody {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Custody").field("rooms", &self.0.keepers.len()).finish_non_exhaustive()
    }
}

impl Custody {
    /// Holds no keys so far.
    #[must_use]
    pub fn new(parts: KeeperParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            seats: Seats::default(),
            is_stopping: AtomicBool::new(false),
            keepers: DashMap::new(),
        }))
    }

    /// Makes a member's keys. The first of them are an identity and session keys; a new identity comes with new
    /// session keys. Returns the one that was asked for.
    ///
    /// # Errors
    /// `unknown_room`, `room_closed`, `too_many_room_keys`, `unavailable`.
    pub async fn generate(
        &self,
        room: &Room,
        asker: DeviceAddress,
        key_type: RoomKeyType,
    ) -> Result<RoomKey, ErrorCode> {
        let keeper = self.keeper(room)?;
        expect_key(&Self::ask_of(&keeper, asker, Request::Generate(key_type)).await?)
    }

    /// Agrees on a session with another member, if there is none. Returns the other's keys.
    ///
    /// # Errors
    /// `no_room_keys` if one of both has none; `own_device`, `unavailable`.
    pub async fn exchange(&self, room: &Room, asker: DeviceAddress, peer: AccountId) -> Result<RoomKeys, ErrorCode> {
        expect_keys(self.ask(room, asker, Request::Exchange(peer)).await?)
    }

    /// A member's keys.
    ///
    /// # Errors
    /// `no_room_keys`, `unavailable`.
    pub async fn show(&self, room: &Room, asker: DeviceAddress, of: AccountId) -> Result<RoomKeys, ErrorCode> {
        expect_keys(self.ask(room, asker, Request::Show(of)).await?)
    }

    /// Makes a key anew, and forgets the sessions of the old one.
    ///
    /// # Errors
    /// `no_room_keys`, `unavailable`.
    pub async fn rotate(&self, room: &Room, asker: DeviceAddress, key_type: RoomKeyType) -> Result<RoomKey, ErrorCode> {
        expect_key(&self.ask(room, asker, Request::Rotate(key_type)).await?)
    }

    /// Wipes one of the asker's own keys; with the identity go the session keys.
    ///
    /// # Errors
    /// `unknown_room_key`, `unavailable`.
    pub async fn revoke(&self, room: &Room, asker: DeviceAddress, key_id: KeyId) -> Result<(), ErrorCode> {
        match self.ask(room, asker, Request::Revoke(key_id)).await {
            Err(ErrorCode::NoRoomKeys) => Err(ErrorCode::UnknownRoomKey),
            done => done.map(drop),
        }
    }

    /// Encrypts a message for another member, and agrees on a session before if there is none.
    ///
    /// # Errors
    /// `no_room_keys` if one of both has none; `message_too_long`, `own_device`, `unavailable`.
    pub async fn encrypt(
        &self,
        room: &Room,
        asker: DeviceAddress,
        recipient: AccountId,
        message: Map<String, Value>,
    ) -> Result<Envelope, ErrorCode> {
        match self.ask(room, asker, Request::Encrypt(recipient, message)).await? {
            Answer::Encrypted { envelope, .. } => Ok(*envelope),
            _ => Err(ErrorCode::Internal),
        }
    }

    /// Decrypts an envelope for the asker.
    ///
    /// # Errors
    /// `not_for_this_device`, then those of the signature and of its key, `envelope_replayed`, `no_session`, and those of
    /// the ratchet; `no_room_keys`, `unavailable`.
    pub async fn decrypt(
        &self,
        room: &Room,
        asker: DeviceAddress,
        envelope: Envelope,
    ) -> Result<DecryptedMessage, ErrorCode> {
        match self.ask(room, asker, Request::Decrypt(Box::new(envelope))).await? {
            Answer::Decrypted(message) => Ok(message),
            _ => Err(ErrorCode::Internal),
        }
    }

    /// An account is no member any more: what is held of it is wiped when this returns.
    pub async fn forget(&self, room_id: RoomId, account: AccountId) {
        if let Some(keeper) = self.live(room_id) {
            // It waits for a place in the mailbox. A keeper that has ended holds nothing.
            let _ = keeper.send(Forget(account)).await;
        }
    }

    /// An account has these devices: what is held for another one of it is wiped when this returns.
    pub async fn forget_unlisted(&self, room_id: RoomId, account: AccountId, listed: Vec<DeviceId>) {
        if let Some(keeper) = self.live(room_id) {
            let _ = keeper.send(ForgetUnlisted { account, listed }).await;
        }
    }

    /// The room is closed: everything that is held of it is wiped when this returns.
    pub async fn close(&self, room_id: RoomId) {
        if let Some(keeper) = self.live(room_id) {
            let _ = keeper.send(Close).await;
        }
        self.0.keepers.remove_if(&room_id, |_, keeper| !keeper.connected());
    }

    /// The node stops: everything is wiped when this returns.
    pub async fn drain(&self) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
        let rooms: Vec<RoomId> = self.0.keepers.iter().map(|entry| *entry.key()).collect();
        for room_id in rooms {
            self.close(room_id).await;
        }
    }

    async fn ask(&self, room: &Room, asker: DeviceAddress, request: Request) -> Result<Answer, ErrorCode> {
        let keeper = self.live(room.room_id).ok_or(ErrorCode::NoRoomKeys)?;
        Self::ask_of(&keeper, asker, request).await
    }

    async fn ask_of(keeper: &Addr<Keeper>, asker: DeviceAddress, request: Request) -> Result<Answer, ErrorCode> {
        let (reply, answer) = oneshot::channel();
        // A full mailbox refuses: calls that wait longer than it takes to ask again are of no use.
        keeper.try_send(Ask { asker, request, reply }).map_err(|_| ErrorCode::Unavailable)?;
        answer.await.unwrap_or(Err(ErrorCode::Unavailable))
    }

    fn live(&self, room_id: RoomId) -> Option<Arc<Addr<Keeper>>> {
        let keeper = self.0.keepers.get(&room_id)?;
        keeper.connected().then(|| Arc::clone(&keeper))
    }

    /// The keeper of a room, started if there is none, or if it has panicked: then what it held is gone.
    fn keeper(&self, room: &Room) -> Result<Arc<Addr<Keeper>>, ErrorCode> {
        let Inner { parts, seats, is_stopping, keepers } = &*self.0;
        let start = || {
            if is_stopping.load(Ordering::SeqCst) {
                return Err(ErrorCode::Unavailable);
            }
            let arbiter = parts.routes.arbiter_of(room.room_id).ok_or(ErrorCode::Unavailable)?;
            let held = HeldRoom::new(room.room_id, room.policy, parts.times, seats.clone());
            let (custody, parts) = (self.clone(), parts.clone());
            Ok(Arc::new(Keeper::start_on(&arbiter, held, parts, custody)))
        };
        // Looked at with the entry held: what is there before a drain lists it, the drain ends.
        let mut entry = match keepers.entry(room.room_id) {
            dashmap::Entry::Occupied(entry) => entry.into_ref(),
            dashmap::Entry::Vacant(entry) => return Ok(Arc::clone(&entry.insert(start()?))),
        };
        if !entry.connected() {
            *entry = start()?;
        }
        Ok(Arc::clone(&entry))
    }

    /// A keeper that holds nothing ends, unless another one stands in its place.
    fn remove(&self, room_id: RoomId, keeper: &Addr<Keeper>) {
        self.0.keepers.remove_if(&room_id, |_, known| **known == *keeper);
    }
}

fn expect_key(answer: &Answer) -> Result<RoomKey, ErrorCode> {
    match answer {
        Answer::Made { key, .. } | Answer::Rotated { key, .. } => Ok(*key),
        _ => Err(ErrorCode::Internal),
    }
}

fn expect_keys(answer: Answer) -> Result<RoomKeys, ErrorCode> {
    match answer {
        Answer::Keys(keys) | Answer::Exchanged { keys, .. } => Ok(keys),
        _ => Err(ErrorCode::Internal),
    }
}
