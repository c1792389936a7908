//! Vaults: the sealed items of an account, in collections.
//!
//! A write names the item's version that it comes after and the collection's revision that it makes; one transaction looks
//! at both, checks the quota, and stores item and head together. So of writes at the same time one is stored and the others
//! are told what is there. A deletion is a write whose item has no content; its row stays, so that a version is never made
//! twice.
//!
//! Who reads sees a collection as it was at one moment, with the head of that moment.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::limits::VAULT_COLLECTIONS_MAX;
use super::sql::Sql;
use crate::ids::{AccountId, CollectionName, ItemId, ItemType};
use crate::protocol::public::vault_digest;
use crate::wire::{
    Bytes, CollectionSummary, PageLimit, SealedContent, SealedHeadBytes, Timestamp, VaultContent, VaultEntry,
    VaultItem, VaultPage, VaultWritten,
};

/// A write to a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultWrite {
    /// Whose vault.
    pub account_id: AccountId,
    /// Which collection. The first write makes it.
    pub collection: CollectionName,
    /// Which item.
    pub item_id: ItemId,
    /// The item's version that it comes after; 0 if there is no such item yet.
    pub after: u64,
    /// The collection's revision that it makes.
    pub revision: u64,
    /// The collection's head with it.
    pub head: SealedHeadBytes,
    /// What is written. None deletes.
    pub content: Option<(ItemType, SealedContent)>,
    /// When.
    pub now: Timestamp,
}

/// What the vault of one account may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultQuota {
    /// Items, deleted ones included.
    pub items_max: u64,
    /// Bytes of all items, as they are sealed.
    pub bytes_max: u64,
}

impl Store {
    /// Writes an item, or deletes one. The same write, made again, is answered the same until the item is written again.
    ///
    /// # Errors
    /// [`StoreError::UnknownAccount`], [`StoreError::VaultVersion`], [`StoreError::VaultRevision`],
    /// [`StoreError::VaultItemDeleted`] for a deletion after a deletion, [`StoreError::TooManyCollections`],
    /// [`StoreError::TooManyVaultItems`], [`StoreError::VaultFull`], [`StoreError::OutOfRange`] for a number past 2^63 - 1,
    /// or a failure of the store.
    pub async fn write_vault(&self, write: VaultWrite, quota: VaultQuota) -> Result<VaultWritten, StoreError> {
        let place = Arc::clone(&self.vault_writes).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let put = move |db: &Connection| {
            // Also when nobody waits for it any more.
            let _place = place;
            put(db, &write, quota)
        };
        self.writer.write(put).await
    }

    /// An item of an account's vault.
    ///
    /// # Errors
    /// [`StoreError::UnknownVaultItem`], [`StoreError::VaultItemDeleted`], [`StoreError::Corrupt`], or a failure of the
    /// store.
    pub async fn vault_item(
        &self,
        account_id: AccountId,
        collection: &CollectionName,
        item_id: ItemId,
    ) -> Result<VaultItem, StoreError> {
        let collection = collection.clone();
        let row = self.readers.read(move |db| item(db, account_id, &collection, item_id)).await?;
        let Some((item_type, version, revision, updated_at, bytes, digest, sealed)) = row else {
            return Err(StoreError::UnknownVaultItem { item_id });
        };
        let sealed = sealed.ok_or(StoreError::VaultItemDeleted { version: version.get() })?;
        let sealed = SealedContent::new(sealed).map_err(|_| StoreError::Corrupt { what: "vault item" })?;
        let entry = entry((Blob(*item_id.as_bytes()), item_type, version, revision, updated_at, bytes, digest))?;
        Ok(VaultItem { entry, sealed })
    }

    /// What was written to a collection past the revision `after`, deletions too, in ascending order of revision: of each item
    /// the last write. With it the collection's revision and head of the same moment. Of a collection that was never written,
    /// the revision is 0.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`], [`StoreError::Corrupt`], or a failure of the store.
    pub async fn vault_page(
        &self,
        account_id: AccountId,
        collection: &CollectionName,
        after: u64,
        limit: PageLimit,
    ) -> Result<VaultPage, StoreError> {
        let collection = collection.clone();
        self.readers.read(move |db| page(db, account_id, &collection, after, limit)).await
    }

    /// The collections of an account, in order of their names.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn vault_collections(&self, account_id: AccountId) -> Result<Vec<CollectionSummary>, StoreError> {
        let account = Blob(*account_id.as_bytes());
        let select =
            "SELECT collection, revision, items, bytes FROM vault_collections WHERE account_id = ? ORDER BY collection";
        let rows: Vec<(String, Integer, Integer, Integer)> =
            self.readers.read(move |db| db.all(select, params![account])).await?;
        let summary = |(collection, revision, items, bytes): (String, Integer, Integer, Integer)| {
            let collection = collection.parse().map_err(|_| StoreError::Corrupt { what: "name of a collection" })?;
            Ok(CollectionSummary { collection, revision: revision.get(), items: items.get(), bytes: bytes.get() })
        };
        rows.into_iter().map(summary).collect()
    }
}

