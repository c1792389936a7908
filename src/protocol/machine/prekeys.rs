//! The prekeys of one kind that a device keeps the secret halves of.

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
    /// When the node was known to have it.
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

    /// When the newest is to be replaced; at once, if there is none. One that was made while the clock
    /// was wrong does not count.
    pub(super) fn due_at(&self, now: Timestamp) -> Timestamp {
        let newest =
            self.by_id.values().map(|prekey| prekey.created_at).filter(|made_at| !is_ahead(*made_at, now)).max();
        newest.map_or(Timestamp::from_millis(0), |made_at| made_at.plus(limits::SIGNED_PREKEY_ROTATION))
    }

    pub(super) fn add(&mut self, now: Timestamp, rng: &mut impl CryptoRng, changes: &mut Changes) {
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
        let is_long_published = |prekey: &Prekey<K>| {
            prekey.published_at.is_some_and(|at| now.since(at) > limits::SIGNED_PREKEY_SUCCEEDED_KEPT)
        };
        let made_at = |prekey: &Prekey<K>| (!is_ahead(prekey.created_at, now), prekey.created_at);
        let newest = self.by_id.values().filter(|prekey| is_long_published(prekey)).map(|prekey| made_at(prekey)).max();
        let is_succeeded = |prekey: &Prekey<K>| newest.is_some_and(|newest| made_at(prekey) < newest);
        let old: Vec<KeyId> = self.by_id.iter().filter(|(_, prekey)| is_succeeded(prekey)).map(|(id, _)| *id).collect();
        for id in &old {
            self.remove(*id, changes);
        }
        old
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
        for id in ids {
            if let Some(prekey) = self.by_id.get_mut(&id) {
                prekey.published_at = prekey.published_at.or(Some(now));
                changes.put(RecordKey::Prekey(self.kind, id), prekey.save());
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

/// Whether a prekey was made while a clock was wrong.
pub(super) fn is_ahead(made_at: Timestamp, now: Timestamp) -> bool {
    made_at.since(now) > limits::PREKEY_AHEAD_MAX
}
