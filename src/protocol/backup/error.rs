//! Why a recovery key is not read, or a backup not sealed or opened.

use crate::wire::{ErrorCode, WireError};

/// Why a text is no recovery key. None of it says anything about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// Too many or too few characters, not counting spaces and hyphens.
    #[error("a recovery key has {expected} characters, not {actual}")]
    Length {
        /// Characters that a recovery key has.
        expected: usize,
        /// Characters that were given.
        actual: usize,
    },
    /// A character that no recovery key has.
    #[error("character {position} cannot stand in a recovery key")]
    Character {
        /// Which one, from 1, counting every character of the text.
        position: usize,
    },
    /// A typing error: the checksum is not the key's.
    #[error("the recovery key has a typing error")]
    Checksum,
}

impl RecoveryKeyError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Length { .. } => ErrorCode::RecoveryKeyLength,
            Self::Character { .. } => ErrorCode::RecoveryKeyCharacter,
            Self::Checksum => ErrorCode::RecoveryKeyChecksum,
        }
    }
}

/// Why a backup is not sealed or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The bytes are no backup, or what was sealed in it is not what this build knows.
    #[error("no backup: {0}")]
    Malformed(#[from] WireError),
    /// Another recovery key or account, or changed bytes.
    #[error("the backup does not open")]
    Open,
    /// Our bug: account secrets did not fit.
    #[error("account secrets did not fit into a backup")]
    Internal,
}

impl BackupError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(_) => ErrorCode::BackupMalformed,
            Self::Open => ErrorCode::BackupDoesNotOpen,
            Self::Internal => ErrorCode::Internal,
        }
    }
}
