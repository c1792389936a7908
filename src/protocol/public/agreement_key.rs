//! X25519 public keys (RFC 7748), checked where they are parsed.
//!
//! An encoding is 32 bytes, little-endian. Refused are: a set top bit or a value not below the prime
//! (a second encoding of some key), points of the twist, and points of low order. Long-lived and
//! opening keys ([`AgreementPublicKey`]) are also refused outside the prime-order subgroup. With
//! that, one key has one encoding, and what is remembered by a key's bytes cannot be got around.
//!
//! A ratchet key ([`RatchetPublicKey`]) is not tested for mixed order. A scalar is clamped to a
//! multiple of 8, which removes any component of low order, so the test would change no secret; and
//! the bytes of a ratchet key are associated data of the very message that brings it, so they cannot
//! be exchanged for an equivalent. The test costs as much as half an agreement, for every message of
//! a conversation in turns.
//!
//! Both keep the point in Edwards form: agreement from there takes three quarters of the time of the
//! Montgomery ladder.

use core::fmt;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;

use super::error::KeyError;
use crate::wire::Bytes;

/// An X25519 public key of prime order: identity keys, prekeys and ephemeral keys.
///
/// ```
/// use conclave::protocol::public::{AgreementPublicKey, KeyError};
///
/// let mut base_point = [0; 32];
/// base_point[0] = 9;
/// assert!(AgreementPublicKey::parse(&base_point).is_ok());
/// assert_eq!(AgreementPublicKey::parse(&[0; 32]), Err(KeyError::LowOrder));
/// base_point[31] = 0x80; // The same point to RFC 7748, in another encoding.
/// assert_eq!(AgreementPublicKey::parse(&base_point), Err(KeyError::NonCanonical));
/// ```
#[derive(Clone)]
pub struct AgreementPublicKey(RatchetPublicKey);

impl AgreementPublicKey {
    /// Length of the encoding in bytes.
    pub const LENGTH: usize = 32;

    /// Parses 32 bytes, little-endian.
    ///
    /// # Errors
    /// [`KeyError`] for every key but a canonical one of prime order.
    pub fn parse(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = RatchetPublicKey::parse(bytes)?;
        if key.point.is_torsion_free() { Ok(Self(key)) } else { Err(KeyError::MixedOrder) }
    }

    /// The public half of a key pair that this program made: a clamped multiple of the base point is
    /// canonical and of prime order.
    #[cfg(feature = "holder")]
    pub(in crate::protocol) const fn of_own(bytes: [u8; 32], point: EdwardsPoint) -> Self {
        Self(RatchetPublicKey { bytes, point })
    }

    /// The encoding: 32 bytes, little-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.bytes
    }

    /// The encoding, as a field of a published structure.
    #[must_use]
    pub const fn to_wire(&self) -> Bytes<32> {
        Bytes(self.0.bytes)
    }

    /// The same key in the role of a first ratchet key.
    #[must_use]
    pub const fn as_ratchet_key(&self) -> &RatchetPublicKey {
        &self.0
    }
}

/// An X25519 public key that a message's header brought: on the curve and not of low order.
#[derive(Clone)]
pub struct RatchetPublicKey {
    bytes: [u8; 32],
    point: EdwardsPoint,
}

impl RatchetPublicKey {
    /// Length of the encoding in bytes.
    pub const LENGTH: usize = 32;

    /// Parses 32 bytes, little-endian.
    ///
    /// # Errors
    /// [`KeyError`] for a key that is not canonical, not on the curve, or of low order.
    pub fn parse(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_canonical(bytes) {
            return Err(KeyError::NonCanonical);
        }
        // Either of the two points with this u-coordinate serves: agreement keeps the u-coordinate.
        let point = MontgomeryPoint(*bytes).to_edwards(0).ok_or(KeyError::NotOnCurve)?;
        if point.is_small_order() { Err(KeyError::LowOrder) } else { Ok(Self { bytes: *bytes, point }) }
    }

    /// The encoding: 32 bytes, little-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The point, for agreement.
    #[cfg(feature = "holder")]
    pub(in crate::protocol) const fn point(&self) -> &EdwardsPoint {
        &self.point
    }
}

/// Whether `bytes` is below 2^255 - 19.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = bytes;
    let at_least_prime = *highest == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *lowest >= 0xed;
    *highest <= 0x7f && !at_least_prime
}

impl PartialEq for AgreementPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for AgreementPublicKey {}

impl PartialEq for RatchetPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for RatchetPublicKey {}

impl fmt::Debug for AgreementPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgreementPublicKey").field(&self.to_wire()).finish()
    }
}

impl fmt::Debug for RatchetPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RatchetPublicKey").field(&Bytes(self.bytes)).finish()
    }
}
