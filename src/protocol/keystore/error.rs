//! Why a keystore is not sealed or not opened.

use core::fmt;

use crate::wire::{ErrorCode, WireError};

/// One of Argon2id's costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argon2Parameter {
    /// Memory, in KiB.
    MemoryKib,
    /// Passes over the memory.
    Iterations,
    /// Lanes.
    Lanes,
}

impl fmt::Display for Argon2Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MemoryKib => "memory in KiB",
            Self::Iterations => "iterations",
            Self::Lanes => "lanes",
        })
    }
}

/// Why a keystore is not sealed or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    PassphraseEmpty,
    /// The passphrase is over its limit.
    #[error("a passphrase of {actual} bytes is over the limit of {limit}")]
    PassphraseTooLong {
        /// Bytes that were given.
        actual: usize,
        /// Bytes that a passphrase may have.
        limit: usize,
    },
    /// A parameter is below its floor: guessing the passphrase would be cheap.
    #[error("Argon2id's {parameter}: {actual} is below the floor of {floor}")]
    BelowFloor {
        /// Which one.
        parameter: Argon2Parameter,
        /// What was given.
        actual: u32,
        /// The least that is taken.
        floor: u32,
    },
    /// A parameter is above its ceiling: opening would cost too much.
    #[error("Argon2id's {parameter}: {actual} is above the ceiling of {ceiling}")]
    AboveCeiling {
        /// Which one.
        parameter: Argon2Parameter,
        /// What was given.
        actual: u32,
        /// The most that is taken.
        ceiling: u32,
    },
    /// The caller's content is over its limit.
    #[error("content of {actual} bytes is over the limit of {limit}")]
    TooLong {
        /// Bytes that were given.
        actual: usize,
        /// Bytes that a keystore may hold.
        limit: usize,
    },
    /// The bytes are no keystore; seen without the passphrase.
    #[error("no keystore: {0}")]
    Malformed(#[from] WireError),
    /// A wrong passphrase, or changed bytes.
    #[error("the keystore does not open")]
    Open,
    /// The environment has not the memory that Argon2id needs.
    #[error("{memory_kib} KiB of memory are not to be had")]
    OutOfMemory {
        /// What was asked for.
        memory_kib: u32,
    },
    /// Our bug: Argon2id refused what was checked before.
    #[error("Argon2id refused checked parameters")]
    Internal,
}

impl KeystoreError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::PassphraseEmpty => ErrorCode::PassphraseEmpty,
            Self::PassphraseTooLong { .. } => ErrorCode::PassphraseTooLong,
            Self::BelowFloor { .. } => ErrorCode::KeystoreCostTooLow,
            Self::AboveCeiling { .. } => ErrorCode::KeystoreCostTooHigh,
            Self::TooLong { .. } => ErrorCode::KeystoreTooLong,
            Self::Malformed(_) => ErrorCode::KeystoreMalformed,
            Self::Open => ErrorCode::KeystoreDoesNotOpen,
            Self::OutOfMemory { .. } => ErrorCode::OutOfMemory,
            Self::Internal => ErrorCode::Internal,
        }
    }
}