type ItemRow = (String, Integer, Integer, Integer, Option<Integer>, Option<Blob<32>>, Option<Vec<u8>>);

fn item(
    db: &Connection,
    account_id: AccountId,
    collection: &CollectionName,
    item_id: ItemId,
) -> Result<Option<ItemRow>, StoreError> {
    db.first(
        "SELECT item_type, version, revision, updated_at, bytes, digest, sealed FROM vault_items
         WHERE account_id = ? AND collection = ? AND item_id = ?",
        params![Blob(*account_id.as_bytes()), collection.as_str(), Blob(*item_id.as_bytes())],
    )
}

type EntryRow = (Blob<16>, String, Integer, Integer, Integer, Option<Integer>, Option<Blob<32>>);

fn entry(
    (Blob(item_id), item_type, version, revision, updated_at, bytes, digest): EntryRow,
) -> Result<VaultEntry, StoreError> {
    Ok(VaultEntry {
        item_id: ItemId::from_bytes(item_id),
        item_type: item_type.parse().map_err(|_| StoreError::Corrupt { what: "type of a vault item" })?,
        version: version.get(),
        revision: revision.get(),
        updated_at: updated_at.timestamp(),
        content: content(bytes, digest)?,
    })
}

fn content(bytes: Option<Integer>, digest: Option<Blob<32>>) -> Result<Option<VaultContent>, StoreError> {
    let (Some(bytes), Some(digest)) = (bytes, digest) else { return Ok(None) };
    let bytes = u32::try_from(bytes.get()).map_err(|_| StoreError::Corrupt { what: "length of a vault item" })?;
    Ok(Some(VaultContent { bytes, digest: digest.into() }))
}

fn page(
    db: &Connection,
    account_id: AccountId,
    collection: &CollectionName,
    after: u64,
    limit: PageLimit,
) -> Result<VaultPage, StoreError> {
    let after = Integer::new(after, "revision")?;
    // A read is one transaction: the head is that of what is listed.
    let head: Option<(Integer, Vec<u8>)> = db.first(
        "SELECT revision, head FROM vault_collections WHERE account_id = ? AND collection = ?",
        params![Blob(*account_id.as_bytes()), collection.as_str()],
    )?;
    let Some((revision, head)) = head else {
        return Ok(VaultPage { revision: 0, head: None, entries: Vec::new(), next: None });
    };
    let rows: Vec<EntryRow> = db.all(
        "SELECT item_id, item_type, version, revision, updated_at, bytes, digest FROM vault_items
         WHERE account_id = ? AND collection = ? AND revision > ? ORDER BY revision LIMIT ?",
        params![Blob(*account_id.as_bytes()), collection.as_str(), after, limit.get()],
    )?;
    let entries: Vec<VaultEntry> = rows.into_iter().map(entry).collect::<Result<_, _>>()?;
    // The last write of a collection is that of its last entry.
    let next = entries.last().map(|last| last.revision).filter(|last| *last < revision.get());
    let head = SealedHeadBytes::new(head).map_err(|_| StoreError::Corrupt { what: "head of a collection" })?;
    Ok(VaultPage { revision: revision.get(), head: Some(head), entries, next })
}

/// An item as it is before a write.
struct Present {
    version: u64,
    revision: u64,
    updated_at: Timestamp,
    item_type: String,
    content: Option<VaultContent>,
    /// Of the head that the last write brought.
    head_digest: Option<Bytes<32>>,
}

fn put(db: &Connection, write: &VaultWrite, quota: VaultQuota) -> Result<VaultWritten, StoreError> {
    let present = present(db, write)?;
    if let Some(present) = &present
        && is_same(present, write)
    {
        let Present { version, revision, updated_at, .. } = *present;
        return Ok(VaultWritten { version, revision, updated_at });
    }
    let version = present.as_ref().map_or(0, |present| present.version);
    if version != write.after {
        return Err(StoreError::VaultVersion { present: version });
    }
    if write.content.is_none() && present.as_ref().is_none_or(|present| present.content.is_none()) {
        return Err(match version {
            0 => StoreError::UnknownVaultItem { item_id: write.item_id },
            version => StoreError::VaultItemDeleted { version },
        });
    }
    advance(db, write, present.as_ref(), quota)?;
    store(db, write, present)
}

fn present(db: &Connection, write: &VaultWrite) -> Result<Option<Present>, StoreError> {
    let row: Option<PresentRow> = db.first(
        "SELECT item_type, version, revision, updated_at, bytes, digest, head_digest FROM vault_items
         WHERE account_id = ? AND collection = ? AND item_id = ?",
        params![Blob(*write.account_id.as_bytes()), write.collection.as_str(), Blob(*write.item_id.as_bytes())],
    )?;
    let present = |(item_type, version, revision, updated_at, bytes, digest, head_digest): PresentRow| {
        Ok(Present {
            version: version.get(),
            revision: revision.get(),
            updated_at: updated_at.timestamp(),
            item_type,
            content: content(bytes, digest)?,
            head_digest: head_digest.map(Bytes::from),
        })
    };
    row.map(present).transpose()
}

