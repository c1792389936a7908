//! X25519 key pairs and agreement (RFC 7748).
//!
//! Agreement multiplies the checked point in Edwards form and maps the product back: the same
//! function as the Montgomery ladder's, in constant time too, and faster where the processor has
//! vector instructions. Wycheproof's and the RFC's vectors run over it, and a test holds it against
//! the ladder.

use core::fmt;

use curve25519_dalek::edwards::EdwardsPoint;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::protocol::public::{AgreementPublicKey, KeyError, RatchetPublicKey};

/// An X25519 secret key, with its public key computed once.
///
/// `Clone` is for prekeys, which one machine holds and one agreement uses, and for a sending chain's
/// successor.
#[derive(Clone)]
pub struct AgreementSecretKey {
    secret: StaticSecret,
    public: [u8; 32],
}

impl AgreementSecretKey {
    /// Length of the secret in bytes.
    pub const LENGTH: usize = 32;

    /// Draws a new key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::of(StaticSecret::random_from_rng(rng))
    }

    /// Takes a secret that was saved: 32 bytes, clamped when used.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::of(StaticSecret::from(*bytes))
    }

    /// Takes a saved secret with the public key saved beside it, and so saves computing it.
    pub(in crate::protocol) fn from_saved(bytes: &[u8; 32], public: [u8; 32]) -> Self {
        Self { secret: StaticSecret::from(*bytes), public }
    }

    fn of(secret: StaticSecret) -> Self {
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    /// The public key's encoding: 32 bytes.
    #[must_use]
    pub const fn public_bytes(&self) -> &[u8; 32] {
        &self.public
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> AgreementPublicKey {
        AgreementPublicKey::of_own(self.public, EdwardsPoint::mul_base_clamped(*self.secret.as_bytes()))
    }

    /// The secret bytes, for sealed storage.
    pub(in crate::protocol) fn secret_bytes(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// Agrees on a secret with the holder of `their_key`.
    ///
    /// # Errors
    /// [`KeyError::LowOrder`] if the result is all zeros (RFC 7748, section 6.1). No key that was
    /// parsed gives that; the check is what the RFC asks for.
    pub fn agree(&self, their_key: &AgreementPublicKey) -> Result<SharedSecret, KeyError> {
        self.agree_ratchet(their_key.as_ratchet_key())
    }

    /// As [`agree`](Self::agree), with a ratchet key.
    ///
    /// # Errors
    /// [`KeyError::LowOrder`] if the result is all zeros.
    pub fn agree_ratchet(&self, their_key: &RatchetPublicKey) -> Result<SharedSecret, KeyError> {
        let mut product = their_key.point().mul_clamped(*self.secret.as_bytes());
        let mut result = product.to_montgomery();
        let shared = SharedSecret(Zeroizing::new(result.to_bytes()));
        product.zeroize();
        result.zeroize();
        if bool::from(shared.0.ct_eq(&[0; 32])) { Err(KeyError::LowOrder) } else { Ok(shared) }
    }
}

// `StaticSecret` wipes itself when it is dropped, and `public` is public.
impl ZeroizeOnDrop for AgreementSecretKey {}

impl fmt::Debug for AgreementSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgreementSecretKey(public: {:?}, ..)", crate::wire::Bytes(self.public))
    }
}

/// What an agreement yields: 32 bytes, not uniform; to be derived from, not used.
pub struct SharedSecret(Zeroizing<[u8; 32]>);

impl SharedSecret {
    /// The secret bytes, for a derivation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

// `Zeroizing` wipes the bytes.
impl ZeroizeOnDrop for SharedSecret {}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}
