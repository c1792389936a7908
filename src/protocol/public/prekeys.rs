//! Verifying prekeys, by the device that they belong to: those of a bundle that somebody claimed, and
//! those that the device uploads.

use super::agreement_key::AgreementPublicKey;
use super::device::VerifiedDevice;
use super::error::VerifyError;
use super::kem_key::KemPublicKey;
use super::key_id::{agreement_key_id, kem_key_id};
use super::labels;
use crate::ids::{DeviceAddress, KeyId};
use crate::wire::limits::ONE_TIME_PREKEYS_MAX;
use crate::wire::{
    Bytes, KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyBundle, PrekeyPublication, SignedPrekey, Timestamp, WireError,
    Writer,
};

/// A bundle whose keys and signatures hold, and the device that they belong to.
#[derive(Clone, Debug)]
pub struct VerifiedPrekeyBundle {
    pub(in crate::protocol) device: VerifiedDevice,
    pub(in crate::protocol) signed_prekey: AgreementPublicKey,
    pub(in crate::protocol) signed_prekey_id: KeyId,
    pub(in crate::protocol) kem_prekey: KemPublicKey,
    pub(in crate::protocol) kem_prekey_id: KeyId,
    pub(in crate::protocol) one_time_prekey: Option<(KeyId, AgreementPublicKey)>,
}

impl VerifiedPrekeyBundle {
    /// The device.
    #[must_use]
    pub const fn device(&self) -> &VerifiedDevice {
        &self.device
    }

    /// Its signed prekey and that key's id.
    #[must_use]
    pub const fn signed_prekey(&self) -> (KeyId, &AgreementPublicKey) {
        (self.signed_prekey_id, &self.signed_prekey)
    }

    /// Its KEM prekey and that key's id.
    #[must_use]
    pub const fn kem_prekey(&self) -> (KeyId, &KemPublicKey) {
        (self.kem_prekey_id, &self.kem_prekey)
    }

    /// A one-time prekey and its id, if there was one left.
    #[must_use]
    pub fn one_time_prekey(&self) -> Option<(KeyId, &AgreementPublicKey)> {
        self.one_time_prekey.as_ref().map(|(id, key)| (*id, key))
    }
}

/// Verifies a claimed bundle against the device that it was claimed for.
///
/// # Errors
/// [`VerifyError`]: another device's bundle, an unacceptable key, a key id that is not its key's, or
/// a signature that the device did not make.
pub fn verify_prekey_bundle(
    bundle: &PrekeyBundle,
    device: &VerifiedDevice,
) -> Result<VerifiedPrekeyBundle, VerifyError> {
    let PrekeyBundle { device: address, signed_prekey, kem_prekey, one_time_prekey } = bundle;
    if *address != device.address() {
        return Err(VerifyError::Owner { part: "prekey bundle" });
    }
    Ok(VerifiedPrekeyBundle {
        device: device.clone(),
        signed_prekey: verify_signed_prekey(signed_prekey, device)?,
        signed_prekey_id: signed_prekey.key_id,
        kem_prekey: verify_kem_prekey(kem_prekey, device)?,
        kem_prekey_id: kem_prekey.key_id,
        one_time_prekey: one_time_prekey.as_ref().map(check_one_time_prekey).transpose()?,
    })
}

/// Verifies what a device uploads. The counts are looked at first, the keys and signatures after.
///
/// # Errors
/// [`VerifyError::Prekeys`] past [`ONE_TIME_PREKEYS_MAX`] of either kind, or for a KEM prekey whose
/// signed use is not that of its place; else as for the prekeys one by one.
pub fn verify_prekey_publication(publication: &PrekeyPublication, device: &VerifiedDevice) -> Result<(), VerifyError> {
    let PrekeyPublication { signed_prekey, last_resort_kem_prekey, one_time_prekeys, one_time_kem_prekeys } =
        publication;
    check_count("one-time prekeys", one_time_prekeys.len())?;
    check_count("one-time KEM prekeys", one_time_kem_prekeys.len())?;
    if let Some(prekey) = signed_prekey {
        verify_signed_prekey(prekey, device)?;
    }
    if let Some(prekey) = last_resort_kem_prekey {
        verify_kem_prekey_for(KemPrekeyUse::LastResort, prekey, device)?;
    }
    for prekey in one_time_prekeys {
        check_one_time_prekey(prekey)?;
    }
    for prekey in one_time_kem_prekeys {
        verify_kem_prekey_for(KemPrekeyUse::OneTime, prekey, device)?;
    }
    Ok(())
}

