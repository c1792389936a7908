//! The sessions with each device.
//!
//! Messages are sent on the session that was started last, or taken back into use since. A message
//! takes its session into use if two things hold. Our next message on it brings a new ratchet key,
//! which nobody can have stolen before. And the message was not sent before the newest that was heard
//! on the session in use, or before that was started by us: one that was held back, be it a first
//! message, does not bring us back to keys that were given up. It is read where it belongs.
//!
//! When a message was sent is what its envelope says, so that of the peer's times one is compared with
//! another: how far the two clocks are apart does not matter. Only while a session of ours is unanswered
//! is a time of theirs compared with one of ours. If their clock is behind they follow us, or are
//! followed when the difference has passed; if it is ahead, a message held back for less than the
//! difference is taken for new. Of two sessions that cross at least one side takes the other's, for not
//! both can be the older.
//!
//! With signatures off the time is the node's word: a node that works with a thief can then date a
//! message anew. An envelope that waited at its sender is dated when it leaves.
//!
//! When both sides start at once there are two sessions for a while; the first message that does not
//! cross another brings both sides onto one. A session is forgotten when the peer is heard on the one
//! in use more than [`SESSION_UNUSED_KEPT`](limits::SESSION_UNUSED_KEPT) after it went out of use. Silence
//! forgets none, however long: what the peer sends next may be on any of them.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::changes::{Changes, RecordKey};
use super::error::MachineError;
use super::load::Malformed;
use super::prekeys::is_ahead;
use crate::ids::{AccountId, DeviceAddress, OpeningId};
use crate::protocol::public::limits;
use crate::protocol::session::{PairwiseSession, SessionStep};
use crate::wire::{Reader, Timestamp, Writer};

/// The sessions with every device, of each the one in use last.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<DeviceAddress, Vec<RankedSession>>);

/// A session with its place among those with the same device: the highest rank is in use.
/// Saved form: version 1, rank `u64`, last use `u64`, session.
#[derive(Debug)]
pub(super) struct RankedSession {
    rank: u64,
    /// In use: when the newest message that was opened on it was sent, but not after it was opened;
    /// until the peer has answered it is when we started the session. Out of use: when it went out of
    /// use, or when a message was last opened on it.
    used_at: Timestamp,
    pub(super) session: Box<PairwiseSession>,
}

/// What `Peers` has to know of a message that was opened.
pub(super) struct Heard {
    /// On which session.
    pub(super) id: OpeningId,
    /// Whether the session was of ours, and nothing was heard on it before.
    pub(super) is_first_answer: bool,
    /// When it was sent, by its envelope.
    pub(super) sent_at: Timestamp,
}

/// The first rank that does not load: ranks count messages at most, so it was altered, and from below
/// counting on does not overflow.
const RANK_MAX: u64 = u64::MAX / 2;

impl Peers {
    /// The sessions with a device, the one in use last.
    pub(super) fn sessions(&self, device: DeviceAddress) -> &[RankedSession] {
        self.0.get(&device).map_or(&[], Vec::as_slice)
    }

    /// As [`sessions`](Self::sessions), to open messages on.
    pub(super) fn sessions_mut(&mut self, device: DeviceAddress) -> &mut [RankedSession] {
        self.0.get_mut(&device).map_or(&mut [], Vec::as_mut_slice)
    }

    /// The session that messages to a device are sent on.
    pub(super) fn in_use(&self, device: DeviceAddress) -> Option<&PairwiseSession> {
        self.sessions(device).last().map(|ranked| &*ranked.session)
    }

    /// Adds a session that we start; it is then in use.
    pub(super) fn start(
        &mut self,
        device: DeviceAddress,
        session: PairwiseSession,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let mut sessions = self.0.remove(&device).unwrap_or_default();
        take_into_use(&mut sessions, session.into(), now, now);
        self.put(device, sessions, changes);
    }

