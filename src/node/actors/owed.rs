//! What a room has to tell or ask a shard whose mailbox was full: it is told again, in the order in which it happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use actix::Addr;

use super::routes::Routes;
use super::shard::{CutOff, Shard, Whisper};
use crate::ids::{AccountId, RoomId};

/// Whispers that shards are owed. Those that pass by themselves are not kept.
#[derive(Debug, Default)]
pub(super) struct Owed {
    whispers: VecDeque<(Arc<Addr<Shard>>, Whisper)>,
    /// The last word on who is there, of each account of which a shard does not have it.
    presences: BTreeMap<AccountId, Untold>,
    /// Shards that were owed too much. Who follows the room there is cut off, and reads everything when it comes again.
    lost: Vec<Arc<Addr<Shard>>>,
    /// Whether one could not be asked who is here.
    pub(super) question: bool,
}

/// A whisper, and the shards that do not have it.
#[derive(Debug)]
struct Untold {
    whisper: Whisper,
    shards: Vec<Arc<Addr<Shard>>>,
}

impl Owed {
    /// Tells every shard, those that are owed something after what they are owed.
    pub(super) fn whisper(&mut self, routes: &Routes, whisper: &Whisper) {
        let mut shards = routes.shards();
        shards.retain(|shard| {
            let is_owed = self.whispers.iter().any(|(owed, _)| owed == shard);
            is_owed || routes.offer(shard, whisper.clone()).is_err()
        });
        if let Some(account) = whisper.presence_of() {
            // What was owed of it before holds no more.
            self.presences.remove(&account);
            if !shards.is_empty() {
                self.presences.insert(account, Untold { whisper: whisper.clone(), shards });
            }
        } else if whisper.is_lasting() {
            for shard in shards {
                self.add(shard, whisper.clone());
            }
        }
    }

    fn add(&mut self, shard: Arc<Addr<Shard>>, whisper: Whisper) {
        if self.whispers.len() < WHISPERS_MAX {
            self.whispers.push_back((shard, whisper));
            return;
        }
        for (shard, _) in core::mem::take(&mut self.whispers) {
            self.lose(shard);
        }
        self.lose(shard);
    }

    fn lose(&mut self, shard: Arc<Addr<Shard>>) {
        if !self.lost.contains(&shard) {
            self.lost.push(shard);
        }
    }

    /// Tells again what was refused. A shard that has ended is owed nothing.
    pub(super) fn tell(&mut self, routes: &Routes, room_id: RoomId) {
        self.lost.retain(|shard| routes.offer(shard, CutOff { room_id }).is_err() && shard.connected());
        let mut full: Vec<Arc<Addr<Shard>>> = Vec::new();
        self.whispers.retain(|(shard, whisper)| {
            let is_owed = full.contains(shard) || routes.offer(shard, whisper.clone()).is_err();
            if is_owed && !full.contains(shard) {
                full.push(Arc::clone(shard));
            }
            is_owed && shard.connected()
        });
        self.presences.retain(|_, Untold { whisper, shards }| {
            shards.retain(|shard| {
                let is_owed = full.contains(shard) || routes.offer(shard, whisper.clone()).is_err();
                is_owed && shard.connected()
            });
            !shards.is_empty()
        });
    }
}

/// Whispers that one room owes: more than happens in it in the time in which a shard that is not lost empties its mailbox.
const WHISPERS_MAX: usize = 256;
