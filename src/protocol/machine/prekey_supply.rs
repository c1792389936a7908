//! This device's prekeys: made, published, rotated, used up and forgotten.

use std::collections::BTreeMap;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::changes::{Changes, RecordKey};
use super::error::MachineError;
use crate::ids::KeyId;
use crate::protocol::agreement::Opening;
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::{
    agreement_key_id, kem_key_id, kem_prekey_signed_bytes, limits, signed_prekey_signed_bytes,
};
use crate::protocol::secret::{AgreementSecretKey, KemSecretKey, KemSeed};
use crate::wire::{
    KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyPublication, Reader, SignedPrekey, Timestamp, WireError, Writer,
};

/// All prekeys of which this device holds the secret half.
#[derive(Debug, Default)]
pub(super) struct PrekeySupply {
    signed: Prekeys<AgreementSecretKey>,
    last_resort_kem: Prekeys<KemSeed>,
    one_time: Prekeys<AgreementSecretKey>,
    one_time_kem: Prekeys<KemSeed>,
}

/// The secret prekeys that an opening names.
pub(super) struct NamedPrekeys {
    pub(super) signed_prekey: AgreementSecretKey,
    pub(super) one_time_prekey: Option<AgreementSecretKey>,
    pub(super) kem_prekey: KemSecretKey,
}

impl PrekeySupply {
    /// Rotates the signed prekey and the last-resort KEM prekey when they are due, fills an empty
    /// supply, and forgets what is too old. Returns the signed prekeys that were forgotten.
    pub(super) fn maintain(&mut self, now: Timestamp, rng: &mut impl CryptoRng, changes: &mut Changes) -> Vec<KeyId> {
        if self.signed.newest().is_none() {
            self.refill(0, 0, now, rng, changes);
        }
        if self.signed.is_due(now) {
            self.signed.add(now, RecordKey::SignedPrekey, rng, changes);
        }
        if self.last_resort_kem.is_due(now) {
            self.last_resort_kem.add(now, RecordKey::LastResortKemPrekey, rng, changes);
        }
        self.last_resort_kem.forget_old(now, RecordKey::LastResortKemPrekey, changes);
        self.signed.forget_old(now, RecordKey::SignedPrekey, changes)
    }

    /// Makes one-time prekeys if the node has few left; those that it has not stored yet count.
    pub(super) fn refill(
        &mut self,
        one_time_left: u32,
        one_time_kem_left: u32,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        changes: &mut Changes,
    ) {
        self.one_time.refill(one_time_left, now, RecordKey::OneTimePrekey, rng, changes);
        self.one_time_kem.refill(one_time_kem_left, now, RecordKey::OneTimeKemPrekey, rng, changes);
    }

    /// What the node has not stored yet.
    pub(super) fn publication(&self, identity: &DeviceIdentity) -> Option<PrekeyPublication> {
        let publication = PrekeyPublication {
            signed_prekey: self.signed.unpublished().last().map(|(id, prekey)| signed_prekey(identity, id, prekey)),
            last_resort_kem_prekey: self
                .last_resort_kem
                .unpublished()
                .last()
                .map(|(id, prekey)| kem_prekey(identity, id, prekey, KemPrekeyUse::LastResort)),
            one_time_prekeys: self
                .one_time
                .unpublished()
                .map(|(key_id, prekey)| OneTimePrekey { key_id, public_key: prekey.key.public_key().to_wire() })
                .collect(),
            one_time_kem_prekeys: self
                .one_time_kem
                .unpublished()
                .map(|(id, prekey)| kem_prekey(identity, id, prekey, KemPrekeyUse::OneTime))
                .collect(),
        };
        (!publication.is_empty()).then_some(publication)
    }

    /// Notes that the node has stored these keys.
    pub(super) fn published(&mut self, publication: &PrekeyPublication, changes: &mut Changes) {
        let PrekeyPublication { signed_prekey, last_resort_kem_prekey, one_time_prekeys, one_time_kem_prekeys } =
            publication;
        let signed = signed_prekey.iter().map(|prekey| prekey.key_id);
        self.signed.mark_published(signed, RecordKey::SignedPrekey, changes);
        let last_resort = last_resort_kem_prekey.iter().map(|prekey| prekey.key_id);
        self.last_resort_kem.mark_published(last_resort, RecordKey::LastResortKemPrekey, changes);
        let one_time = one_time_prekeys.iter().map(|prekey| prekey.key_id);
        self.one_time.mark_published(one_time, RecordKey::OneTimePrekey, changes);
        let one_time_kem = one_time_kem_prekeys.iter().map(|prekey| prekey.key_id);
        self.one_time_kem.mark_published(one_time_kem, RecordKey::OneTimeKemPrekey, changes);
    }

