//! The places in published structures where somebody else's public key can arrive, fed with every bad
//! key: each is refused there, for what is wrong with that key, with everything around it in order.
//! The places in pairwise messages are those of `message_slots`.
//!
//! A published structure that carries a key has its slots in one of the three lists below.

use conclave::ids::{AccountId, DeviceId, KeyId};
use conclave::protocol::identity::{DeviceIdentity, DeviceKeys};
use conclave::protocol::public::{
    KeyError, VerifiedDevice, VerifyError, agreement_key_id, certificate_signed_bytes, check_one_time_prekey,
    kem_key_id, kem_prekey_signed_bytes, labels, list_signed_bytes, signed_prekey_signed_bytes, verify_device,
    verify_device_list, verify_kem_prekey, verify_prekey_bundle, verify_prekey_publication, verify_signed_prekey,
};
use conclave::protocol::secret::{AgreementSecretKey, KemSecretKey, SigningSecretKey};
use conclave::wire::{
    Bytes, DeviceCertificate, DeviceList, KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyBundle, PrekeyPublication,
    SignedPrekey, Timestamp,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{BadKey, ed25519, ml_kem, x25519};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A place where a key can arrive.
struct Slot<const N: usize> {
    name: &'static str,
    /// What the error calls the key.
    field: &'static str,
    /// Puts a key there, signs what has to be signed, and hands it to whoever reads it.
    offer: fn(&Sender, Bytes<N>) -> Result<(), VerifyError>,
}

/// Where an X25519 key can arrive that must be of prime order.
fn agreement_slots() -> Vec<Slot<32>> {
    vec![
        Slot {
            name: "certificate, agreement key",
            field: "agreement key",
            offer: |sender, key| {
                verify_device(&sender.certify(|certificate| certificate.agreement_key = key)).map(drop)
            },
        },
        Slot {
            name: "certificate on a list, agreement key",
            field: "agreement key",
            offer: |sender, key| sender.offer_on_list(|certificate| certificate.agreement_key = key),
        },
        Slot {
            name: "signed prekey",
            field: "signed prekey",
            offer: |sender, key| verify_signed_prekey(&sender.signed_prekey(key), &sender.device()).map(drop),
        },
        Slot {
            name: "signed prekey in a bundle",
            field: "signed prekey",
            offer: |sender, key| sender.offer_bundle(|bundle| bundle.signed_prekey = sender.signed_prekey(key)),
        },
        Slot {
            name: "signed prekey in a publication",
            field: "signed prekey",
            offer: |sender, key| sender.offer_publication(|it| it.signed_prekey = Some(sender.signed_prekey(key))),
        },
        Slot {
            name: "one-time prekey",
            field: "one-time prekey",
            offer: |_, key| check_one_time_prekey(&one_time_prekey(key)).map(drop),
        },
        Slot {
            name: "one-time prekey in a bundle",
            field: "one-time prekey",
            offer: |sender, key| sender.offer_bundle(|bundle| bundle.one_time_prekey = Some(one_time_prekey(key))),
        },
        Slot {
            name: "one-time prekey in a publication",
            field: "one-time prekey",
            offer: |sender, key| sender.offer_publication(|it| it.one_time_prekeys.push(one_time_prekey(key))),
        },
    ]
}

/// Where an Ed25519 key can arrive.
fn signing_slots() -> Vec<Slot<32>> {
    vec![
        Slot {
            name: "certificate, root key",
            field: "root key",
            offer: |sender, key| verify_device(&sender.certify(|certificate| certificate.root_key = key)).map(drop),
        },
        Slot {
            name: "certificate, signing key",
            field: "signing key",
            offer: |sender, key| verify_device(&sender.certify(|certificate| certificate.signing_key = key)).map(drop),
        },
        Slot {
            name: "certificate on a list, root key",
            field: "root key",
            offer: |sender, key| sender.offer_on_list(|certificate| certificate.root_key = key),
        },
        Slot {
            name: "certificate on a list, signing key",
            field: "signing key",
            offer: |sender, key| sender.offer_on_list(|certificate| certificate.signing_key = key),
        },
        Slot {
            name: "list, root key",
            field: "root key",
            offer: |sender, key| verify_device_list(&sender.list(key, sender.certify(|_| ()))).map(drop),
        },
    ]
}

/// Where an ML-KEM-1024 key can arrive.
fn kem_slots() -> Vec<Slot<1568>> {
    vec![
        Slot {
            name: "one-time KEM prekey",
            field: "KEM prekey",
            offer: |sender, key| {
                verify_kem_prekey(&sender.kem_prekey(&key, KemPrekeyUse::OneTime), &sender.device()).map(drop)
            },
        },
        Slot {
            name: "last-resort KEM prekey",
            field: "KEM prekey",
            offer: |sender, key| {
                verify_kem_prekey(&sender.kem_prekey(&key, KemPrekeyUse::LastResort), &sender.device()).map(drop)
            },
        },
        Slot {
            name: "KEM prekey in a bundle",
            field: "KEM prekey",
            offer: |sender, key| {
                sender.offer_bundle(|bundle| bundle.kem_prekey = sender.kem_prekey(&key, KemPrekeyUse::OneTime))
            },
        },
        Slot {
            name: "one-time KEM prekey in a publication",
            field: "KEM prekey",
            offer: |sender, key| {
                let prekey = sender.kem_prekey(&key, KemPrekeyUse::OneTime);
                sender.offer_publication(|publication| publication.one_time_kem_prekeys.push(prekey))
            },
        },
        Slot {
            name: "last-resort KEM prekey in a publication",
            field: "KEM prekey",
            offer: |sender, key| {
                let prekey = sender.kem_prekey(&key, KemPrekeyUse::LastResort);
                sender.offer_publication(|publication| publication.last_resort_kem_prekey = Some(prekey))
            },
        },
    ]
}

/// Somebody with good keys, who signs whatever is put before them.
pub(crate) struct Sender {
    root: SigningSecretKey,
    signing: SigningSecretKey,
    pub(crate) agreement: AgreementSecretKey,
    pub(crate) kem: KemSecretKey,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self {
            root: SigningSecretKey::from_seed(&[1; 32]),
            signing: SigningSecretKey::from_seed(&[2; 32]),
            agreement: AgreementSecretKey::from_bytes(&[3; 32]),
            kem: KemSecretKey::from_seed(&[4; 64]),
        }
    }

    /// A certificate with one thing changed before it is signed.
    pub(crate) fn certify(&self, change: impl FnOnce(&mut DeviceCertificate)) -> DeviceCertificate {
        let mut certificate = DeviceCertificate {
            account_id: AccountId::from_bytes([5; 16]),
            root_key: self.root.public_key().to_wire(),
            device_id: DeviceId::from_bytes([6; 16]),
            signing_key: self.signing.public_key().to_wire(),
            agreement_key: self.agreement.public_key().to_wire(),
            created_at: NOW,
            signature: Bytes([0; 64]),
        };
        change(&mut certificate);
        certificate.signature = self.root.sign(&certificate_signed_bytes(&certificate));
        certificate
    }

    /// The device itself; its keys are the same in every sender.
    pub(crate) fn identity(&self) -> DeviceIdentity {
        let Self { signing, agreement, .. } = Self::new();
        DeviceIdentity::new(DeviceKeys { signing, agreement }, &self.certify(|_| ())).unwrap()
    }

    pub(crate) fn device(&self) -> VerifiedDevice {
        verify_device(&self.certify(|_| ())).unwrap()
    }

    fn list(&self, root_key: Bytes<32>, device: DeviceCertificate) -> DeviceList {
        let mut list = DeviceList {
            account_id: device.account_id,
            root_key,
            version: 1,
            devices: vec![device],
            signature: Bytes([0; 64]),
        };
        list.signature = self.root.sign(&list_signed_bytes(&list));
        list
    }

    fn offer_on_list(&self, change: impl FnOnce(&mut DeviceCertificate)) -> Result<(), VerifyError> {
        verify_device_list(&self.list(self.root.public_key().to_wire(), self.certify(change))).map(drop)
    }

    fn signed_prekey(&self, public_key: Bytes<32>) -> SignedPrekey {
        let message = signed_prekey_signed_bytes(self.device().address(), &public_key, NOW);
        let key_id = key_id(labels::KEY_ID_AGREEMENT, &public_key);
        SignedPrekey { key_id, public_key, created_at: NOW, signature: self.signing.sign(&message) }
    }

    fn kem_prekey(&self, public_key: &Bytes<1568>, usage: KemPrekeyUse) -> KemPrekey {
        let message = kem_prekey_signed_bytes(self.device().address(), usage, public_key, NOW);
        let key_id = key_id(labels::KEY_ID_KEM, public_key);
        let signature = self.signing.sign(&message);
        KemPrekey { key_id, usage, public_key: Box::new(*public_key), created_at: NOW, signature }
    }

    pub(crate) fn bundle(&self) -> PrekeyBundle {
        let agreement_key = self.agreement.public_key().to_wire();
        PrekeyBundle {
            device: self.device().address(),
            signed_prekey: self.signed_prekey(agreement_key),
            kem_prekey: self.kem_prekey(&self.kem.public_key().to_wire(), KemPrekeyUse::OneTime),
            one_time_prekey: Some(one_time_prekey(agreement_key)),
        }
    }

    fn offer_bundle(&self, change: impl FnOnce(&mut PrekeyBundle)) -> Result<(), VerifyError> {
        let mut bundle = self.bundle();
        change(&mut bundle);
        verify_prekey_bundle(&bundle, &self.device()).map(drop)
    }

    fn offer_publication(&self, change: impl FnOnce(&mut PrekeyPublication)) -> Result<(), VerifyError> {
        let mut publication = PrekeyPublication::default();
        change(&mut publication);
        verify_prekey_publication(&publication, &self.device())
    }
}