    /// Adds a session that the peer has started, with a message sent at `sent_at`; it is then in use,
    /// unless the message is older than what was heard since.
    pub(super) fn respond(
        &mut self,
        device: DeviceAddress,
        session: PairwiseSession,
        sent_at: Timestamp,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let mut sessions = self.0.remove(&device).unwrap_or_default();
        match sessions.pop_if(|in_use| in_use.is_newer_than(sent_at, now)) {
            None => take_into_use(&mut sessions, session.into(), sent_at.min(now), now),
            Some(mut in_use) => {
                sessions.push(RankedSession { rank: in_use.rank, used_at: now, session: session.into() });
                in_use.rank += 1;
                sessions.push(in_use);
            }
        }
        self.put(device, sessions, changes);
    }

    /// Puts the sessions with a device in their place after one was added on top or below that, and saves
    /// those two. The one that has been out of use for longest makes room.
    fn put(&mut self, device: DeviceAddress, mut sessions: Vec<RankedSession>, changes: &mut Changes) {
        if sessions.len() > limits::SESSIONS_PER_DEVICE_MAX {
            let dropped = sessions.remove(0);
            changes.delete(RecordKey::Session(device, dropped.session.id()));
        }
        Self::bound_skipped_keys(device, &mut sessions, changes);
        for ranked in sessions.iter().rev().take(2) {
            ranked.save(device, changes);
        }
        self.0.insert(device, sessions);
    }

    /// Notes that a message was opened on a session, and saves it. It is taken into use if our next
    /// message on it brings a new key, and nothing newer was heard on the one in use.
    pub(super) fn opened(&mut self, device: DeviceAddress, heard: &Heard, now: Timestamp, changes: &mut Changes) {
        let Heard { id, is_first_answer, sent_at } = *heard;
        let Some(sessions) = self.0.get_mut(&device) else { return };
        let Some(position) = sessions.iter().position(|ranked| ranked.session.id() == id) else { return };
        let is_late = sessions.last().is_some_and(|in_use| in_use.is_newer_than(sent_at, now));
        let is_in_use = position + 1 == sessions.len();
        let mut ranked = sessions.remove(position);
        if is_in_use {
            // Our own time stood for the peer's until it was heard.
            let heard_at = sent_at.min(now);
            ranked.used_at = if is_first_answer { heard_at } else { ranked.used_at.max(heard_at) };
            sessions.push(ranked);
        } else if ranked.session.ratchet().answers_next() && !is_late {
            take_into_use(sessions, ranked.session, sent_at.min(now), now);
            if let [.., out_of_use, _] = sessions.as_slice() {
                out_of_use.save(device, changes);
            }
        } else {
            ranked.used_at = now;
            sessions.insert(position, ranked);
        }
        Self::bound_skipped_keys(device, sessions, changes);
        if let Some(ranked) = sessions.iter().find(|ranked| ranked.session.id() == id) {
            ranked.save(device, changes);
        }
    }

    /// Moves the session in use past a message that was sealed on it, and saves it.
    pub(super) fn sealed(
        &mut self,
        device: DeviceAddress,
        step: SessionStep,
        changes: &mut Changes,
    ) -> Result<(), MachineError> {
        let what = "a session went away between sealing and saving";
        let ranked = self.sessions_mut(device).last_mut().ok_or(MachineError::Internal { what })?;
        ranked.session.advance(step);
        ranked.save(device, changes);
        Ok(())
    }

    /// Keeps the keys of late messages of all sessions under their limit: older sessions give up first.
    fn bound_skipped_keys(device: DeviceAddress, sessions: &mut [RankedSession], changes: &mut Changes) {
        let mut room = limits::SKIPPED_KEYS_MAX;
        for ranked in sessions.iter_mut().rev() {
            let kept = ranked.session.ratchet().skipped_keys();
            if kept > room {
                ranked.session.trim(room);
                ranked.save(device, changes);
            }
            room -= kept.min(room);
        }
    }

