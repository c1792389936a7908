//! The keys that an issuer signs ID tokens with.
//!
//! Source: RFC 7517; RFC 7518, section 6; OpenID Connect Core 1.0, section 10.1.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of one issuer that are looked at: the largest have about ten.
const KEYS_MAX: usize = 64;

/// An issuer's key set as it was fetched.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    keys: Vec<Value>,
}

/// The keys that can check a signature. Symmetric keys are none of them: who can check by one can sign.
#[derive(Debug, Default)]
pub(super) struct IssuerKeys(Vec<Jwk>);

impl From<Document> for IssuerKeys {
    /// Keys of a kind that is not known are left out: a set may hold newer ones beside those of today.
    fn from(document: Document) -> Self {
        let keys = document.keys.into_iter().take(KEYS_MAX);
        Self(keys.filter_map(|key| serde_json::from_value(key).ok()).filter(is_for_signatures).collect())
    }
}

impl IssuerKeys {
    /// The key that a token names, if it can be one of its algorithm. A token that names none is taken
    /// where there is one such key alone.
    pub(super) fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| fits(key, algorithm));
        let key = match key_id {
            Some(_) => fitting.find(|key| key.common.key_id.as_deref() == key_id),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        };
        DecodingKey::from_jwk(key?).ok()
    }
}

fn is_for_signatures(key: &Jwk) -> bool {
    let Jwk { common, algorithm: _ } = key;
    let is_signing = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let verifies = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
    is_signing && common.key_operations.as_ref().is_none_or(verifies)
}

/// Whether a key is of an algorithm's kind and curve, and says of itself nothing else.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_kind = match (&key.algorithm, algorithm.family()) {
        (AlgorithmParameters::RSA(_), AlgorithmFamily::Rsa) => true,
        (AlgorithmParameters::EllipticCurve(key), AlgorithmFamily::Ec) => match algorithm {
            Algorithm::ES256 => key.curve == EllipticCurve::P256,
            Algorithm::ES384 => key.curve == EllipticCurve::P384,
            _ => false,
        },
        (AlgorithmParameters::OctetKeyPair(key), AlgorithmFamily::Ed) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let is_same = |named: KeyAlgorithm| named.to_string().parse() == Ok(algorithm);
    is_kind && key.common.key_algorithm.is_none_or(is_same)
}