fn one_time_prekey(public_key: Bytes<32>) -> OneTimePrekey {
    OneTimePrekey { key_id: key_id(labels::KEY_ID_AGREEMENT, &public_key), public_key }
}

/// The id that a key would have; the package's own functions take no unchecked key.
fn key_id<const N: usize>(label: &[u8], key: &Bytes<N>) -> KeyId {
    let digest = Sha256::new().chain_update(label).chain_update(key.0).finalize();
    KeyId::try_from(digest.split_at(8).0).unwrap()
}

/// Offers every bad key in every slot, and the good one, so that a refusal is for the key alone.
/// Returns how many were refused.
fn refuse_everywhere<const N: usize>(slots: &[Slot<N>], good: Bytes<N>, bad: &[BadKey<N>]) -> usize {
    let sender = Sender::new();
    for Slot { name, field, offer } in slots {
        assert_eq!(offer(&sender, good), Ok(()), "{name}: the good key");
        for BadKey { name: key, bytes, error } in bad {
            let expected = VerifyError::Key { field, source: *error };
            assert_eq!(offer(&sender, Bytes(*bytes)), Err(expected), "{name}: {key}");
        }
    }
    slots.len() * bad.len()
}

#[test]
fn every_bad_agreement_key_is_refused_in_every_slot() {
    let good = Sender::new().agreement.public_key().to_wire();
    // 468 of Wycheproof, 19 of low order, 28 in another guise.
    assert_eq!(refuse_everywhere(&agreement_slots(), good, &x25519::bad_keys()), 8 * 515);
}