fn check_count(field: &'static str, count: usize) -> Result<(), VerifyError> {
    let limit = ONE_TIME_PREKEYS_MAX;
    if count > limit { Err(VerifyError::Prekeys(WireError::OverLimit { field, limit })) } else { Ok(()) }
}

fn verify_kem_prekey_for(usage: KemPrekeyUse, prekey: &KemPrekey, device: &VerifiedDevice) -> Result<(), VerifyError> {
    if prekey.usage != usage {
        return Err(VerifyError::Prekeys(WireError::Invalid { field: "use of a KEM prekey" }));
    }
    verify_kem_prekey(prekey, device).map(drop)
}

/// Verifies one signed prekey.
///
/// # Errors
/// [`VerifyError`]: an unacceptable key, a false key id, or a signature that the device did not make.
pub fn verify_signed_prekey(prekey: &SignedPrekey, device: &VerifiedDevice) -> Result<AgreementPublicKey, VerifyError> {
    let part = "signed prekey";
    let key = parse_agreement_key(&prekey.public_key, prekey.key_id, part)?;
    let message = signed_prekey_signed_bytes(device.address(), &prekey.public_key, prekey.created_at);
    if device.signing_key().has_signed(&message, &prekey.signature) {
        Ok(key)
    } else {
        Err(VerifyError::Signature { part })
    }
}

/// Verifies one KEM prekey.
///
/// # Errors
/// [`VerifyError`]: an unacceptable key, a false key id, or a signature that the device did not make.
pub fn verify_kem_prekey(prekey: &KemPrekey, device: &VerifiedDevice) -> Result<KemPublicKey, VerifyError> {
    let part = "KEM prekey";
    let key = KemPublicKey::parse(&prekey.public_key.0).map_err(|source| VerifyError::Key { field: part, source })?;
    if kem_key_id(&key) != prekey.key_id {
        return Err(VerifyError::KeyId { part });
    }
    let message = kem_prekey_signed_bytes(device.address(), prekey.usage, &prekey.public_key, prekey.created_at);
    if device.signing_key().has_signed(&message, &prekey.signature) {
        Ok(key)
    } else {
        Err(VerifyError::Signature { part })
    }
}

/// Checks one one-time prekey, which carries no signature.
///
/// # Errors
/// [`VerifyError`]: an unacceptable key or a false key id.
pub fn check_one_time_prekey(prekey: &OneTimePrekey) -> Result<(KeyId, AgreementPublicKey), VerifyError> {
    let key = parse_agreement_key(&prekey.public_key, prekey.key_id, "one-time prekey")?;
    Ok((prekey.key_id, key))
}

fn parse_agreement_key(bytes: &Bytes<32>, id: KeyId, part: &'static str) -> Result<AgreementPublicKey, VerifyError> {
    let key = AgreementPublicKey::parse(&bytes.0).map_err(|source| VerifyError::Key { field: part, source })?;
    if agreement_key_id(&key) == id { Ok(key) } else { Err(VerifyError::KeyId { part }) }
}

/// What a device signs for a signed prekey: label, account id 16, device id 16, created `u64`, key 32.
#[must_use]
pub fn signed_prekey_signed_bytes(owner: DeviceAddress, key: &Bytes<32>, created_at: Timestamp) -> Vec<u8> {
    owned(labels::SIGNED_PREKEY, owner).u64(created_at.as_millis()).bytes(&key.0).finish()
}

/// What a device signs for a KEM prekey: label, account id 16, device id 16, use 1 (one-time 1,
/// last-resort 2), created `u64`, key 1,568.
#[must_use]
pub fn kem_prekey_signed_bytes(
    owner: DeviceAddress,
    usage: KemPrekeyUse,
    key: &Bytes<1568>,
    created_at: Timestamp,
) -> Vec<u8> {
    let usage = match usage {
        KemPrekeyUse::OneTime => 1,
        KemPrekeyUse::LastResort => 2,
    };
    owned(labels::KEM_PREKEY, owner).u8(usage).u64(created_at.as_millis()).bytes(&key.0).finish()
}

fn owned(label: &[u8], owner: DeviceAddress) -> Writer {
    Writer::default().bytes(label).bytes(owner.account_id.as_bytes()).bytes(owner.device_id.as_bytes())
}
