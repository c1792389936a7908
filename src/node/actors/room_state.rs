//! What a room admits: its rules, without a runtime.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::nonces::Nonces;
use super::session::ConnectionId;
use crate::ids::{AccountId, LogEpoch, RoomId};
use crate::node::store;
use crate::protocol::public::{ReplayWindow, StaleError};
use crate::wire::{Destination, Envelope, Position, Protection, RoomPolicy, Timestamp};
use crate::wire::{ErrorCode, Presence};

/// A room as its actor knows it.
pub(super) struct RoomState {
    room_id: RoomId,
    policy: RoomPolicy,
    epoch: LogEpoch,
    /// The last entry that was published.
    head: u64,
    is_closed: bool,
    members: BTreeSet<AccountId>,
    /// Sockets that have joined, by account.
    online: BTreeMap<AccountId, BTreeSet<ConnectionId>>,
    window: ReplayWindow,
    /// Nonces of the last minutes.
    nonces: Nonces,
}

/// Why a room does not admit an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AdmitError {
    /// The account is no member.
    #[error("not a member")]
    NotMember,
    /// The room is closed.
    #[error("the room is closed")]
    Closed,
    /// The envelope's form is not that of the room's policy.
    #[error("not what the room's policy asks for")]
    OtherPolicy,
    /// The envelope is for another place.
    #[error("for another room")]
    OtherRoom,
    /// Its time is outside the window.
    #[error(transparent)]
    Stale(#[from] StaleError),
    /// Its nonce was used by another envelope.
    #[error("the nonce was used before")]
    Replayed,
}

impl AdmitError {
    /// The code that stands for it where errors cross a boundary.
    pub(super) const fn code(self) -> ErrorCode {
        match self {
            Self::NotMember => ErrorCode::UnknownRoom,
            Self::Closed => ErrorCode::RoomClosed,
            Self::OtherPolicy => ErrorCode::OtherPolicy,
            Self::OtherRoom => ErrorCode::EnvelopeMalformed,
            Self::Stale(error) => error.code(),
            Self::Replayed => ErrorCode::EnvelopeReplayed,
        }
    }
}

impl RoomState {
    /// A room as the store has it.
    pub(super) fn new(room: &store::Room, members: BTreeSet<AccountId>, nonce_ttl: Duration) -> Self {
        let window = ReplayWindow::new(nonce_ttl);
        Self {
            room_id: room.room_id,
            policy: room.policy,
            epoch: room.epoch,
            head: room.head,
            is_closed: room.closed_at.is_some(),
            members,
            online: BTreeMap::new(),
            window,
            nonces: Nonces::new(window.nonce_ttl()),
        }
    }

    pub(super) const fn policy(&self) -> RoomPolicy {
        self.policy
    }

    /// The end of the log.
    pub(super) const fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.head }
    }

    /// Entries up to `seq` are published.
    pub(super) fn publish_to(&mut self, seq: u64) {
        self.head = self.head.max(seq);
    }

    pub(super) fn is_member(&self, account: AccountId) -> bool {
        self.members.contains(&account)
    }

    /// Takes an envelope whose signature was checked, and remembers its nonce. The same envelope again is admitted: the
    /// store answers it as it did before.
    ///
    /// # Errors
    /// [`AdmitError`]; nothing is remembered then.
    pub(super) fn admit(&mut self, envelope: &Envelope, now: Timestamp) -> Result<(), AdmitError> {
        if envelope.destination != Destination::Room(self.room_id) {
            return Err(AdmitError::OtherRoom);
        }
        if !self.is_member(envelope.sender.account_id) {
            return Err(AdmitError::NotMember);
        }
        if self.is_closed {
            return Err(AdmitError::Closed);
        }
        let is_of_policy = match self.policy.protection {
            Protection::Ratchet => envelope.recipient.is_some() && envelope.epoch.is_none(),
            Protection::Mls => envelope.recipient.is_none() && envelope.epoch.is_some(),
        };
        if !is_of_policy {
            return Err(AdmitError::OtherPolicy);
        }
        self.window.check(envelope.timestamp, now)?;
        if self.nonces.claim(envelope, now) { Ok(()) } else { Err(AdmitError::Replayed) }
    }

    /// An admitted envelope was not stored: it may come again.
    pub(super) fn forget(&mut self, envelope: &Envelope) {
        self.nonces.forget(envelope);
    }

    pub(super) fn add_member(&mut self, account: AccountId) {
        self.members.insert(account);
    }

    /// The account is no member any more. Returns whether it was online.
    pub(super) fn remove_member(&mut self, account: AccountId) -> bool {
        self.members.remove(&account);
        self.online.remove(&account).is_some()
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// A socket has joined. Whether its account was not here before.
    pub(super) fn arrive(&mut self, account: AccountId, connection: ConnectionId) -> Option<Presence> {
        let connections = self.online.entry(account).or_default();
        let is_first = connections.is_empty();
        connections.insert(connection);
        is_first.then_some(Presence::Online)
    }

    /// A socket has gone. Whether it was its account's last.
    pub(super) fn depart(&mut self, account: AccountId, connection: ConnectionId) -> Option<Presence> {
        let connections = self.online.get_mut(&account)?;
        connections.remove(&connection);
        if !connections.is_empty() {
            return None;
        }
        self.online.remove(&account);
        Some(Presence::Offline)
    }

    /// Who is here.
    pub(super) fn online(&self) -> Vec<AccountId> {
        self.online.keys().copied().collect()
    }

    /// Whether nobody is here.
    pub(super) fn is_idle(&self) -> bool {
        self.online.is_empty()
    }
}
