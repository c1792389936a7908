//! A backup: an account's secrets, sealed by its recovery key.

use core::fmt;

use rand_core::CryptoRng;

use super::{AccountSecrets, BackupError, RecoveryKey};
use crate::ids::AccountId;
use crate::protocol::public::{labels, limits};
use crate::protocol::seal::one_use::{self, Purpose};
use crate::wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;

/// A sealed backup: version 1, generation u64, sealed secrets 146. Public; opaque to the node.
#[derive(Clone, PartialEq, Eq)]
pub struct Backup {
    generation: u64,
    sealed: Vec<u8>,
}

impl Backup {
    /// Length of the encoding in bytes.
    pub const LENGTH: usize = 1 + 8 + SEALED_LENGTH;

    /// Takes bytes that were stored. Whether they are authentic shows when they are opened.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`] (also of the sealed form within), [`WireError::Truncated`] or
    /// [`WireError::Trailing`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let generation = reader.u64()?;
        let sealed = reader.bytes(SEALED_LENGTH)?;
        reader.end()?;
        one_use::check_form(sealed, "backup", SEALED_LENGTH)?;
        Ok(Self { generation, sealed: sealed.to_vec() })
    }

    /// The bytes, to store: [`LENGTH`](Self::LENGTH) of them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { generation, sealed } = self;
        Writer::with_capacity(Self::LENGTH).u8(VERSION).u64(*generation).bytes(sealed).finish()
    }
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, sealed } = self;
        write!(f, "Backup(generation {generation}, {} bytes sealed)", sealed.len())
    }
}

/// What an authentic backup held.
#[derive(Debug)]
pub struct OpenedBackup {
    /// Which backup of the account it was; one below the last that the caller
    /// knows of is an older backup put back.
    pub generation: u64,
    /// The account's secrets.
    pub secrets: AccountSecrets,
}

/// Seals an account's secrets. `generation` counts the account's backups: one more each time.
///
/// ```
/// use conclave::ids::AccountId;
/// use conclave::protocol::backup::{AccountSecrets, RecoveryKey, open_backup, seal_backup};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1);
/// let secrets = AccountSecrets::generate(AccountId::generate(&mut rng), &mut rng);
/// let recovery_key = RecoveryKey::generate(&mut rng);
///
/// let backup = seal_backup(&recovery_key, 1, &secrets, &mut rng)?;
/// let opened = open_backup(&recovery_key, secrets.account_id(), &backup)?;
/// assert_eq!(opened.generation, 1);
/// assert_eq!(opened.secrets.root().public_key(), secrets.root().public_key());
/// # Ok::<(), conclave::protocol::backup::BackupError>(())
/// ```
///
/// # Errors
/// [`BackupError::Internal`] alone, which is a bug.
pub fn seal_backup(
    recovery_key: &RecoveryKey,
    generation: u64,
    secrets: &AccountSecrets,
    rng: &mut impl CryptoRng,
) -> Result<Backup, BackupError> {
    let place = place(secrets.account_id(), generation);
    let sealed = one_use::seal(recovery_key.as_bytes(), purpose(&place), &secrets.encode_secret(), rng)
        .map_err(|_| BackupError::Internal)?;
    Ok(Backup { generation, sealed })
}

/// Opens the backup of an account.
///
/// # Errors
/// [`BackupError::Open`] if it was not sealed by this key for this account and generation;
/// [`BackupError::Malformed`] if its authentic content is of a version that this build does not know.
pub fn open_backup(
    recovery_key: &RecoveryKey,
    account_id: AccountId,
    backup: &Backup,
) -> Result<OpenedBackup, BackupError> {
    let Backup { generation, sealed } = backup;
    let place = place(account_id, *generation);
    let content = one_use::open(recovery_key.as_bytes(), purpose(&place), sealed).map_err(|_| BackupError::Open)?;
    Ok(OpenedBackup { generation: *generation, secrets: AccountSecrets::decode(account_id, &content)? })
}

fn place(account_id: AccountId, generation: u64) -> Vec<u8> {
    Writer::default().bytes(account_id.as_bytes()).u64(generation).finish()
}

fn purpose(place: &[u8]) -> Purpose<'_> {
    Purpose { label: labels::BACKUP, context: place, plaintext_bytes_max: AccountSecrets::ENCODED_LENGTH }
}

const SEALED_LENGTH: usize = AccountSecrets::ENCODED_LENGTH + limits::ONE_USE_OVERHEAD_BYTES;
