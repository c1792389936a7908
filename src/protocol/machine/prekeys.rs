//! The prekeys of one kind that a device keeps the secret halves of.

use core::time::Duration;
use std::collections::BTreeMap;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::changes::{Changes, PrekeyKind, RecordKey};
use crate::ids::KeyId;
use crate::protocol::public::{agreement_key_id, kem_key_id, limits};
use crate::protocol::secret::{AgreementSecretKey, KemSeed};
use crate::wire::{Reader, Timestamp, WireError, Writer};

/// Prekeys of one kind, by id.
#[derive(Debug)]
pub(super) struct Prekeys<K> {
    kind: PrekeyKind,
    by_id: BTreeMap<KeyId, Box<Prekey<K>>>,
}

/// One prekey's secret half. Saved form: version 1, created `u64`, published 1 and then when `u64`, key
/// 32 or seed 64.
#[derive(Debug)]
pub(super) struct Prekey<K> {
    pub(super) key: K,
    pub(super) created_at: Timestamp,
    /// When the node was known to have it; later than of every key that it was told of before.
    published_at: Option<Timestamp>,
}

/// What is kept of a kind of prekey.
pub(super) trait PrekeySecret: Sized {
    fn generate(rng: &mut impl CryptoRng) -> Self;
    fn key_id(&self) -> KeyId;
    fn write(&self, writer: Writer) -> Writer;
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError>;
}

impl PrekeySecret for AgreementSecretKey {
    fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::generate(rng)
    }

    fn key_id(&self) -> KeyId {
        agreement_key_id(&self.public_key())
    }

    fn write(&self, writer: Writer) -> Writer {
        writer.bytes(self.secret_bytes())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array().map(Self::from_bytes)
    }
}

impl PrekeySecret for KemSeed {
    fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::generate(rng)
    }

    fn key_id(&self) -> KeyId {
        kem_key_id(&self.expand().public_key())
    }

    fn write(&self, writer: Writer) -> Writer {
        writer.bytes(self.as_bytes())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array().map(Self::from_bytes)
    }
}

impl<K: PrekeySecret> Prekeys<K> {
    pub(super) const fn new(kind: PrekeyKind) -> Self {
        Self { kind, by_id: BTreeMap::new() }
    }

