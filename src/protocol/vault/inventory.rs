//! What is in a collection, as far as its writers vouch for it.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use super::head::Head;
use super::{CollectionKey, SealedItem, VaultError};
use crate::ids::{ItemId, ItemType, WriterId};
use crate::protocol::public::vault_digest;
use crate::wire::{SealedContent, SealedHeadBytes, Timestamp, VaultContent, VaultEntry};

/// The entries of a collection, and its head, which they add up to.
///
/// It takes from a node only what the collection's writers have left: [`open`](Self::open) and [`update`](Self::update) refuse
/// whatever else. What is saved of it is the head; the entries are listed again.
/// The default one is of a collection that was never written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    head: Head,
    entries: BTreeMap<ItemId, VaultEntry>,
}

/// What a node lists: all that was written past a revision, to the end of its last page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The collection's revision, on the last page.
    pub revision: u64,
    /// Its head, on the last page.
    pub head: Option<SealedHeadBytes>,
    /// The entries of all pages, in their order. Of those of one item the last counts.
    pub entries: Vec<VaultEntry>,
}

/// A write that an inventory was asked for. It changes nothing until the node has stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedWrite {
    /// The version of the item that it comes after; 0 if there is none.
    pub after: u64,
    /// The collection's next head, to be stored with the item.
    pub sealed_head: SealedHeadBytes,
    entry: VaultEntry,
    head: Head,
}

impl PreparedWrite {
    /// The revision that it makes of the collection.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.head.revision()
    }

    /// The version that it makes of the item.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.entry.version
    }

    /// The head that the collection has with it: to be saved once the node has stored it.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }
}

/// What a write is to make of an item.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The item.
    pub item_id: ItemId,
    /// What kind of thing it is.
    pub item_type: ItemType,
    /// Its content, sealed for the version after the one that [`Inventory::entry`] has. None deletes it.
    pub sealed: Option<&'a SealedItem>,
}

impl Inventory {
    /// A collection as a node lists it from the beginning, for somebody who has `seen` a head of it: the default one, if none.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn open(key: &CollectionKey, seen: &Head, listing: &Listing) -> Result<Self, VaultError> {
        let mut inventory = Self::default();
        inventory.take(key, seen, listing)?;
        Ok(inventory)
    }

    /// The collection's head: to be saved when it has changed, and given to [`open`](Self::open). A node is asked for what was
    /// written past its revision.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// All entries, deleted ones too, in ascending order of id.
    pub fn entries(&self) -> impl Iterator<Item = &VaultEntry> {
        self.entries.values()
    }

    /// What is known of an item.
    #[must_use]
    pub fn entry(&self, item_id: ItemId) -> Option<&VaultEntry> {
        self.entries.get(&item_id)
    }

    /// Takes what a node lists, if that is what the collection's writers have left; after an error it is as before.
    ///
    /// # Errors
    /// [`VaultError::RolledBack`] for less than was seen before, [`VaultError::Head`] for a head that no writer has made,
    /// [`VaultError::Forked`] for one that lacks a write that was seen before, [`VaultError::Entries`] for entries that are not
    /// those of the head: one that is missing, older, invented, or changed.
    pub fn update(&mut self, key: &CollectionKey, listing: &Listing) -> Result<(), VaultError> {
        let seen = self.head.clone();
        self.take(key, &seen, listing)
    }

    fn take(&mut self, key: &CollectionKey, seen: &Head, listing: &Listing) -> Result<(), VaultError> {
        let head = newer_head(key, seen, listing)?;
        let changed: BTreeMap<ItemId, &VaultEntry> =
            listing.entries.iter().map(|entry| (entry.item_id, entry)).collect();
        let mut sum = self.head.sum().clone();
        for (item_id, entry) in &changed {
            if let Some(before) = self.entries.get(item_id) {
                sum.toggle(&key.entry_code(before));
            }
            sum.toggle(&key.entry_code(entry));
        }
        if sum != *head.sum() {
            return Err(VaultError::Entries);
        }
        self.entries.extend(changed.into_iter().map(|(item_id, entry)| (item_id, entry.clone())));
        self.head = head;
        Ok(())
    }

    /// Prepares the next version of an item, by `writer`. Nothing has changed until the node has stored it.
    ///
    /// A writer never makes two writes of one revision that a node can have stored: who does not know what became of one goes on
    /// as another writer. So a node that hides a write from whoever made it is found out by those to whom it has shown it.
    ///
    /// # Errors
    /// None that a head within its limits has.
    pub fn prepare(
        &self,
        key: &CollectionKey,
        writer: WriterId,
        change: Change<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<PreparedWrite, VaultError> {
        let Change { item_id, item_type, sealed } = change;
        let before = self.entries.get(&item_id);
        let after = before.map_or(0, |entry| entry.version);
        let entry = VaultEntry {
            item_id,
            item_type,
            version: after.saturating_add(1),
            revision: self.head.revision().saturating_add(1),
            updated_at: Timestamp::from_millis(0),
            content: sealed.map(content),
        };
        let mut sum = self.head.sum().clone();
        if let Some(before) = before {
            sum.toggle(&key.entry_code(before));
        }
        sum.toggle(&key.entry_code(&entry));
        let head = self.head.after_write(writer, sum);
        Ok(PreparedWrite { after, sealed_head: key.seal_head(&head, rng)?, entry, head })
    }

    /// Takes a write that the node has stored, at that time by its clock.
    pub fn commit(&mut self, write: PreparedWrite, updated_at: Timestamp) {
        let PreparedWrite { after: _, sealed_head: _, entry, head } = write;
        self.entries.insert(entry.item_id, VaultEntry { updated_at, ..entry });
        self.head = head;
    }

    /// Checks that the bytes which a node hands out for an item are those of the version that is known.
    ///
    /// # Errors
    /// [`VaultError::OtherItem`] if they are not, or if there is no such item.
    pub fn check(&self, item_id: ItemId, sealed: &SealedContent) -> Result<&VaultEntry, VaultError> {
        let entry = self.entries.get(&item_id).ok_or(VaultError::OtherItem)?;
        let digest = entry.content.map(|content| content.digest);
        if digest == Some(vault_digest(sealed.as_bytes())) { Ok(entry) } else { Err(VaultError::OtherItem) }
    }
}

/// The head that a node shows, if it can have come of the one that was seen.
fn newer_head(key: &CollectionKey, seen: &Head, listing: &Listing) -> Result<Head, VaultError> {
    let shown = listing.revision;
    if shown < seen.revision() {
        return Err(VaultError::RolledBack { seen: seen.revision(), shown });
    }
    let head = match &listing.head {
        None if shown == 0 => Head::default(),
        None => return Err(VaultError::Head),
        Some(sealed) => key.open_head(shown, sealed)?,
    };
    if head.follows(seen) { Ok(head) } else { Err(VaultError::Forked) }
}

fn content(sealed: &SealedItem) -> VaultContent {
    let bytes = sealed.as_bytes();
    // A sealed item has at most `VAULT_ITEM_SEALED_BYTES_MAX` bytes.
    VaultContent { bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX), digest: vault_digest(bytes) }
}
