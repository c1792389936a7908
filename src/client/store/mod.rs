//! What a device remembers: its machine, its tokens, its rooms, what waits to be sent, and its messages.
//!
//! A [`LocalStore`] keeps named records and numbered messages. There are two: a file, encrypted under a passphrase
//! (`sqlite.rs`), and memory ([`Store::in_memory`]), for tests and agents that are thrown away.
//!
//! - Each commit is one transaction: all of it is kept or nothing, and it is on disk when it returns.
//! - There is one writer. A second process is refused with [`StoreError::InUse`].
//! - Nothing is ever wiped because of an error. A wrong passphrase or a broken record is an error, and the file stays as
//!   it is.

mod batch;
mod error;
mod lock;
mod memory;
mod sqlite;

use core::future::Future;
use core::pin::Pin;
use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

pub(super) use batch::MACHINE;
pub use batch::{Batch, MessagePage, StoredMessage};
pub use error::StoreError;

use crate::protocol::keystore::Passphrase;
use memory::MemoryStore;
use sqlite::SqliteStore;

/// What a store does, when it has done it.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Every record by its name.
pub type Records = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// A place to keep things. Names and content are secret: a store on a disk seals both.
pub trait LocalStore: core::fmt::Debug + Send {
    /// Every record, and the number of the last message.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if one does not open; [`StoreError::Unavailable`].
    fn load(&mut self) -> Work<'_, (Records, u64)>;

    /// Does all that a batch says, or nothing, and returns when it is on disk.
    ///
    /// # Errors
    /// [`StoreError::TooLong`], [`StoreError::Unavailable`].
    fn commit(&mut self, batch: Batch) -> Work<'_, ()>;

    /// The message of this id.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn message(&mut self, id: &str) -> Work<'_, Option<StoredMessage>>;

    /// Messages in the order of their numbers.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn messages(&mut self, page: MessagePage) -> Work<'_, Vec<StoredMessage>>;

    /// Closes it. What was committed stays.
    fn close(&mut self) -> Work<'_, ()>;
}

/// A device's local store.
#[derive(Debug)]
pub struct Store(Box<dyn LocalStore>);

impl Store {
    /// Makes a store in a new file, encrypted under a passphrase. Stretching that takes a quarter of a second and 64 MiB.
    /// Where that was begun and never finished, it begins anew.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one; [`StoreError::InUse`]; [`StoreError::Keystore`];
    /// [`StoreError::Unavailable`] if the file cannot be made.
    pub async fn create(path: &Path, passphrase: Passphrase) -> Result<Self, StoreError> {
        Ok(Self(Box::new(SqliteStore::create(path, passphrase).await?)))
    }

    /// Whether a store is in a file: made to its end, or in use by another program.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`], [`StoreError::Unavailable`].
    pub async fn is_at(path: &Path) -> Result<bool, StoreError> {
        SqliteStore::is_at(path).await
    }

    /// Opens the store in a file.
    ///
    /// # Errors
    /// [`StoreError::Missing`], also if making it was never finished; [`StoreError::InUse`]; [`StoreError::Keystore`] for a wrong passphrase;
    /// [`StoreError::NotAStore`], [`StoreError::Newer`], [`StoreError::Unavailable`]. The file is as it was.
    pub async fn open(path: &Path, passphrase: Passphrase) -> Result<Self, StoreError> {
        Ok(Self(Box::new(SqliteStore::open(path, passphrase).await?)))
    }

    /// A store that ends with the program, and encrypts nothing.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Box::<MemoryStore>::default())
    }

    /// A store of the caller's own making.
    #[must_use]
    pub fn of(store: impl LocalStore + 'static) -> Self {
        Self(Box::new(store))
    }

    /// The store as the trait has it: for a store of the caller's own making that stands around another.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn LocalStore> {
        self.0
    }
}
