//! One collection, as the app uses it.

use core::marker::PhantomData;
use core::time::Duration;

use rand_core::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::shelf::{Held, Outcome};
use super::{VaultError, content};
use crate::client::{Client, entropy};
use crate::ids::{CollectionName, ItemId, ItemType, WriterId};
use crate::protocol::vault::{Change, ItemContext, PreparedWrite, SealedItem};
use crate::wire::{PutVaultItem, SealedContent, Timestamp, VaultEntry, VaultWritten};

/// A collection of sealed items of one kind. Clones are handles of the same one.
///
/// Every call asks the node what was written since the last one, and takes that only if the account's devices have written it.
#[derive(Debug)]
pub struct Collection<T> {
    client: Client,
    name: CollectionName,
    item_type: ItemType,
    content: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        let Self { client, name, item_type, content } = self;
        Self { client: client.clone(), name: name.clone(), item_type: item_type.clone(), content: *content }
    }
}

/// An item that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The item.
    pub id: ItemId,
    /// Its version now: what the next write of it comes after.
    pub version: u64,
    /// When, by the node's clock.
    pub updated_at: Timestamp,
}

/// An item that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// The item.
    pub id: ItemId,
    /// Its version: what the next write of it comes after.
    pub version: u64,
    /// When it was written, by the node's clock.
    pub updated_at: Timestamp,
    /// What it holds.
    pub content: T,
}

/// What is known of an item without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The item.
    pub id: ItemId,
    /// Its version.
    pub version: u64,
    /// When it was written, by the node's clock.
    pub updated_at: Timestamp,
    /// Bytes of it, as it is sealed.
    pub bytes: u32,
}

/// How it stands with an item. The account's devices vouch for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// It is there.
    Present {
        /// Its version.
        version: u64,
    },
    /// One of the account's devices has deleted it.
    Deleted {
        /// The version of its deletion.
        version: u64,
    },
    /// There never was one.
    Absent,
}

