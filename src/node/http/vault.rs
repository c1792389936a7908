//! `/api/vault`: an account's sealed items, in collections. Of the vaults of others nobody hears.

use actix_web::web::{Data, Json, Path, Query};

use super::body::{self, Body, PageQuery};
use super::document::{Calls, Tagged, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::precondition::Precondition;
use super::state::NodeState;
use crate::ids::{CollectionName, ItemId};
use crate::node::audit::{self, Event};
use crate::node::store::{StoreError, VaultQuota, VaultWrite};
use crate::wire::limits::VAULT_PUT_JSON_BYTES_MAX;
use crate::wire::{DeleteVaultItem, ErrorCode, PutVaultItem, VaultItem, VaultPage, VaultSummary, VaultWritten};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let conflicts = [ErrorCode::VaultVersionConflict, ErrorCode::VaultRevisionConflict];
    let puts = about("Puts an item into a collection as its next version, with the collection's next head.");
    let puts = puts.refuses(&conflicts).refuses(&[
        ErrorCode::TooManyVaultItems,
        ErrorCode::TooManyCollections,
        ErrorCode::VaultFull,
    ]);
    let deletes = about("Deletes an item. That it was, and as which version, remains.");
    let deletes = deletes.refuses(&conflicts).refuses(&[ErrorCode::UnknownVaultItem, ErrorCode::VaultItemDeleted]);
    let gets = about("An item as it was put.").refuses(&[ErrorCode::UnknownVaultItem, ErrorCode::VaultItemDeleted]);
    calls
        .at("/api/vault", |at| at.get(summary, about("The account's collections, and what they may hold.")))
        .at("/api/vault/{collection}", |at| {
            at.get(list, about("What was written to a collection past a revision, deletions too, and its head."))
        })
        .at("/api/vault/{collection}/{item_id}", |at| {
            at.with(body::json(VAULT_PUT_JSON_BYTES_MAX)).get(get, gets).put(put, puts).delete(delete, deletes)
        });
}

async fn summary(asker: SignedIn, state: Data<NodeState>) -> Result<Json<VaultSummary>, ApiError> {
    let collections = state.store.vault_collections(asker.account_id()).await?;
    let VaultQuota { items_max, bytes_max } = quota(&state);
    Ok(Json(VaultSummary { collections, items_max, bytes_max }))
}

async fn list(
    asker: SignedIn,
    state: Data<NodeState>,
    collection: Path<CollectionName>,
    query: Query<PageQuery<u64>>,
) -> Result<Json<VaultPage>, ApiError> {
    let after = query.after.unwrap_or(0);
    Ok(Json(state.store.vault_page(asker.account_id(), &collection, after, query.limit).await?))
}

async fn get(
    asker: SignedIn,
    state: Data<NodeState>,
    path: Path<(CollectionName, ItemId)>,
) -> Result<Tagged<VaultItem>, ApiError> {
    let (collection, item_id) = path.into_inner();
    let item = state.store.vault_item(asker.account_id(), &collection, item_id).await?;
    Ok(Tagged { version: item.entry.version, body: item })
}

async fn put(
    asker: SignedIn,
    state: Data<NodeState>,
    precondition: Precondition,
    path: Path<(CollectionName, ItemId)>,
    body: Body<PutVaultItem>,
) -> Result<Tagged<VaultWritten>, ApiError> {
    let (collection, item_id) = path.into_inner();
    let (account_id, after, now) = (asker.account_id(), precondition.version()?, state.clock.now());
    let PutVaultItem { item_type, sealed, revision, head } = body.into_inner();
    let bytes = sealed.as_bytes().len();
    let content = Some((item_type, sealed));
    let write = VaultWrite { account_id, collection, item_id, after, revision, head, content, now };
    let written = write_to(&state, write).await?;
    state.metrics.vault.writes.of(["put"]).increment(1);
    state.metrics.vault.bytes.increment(bytes as u64);
    audit::record(Event::VaultItemPut { account: account_id, item: item_id, version: written.version });
    Ok(Tagged { version: written.version, body: written })
}

async fn delete(
    asker: SignedIn,
    state: Data<NodeState>,
    precondition: Precondition,
    path: Path<(CollectionName, ItemId)>,
    query: Query<DeleteVaultItem>,
) -> Result<Tagged<VaultWritten>, ApiError> {
    let (collection, item_id) = path.into_inner();
    let (account_id, after, now) = (asker.account_id(), precondition.version()?, state.clock.now());
    let DeleteVaultItem { revision, head } = query.into_inner();
    let write = VaultWrite { account_id, collection, item_id, after, revision, head, content: None, now };
    let written = write_to(&state, write).await?;
    state.metrics.vault.writes.of(["delete"]).increment(1);
    audit::record(Event::VaultItemDeleted { account: account_id, item: item_id, version: written.version });
    Ok(Tagged { version: written.version, body: written })
}

async fn write_to(state: &NodeState, write: VaultWrite) -> Result<VaultWritten, ApiError> {
    let written = state.store.write_vault(write, quota(state)).await;
    match &written {
        Err(StoreError::VaultVersion { .. }) => state.metrics.vault.conflicts.of(["version"]).increment(1),
        Err(StoreError::VaultRevision { .. }) => state.metrics.vault.conflicts.of(["revision"]).increment(1),
        _ => {}
    }
    Ok(written?)
}

fn quota(state: &NodeState) -> VaultQuota {
    let settings = &state.settings.vault;
    VaultQuota {
        items_max: settings.items_per_account.value().into(),
        bytes_max: u64::from(settings.mebibytes_per_account.value()) * 1024 * 1024,
    }
}
