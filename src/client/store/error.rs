//! Why a store does not open, keep or give something.

use std::path::PathBuf;

use crate::protocol::keystore::KeystoreError;

/// Why a store does not open, keep or give something. What it holds is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file, or one in which making a store was begun and never finished.
    #[error("there is no store at {}", .path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// There is a store already.
    #[error("there is a store at {} already", .path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Another program has it open.
    #[error("the store at {} is in use by another program", .path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is no store", .path.display())]
    NotAStore {
        /// Where.
        path: PathBuf,
    },
    /// A newer program has made it.
    #[error("the store has version {version}; this program knows {known}")]
    Newer {
        /// Its version.
        version: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// A wrong passphrase, or weak or broken parameters of it.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// A record or message does not open: the file was changed.
    #[error("a record of the store is broken")]
    Broken,
    /// A record is over its limit.
    #[error("a record is over the limit of the store")]
    TooLong,
    /// The file cannot be read or written: the disk is full or gone, or the permission is missing.
    #[error("the store is not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