impl ItemState {
    /// What the next write of it comes after: its version, or that of its deletion; 0 where there never was one.
    #[must_use]
    pub const fn version(self) -> u64 {
        match self {
            Self::Present { version } | Self::Deleted { version } => version,
            Self::Absent => 0,
        }
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync> Collection<T> {
    pub(super) const fn new(client: Client, name: CollectionName, item_type: ItemType) -> Self {
        Self { client, name, item_type, content: PhantomData }
    }

    /// The id of the item that the app knows by a name: always the same, and on all of the account's devices. The node cannot
    /// tell the name from it.
    ///
    /// # Errors
    /// [`ClientError::NoVaultKey`](crate::client::ClientError::NoVaultKey).
    pub async fn id_of(&self, name: &str) -> Result<ItemId, VaultError> {
        Ok(Held::take(&self.client, &self.name).await?.key().item_id(name))
    }

    /// Adds an item under an id drawn anew.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn add(&self, content: &T) -> Result<Stored, VaultError> {
        let id = ItemId::generate(&mut entropy::generator()?);
        self.put(id, 0, content).await
    }

    /// Puts an item as the version that comes after `after`: 0 where there is none yet. It is on the node's disk when this
    /// returns.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] if another version is there; nothing has changed then. [`VaultError::NotBelieved`];
    /// [`VaultError::Item`] for a content over
    /// [`VAULT_ITEM_BYTES_MAX`](crate::protocol::public::limits::VAULT_ITEM_BYTES_MAX); [`VaultError::Contended`]; those of the
    /// call, such as `vault_full`. After [`ApiError::Unreachable`](crate::client::ApiError::Unreachable) it is not known
    /// whether it was stored: [`state`](Self::state) says so later.
    pub async fn put(&self, id: ItemId, after: u64, content: &T) -> Result<Stored, VaultError> {
        let plaintext = content::encode(content).ok_or(VaultError::NoForm)?;
        let written = self.write(id, after, Some(&plaintext)).await?;
        Ok(Stored { id, version: written.version, updated_at: written.updated_at })
    }

    /// An item. None if there is none, or if it was deleted.
    ///
    /// # Errors
    /// [`VaultError::NotBelieved`] and [`VaultError::Withheld`] if the node hands out something else or nothing;
    /// [`VaultError::Item`] and [`VaultError::OtherForm`] if a device of this account has written something else there; those of
    /// the call.
    pub async fn get(&self, id: ItemId) -> Result<Option<Kept<T>>, VaultError> {
        let mut held = Held::take_synced(&self.client, &self.name).await?;
        let mut known = held.inventory().entry(id).cloned();
        loop {
            if known.as_ref().is_none_or(|entry| entry.content.is_none()) {
                return Ok(None);
            }
            let refusal = match held.fetch(id).await? {
                None => VaultError::Withheld { item: id },
                Some(item) => match held.inventory().check(id, &item.sealed) {
                    Ok(entry) => return open(&held, entry, item.sealed).map(Some),
                    Err(error) => VaultError::NotBelieved(error),
                },
            };
            // Somebody may have written it since it was listed. Each time round it has another version.
            held.sync().await?;
            let present = held.inventory().entry(id).cloned();
            if present == known {
                return Err(refusal);
            }
            known = present;
        }
    }

    /// How it stands with an item.
    ///
    /// # Errors
    /// [`VaultError::NotBelieved`]; those of the call.
    pub async fn state(&self, id: ItemId) -> Result<ItemState, VaultError> {
        let held = Held::take_synced(&self.client, &self.name).await?;
        Ok(match held.inventory().entry(id) {
            None => ItemState::Absent,
            Some(VaultEntry { version, content: None, .. }) => ItemState::Deleted { version: *version },
            Some(VaultEntry { version, content: Some(_), .. }) => ItemState::Present { version: *version },
        })
    }

    /// The collection's items of this kind, those written last at the end.
    ///
    /// # Errors
    /// [`VaultError::NotBelieved`]; those of the call.
    pub async fn list(&self) -> Result<Vec<Listed>, VaultError> {
        let held = Held::take_synced(&self.client, &self.name).await?;
        let mut entries: Vec<_> =
            held.inventory().entries().filter(|entry| entry.item_type == self.item_type).collect();
        entries.sort_by_key(|entry| entry.revision);
        let listed = |entry: &VaultEntry| {
            let VaultEntry { item_id, version, updated_at, content, .. } = entry;
            let (id, version, updated_at) = (*item_id, *version, *updated_at);
            content.map(|content| Listed { id, version, updated_at, bytes: content.bytes })
        };
        Ok(entries.into_iter().filter_map(listed).collect())
    }

    /// Deletes the version of an item. The version of the deletion is returned.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] if another version is there, [`VaultError::Deleted`] if that version is a deletion; as
    /// [`put`](Self::put).
    pub async fn delete(&self, id: ItemId, version: u64) -> Result<u64, VaultError> {
        Ok(self.write(id, version, None).await?.version)
    }

    /// Takes the collection as the node shows it, although it is not what was seen before: the user has said that the node was
    /// restored from a backup. What the account's devices have not written is refused all the same.
    ///
    /// # Errors
    /// [`VaultError::NotBelieved`] if no device of the account has left it so; those of the call.
    pub async fn accept(&self) -> Result<(), VaultError> {
        Held::take(&self.client, &self.name).await?.accept().await
    }

    async fn write(&self, id: ItemId, after: u64, plaintext: Option<&[u8]>) -> Result<VaultWritten, VaultError> {
        let mut held = Held::take(&self.client, &self.name).await?;
        for attempt in 0..ATTEMPTS_MAX {
            // What is known may do. If it does not, the node says so; before the caller is told, it is asked.
            let is_known = attempt == 0 && held.is_settled();
            if !is_known || check_version(held.inventory().entry(id), id, after, plaintext.is_some()).is_err() {
                held.sync().await?;
            }
            check_version(held.inventory().entry(id), id, after, plaintext.is_some())?;
            let writer = held.writer()?;
            let (write, body) = self.prepare(&held, writer, id, after, plaintext)?;
            match held.write(writer, id, write, body).await? {
                Outcome::Written(written) => return Ok(written),
                Outcome::Overtaken => sleep(wait_after(attempt)?).await,
            }
        }
        Err(VaultError::Contended)
    }

    fn prepare(
        &self,
        held: &Held,
        writer: WriterId,
        item_id: ItemId,
        after: u64,
        plaintext: Option<&[u8]>,
    ) -> Result<(PreparedWrite, Option<PutVaultItem>), VaultError> {
        let (key, rng) = (held.key(), &mut entropy::generator()?);
        let item_type = self.item_type.clone();
        let context = ItemContext { item_id, item_type: item_type.clone(), version: after.saturating_add(1) };
        let sealed = plaintext.map(|plaintext| key.seal(&context, plaintext, rng)).transpose();
        let sealed = sealed.map_err(VaultError::Item)?;
        let change = Change { item_id, item_type: item_type.clone(), sealed: sealed.as_ref() };
        let write = held.inventory().prepare(key, writer, change, rng).map_err(VaultError::Item)?;
        let sealed = sealed.map(|sealed| SealedContent::new(sealed.into_bytes()));
        let sealed = sealed.transpose().map_err(|error| VaultError::Item(error.into()))?;
        let revision = write.revision();
        let body = sealed.map(|sealed| PutVaultItem { item_type, sealed, revision, head: write.sealed_head.clone() });
        Ok((write, body))
    }
}

/// Whether a write of an item comes after its present version.
fn check_version(entry: Option<&VaultEntry>, item: ItemId, after: u64, is_put: bool) -> Result<(), VaultError> {
    let present = entry.map_or(0, |entry| entry.version);
    let is_there = entry.is_some_and(|entry| entry.content.is_some());
    match (present == after, is_put || is_there) {
        (true, true) => Ok(()),
        (true, false) if present > 0 => Err(VaultError::Deleted { item, version: present }),
        _ => Err(VaultError::Conflict { item, present }),
    }
}

fn open<T: DeserializeOwned>(held: &Held, entry: &VaultEntry, sealed: SealedContent) -> Result<Kept<T>, VaultError> {
    let VaultEntry { item_id, item_type, version, updated_at, .. } = entry;
    let place = ItemContext { item_id: *item_id, item_type: item_type.clone(), version: *version };
    let sealed = SealedItem::parse(sealed.into_bytes()).map_err(|error| VaultError::Item(error.into()))?;
    let plaintext = held.key().open(&place, &sealed).map_err(VaultError::Item)?;
    match content::decode(&plaintext) {
        Some(content) => Ok(Kept { id: *item_id, version: *version, updated_at: *updated_at, content }),
        None => Err(VaultError::OtherForm { item: *item_id }),
    }
}

/// How long to wait when another device was ahead: at random, so that two do not meet again and again.
fn wait_after(attempt: u32) -> Result<Duration, VaultError> {
    let longest = WAIT_MIN.saturating_mul(1 << attempt).min(WAIT_MAX);
    let share = f64::from(entropy::generator()?.next_u32()) / f64::from(u32::MAX);
    Ok(longest.mul_f64(share))
}

/// How often a write is tried that other devices are ahead of.
const ATTEMPTS_MAX: u32 = 16;

/// The longest wait after the first try; each time it is twice as long.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// The longest wait after a try.
const WAIT_MAX: Duration = Duration::from_millis(500);
