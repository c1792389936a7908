//! Ed25519 public keys and signatures (RFC 8032), verified strictly.
//!
//! A key is 32 bytes: canonical, on the curve and of prime order. A signature is 64 bytes, `R` then
//! `S`: `S` below the group order, `R` not of low order. With these no second signature can be made
//! from a given one, and no signature holds for two messages.

use core::fmt;

use ed25519_dalek::{Signature, VerifyingKey};

use super::error::KeyError;
use crate::wire::Bytes;

/// An Ed25519 signature on the wire: `R` 32 bytes, `S` 32 bytes.
pub type SignatureBytes = Bytes<64>;

/// An Ed25519 public key of prime order.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningPublicKey(VerifyingKey);

impl SigningPublicKey {
    /// Length of the encoding in bytes.
    pub const LENGTH: usize = 32;

    /// Parses 32 bytes.
    ///
    /// # Errors
    /// [`KeyError`] for every key but a canonical one of prime order.
    pub fn parse(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotOnCurve)?;
        let point = key.to_edwards();
        if point.compress().as_bytes() != bytes {
            return Err(KeyError::NonCanonical);
        }
        if point.is_small_order() {
            return Err(KeyError::LowOrder);
        }
        if point.is_torsion_free() { Ok(Self(key)) } else { Err(KeyError::MixedOrder) }
    }

    /// The public half of a key pair that this program made.
    #[cfg(feature = "holder")]
    pub(in crate::protocol) const fn of_own(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// The encoding: 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The encoding, as a field of a published structure.
    #[must_use]
    pub fn to_wire(&self) -> Bytes<32> {
        Bytes(*self.as_bytes())
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &SignatureBytes) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(&signature.0)).is_ok()
    }
}

impl fmt::Debug for SigningPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningPublicKey").field(&self.to_wire()).finish()
    }
}
