//! What an account is, apart from its devices.

use core::fmt;

use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::ids::AccountId;
use crate::protocol::identity::AccountRoot;
use crate::protocol::secret::SigningSecretKey;
use crate::protocol::vault::VaultKey;
use crate::wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;

/// The secrets of an account: the root that certifies its devices, and the key of its vault.
///
/// One object from the account's first moment to its recovery: it certifies, signs lists, is saved,
/// and is backed up with [`seal_backup`](super::seal_backup).
pub struct AccountSecrets {
    root: AccountRoot,
    vault_key: VaultKey,
}

impl AccountSecrets {
    /// Length of the encoding in bytes.
    pub const ENCODED_LENGTH: usize = 1 + SigningSecretKey::LENGTH + VaultKey::LENGTH;

    /// Draws the secrets of a new account.
    #[must_use]
    pub fn generate(account_id: AccountId, rng: &mut impl CryptoRng) -> Self {
        Self::with_root(AccountRoot::generate(account_id, rng), rng)
    }

    /// Takes a root that there is, and draws a vault key beside it.
    #[must_use]
    pub fn with_root(root: AccountRoot, rng: &mut impl CryptoRng) -> Self {
        Self { root, vault_key: VaultKey::generate(rng) }
    }

    /// The account.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.root.account_id()
    }

    /// The root, which certifies the account's devices and signs their list.
    #[must_use]
    pub const fn root(&self) -> &AccountRoot {
        &self.root
    }

    /// The key of the account's vault.
    #[must_use]
    pub const fn vault_key(&self) -> &VaultKey {
        &self.vault_key
    }

    /// The secrets in the clear, to be sealed: version 1, root signing seed 32, vault key 32. Whose
    /// they are is for the seal to bind: the account's id is not among them.
    #[must_use]
    pub fn encode_secret(&self) -> Zeroizing<Vec<u8>> {
        let Self { root, vault_key } = self;
        Writer::with_capacity(Self::ENCODED_LENGTH)
            .u8(VERSION)
            .bytes(root.seed())
            .bytes(vault_key.as_bytes())
            .finish_secret()
    }

    /// Reads what [`encode_secret`](Self::encode_secret) wrote for this account; the caller wipes
    /// `bytes`.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`], [`WireError::Truncated`] or [`WireError::Trailing`].
    pub fn decode(account_id: AccountId, bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let (seed, vault_key) = (reader.array()?, reader.array()?);
        reader.end()?;
        let root = AccountRoot::from_key(account_id, SigningSecretKey::from_seed(seed));
        Ok(Self { root, vault_key: VaultKey::from_bytes(vault_key) })
    }
}

// Root and vault key wipe themselves.
impl ZeroizeOnDrop for AccountSecrets {}

impl fmt::Debug for AccountSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, vault_key: _ } = self;
        write!(f, "AccountSecrets(root: {:?}, ..)", root.public_key().to_wire())
    }
}
