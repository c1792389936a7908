//! The sessions with each device.
//!
//! Messages are sent on the session that was started last, or taken back into use since: a message
//! from the peer that brings a new ratchet key takes its session into use, because our next message
//! on it then has a new key too, which nobody can have stolen before. Other messages are read on
//! whatever session they belong to, and change nothing about which one is used: one that was held
//! back cannot bring us back to keys that were given up.
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
    /// When a message was last opened on it. Until there was one it is when the session was started,
    /// and out of use it is at least when it went out of use.
    used_at: Timestamp,
    pub(super) session: Box<PairwiseSession>,
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

    /// Adds a session, which is then in use. The one that has been out of use for longest makes room.
    pub(super) fn insert(
        &mut self,
        device: DeviceAddress,
        session: PairwiseSession,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let sessions = self.0.entry(device).or_default();
        let rank = sessions.last().map_or(0, |last| last.rank + 1);
        if let Some(last) = sessions.last_mut() {
            last.used_at = now; // It goes out of use.
            last.save(device, changes);
        }
        sessions.push(RankedSession { rank, used_at: now, session: Box::new(session) });
        if sessions.len() > limits::SESSIONS_PER_DEVICE_MAX {
            let dropped = sessions.remove(0);
            changes.delete(RecordKey::Session(device, dropped.session.id()));
        }
        Self::bound_skipped_keys(device, sessions, changes);
        self.save_in_use(device, changes);
    }

    /// Notes that a message was opened on a session, and saves it. It is taken into use if our next
    /// message on it brings a new key.
    pub(super) fn opened(&mut self, device: DeviceAddress, id: OpeningId, now: Timestamp, changes: &mut Changes) {
        let Some(sessions) = self.0.get_mut(&device) else { return };
        let Some(mut position) = sessions.iter().position(|ranked| ranked.session.id() == id) else { return };
        let last = sessions.len() - 1;
        if position < last && sessions.get(position).is_some_and(|ranked| ranked.session.ratchet().answers_next()) {
            let mut ranked = sessions.remove(position);
            if let Some(in_use) = sessions.last_mut() {
                in_use.used_at = now; // It goes out of use.
                in_use.save(device, changes);
                ranked.rank = in_use.rank + 1;
            }
            sessions.push(ranked);
            position = last;
        }
        if let Some(ranked) = sessions.get_mut(position) {
            ranked.used_at = now;
        }
        Self::bound_skipped_keys(device, sessions, changes);
        if let Some(ranked) = sessions.get(position) {
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

    /// Saves the session in use.
    fn save_in_use(&self, device: DeviceAddress, changes: &mut Changes) {
        if let Some(ranked) = self.sessions(device).last() {
            ranked.save(device, changes);
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

impl RankedSession {
    const SAVED_VERSION: u8 = 1;

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
