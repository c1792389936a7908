//! Ed25519 key pairs (RFC 8032).

use core::fmt;

use ed25519_dalek::{Signer, SigningKey};
use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::protocol::public::{SignatureBytes, SigningPublicKey};
use crate::wire::Bytes;

/// An Ed25519 secret key: a seed of 32 bytes. `SigningKey` wipes itself when it is dropped.
pub struct SigningSecretKey(SigningKey);

impl SigningSecretKey {
    /// Length of the seed in bytes.
    pub const LENGTH: usize = 32;

    /// Draws a new key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// Takes a seed that was saved.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> SigningPublicKey {
        SigningPublicKey::of_own(self.0.verifying_key())
    }

    /// Signs a message, which begins with a label.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        Bytes(self.0.sign(message).to_bytes())
    }

    /// The seed, for sealed storage.
    pub(in crate::protocol) fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

// `SigningKey` wipes its seed.
impl ZeroizeOnDrop for SigningSecretKey {}

impl fmt::Debug for SigningSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecretKey(public: {:?}, ..)", self.public_key().to_wire())
    }
}