    pub(super) fn get(&self, id: KeyId) -> Option<&K> {
        self.by_id.get(&id).map(|prekey| &prekey.key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// When the newest is to be replaced; at once, if there is none, or the node hands out another.
    pub(super) fn due_at(&self, now: Timestamp) -> Timestamp {
        match self.newest(now) {
            Some((id, prekey)) if prekey.published_at.is_none() || self.served() == Some(id) => {
                prekey.created_at.plus(limits::SIGNED_PREKEY_ROTATION)
            }
            _ => Timestamp::from_millis(0),
        }
    }

    /// The newest by its date. One that was made while the clock was ahead does not count.
    fn newest(&self, now: Timestamp) -> Option<(KeyId, &Prekey<K>)> {
        let dated = self.by_id.iter().filter(|(_, prekey)| !is_ahead(prekey.created_at, now));
        let age = |prekey: &Prekey<K>| (prekey.created_at, prekey.published_at.is_none(), prekey.published_at);
        dated.max_by_key(|(_, prekey)| age(prekey)).map(|(id, prekey)| (*id, &**prekey))
    }

    /// The newest, if the node does not have it. Of the others that it does not have it needs none.
    pub(super) fn newest_unpublished(&self, now: Timestamp) -> Option<(KeyId, &Prekey<K>)> {
        self.newest(now).filter(|(_, prekey)| prekey.published_at.is_none())
    }

    /// The one that the node hands out: the one that it was told of last, whatever its date.
    fn served(&self) -> Option<KeyId> {
        let published = self.by_id.iter().filter(|(_, prekey)| prekey.published_at.is_some());
        published.max_by_key(|(_, prekey)| (prekey.published_at, prekey.created_at)).map(|(id, _)| *id)
    }

    /// Makes a new one if it is time for that, and first mends what a wrong clock has left.
    pub(super) fn rotate(&mut self, now: Timestamp, rng: &mut impl CryptoRng, changes: &mut Changes) {
        self.forget_unpublished_ahead(now, changes);
        self.lower_published_ahead(now, changes);
        if self.due_at(now) > now {
            return;
        }
        // Published with the clock set back: those before it are in use until now.
        let newest = self.newest(now).map(|(id, _)| id);
        if let Some(served) = self.served().filter(|served| newest.is_some_and(|newest| newest != *served)) {
            self.set_published_at(served, now, changes);
        }
        self.add(now, rng, changes);
    }

    /// Forgets what was made while the clock was ahead and has not been published: nobody has it.
    fn forget_unpublished_ahead(&mut self, now: Timestamp, changes: &mut Changes) {
        let is_forgotten = |prekey: &Prekey<K>| prekey.published_at.is_none() && is_ahead(prekey.created_at, now);
        let ahead: Vec<KeyId> =
            self.by_id.iter().filter(|(_, prekey)| is_forgotten(prekey)).map(|(id, _)| *id).collect();
        for id in ahead {
            self.remove(id, changes);
        }
    }

    /// Takes now for the time of what was published while the clock was ahead; the order stays.
    fn lower_published_ahead(&mut self, now: Timestamp, changes: &mut Changes) {
        let published =
            self.by_id.iter().filter_map(|(id, prekey)| Some((prekey.published_at?, prekey.created_at, *id)));
        let (mut ahead, right): (Vec<_>, Vec<_>) = published.partition(|(at, ..)| is_ahead(*at, now));
        ahead.sort_unstable();
        let mut at = right.iter().map(|(at, ..)| *at).max().map_or(now, |last| after(last).max(now));
        for (_, _, id) in ahead {
            self.set_published_at(id, at, changes);
            at = after(at);
        }
    }

    fn set_published_at(&mut self, id: KeyId, at: Timestamp, changes: &mut Changes) {
        if let Some(prekey) = self.by_id.get_mut(&id) {
            prekey.published_at = Some(at);
            changes.put(RecordKey::Prekey(self.kind, id), prekey.save());
        }
    }

    fn add(&mut self, now: Timestamp, rng: &mut impl CryptoRng, changes: &mut Changes) {
        let prekey = Prekey { key: K::generate(rng), created_at: now, published_at: None };
        let id = prekey.key.key_id();
        changes.put(RecordKey::Prekey(self.kind, id), prekey.save());
        self.by_id.insert(id, Box::new(prekey));
    }

    pub(super) fn refill(&mut self, left: u32, now: Timestamp, rng: &mut impl CryptoRng, changes: &mut Changes) {
        let have = self.unpublished().count().saturating_add(left as usize);
        if have >= limits::ONE_TIME_PREKEYS_LOW {
            return;
        }
        for _ in have..limits::ONE_TIME_PREKEYS_FULL {
            self.add(now, rng, changes);
        }
        while self.by_id.len() > limits::ONE_TIME_PREKEYS_KEPT_MAX {
            // The oldest go first, and those that the node has before those that it is still to get.
            let ages = self.by_id.iter().map(|(id, prekey)| (prekey.published_at.is_none(), prekey.created_at, *id));
            let Some((_, _, oldest)) = ages.min() else { return };
            self.remove(oldest, changes);
        }
    }

    /// Forgets those whose successor was published long ago, however old they are: until then nobody
    /// has another key to use. Returns their ids.
    pub(super) fn forget_succeeded(&mut self, now: Timestamp, changes: &mut Changes) -> Vec<KeyId> {
        let successors: Vec<_> =
            self.by_id.values().filter(|prekey| prekey.succeeds_at().is_some_and(|at| at < now)).collect();
        let is_old = |prekey: &Prekey<K>| successors.iter().any(|successor| successor.succeeds(prekey));
        let old: Vec<KeyId> = self.by_id.iter().filter(|(_, prekey)| is_old(prekey)).map(|(id, _)| *id).collect();
        for id in &old {
            self.remove(*id, changes);
        }
        old
    }

    /// When the next is to be forgotten, if nothing more is published until then.
    pub(super) fn forgets_at(&self) -> Option<Timestamp> {
        let has_succeeded = |prekey: &Prekey<K>| self.by_id.values().any(|other| prekey.succeeds(other));
        let successors = self.by_id.values().filter(|prekey| has_succeeded(prekey));
        successors.filter_map(|prekey| prekey.succeeds_at()).min().map(after)
    }

    /// Deletes the secret half, if it is there.
    pub(super) fn remove(&mut self, id: KeyId, changes: &mut Changes) {
        if self.by_id.remove(&id).is_some() {
            changes.delete(RecordKey::Prekey(self.kind, id));
        }
    }

    /// Oldest first.
    pub(super) fn unpublished(&self) -> impl Iterator<Item = (KeyId, &Prekey<K>)> {
        let mut unpublished: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, prekey)| prekey.published_at.is_none())
            .map(|(id, prekey)| (*id, &**prekey))
            .collect();
        unpublished.sort_by_key(|(id, prekey)| (prekey.created_at, *id));
        unpublished.into_iter()
    }

