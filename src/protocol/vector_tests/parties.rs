//! Identities, certificates, device lists and prekeys.

use rand_chacha::ChaCha20Rng;

use super::{Fields, NOW};
use crate::ids::{AccountId, DeviceId, KeyId};
use crate::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use crate::protocol::public::{
    KemCiphertext, agreement_key_id, certificate_signed_bytes, kem_key_id, kem_prekey_signed_bytes, list_signed_bytes,
    signed_prekey_signed_bytes, signing_key_id, verify_device_list,
};
use crate::protocol::secret::{AgreementSecretKey, KemSeed};
use crate::wire::{DeviceCertificate, DeviceList, KemPrekey, KemPrekeyUse, OneTimePrekey, SignedPrekey, Writer};

/// An account with one device.
pub(super) fn party(rng: &mut ChaCha20Rng) -> (DeviceIdentity, Fields) {
    let root = AccountRoot::generate(AccountId::generate(rng), rng);
    let device_id = DeviceId::generate(rng);
    let keys = DeviceKeys::generate(rng);
    let certificate = root.certify(device_id, &keys.signing.public_key(), &keys.agreement.public_key(), NOW);
    let version = 3;
    let list = root.sign_device_list(version, vec![certificate.clone()]);
    verify_device_list(&list).unwrap();
    let inputs = Fields::default()
        .hex("account_id", root.account_id().as_bytes())
        .hex("device_id", device_id.as_bytes())
        .hex("root_seed", root.seed())
        .hex("signing_seed", keys.signing.seed())
        .hex("agreement_secret", keys.agreement.secret_bytes())
        .value("created_at", NOW.as_millis())
        .value("list_version", version);
    let expected = party_expected(&root, &keys, &certificate, &list);
    let identity = DeviceIdentity::new(keys, &certificate).unwrap();
    let expected = expected.hex("saved_identity", &*identity.save());
    (identity, Fields::case(inputs, expected))
}

fn party_expected(root: &AccountRoot, keys: &DeviceKeys, certificate: &DeviceCertificate, list: &DeviceList) -> Fields {
    Fields::default()
        .hex("root_key", root.public_key().as_bytes())
        .hex("root_key_id", signing_key_id(&root.public_key()).as_bytes())
        .hex("signing_key", keys.signing.public_key().as_bytes())
        .hex("signing_key_id", signing_key_id(&keys.signing.public_key()).as_bytes())
        .hex("agreement_key", keys.agreement.public_bytes())
        .hex("agreement_key_id", agreement_key_id(&keys.agreement.public_key()).as_bytes())
        .hex("certificate_signed", certificate_signed_bytes(certificate))
        .hex("certificate_signature", certificate.signature)
        .hex("certificate", certificate.write(Writer::default()).finish())
        .hex("list_signed", list_signed_bytes(list))
        .hex("list_signature", list.signature)
        .hex("list", list.write(Writer::default()).finish())
}

/// The responder's prekeys, secret and as published.
pub(super) struct Prekeys {
    pub(super) signed_secret: AgreementSecretKey,
    pub(super) signed: SignedPrekey,
    pub(super) one_time_secret: AgreementSecretKey,
    pub(super) one_time: OneTimePrekey,
    pub(super) one_time_kem: (KemSeed, KemPrekey),
    pub(super) last_resort_kem: (KemSeed, KemPrekey),
}

pub(super) fn prekeys(owner: &DeviceIdentity, rng: &mut ChaCha20Rng) -> (Prekeys, Fields) {
    let signed_secret = AgreementSecretKey::generate(rng);
    let one_time_secret = AgreementSecretKey::generate(rng);
    let (one_time_seed, last_resort_seed) = (KemSeed::generate(rng), KemSeed::generate(rng));
    let inputs = Fields::default()
        .hex("signed_prekey_secret", signed_secret.secret_bytes())
        .hex("one_time_prekey_secret", one_time_secret.secret_bytes())
        .hex("one_time_kem_seed", one_time_seed.as_bytes())
        .hex("last_resort_kem_seed", last_resort_seed.as_bytes())
        .value("created_at", NOW.as_millis());

    let public_key = signed_secret.public_key().to_wire();
    let signed_bytes = signed_prekey_signed_bytes(owner.address(), &public_key, NOW);
    let signature = owner.keys().signing.sign(&signed_bytes);
    let key_id = agreement_key_id(&signed_secret.public_key());
    let signed = SignedPrekey { key_id, public_key, created_at: NOW, signature };
    let key = one_time_secret.public_key();
    let one_time = OneTimePrekey { key_id: agreement_key_id(&key), public_key: key.to_wire() };
    let (one_time_kem, first_fields) = kem_prekey(owner, &one_time_seed, KemPrekeyUse::OneTime);
    let (last_resort_kem, last_fields) = kem_prekey(owner, &last_resort_seed, KemPrekeyUse::LastResort);
    let expected = Fields::default()
        .object("signed_prekey", published(public_key, key_id).hex("signed", signed_bytes).hex("signature", signature))
        .object("one_time_prekey", published(one_time.public_key, one_time.key_id))
        .object("one_time_kem_prekey", first_fields)
        .object("last_resort_kem_prekey", last_fields);
    let prekeys = Prekeys {
        signed_secret,
        signed,
        one_time_secret,
        one_time,
        one_time_kem: (one_time_seed, one_time_kem),
        last_resort_kem: (last_resort_seed, last_resort_kem),
    };
    (prekeys, Fields::case(inputs, expected))
}

fn kem_prekey(owner: &DeviceIdentity, seed: &KemSeed, usage: KemPrekeyUse) -> (KemPrekey, Fields) {
    let secret_key = seed.expand();
    let key = secret_key.public_key();
    let (public_key, key_id) = (key.to_wire(), kem_key_id(&key));
    let signed_bytes = kem_prekey_signed_bytes(owner.address(), usage, &public_key, NOW);
    let signature = owner.keys().signing.sign(&signed_bytes);
    // What a false ciphertext gives comes from the seed's second half, which nothing else shows.
    let rejected = secret_key.decapsulate(&KemCiphertext::from_bytes(&[0; KemCiphertext::LENGTH]));
    let fields = published(key.to_bytes(), key_id)
        .hex("shared_secret_of_zeros", rejected.as_bytes())
        .hex("signed", signed_bytes)
        .hex("signature", signature);
    (KemPrekey { key_id, usage, public_key, created_at: NOW, signature }, fields)
}

fn published(key: impl AsRef<[u8]>, key_id: KeyId) -> Fields {
    Fields::default().hex("public_key", key).hex("key_id", key_id.as_bytes())
}
