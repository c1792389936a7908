//! Points of low order, alone and added to a good key.

use conclave::protocol::public::KeyError;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;

use crate::{BadKey, hex};

/// The u-coordinates of low order that 255 bits can hold, little-endian.
const IN_255_BITS: [(&str, &str, KeyError); 7] = [
    ("0, of order 2", "0000000000000000000000000000000000000000000000000000000000000000", KeyError::LowOrder),
    ("1, of order 4", "0100000000000000000000000000000000000000000000000000000000000000", KeyError::LowOrder),
    ("a, of order 8", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", KeyError::LowOrder),
    ("b, of order 8", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", KeyError::LowOrder),
    ("p - 1, of the twist", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", KeyError::NotOnCurve),
    ("p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", KeyError::NonCanonical),
    ("p + 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", KeyError::NonCanonical),
];

/// What is of low order for a reader that uses all 256 bits.
const IN_256_BITS: [(&str, &str, KeyError); 5] = [
    ("p + a", "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880", KeyError::NonCanonical),
    ("p + b", "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7", KeyError::NonCanonical),
    ("2p - 1", "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", KeyError::NonCanonical),
    ("2p", "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", KeyError::NonCanonical),
    ("2p + 1", "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", KeyError::NonCanonical),
];

/// Every X25519 key that has low order for some reader: the seven in 255 bits, the same with the top
/// bit set, which RFC 7748 has its reader ignore, and the five in 256 bits.
pub(crate) fn montgomery_keys() -> Vec<BadKey<32>> {
    let mut keys = Vec::new();
    for (name, text, error) in IN_255_BITS {
        let bytes = hex(text);
        let mut with_top_bit = bytes;
        with_top_bit[31] |= 0x80;
        keys.push(BadKey { name: name.to_owned(), bytes, error });
        let error = KeyError::NonCanonical;
        keys.push(BadKey { name: format!("{name}, with the top bit"), bytes: with_top_bit, error });
    }
    keys.extend(IN_256_BITS.map(|(name, text, error)| BadKey { name: name.to_owned(), bytes: hex(text), error }));
    keys
}

/// The secret half of a key pair, and the public half as a point.
pub(crate) fn good_pair(seed: u8) -> ([u8; 32], EdwardsPoint) {
    let secret = [seed; 32];
    (secret, EdwardsPoint::mul_base_clamped(secret))
}

/// A point with each point of low order but the neutral one added to it.
pub(crate) fn other_guises(point: EdwardsPoint) -> [EdwardsPoint; 7] {
    let [_, torsion @ ..] = EIGHT_TORSION;
    torsion.map(|torsion| point + torsion)
}

/// Good X25519 keys in their other guises: the same secrets under other bytes.
pub(crate) fn mixed_montgomery_keys() -> Vec<BadKey<32>> {
    let keys = (1..=4).flat_map(|seed| {
        other_guises(good_pair(seed).1).map(|point| BadKey {
            name: format!("key {seed} in another guise"),
            bytes: point.to_montgomery().to_bytes(),
            error: KeyError::MixedOrder,
        })
    });
    keys.collect()
}

/// Whether a point of the curve, not of low order, is of the prime order L, by the Montgomery ladder
/// alone: exactly then is `[L - 1]P = -P`, which has the u-coordinate of `P`.
pub(crate) fn has_prime_order(u: &[u8; 32]) -> bool {
    let one_less = (-Scalar::ONE).to_bytes();
    let bits = one_less.iter().rev().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    MontgomeryPoint(*u).mul_bits_be(bits) == MontgomeryPoint(*u)
}

#[test]
fn the_list_holds_every_point_of_low_order() {
    let listed = montgomery_keys();
    for torsion in EIGHT_TORSION {
        let u = torsion.to_montgomery().to_bytes();
        assert!(listed.iter().any(|key| key.bytes == u && key.error == KeyError::LowOrder), "{u:02x?}");
    }
}

#[test]
fn the_ladder_tells_prime_order_from_mixed() {
    for seed in 1..=4 {
        let (_, point) = good_pair(seed);
        assert!(has_prime_order(&point.to_montgomery().to_bytes()));
        for other in other_guises(point) {
            assert!(!has_prime_order(&other.to_montgomery().to_bytes()));
        }
    }
}
