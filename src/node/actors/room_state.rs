//! What a room admits: its rules, without a runtime.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::session::ConnectionId;
use crate::ids::{AccountId, LogEpoch, RoomId};
use crate::node::nonces::Nonces;
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
    online: Online,
    roll: Roll,
    window: ReplayWindow,
    /// Nonces of the last minutes.
    nonces: Nonces,
}

type Online = BTreeMap<AccountId, BTreeSet<ConnectionId>>;

/// What has been heard since the shards were last asked who is here.
#[derive(Debug, Default)]
struct Roll {
    number: u64,
    /// Zero if all have answered.
    answers_missing: usize,
    here: Online,
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
            online: Online::new(),
            roll: Roll::default(),
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
        self.roll.here.remove(&account);
        self.online.remove(&account).is_some()
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// A socket has joined. Whether its account was not here before.
    pub(super) fn arrive(&mut self, account: AccountId, connection: ConnectionId) -> Option<Presence> {
        if self.roll.answers_missing > 0 {
            self.roll.here.entry(account).or_default().insert(connection);
        }
        let connections = self.online.entry(account).or_default();
        let is_first = connections.is_empty();
        connections.insert(connection);
        is_first.then_some(Presence::Online)
    }

    /// A socket has gone. Whether it was its account's last.
    pub(super) fn depart(&mut self, account: AccountId, connection: ConnectionId) -> Option<Presence> {
        remove(&mut self.roll.here, account, connection);
        remove(&mut self.online, account, connection).then_some(Presence::Offline)
    }

    /// Begins to ask so many shards who is here. Each answer is to come with the number that is returned, after an
    /// [`arrive`](Self::arrive) for each socket that it names.
    pub(super) fn begin_roll(&mut self, shards: usize) -> u64 {
        self.roll = Roll { number: self.roll.number + 1, answers_missing: shards, here: Online::new() };
        self.roll.number
    }

    /// One shard has answered. Once all have, whom none has named and who has not come since is gone: those accounts are
    /// returned.
    pub(super) fn end_answer(&mut self, number: u64) -> Vec<AccountId> {
        if number != self.roll.number || self.roll.answers_missing == 0 {
            return Vec::new();
        }
        self.roll.answers_missing -= 1;
        if self.roll.answers_missing > 0 {
            return Vec::new();
        }
        let before = core::mem::replace(&mut self.online, core::mem::take(&mut self.roll.here));
        before.into_keys().filter(|account| !self.online.contains_key(account)).collect()
    }

    /// What is remembered, for the tests of the setting.
    #[cfg(test)]
    pub(super) const fn nonces(&self) -> &Nonces {
        &self.nonces
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

/// Forgets a socket. Whether it was its account's last.
fn remove(online: &mut Online, account: AccountId, connection: ConnectionId) -> bool {
    let Some(connections) = online.get_mut(&account) else { return false };
    connections.remove(&connection);
    let is_last = connections.is_empty();
    if is_last {
        online.remove(&account);
    }
    is_last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Custody, Signatures};

    const ADA: AccountId = AccountId::from_bytes([1; 16]);
    const GRACE: AccountId = AccountId::from_bytes([2; 16]);
    const FIRST: ConnectionId = ConnectionId(1);
    const SECOND: ConnectionId = ConnectionId(2);
    const THIRD: ConnectionId = ConnectionId(3);

    fn room() -> RoomState {
        let policy =
            RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::On };
        let room = store::Room {
            room_id: RoomId::from_bytes([3; 16]),
            policy,
            epoch: LogEpoch::from_bytes([4; 8]),
            head: 0,
            created_at: Timestamp::from_millis(0),
            closed_at: None,
        };
        RoomState::new(&room, [ADA, GRACE].into(), Duration::from_secs(60))
    }

    #[test]
    fn whom_no_shard_names_is_gone_once_all_have_answered() {
        let mut room = room();
        room.arrive(ADA, FIRST);
        room.arrive(GRACE, SECOND);
        let roll = room.begin_roll(2);

        room.arrive(ADA, FIRST);
        assert_eq!(room.end_answer(roll), []);
        assert_eq!(room.online(), [ADA, GRACE]);
        assert_eq!(room.end_answer(roll), [GRACE]);
        assert_eq!(room.online(), [ADA]);
        assert_eq!(room.depart(ADA, FIRST), Some(Presence::Offline));
        assert!(room.is_idle());
    }

    #[test]
    fn who_comes_or_goes_while_shards_answer_is_counted() {
        let mut room = room();
        room.arrive(ADA, FIRST);
        let roll = room.begin_roll(2);
        room.arrive(ADA, FIRST);
        room.end_answer(roll);
        room.depart(ADA, FIRST);
        room.arrive(GRACE, SECOND);
        room.arrive(GRACE, THIRD);

        assert_eq!(room.end_answer(roll), []);
        assert_eq!(room.online(), [GRACE]);
        assert_eq!(room.depart(GRACE, SECOND), None);
        assert_eq!(room.depart(GRACE, THIRD), Some(Presence::Offline));
    }

    #[test]
    fn the_answer_to_an_older_question_ends_nothing() {
        let mut room = room();
        room.arrive(ADA, FIRST);
        let older = room.begin_roll(1);
        let roll = room.begin_roll(1);

        assert_eq!(room.end_answer(older), []);
        assert_eq!(room.online(), [ADA]);
        assert_eq!(room.end_answer(roll), [ADA]);
        assert_eq!(room.end_answer(roll), []);
    }
}
