//! ML-KEM-1024 public keys and ciphertexts (FIPS 203).

use core::fmt;

use ml_kem::kem::KeyExport;
use ml_kem::ml_kem_1024::EncapsulationKey;

use super::error::KeyError;
use crate::wire::Bytes;

/// An ML-KEM-1024 encapsulation key that passed its modulus check (FIPS 203, section 7.2).
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey(EncapsulationKey);

impl KemPublicKey {
    /// Length of the encoding in bytes.
    pub const LENGTH: usize = 1568;

    /// Parses 1,568 bytes.
    ///
    /// # Errors
    /// [`KeyError::KemModulus`] if a coefficient is not below the modulus.
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Result<Self, KeyError> {
        EncapsulationKey::new(bytes.into()).map(Self).map_err(|_| KeyError::KemModulus)
    }

    /// The public half of a key pair that this program made.
    #[cfg(feature = "holder")]
    pub(in crate::protocol) const fn of_own(key: EncapsulationKey) -> Self {
        Self(key)
    }

    /// The key, for encapsulation.
    #[cfg(feature = "holder")]
    pub(in crate::protocol) const fn inner(&self) -> &EncapsulationKey {
        &self.0
    }

    /// The encoding: 1,568 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        self.0.to_bytes().into()
    }

    /// The encoding, as a field of a published structure.
    #[must_use]
    pub fn to_wire(&self) -> Box<Bytes<1568>> {
        Box::new(Bytes(self.to_bytes()))
    }
}

impl fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KemPublicKey").field(&Bytes(self.to_bytes())).finish()
    }
}

/// An ML-KEM-1024 ciphertext. Every value of this length is one: decapsulation of a false one gives
/// a secret that nobody else has (FIPS 203, section 6.3).
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; Self::LENGTH]>);

impl KemCiphertext {
    /// Length in bytes.
    pub const LENGTH: usize = 1568;

    /// Takes 1,568 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(Box::new(*bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KemCiphertext").field(&Bytes(*self.0)).finish()
    }
}
