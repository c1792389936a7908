//! Vaults.

use data_encoding::BASE64URL_NOPAD;
use reqwest::Method;
use reqwest::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use super::{Api, ApiError, NONE, parse};
use crate::ids::{CollectionName, ItemId};
use crate::wire::{DeleteVaultItem, PutVaultItem, VaultItem, VaultPage, VaultSummary, VaultWritten};

impl Api {
    pub(in crate::client) async fn vault(&self) -> Result<VaultSummary, ApiError> {
        self.get("/api/vault").await
    }

    /// What was written to a collection past a revision.
    pub(in crate::client) async fn vault_page(
        &self,
        collection: &CollectionName,
        after: u64,
    ) -> Result<VaultPage, ApiError> {
        self.get(&format!("/api/vault/{collection}?after={after}")).await
    }

    pub(in crate::client) async fn vault_item(
        &self,
        collection: &CollectionName,
        item_id: ItemId,
    ) -> Result<VaultItem, ApiError> {
        self.get(&path(collection, item_id)).await
    }

    /// Puts an item after a version of it; 0 if there is none. To be sent again with the same body only.
    pub(in crate::client) async fn put_vault_item(
        &self,
        collection: &CollectionName,
        item_id: ItemId,
        after: u64,
        body: &PutVaultItem,
    ) -> Result<VaultWritten, ApiError> {
        parse(&self.call_with(Method::PUT, &path(collection, item_id), Some(body), Some(condition(after))).await?)
    }

    /// Deletes the version of an item.
    pub(in crate::client) async fn delete_vault_item(
        &self,
        collection: &CollectionName,
        item_id: ItemId,
        version: u64,
        deletion: &DeleteVaultItem,
    ) -> Result<VaultWritten, ApiError> {
        let DeleteVaultItem { revision, head } = deletion;
        let head = BASE64URL_NOPAD.encode(head.as_bytes());
        let path = format!("{}?revision={revision}&head={head}", path(collection, item_id));
        parse(&self.call_with(Method::DELETE, &path, NONE, Some(condition(version))).await?)
    }
}

fn path(collection: &CollectionName, item_id: ItemId) -> String {
    format!("/api/vault/{collection}/{item_id}")
}

/// The header that says which version a write comes after.
fn condition(after: u64) -> (HeaderName, String) {
    match after {
        0 => (IF_NONE_MATCH, "*".to_owned()),
        after => (IF_MATCH, format!("\"{after}\"")),
    }
}
