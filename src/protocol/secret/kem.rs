//! ML-KEM-1024 key pairs (FIPS 203).

use core::fmt;

use ml_kem::Seed;
use ml_kem::kem::{Decapsulate, Encapsulate};
use ml_kem::ml_kem_1024::DecapsulationKey;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::protocol::public::{KemCiphertext, KemPublicKey};

/// The seed of an ML-KEM-1024 key pair: `d` 32 bytes, `z` 32 bytes (FIPS 203, section 7.1). What is
/// kept of a key that waits to be used, being a fiftieth of the expanded key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KemSeed([u8; Self::LENGTH]);

impl KemSeed {
    /// Length in bytes.
    pub const LENGTH: usize = 64;

    /// Draws a new seed.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Self([0; 64]);
        rng.fill_bytes(&mut seed.0);
        seed
    }

    /// Takes a seed that was saved.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; 64]) -> Self {
        Self(*bytes)
    }

    /// The key pair.
    #[must_use]
    pub fn expand(&self) -> KemSecretKey {
        KemSecretKey::from_seed(&self.0)
    }

    /// The seed, for sealed storage.
    pub(in crate::protocol) const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for KemSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSeed(..)")
    }
}

/// An ML-KEM-1024 secret key, expanded from its seed. `DecapsulationKey` wipes itself when dropped.
pub struct KemSecretKey(DecapsulationKey);

impl KemSecretKey {
    /// Draws a new key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        KemSeed::generate(rng).expand()
    }

    /// Expands a seed: `d` 32 bytes, `z` 32 bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 64]) -> Self {
        let mut seed = Seed::from(*seed);
        let key = DecapsulationKey::from_seed(seed);
        seed.zeroize();
        Self(key)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> KemPublicKey {
        KemPublicKey::of_own(self.0.encapsulation_key().clone())
    }

    /// Opens a ciphertext. A false one gives a secret that nobody else has, not an error.
    #[must_use]
    pub fn decapsulate(&self, ciphertext: &KemCiphertext) -> KemSharedSecret {
        KemSharedSecret::take(self.0.decapsulate(ciphertext.as_bytes().into()).into())
    }
}

impl KemPublicKey {
    /// Makes a secret that only the holder of this key's secret half can open.
    #[must_use]
    pub fn encapsulate(&self, rng: &mut impl CryptoRng) -> (KemCiphertext, KemSharedSecret) {
        let (ciphertext, shared) = self.inner().encapsulate_with_rng(rng);
        (KemCiphertext::from_bytes(&ciphertext.into()), KemSharedSecret::take(shared.into()))
    }
}

// `DecapsulationKey` wipes itself.
impl ZeroizeOnDrop for KemSecretKey {}

impl fmt::Debug for KemSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemSecretKey(public: {:?}, ..)", self.public_key())
    }
}

/// What a KEM yields: 32 uniform bytes.
pub struct KemSharedSecret(Zeroizing<[u8; 32]>);

impl KemSharedSecret {
    fn take(mut bytes: [u8; 32]) -> Self {
        let shared = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        shared
    }

    /// The secret bytes, for a derivation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

// `Zeroizing` wipes the bytes.
impl ZeroizeOnDrop for KemSharedSecret {}

impl fmt::Debug for KemSharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSharedSecret(..)")
    }
}
