//! One item: where it stands, and its sealed form.

use core::fmt;

use crate::ids::{AccountId, CollectionName, ItemId, ItemType};
use crate::protocol::public::limits;
use crate::protocol::seal::one_use;
use crate::wire::{WireError, Writer};

/// Where an item stands in its collection. All of it is bound into the item's key and tag; none of
/// it is hidden from the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemContext {
    /// The item.
    pub item_id: ItemId,
    /// What kind of thing it is.
    pub item_type: ItemType,
    /// Counts the item's writes, so that an older one cannot pass for a newer.
    pub version: u64,
}

impl ItemContext {
    /// The context as it is bound: no two differ in meaning and agree in bytes.
    pub(super) fn encode(&self, account_id: AccountId, collection: &CollectionName) -> Vec<u8> {
        let Self { item_id, item_type, version } = self;
        Writer::default()
            .bytes(account_id.as_bytes())
            .variable(collection.as_str().as_bytes())
            .bytes(item_id.as_bytes())
            .variable(item_type.as_str().as_bytes())
            .u64(*version)
            .finish()
    }
}

/// A sealed item: version 1, salt 32, commitment 32, ciphertext, tag 16. Public; opaque to the node.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedItem(Vec<u8>);

impl SealedItem {
    /// Takes bytes that were stored. Whether they are authentic shows when they are opened.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`], [`WireError::Truncated`] below 81 bytes, or
    /// [`WireError::OverLimit`] past [`limits::VAULT_ITEM_SEALED_BYTES_MAX`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, WireError> {
        one_use::check_form(&bytes, "sealed item", limits::VAULT_ITEM_SEALED_BYTES_MAX)?;
        Ok(Self(bytes))
    }

    pub(super) const fn of_own(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to store.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for SealedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedItem({} bytes)", self.0.len())
    }
}
