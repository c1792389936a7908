//! Why a vault item is not sealed or not opened.

use crate::wire::{ErrorCode, WireError};

/// Why a vault item is not sealed or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The caller's content is over the limit.
    #[error("content of {actual} bytes is over the limit of {limit}")]
    TooLong {
        /// Bytes that were given.
        actual: usize,
        /// Bytes that an item may have.
        limit: usize,
    },
    /// The bytes are no sealed item; seen without a key.
    #[error("no sealed item: {0}")]
    Malformed(#[from] WireError),
    /// Not authentic here: a wrong key, another place or version, or changed bytes.
    #[error("the item does not open")]
    Open,
}

impl VaultError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } => ErrorCode::VaultItemTooLong,
            Self::Malformed(_) => ErrorCode::VaultItemMalformed,
            Self::Open => ErrorCode::VaultItemDoesNotOpen,
        }
    }
}
