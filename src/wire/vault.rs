//! What is said over REST about vaults: an account's sealed items, in collections.
//!
//! The node orders the writes of a collection and can read nothing in them. Each write makes the item's next version and
//! the collection's next revision, and brings the collection's next head: what its writer says of all items, sealed
//! (`protocol::vault`). A client believes the head and holds the rest of what the node says against it.
//!
//! A version that a call is for stands in `If-Match: "n"`; `If-None-Match: *` is for an item that there is none of yet.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::limits::{VAULT_HEAD_BYTES_MAX, VAULT_SEALED_BYTES_MAX};
use super::sealed::SealedBytes;
use super::timestamp::Timestamp;
use crate::ids::{CollectionName, ItemId, ItemType};

/// A sealed item (`protocol::vault::SealedItem`).
pub type SealedContent = SealedBytes<VAULT_SEALED_BYTES_MAX>;

/// A sealed head (`protocol::vault::SealedHead`).
pub type SealedHeadBytes = SealedBytes<VAULT_HEAD_BYTES_MAX>;

/// Body of `PUT /api/vault/{collection}/{item_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutVaultItem {
    /// What kind of thing the item is.
    pub item_type: ItemType,
    /// The item, sealed for the version that comes after the one that the call is for.
    pub sealed: SealedContent,
    /// The collection's revision with this write: one more than the present.
    #[cfg_attr(feature = "node", schema(minimum = 1, maximum = 9_223_372_036_854_775_807_i64))]
    pub revision: u64,
    /// The collection's head with this write.
    pub head: SealedHeadBytes,
}

/// Query of `DELETE /api/vault/{collection}/{item_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub struct DeleteVaultItem {
    /// The collection's revision with the deletion: one more than the present.
    #[cfg_attr(feature = "node", param(minimum = 1, maximum = 9_223_372_036_854_775_807_i64))]
    pub revision: u64,
    /// The collection's head with the deletion.
    pub head: SealedHeadBytes,
}

/// Answer of a write: it is on disk. The same write, sent again, is answered the same until the item is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VaultWritten {
    /// The item's version, also its `ETag`. A deletion is a version too.
    pub version: u64,
    /// The collection's revision.
    pub revision: u64,
    /// When it was written, by the node's clock.
    pub updated_at: Timestamp,
}

/// What the node lists of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VaultEntry {
    /// The item.
    pub item_id: ItemId,
    /// What kind of thing it is, or was.
    pub item_type: ItemType,
    /// Counts its writes.
    pub version: u64,
    /// The collection's revision that its last write made.
    pub revision: u64,
    /// When that was, by the node's clock.
    pub updated_at: Timestamp,
    /// What is stored of it. None: it was deleted, and this is what remains.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<VaultContent>,
}

/// What the node says of an item's sealed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VaultContent {
    /// How many they are.
    pub bytes: u32,
    /// Their hash (`protocol::public::vault_digest`).
    pub digest: Bytes<32>,
}

/// Answer of `GET /api/vault/{collection}/{item_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VaultItem {
    /// What the list says of it.
    pub entry: VaultEntry,
    /// The item.
    pub sealed: SealedContent,
}

/// Answer of `GET /api/vault/{collection}`: what was written past a revision, deletions too; of each item its last write.
///
/// It is of one moment. Whoever reads on to the last page has, with that page's head, the collection as it was at that page's
/// moment: what was written meanwhile stands behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VaultPage {
    /// The collection's revision: how often it was written. 0: never.
    pub revision: u64,
    /// Its head. None if it was never written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub head: Option<SealedHeadBytes>,
    /// The items, in ascending order of revision.
    pub entries: Vec<VaultEntry>,
    /// After which revision the next page begins; none on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<u64>,
}

/// Answer of `GET /api/vault`: the account's collections, in order of their names, and what they may hold together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VaultSummary {
    /// The collections.
    pub collections: Vec<CollectionSummary>,
    /// Items that the account may have, deleted ones included.
    pub items_max: u64,
    /// Bytes that they may have together, as they are sealed.
    pub bytes_max: u64,
}

/// A collection, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CollectionSummary {
    /// Its name.
    pub collection: CollectionName,
    /// How often it was written.
    pub revision: u64,
    /// Its items, deleted ones included.
    pub items: u64,
    /// Bytes of its items, as they are sealed.
    pub bytes: u64,
}
