//! This device's prekeys: made, published, rotated, used up and forgotten.

use rand_core::CryptoRng;

use super::changes::{Changes, PrekeyKind};
use super::error::MachineError;
use super::prekeys::{Prekey, Prekeys};
use crate::ids::KeyId;
use crate::protocol::agreement::Opening;
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::{kem_prekey_signed_bytes, signed_prekey_signed_bytes};
use crate::protocol::secret::{AgreementSecretKey, KemSecretKey, KemSeed};
use crate::wire::{KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyPublication, SignedPrekey, Timestamp, WireError};

/// All prekeys of which this device holds the secret half.
#[derive(Debug)]
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

impl Default for PrekeySupply {
    fn default() -> Self {
        Self {
            signed: Prekeys::new(PrekeyKind::Signed),
            last_resort_kem: Prekeys::new(PrekeyKind::LastResortKem),
            one_time: Prekeys::new(PrekeyKind::OneTime),
            one_time_kem: Prekeys::new(PrekeyKind::OneTimeKem),
        }
    }
}

impl PrekeySupply {
    /// When the next prekey is to be replaced or forgotten.
    pub(super) fn due_at(&self, now: Timestamp) -> Timestamp {
        let replaced = self.signed.due_at(now).min(self.last_resort_kem.due_at(now));
        let forgotten = [self.signed.forgets_at(), self.last_resort_kem.forgets_at()].into_iter().flatten().min();
        forgotten.map_or(replaced, |forgotten| forgotten.min(replaced))
    }

    /// Rotates the signed prekey and the last-resort KEM prekey when they are due, fills an empty
    /// supply, and forgets what is too old. Returns the signed prekeys that were forgotten.
    pub(super) fn maintain(&mut self, now: Timestamp, rng: &mut impl CryptoRng, changes: &mut Changes) -> Vec<KeyId> {
        if self.signed.is_empty() {
            self.refill(0, 0, now, rng, changes);
        }
        self.signed.rotate(now, rng, changes);
        self.last_resort_kem.rotate(now, rng, changes);
        self.last_resort_kem.forget_succeeded(now, changes);
        self.signed.forget_succeeded(now, changes)
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
        self.one_time.refill(one_time_left, now, rng, changes);
        self.one_time_kem.refill(one_time_kem_left, now, rng, changes);
    }

    /// What the node has not stored yet.
    pub(super) fn publication(&self, identity: &DeviceIdentity, now: Timestamp) -> Option<PrekeyPublication> {
        let publication = PrekeyPublication {
            signed_prekey: self.signed.newest_unpublished(now).map(|(id, prekey)| signed_prekey(identity, id, prekey)),
            last_resort_kem_prekey: self
                .last_resort_kem
                .newest_unpublished(now)
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
    pub(super) fn published(&mut self, publication: &PrekeyPublication, now: Timestamp, changes: &mut Changes) {
        let PrekeyPublication { signed_prekey, last_resort_kem_prekey, one_time_prekeys, one_time_kem_prekeys } =
            publication;
        let signed = signed_prekey.iter().map(|prekey| prekey.key_id);
        self.signed.mark_published(signed, now, changes);
        let last_resort = last_resort_kem_prekey.iter().map(|prekey| prekey.key_id);
        self.last_resort_kem.mark_published(last_resort, now, changes);
        let one_time = one_time_prekeys.iter().map(|prekey| prekey.key_id);
        self.one_time.mark_published(one_time, now, changes);
        let one_time_kem = one_time_kem_prekeys.iter().map(|prekey| prekey.key_id);
        self.one_time_kem.mark_published(one_time_kem, now, changes);
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
            self.one_time.remove(id, changes);
        }
        self.one_time_kem.remove(opening.kem_prekey_id, changes);
    }

    pub(super) fn save(&self, changes: &mut Changes) {
        let Self { signed, last_resort_kem, one_time, one_time_kem } = self;
        signed.save(changes);
        last_resort_kem.save(changes);
        one_time.save(changes);
        one_time_kem.save(changes);
    }

    /// Takes one saved prekey.
    pub(super) fn load(&mut self, kind: PrekeyKind, id: KeyId, saved: &[u8]) -> Result<(), WireError> {
        match kind {
            PrekeyKind::Signed => self.signed.load(id, saved),
            PrekeyKind::LastResortKem => self.last_resort_kem.load(id, saved),
            PrekeyKind::OneTime => self.one_time.load(id, saved),
            PrekeyKind::OneTimeKem => self.one_time_kem.load(id, saved),
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