#[test]
fn every_bad_signing_key_is_refused_in_every_slot() {
    let good = Sender::new().root.public_key().to_wire();
    assert_eq!(refuse_everywhere(&signing_slots(), good, &ed25519::bad_keys()), 5 * 80);
}

#[test]
fn every_bad_kem_key_is_refused_in_every_slot() {
    let good = *Sender::new().kem.public_key().to_wire();
    // 116 of Wycheproof, 21 with one coefficient out of range.
    assert_eq!(refuse_everywhere(&kem_slots(), good, &ml_kem::bad_keys()), 5 * 137);
}

/// The ids that these tests make are the package's, so that no key was refused for its id.
#[test]
fn key_ids_of_good_keys_are_the_packages_own() {
    let sender = Sender::new();
    let agreement_key = sender.agreement.public_key();
    assert_eq!(key_id(labels::KEY_ID_AGREEMENT, &agreement_key.to_wire()), agreement_key_id(&agreement_key));
    let kem_key = sender.kem.public_key();
    assert_eq!(key_id(labels::KEY_ID_KEM, &kem_key.to_wire()), kem_key_id(&kem_key));
}

/// In the order of checks a bad key comes first: what else is wrong does not hide it, and no
/// signature is looked at under a bad key.
#[test]
fn a_bad_key_is_refused_before_its_id_and_signature_are_looked_at() {
    let (sender, bad) = (Sender::new(), Bytes([0; 32]));
    let expected = |field| Err(VerifyError::Key { field, source: KeyError::LowOrder });
    let prekey =
        SignedPrekey { key_id: KeyId::from_bytes([0; 8]), public_key: bad, created_at: NOW, signature: Bytes([0; 64]) };
    assert_eq!(verify_signed_prekey(&prekey, &sender.device()).map(drop), expected("signed prekey"));
    let certificate = DeviceCertificate { signature: Bytes([0; 64]), ..sender.certify(|it| it.agreement_key = bad) };
    assert_eq!(verify_device(&certificate).map(drop), expected("agreement key"));
}

/// Replaces each named field by bytes of other lengths, in JSON, and asserts that parsing refuses it.
fn refuse_other_lengths<T: Serialize + DeserializeOwned>(good: &T, fields: &[(&str, usize)]) {
    let good = serde_json::to_value(good).unwrap();
    assert!(serde_json::from_value::<T>(good.clone()).is_ok());
    for (pointer, length) in fields {
        for other in [0, 1, length - 1, length + 1, length * 2] {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = Value::String(BASE64URL_NOPAD.encode(&vec![9; other]));
            assert!(serde_json::from_value::<T>(changed).is_err(), "{pointer} of {other} bytes");
        }
    }
}

#[test]
fn keys_of_another_length_are_refused_where_a_structure_is_parsed() {
    let sender = Sender::new();
    let certificate = [("/root_key", 32), ("/signing_key", 32), ("/agreement_key", 32), ("/signature", 64)];
    refuse_other_lengths(&sender.certify(|_| ()), &certificate);
    let list = [
        ("/root_key", 32),
        ("/signature", 64),
        ("/devices/0/root_key", 32),
        ("/devices/0/signing_key", 32),
        ("/devices/0/agreement_key", 32),
    ];
    refuse_other_lengths(&sender.list(sender.root.public_key().to_wire(), sender.certify(|_| ())), &list);
    let bundle = [
        ("/signed_prekey/public_key", 32),
        ("/signed_prekey/signature", 64),
        ("/kem_prekey/public_key", 1568),
        ("/kem_prekey/signature", 64),
        ("/one_time_prekey/public_key", 32),
    ];
    refuse_other_lengths(&sender.bundle(), &bundle);
}
