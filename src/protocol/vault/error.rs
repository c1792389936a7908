//! Why a vault item is not sealed or not opened, and why a node is not believed.

use crate::wire::{ErrorCode, WireError};

/// Why a vault item is not sealed or not opened, and why a node is not believed.
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
    /// A head that no writer of the collection has made, or that is another revision's.
    #[error("the collection's head does not open")]
    Head,
    /// The node shows the collection as it was before what has been seen of it.
    #[error("the node shows revision {shown} of the collection, and {seen} was seen before")]
    RolledBack {
        /// The newest revision that was seen.
        seen: u64,
        /// The revision that is shown.
        shown: u64,
    },
    /// The node shows the collection without a write that has been seen: it shows different ones to different devices.
    #[error("the node shows the collection without a write that was seen before")]
    Forked,
    /// What the node lists is not what the last writer left: an item is missing, older, invented or changed.
    #[error("what the node lists is not what is in the collection")]
    Entries,
    /// The node hands out something else for an item than what is in the collection.
    #[error("the node hands out something else for the item")]
    OtherItem,
}

impl VaultError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } => ErrorCode::VaultItemTooLong,
            Self::Malformed(_) => ErrorCode::VaultItemMalformed,
            Self::Open => ErrorCode::VaultItemDoesNotOpen,
            Self::Head => ErrorCode::VaultHeadDoesNotOpen,
            Self::RolledBack { .. } => ErrorCode::VaultRolledBack,
            Self::Forked => ErrorCode::VaultForked,
            Self::Entries => ErrorCode::VaultEntriesMismatch,
            Self::OtherItem => ErrorCode::VaultItemMismatch,
        }
    }
}