type PresentRow = (String, Integer, Integer, Integer, Option<Integer>, Option<Blob<32>>, Option<Blob<32>>);

/// Whether this write has made the item what it is. Each sealing has a salt of its own, so equal heads are of one write.
fn is_same(present: &Present, write: &VaultWrite) -> bool {
    write.after.checked_add(1) == Some(present.version)
        && present.revision == write.revision
        && present.head_digest == Some(vault_digest(write.head.as_bytes()))
        && present.content.map(|content| content.digest) == digest(write)
}

fn digest(write: &VaultWrite) -> Option<Bytes<32>> {
    write.content.as_ref().map(|(_, sealed)| vault_digest(sealed.as_bytes()))
}

/// Takes the collection to its next revision, if that is the one that the write makes, and counts what it holds then. At a
/// limit the row goes back with the savepoint.
fn advance(
    db: &Connection,
    write: &VaultWrite,
    present: Option<&Present>,
    quota: VaultQuota,
) -> Result<(), StoreError> {
    let revision: Option<(Integer,)> = db.first(
        "SELECT revision FROM vault_collections WHERE account_id = ? AND collection = ?",
        params![Blob(*write.account_id.as_bytes()), write.collection.as_str()],
    )?;
    let is_new = revision.is_none();
    let revision = revision.map_or(0, |(revision,)| revision.get());
    if revision.checked_add(1) != Some(write.revision) {
        return Err(StoreError::VaultRevision { present: revision });
    }
    let bytes_before = present.and_then(|present| present.content).map_or(0, |content| i64::from(content.bytes));
    let bytes = write.content.as_ref().map_or(0, |(_, sealed)| sealed.as_bytes().len());
    let bytes = i64::try_from(bytes).map_err(|_| StoreError::OutOfRange { field: "vault item" })?;
    db.run(
        "INSERT INTO vault_collections (account_id, collection, revision, head, items, bytes)
         SELECT account_id, ?2, ?3, ?4, ?5, ?6 FROM accounts WHERE account_id = ?1
         ON CONFLICT DO UPDATE SET revision = ?3, head = ?4, items = items + ?5, bytes = bytes + ?6",
        params![
            Blob(*write.account_id.as_bytes()),
            write.collection.as_str(),
            Integer::new(write.revision, "revision")?,
            write.head.as_bytes(),
            i64::from(present.is_none()),
            bytes - bytes_before
        ],
    )?;
    let account_id = write.account_id;
    let (collections, items, total): (Integer, Integer, Integer) = db.one(
        "SELECT count(*), coalesce(sum(items), 0), coalesce(sum(bytes), 0) FROM vault_collections WHERE account_id = ?",
        params![Blob(*account_id.as_bytes())],
    )?;
    let (collections, items, total) = (collections.get(), items.get(), total.get());
    // What makes nothing more is stored past a quota too: that may have been lowered, and somebody wants to delete.
    if collections == 0 {
        return Err(StoreError::UnknownAccount { account_id });
    }
    if is_new && collections > VAULT_COLLECTIONS_MAX {
        return Err(StoreError::TooManyCollections { limit: VAULT_COLLECTIONS_MAX });
    }
    if present.is_none() && items > quota.items_max {
        return Err(StoreError::TooManyVaultItems { limit: quota.items_max });
    }
    if bytes > bytes_before && total > quota.bytes_max {
        return Err(StoreError::VaultFull { limit: quota.bytes_max });
    }
    Ok(())
}

fn store(db: &Connection, write: &VaultWrite, present: Option<Present>) -> Result<VaultWritten, StoreError> {
    let item_type = match (&write.content, present) {
        (Some((item_type, _)), _) => item_type.as_str().to_owned(),
        (None, Some(present)) => present.item_type,
        (None, None) => return Err(StoreError::Bug { what: "an item was deleted that is none" }),
    };
    let version = write.after.checked_add(1).ok_or(StoreError::OutOfRange { field: "version" })?;
    let sealed = write.content.as_ref().map(|(_, sealed)| sealed.as_bytes());
    db.run(
        "INSERT INTO vault_items
         (account_id, collection, item_id, item_type, version, revision, updated_at, bytes, digest, sealed, head_digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, length(?9), ?8, ?9, ?10)
         ON CONFLICT (account_id, collection, item_id) DO UPDATE SET item_type = ?4, version = ?5, revision = ?6,
             updated_at = ?7, bytes = length(?9), digest = ?8, sealed = ?9, head_digest = ?10",
        params![
            Blob(*write.account_id.as_bytes()),
            write.collection.as_str(),
            Blob(*write.item_id.as_bytes()),
            item_type,
            Integer::new(version, "version")?,
            Integer::new(write.revision, "revision")?,
            Integer::time(write.now, "time")?,
            digest(write).map(|digest| Blob(digest.0)),
            sealed,
            Blob(vault_digest(write.head.as_bytes()).0)
        ],
    )?;
    Ok(VaultWritten { version, revision: write.revision, updated_at: write.now })
}