    /// Forgets the sessions with those devices of an account that `is_removed` names.
    pub(super) fn remove_all(
        &mut self,
        account: AccountId,
        is_removed: impl Fn(DeviceAddress) -> bool,
        changes: &mut Changes,
    ) {
        self.0.retain(|device, sessions| {
            let is_kept = device.account_id != account || !is_removed(*device);
            if !is_kept {
                for ranked in sessions {
                    changes.delete(RecordKey::Session(*device, ranked.session.id()));
                }
            }
            is_kept
        });
    }

    /// Forgets sessions that the peer has long left, and gives up keys of messages that have been
    /// awaited for too long.
    pub(super) fn expire(&mut self, now: Timestamp, changes: &mut Changes) {
        for (device, sessions) in &mut self.0 {
            // Whoever holds nothing but older sessions is not heard on an unanswered one.
            let heard = sessions.last().filter(|in_use| in_use.session.is_answered()).map(|in_use| in_use.used_at);
            sessions.retain(|ranked| {
                let is_kept = heard.is_none_or(|heard| heard.since(ranked.used_at) <= limits::SESSION_UNUSED_KEPT);
                if !is_kept {
                    changes.delete(RecordKey::Session(*device, ranked.session.id()));
                }
                is_kept
            });
            for ranked in sessions {
                let kept = ranked.session.ratchet().skipped_keys();
                ranked.session.expire(now);
                if ranked.session.ratchet().skipped_keys() != kept {
                    ranked.save(*device, changes);
                }
            }
        }
    }

    pub(super) fn save(&self, changes: &mut Changes) {
        for (device, sessions) in &self.0 {
            for ranked in sessions {
                ranked.save(*device, changes);
            }
        }
    }

    /// Takes one saved session; they may come in any order.
    pub(super) fn load(&mut self, device: DeviceAddress, id: OpeningId, saved: &[u8]) -> Result<(), Malformed> {
        let ranked = RankedSession::load(saved)?;
        if ranked.session.id() != id {
            return Err(Malformed);
        }
        let sessions = self.0.entry(device).or_default();
        if sessions.len() == limits::SESSIONS_PER_DEVICE_MAX {
            return Err(Malformed);
        }
        let position = sessions.partition_point(|other| other.rank < ranked.rank);
        if sessions.get(position).is_some_and(|other| other.rank == ranked.rank) {
            return Err(Malformed);
        }
        sessions.insert(position, ranked);
        Ok(())
    }
}

/// Puts a session above the one in use, which goes out of use now.
fn take_into_use(sessions: &mut Vec<RankedSession>, session: Box<PairwiseSession>, used_at: Timestamp, now: Timestamp) {
    let rank = sessions.last().map_or(0, |in_use| in_use.rank + 1);
    if let Some(in_use) = sessions.last_mut() {
        in_use.used_at = now;
    }
    sessions.push(RankedSession { rank, used_at, session });
}

impl RankedSession {
    const SAVED_VERSION: u8 = 1;

    /// Whether something newer was heard on this session, which is in use, than what was sent at
    /// `sent_at`. A time of it that is ahead is of a wrong clock, and does not count: it would keep
    /// every other session out of use until then.
    fn is_newer_than(&self, sent_at: Timestamp, now: Timestamp) -> bool {
        sent_at < self.used_at && !is_ahead(self.used_at, now)
    }

    fn save(&self, device: DeviceAddress, changes: &mut Changes) {
        let Self { rank, used_at, session } = self;
        let saved: Zeroizing<Vec<u8>> = session.save();
        let writer = Writer::with_capacity(1 + 8 + 8 + saved.len()).u8(Self::SAVED_VERSION);
        let writer = writer.u64(*rank).u64(used_at.as_millis()).bytes(&saved);
        changes.put(RecordKey::Session(device, session.id()), writer.finish_secret());
    }

    fn load(saved: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let rank = reader.u64()?;
        if rank >= RANK_MAX {
            return Err(Malformed);
        }
        let used_at = Timestamp::from_millis(reader.u64()?);
        Ok(Self { rank, used_at, session: Box::new(PairwiseSession::load(reader.rest())?) })
    }
}
