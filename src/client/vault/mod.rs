//! The vault: what this account keeps for itself, sealed, on the node.
//!
//! Memories, chat histories, and whatever else an application has a JSON form for. Content is sealed here, under a key that the
//! account's devices have and the node has not; each item has a version, and a write says which one it comes after.
//!
//! - **Conflicts** are typed: who writes after a version that is no more the present one is told the present one, and nothing has
//!   changed. Writes of different items do not conflict: where two devices write a collection at once, one of them tries again.
//! - **The node is not believed.** What it lists has to add up to a head that one of the account's devices has sealed, and that
//!   comes after the one that this device has seen; what it hands out has to be what is listed. Else the call is an error that
//!   says what is wrong ([`VaultError::NotBelieved`], [`VaultError::Withheld`]), and nothing is taken.
//! - The newest head that was seen is saved before a call returns, so that a restart forgets nothing.
//!
//! What is not protected: names of collections and kinds, sizes (padded to a power of two) and times of writes are the node's to
//! see; times that it tells are its word. A device that has never seen a collection takes the one that it is shown first.
//!
//! ```no_run
//! # use conclave::client::{Client, vault::{Memory, VaultError}};
//! # async fn example(client: Client, memory: Memory) -> Result<(), VaultError> {
//! let memories = client.vault().memories();
//! let stored = memories.add(&memory).await?;
//! let found = memories.get(stored.id).await?;
//! assert_eq!(found.map(|kept| kept.content), Some(memory));
//! memories.delete(stored.id, stored.version).await?;
//! # Ok(())
//! # }
//! ```

mod collection;
mod content;
mod error;
mod shelf;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use collection::{Collection, ItemState, Kept, Listed, Stored};
pub use content::{ChatHistory, Memory, Turn};
pub use error::VaultError;
pub(super) use shelf::Shelves;

use super::Client;
use crate::ids::{CollectionName, ItemType};
use crate::wire::VaultSummary;

/// The vault of this account.
#[derive(Clone, Debug)]
pub struct Vault {
    client: Client,
}

impl Client {
    /// The vault of this account.
    #[must_use]
    pub fn vault(&self) -> Vault {
        Vault { client: self.clone() }
    }
}

impl Vault {
    /// The memories.
    #[must_use]
    pub fn memories(&self) -> Collection<Memory> {
        self.collection(CollectionName::memories(), ItemType::memory())
    }

    /// The chat histories.
    #[must_use]
    pub fn chats(&self) -> Collection<ChatHistory> {
        self.collection(CollectionName::chats(), ItemType::chat())
    }

    /// A collection of the application's own, of things of one kind. The node sees both names.
    #[must_use]
    pub fn collection<T>(&self, name: CollectionName, item_type: ItemType) -> Collection<T>
    where
        T: Serialize + DeserializeOwned + Send + Sync,
    {
        Collection::new(self.client.clone(), name, item_type)
    }

    /// Which collections there are, how much is in them, and how much may be: by the node's word.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn summary(&self) -> Result<VaultSummary, VaultError> {
        shelf::rest(&self.client, async |api| api.vault().await).await
    }
}
