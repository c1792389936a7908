//! Key ids: the first 8 bytes of SHA-256 over the label of the key's kind and the key.
//!
//! An id finds a key; it proves nothing. Wherever two keys could share one, the key decides.

use sha2::{Digest, Sha256};

use super::agreement_key::AgreementPublicKey;
use super::kem_key::KemPublicKey;
use super::labels;
use super::signing_key::SigningPublicKey;
use crate::ids::KeyId;

/// The id of an Ed25519 key.
#[must_use]
pub fn signing_key_id(key: &SigningPublicKey) -> KeyId {
    key_id(labels::KEY_ID_SIGNING, key.as_bytes())
}

/// The id of an X25519 key.
#[must_use]
pub fn agreement_key_id(key: &AgreementPublicKey) -> KeyId {
    key_id(labels::KEY_ID_AGREEMENT, key.as_bytes())
}

/// The id of an ML-KEM-1024 key.
#[must_use]
pub fn kem_key_id(key: &KemPublicKey) -> KeyId {
    key_id(labels::KEY_ID_KEM, &key.to_bytes())
}

fn key_id(label: &[u8], key: &[u8]) -> KeyId {
    let digest: [u8; 32] = Sha256::new().chain_update(label).chain_update(key).finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    KeyId::from_bytes([a, b, c, d, e, f, g, h])
}