    /// Finds the prekeys that an opening names.
    pub(super) fn find(&self, opening: &Opening) -> Result<NamedPrekeys, MachineError> {
        let gone = |key_id| MachineError::PrekeyGone { key_id };
        let kem = [&self.one_time_kem, &self.last_resort_kem]
            .into_iter()
            .find_map(|prekeys| prekeys.get(opening.kem_prekey_id))
            .ok_or_else(|| gone(opening.kem_prekey_id))?;
        let one_time_prekey = match opening.one_time_prekey_id {
            None => None,
            Some(id) => Some(self.one_time.get(id).ok_or_else(|| gone(id))?.clone()),
        };
        let signed_prekey = self.signed.get(opening.signed_prekey_id);
        Ok(NamedPrekeys {
            signed_prekey: signed_prekey.ok_or_else(|| gone(opening.signed_prekey_id))?.clone(),
            one_time_prekey,
            kem_prekey: kem.expand(),
        })
    }

    /// Deletes the one-time prekeys that an opening has used up.
    pub(super) fn use_up(&mut self, opening: &Opening, changes: &mut Changes) {
        if let Some(id) = opening.one_time_prekey_id {
            self.one_time.remove(id, RecordKey::OneTimePrekey, changes);
        }
        self.one_time_kem.remove(opening.kem_prekey_id, RecordKey::OneTimeKemPrekey, changes);
    }

    pub(super) fn save(&self, changes: &mut Changes) {
        let Self { signed, last_resort_kem, one_time, one_time_kem } = self;
        signed.save(RecordKey::SignedPrekey, changes);
        last_resort_kem.save(RecordKey::LastResortKemPrekey, changes);
        one_time.save(RecordKey::OneTimePrekey, changes);
        one_time_kem.save(RecordKey::OneTimeKemPrekey, changes);
    }

    /// Takes one saved record of a prekey.
    pub(super) fn load(&mut self, key: RecordKey, saved: &[u8]) -> Result<(), WireError> {
        match key {
            RecordKey::SignedPrekey(id) => self.signed.load(id, saved),
            RecordKey::LastResortKemPrekey(id) => self.last_resort_kem.load(id, saved),
            RecordKey::OneTimePrekey(id) => self.one_time.load(id, saved),
            RecordKey::OneTimeKemPrekey(id) => self.one_time_kem.load(id, saved),
            RecordKey::Identity | RecordKey::UsedOpening(_) | RecordKey::Contact(_) | RecordKey::Session(..) => {
                Err(WireError::Invalid { field: "record" })
            }
        }
    }
}

fn signed_prekey(identity: &DeviceIdentity, key_id: KeyId, prekey: &Prekey<AgreementSecretKey>) -> SignedPrekey {
    let public_key = prekey.key.public_key().to_wire();
    let message = signed_prekey_signed_bytes(identity.address(), &public_key, prekey.created_at);
    let signature = identity.keys().signing.sign(&message);
    SignedPrekey { key_id, public_key, created_at: prekey.created_at, signature }
}

fn kem_prekey(identity: &DeviceIdentity, key_id: KeyId, prekey: &Prekey<KemSeed>, usage: KemPrekeyUse) -> KemPrekey {
    let public_key = prekey.key.expand().public_key().to_wire();
    let message = kem_prekey_signed_bytes(identity.address(), usage, &public_key, prekey.created_at);
    let signature = identity.keys().signing.sign(&message);
    KemPrekey { key_id, usage, public_key, created_at: prekey.created_at, signature }
}

/// Prekeys of one kind, by id.
#[derive(Debug)]
struct Prekeys<K>(BTreeMap<KeyId, Box<Prekey<K>>>);

/// One prekey's secret half. Saved form: version 1, published 1, created `u64`, key 32 or seed 64.
#[derive(Debug)]
struct Prekey<K> {
    key: K,
    created_at: Timestamp,
    is_published: bool,
}

/// What is kept of a kind of prekey.
trait PrekeySecret: Sized {
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

impl<K> Default for Prekeys<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: PrekeySecret> Prekeys<K> {
    fn get(&self, id: KeyId) -> Option<&K> {
        self.0.get(&id).map(|prekey| &prekey.key)
    }