    pub(super) fn mark_published(
        &mut self,
        ids: impl IntoIterator<Item = KeyId>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        // A clock that was set back does not bring the order of publications into disorder.
        let last = self.by_id.values().filter_map(|prekey| prekey.published_at).max();
        let at = last.map_or(now, |last| after(last).max(now));
        for id in ids {
            if self.by_id.get(&id).is_some_and(|prekey| prekey.published_at.is_none()) {
                self.set_published_at(id, at, changes);
            }
        }
    }

    pub(super) fn save(&self, changes: &mut Changes) {
        for (id, prekey) in &self.by_id {
            changes.put(RecordKey::Prekey(self.kind, *id), prekey.save());
        }
    }

    pub(super) fn load(&mut self, id: KeyId, saved: &[u8]) -> Result<(), WireError> {
        let prekey = Prekey::<K>::load(saved)?;
        if prekey.key.key_id() != id {
            return Err(WireError::Invalid { field: "prekey id" });
        }
        self.by_id.insert(id, Box::new(prekey));
        Ok(())
    }
}

impl<K: PrekeySecret> Prekey<K> {
    const SAVED_VERSION: u8 = 1;

    /// The last moment of those that were published before it.
    fn succeeds_at(&self) -> Option<Timestamp> {
        let since = self.published_at?.max(self.created_at);
        Some(since.plus(limits::SIGNED_PREKEY_SUCCEEDED_KEPT))
    }

    /// Whether it was published after `other`; what was not published, and is older, has no use either.
    fn succeeds(&self, other: &Self) -> bool {
        match other.published_at {
            Some(_) => (other.published_at, other.created_at) < (self.published_at, self.created_at),
            None => other.created_at < self.created_at,
        }
    }

    pub(super) fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { key, created_at, published_at } = self;
        let writer =
            Writer::with_capacity(1 + 8 + 9 + KemSeed::LENGTH).u8(Self::SAVED_VERSION).u64(created_at.as_millis());
        let writer = match published_at {
            None => writer.u8(0),
            Some(at) => writer.u8(1).u64(at.as_millis()),
        };
        key.write(writer).finish_secret()
    }

    fn load(saved: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let created_at = Timestamp::from_millis(reader.u64()?);
        let published_at = if reader.flag("published")? { Some(Timestamp::from_millis(reader.u64()?)) } else { None };
        let key = K::read(&mut reader)?;
        reader.end()?;
        Ok(Self { key, created_at, published_at })
    }
}

/// The next moment.
fn after(at: Timestamp) -> Timestamp {
    at.plus(Duration::from_millis(1))
}

/// Whether a prekey was made while a clock was wrong.
pub(super) fn is_ahead(made_at: Timestamp, now: Timestamp) -> bool {
    made_at.since(now) > limits::PREKEY_AHEAD_MAX
}
