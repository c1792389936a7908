//! The sessions with each device.
//!
//! Messages are sent on the session on which the peer was heard last, or on a newer one that was
//! started since. When both sides start at once there are two sessions for a while; the first
//! message that is answered brings both sides onto one.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::changes::{Changes, RecordKey};
use super::load::Malformed;
use crate::ids::{AccountId, DeviceAddress, OpeningId};
use crate::protocol::public::limits;
use crate::protocol::session::PairwiseSession;
use crate::wire::{Reader, Timestamp, Writer};

/// The sessions with every device, of each the one in use last.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<DeviceAddress, Vec<RankedSession>>);

/// A session with its place among those with the same device: the highest rank is in use.
/// Saved form: version 1, rank `u64`, session.
#[derive(Debug)]
pub(super) struct RankedSession {
    rank: u64,
    pub(super) session: Box<PairwiseSession>,
}

/// The highest rank that loads: ranks count messages at most, so what is above it was altered, and
/// from here counting on does not overflow.
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

    /// As [`in_use`](Self::in_use), to move past a message that was sealed.
    pub(super) fn in_use_mut(&mut self, device: DeviceAddress) -> Option<&mut PairwiseSession> {
        self.sessions_mut(device).last_mut().map(|ranked| &mut *ranked.session)
    }

    /// Adds a session, which is then in use. The one that has been out of use for longest makes room.
    pub(super) fn insert(&mut self, device: DeviceAddress, session: PairwiseSession, changes: &mut Changes) {
        let sessions = self.0.entry(device).or_default();
        let rank = sessions.last().map_or(0, |last| last.rank + 1);
        sessions.push(RankedSession { rank, session: Box::new(session) });
        if sessions.len() > limits::SESSIONS_PER_DEVICE_MAX {
            let dropped = sessions.remove(0);
            changes.delete(RecordKey::Session(device, dropped.session.id()));
        }
        Self::bound_skipped_keys(device, sessions, changes);
        self.save_in_use(device, changes);
    }

    /// Takes into use the session on which the peer was just heard, and saves it.
    pub(super) fn take_into_use(&mut self, device: DeviceAddress, id: OpeningId, changes: &mut Changes) {
        let Some(sessions) = self.0.get_mut(&device) else { return };
        let rank = sessions.last().map_or(0, |last| last.rank);
        if let Some(position) = sessions.iter().position(|ranked| ranked.session.id() == id)
            && position + 1 < sessions.len()
        {
            let mut ranked = sessions.remove(position);
            ranked.rank = rank + 1;
            sessions.push(ranked);
        }
        Self::bound_skipped_keys(device, sessions, changes);
        self.save_in_use(device, changes);
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
    pub(super) fn save_in_use(&self, device: DeviceAddress, changes: &mut Changes) {
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

    /// Gives up keys of messages that have been awaited for too long.
    pub(super) fn expire(&mut self, now: Timestamp, changes: &mut Changes) {
        for (device, sessions) in &mut self.0 {
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
        let Self { rank, session } = self;
        let saved: Zeroizing<Vec<u8>> = session.save();
        let writer = Writer::with_capacity(1 + 8 + saved.len()).u8(Self::SAVED_VERSION).u64(*rank).bytes(&saved);
        changes.put(RecordKey::Session(device, session.id()), writer.finish_secret());
    }

    fn load(saved: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let rank = reader.u64()?;
        if rank > RANK_MAX {
            return Err(Malformed);
        }
        Ok(Self { rank, session: Box::new(PairwiseSession::load(reader.rest())?) })
    }
}