    fn newest(&self) -> Option<Timestamp> {
        self.0.values().map(|prekey| prekey.created_at).max()
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.newest().is_none_or(|created_at| now.since(created_at) >= limits::SIGNED_PREKEY_ROTATION)
    }

    fn add(
        &mut self,
        now: Timestamp,
        record: impl Fn(KeyId) -> RecordKey,
        rng: &mut impl CryptoRng,
        changes: &mut Changes,
    ) {
        let prekey = Prekey { key: K::generate(rng), created_at: now, is_published: false };
        let id = prekey.key.key_id();
        changes.put(record(id), prekey.save());
        self.0.insert(id, Box::new(prekey));
    }

    fn refill(
        &mut self,
        left: u32,
        now: Timestamp,
        record: impl Fn(KeyId) -> RecordKey,
        rng: &mut impl CryptoRng,
        changes: &mut Changes,
    ) {
        let have = left as usize + self.unpublished().count();
        if have >= limits::ONE_TIME_PREKEYS_LOW {
            return;
        }
        for _ in have..limits::ONE_TIME_PREKEYS_FULL {
            self.add(now, &record, rng, changes);
        }
        while self.0.len() > limits::ONE_TIME_PREKEYS_KEPT_MAX {
            let oldest = self.0.iter().min_by_key(|(id, prekey)| (prekey.created_at, **id)).map(|(id, _)| *id);
            let Some(oldest) = oldest else { return };
            self.remove(oldest, &record, changes);
        }
    }

    /// Forgets those that are too old, but never the newest. Returns their ids.
    fn forget_old(&mut self, now: Timestamp, record: impl Fn(KeyId) -> RecordKey, changes: &mut Changes) -> Vec<KeyId> {
        let newest = self.newest();
        let is_old = |prekey: &Prekey<K>| {
            now.since(prekey.created_at) > limits::SIGNED_PREKEY_KEPT && Some(prekey.created_at) != newest
        };
        let old: Vec<KeyId> = self.0.iter().filter(|(_, prekey)| is_old(prekey)).map(|(id, _)| *id).collect();
        for id in &old {
            self.remove(*id, &record, changes);
        }
        old
    }

    fn remove(&mut self, id: KeyId, record: impl Fn(KeyId) -> RecordKey, changes: &mut Changes) {
        if self.0.remove(&id).is_some() {
            changes.delete(record(id));
        }
    }

    /// Oldest first.
    fn unpublished(&self) -> impl Iterator<Item = (KeyId, &Prekey<K>)> {
        let mut unpublished: Vec<_> =
            self.0.iter().filter(|(_, prekey)| !prekey.is_published).map(|(id, prekey)| (*id, &**prekey)).collect();
        unpublished.sort_by_key(|(id, prekey)| (prekey.created_at, *id));
        unpublished.into_iter()
    }

    fn mark_published(
        &mut self,
        ids: impl IntoIterator<Item = KeyId>,
        record: impl Fn(KeyId) -> RecordKey,
        changes: &mut Changes,
    ) {
        for id in ids {
            if let Some(prekey) = self.0.get_mut(&id) {
                prekey.is_published = true;
                changes.put(record(id), prekey.save());
            }
        }
    }

    fn save(&self, record: impl Fn(KeyId) -> RecordKey, changes: &mut Changes) {
        for (id, prekey) in &self.0 {
            changes.put(record(*id), prekey.save());
        }
    }

    fn load(&mut self, id: KeyId, saved: &[u8]) -> Result<(), WireError> {
        let prekey = Prekey::<K>::load(saved)?;
        self.0.insert(id, Box::new(prekey));
        Ok(())
    }
}

impl<K: PrekeySecret> Prekey<K> {
    const SAVED_VERSION: u8 = 1;

    fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { key, created_at, is_published } = self;
        let writer = Writer::with_capacity(2 + 8 + KemSeed::LENGTH)
            .u8(Self::SAVED_VERSION)
            .u8(u8::from(*is_published))
            .u64(created_at.as_millis());
        key.write(writer).finish_secret()
    }

    fn load(saved: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let is_published = reader.flag("published")?;
        let created_at = Timestamp::from_millis(reader.u64()?);
        let key = K::read(&mut reader)?;
        reader.end()?;
        Ok(Self { key, created_at, is_published })
    }
}
