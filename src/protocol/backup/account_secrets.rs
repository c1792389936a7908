//! What an account is, apart from its devices.

use core::fmt;

use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::protocol::secret::SigningSecretKey;
use crate::protocol::vault::VaultKey;
use crate::wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;

/// The secrets of an account: the root key that certifies its devices, and the key of its vault.
pub struct AccountSecrets {
    root_key: SigningSecretKey,
    vault_key: VaultKey,
}

// Both fields wipe themselves.
impl ZeroizeOnDrop for AccountSecrets {}

impl AccountSecrets {
    /// Length of the encoding in bytes.
    pub const ENCODED_LENGTH: usize = 1 + SigningSecretKey::LENGTH + VaultKey::LENGTH;

    /// Draws the secrets of a new account.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::new(SigningSecretKey::generate(rng), VaultKey::generate(rng))
    }

    /// Joins secrets that exist.
    #[must_use]
    pub const fn new(root_key: SigningSecretKey, vault_key: VaultKey) -> Self {
        Self { root_key, vault_key }
    }

    /// The key that certifies the account's devices.
    #[must_use]
    pub const fn root_key(&self) -> &SigningSecretKey {
        &self.root_key
    }

    /// The key of the account's vault.
    #[must_use]
    pub const fn vault_key(&self) -> &VaultKey {
        &self.vault_key
    }

    /// The two keys.
    #[must_use]
    pub fn into_parts(self) -> (SigningSecretKey, VaultKey) {
        let Self { root_key, vault_key } = self;
        (root_key, vault_key)
    }

    /// The secrets in the clear, to be sealed: version 1, root signing seed 32, vault key 32.
    #[must_use]
    pub fn encode_secret(&self) -> Zeroizing<Vec<u8>> {
        let Self { root_key, vault_key } = self;
        Writer::with_capacity(Self::ENCODED_LENGTH)
            .u8(VERSION)
            .bytes(root_key.seed())
            .bytes(vault_key.as_bytes())
            .finish_secret()
    }

    /// Reads what [`encode_secret`](Self::encode_secret) wrote; the caller wipes `bytes`.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`], [`WireError::Truncated`] or [`WireError::Trailing`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let (seed, vault_key) = (reader.array()?, reader.array()?);
        reader.end()?;
        Ok(Self::new(SigningSecretKey::from_seed(seed), VaultKey::from_bytes(vault_key)))
    }
}

impl fmt::Debug for AccountSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root_key, vault_key: _ } = self;
        write!(f, "AccountSecrets(root: {:?}, ..)", root_key.public_key().to_wire())
    }
}
