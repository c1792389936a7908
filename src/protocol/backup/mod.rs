//! What brings an account back when every device is lost: a key that is written down, and a backup
//! sealed by it that the node keeps.
//!
//! ```text
//! account secrets = version 1 ∥ root signing seed 32 ∥ vault key 32                65 bytes
//! backup          = version 1 ∥ generation u64 BE
//!                   ∥ sealed (version 1 ∥ salt 32 ∥ commitment 32 ∥ ciphertext 65 ∥ tag 16)
//!                                                                                  155 bytes
//! recovery key    = 56 characters of Crockford's base32: key 32 ∥ checksum 3
//! ```
//!
//! The backup is sealed with a key used once (`protocol::seal::one_use`), with the account and the
//! generation bound in. The recovery key has 256 bits: it is drawn, never chosen, and needs no
//! stretching.
//!
//! What an attacker can still do: a node may answer with an older backup. Its generation is
//! authentic, so a caller that remembers a later one sees that; one that has lost everything cannot.
//! Who holds the recovery key and any backup of the account is the account.

mod account_secrets;
mod error;
mod recovery_key;
mod sealed;

pub use account_secrets::AccountSecrets;
pub use error::{BackupError, RecoveryKeyError};
pub use recovery_key::RecoveryKey;
pub use sealed::{Backup, OpenedBackup, open_backup, seal_backup};
