//! One collection as this device knows it, and what it does with the node.
//!
//! The head of a write is saved once the node has confirmed it, and only then the caller hears of it: what somebody was told of
//! is not put back unnoticed, whenever the process is killed. It is not saved before the write leaves: of a write that never
//! arrived, an honest node would look as if it had put the collection back. So a kill, or an answer that is lost twice, leaves
//! a write that may have been stored or not; the caller asks for the item's state. A node may have stored such a write, shown
//! it to other devices, and hide it from this one. So that a write is about to leave is saved first: if it is not in what the
//! node shows afterwards, this device goes on as another writer, and whoever has seen that write misses it from then on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::VaultError;
use crate::client::api::Api;
use crate::client::entropy;
use crate::client::sync::{SeenCollection, VaultWriter};
use crate::client::{ApiError, Client, ClientError};
use crate::ids::{CollectionName, ItemId, WriterId};
use crate::protocol::vault::{self, CollectionKey, Head, Inventory, Listing, PreparedWrite};
use crate::wire::{DeleteVaultItem, ErrorCode, PutVaultItem, VaultItem, VaultWritten};

/// The collections that a client has used. Whoever writes one has it alone.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Shelves(Arc<Mutex<BTreeMap<CollectionName, Arc<Mutex<Shelf>>>>>);

#[derive(Debug)]
struct Shelf {
    key: CollectionKey,
    /// What is saved.
    seen: SeenCollection,
    /// The revision of a write of this device than which another's was faster, by the node's word.
    overtaken: Option<u64>,
    /// As the node last listed it, or as this device has written it since; at first that of an empty collection.
    inventory: Inventory,
}

/// One collection, while somebody has it.
#[derive(Debug)]
pub(super) struct Held {
    client: Client,
    name: CollectionName,
    shelf: OwnedMutexGuard<Shelf>,
}

/// What became of a write.
pub(super) enum Outcome {
    /// It is on the node's disk.
    Written(VaultWritten),
    /// The node has another version or revision: something was written since the list.
    Overtaken,
}

impl Held {
    /// Waits until nobody else has the collection.
    pub(super) async fn take(client: &Client, name: &CollectionName) -> Result<Self, VaultError> {
        let mut shelves = client.shelves.0.lock().await;
        let place = if let Some(place) = shelves.get(name) {
            Arc::clone(place)
        } else {
            let wanted = name.clone();
            let (key, seen) = client.tell(move |worker| worker.collection(&wanted)).await?;
            let place = Arc::new(Mutex::new(Shelf { key, seen, overtaken: None, inventory: Inventory::default() }));
            shelves.insert(name.clone(), Arc::clone(&place));
            place
        };
        drop(shelves);
        Ok(Self { client: client.clone(), name: name.clone(), shelf: place.lock_owned().await })
    }

    /// As [`take`](Self::take), with what was written since the last time.
    pub(super) async fn take_synced(client: &Client, name: &CollectionName) -> Result<Self, VaultError> {
        let mut held = Self::take(client, name).await?;
        held.sync().await?;
        Ok(held)
    }

    pub(super) fn key(&self) -> &CollectionKey {
        &self.shelf.key
    }

    /// Whether the node was asked since the start.
    fn is_listed(&self) -> bool {
        self.shelf.inventory.head().revision() > 0
    }

    /// What is known since the last [`sync`](Self::sync).
    pub(super) fn inventory(&self) -> &Inventory {
        &self.shelf.inventory
    }

    /// Takes what was written since the last time, if the node is to be believed.
    pub(super) async fn sync(&mut self) -> Result<(), VaultError> {
        let listing = self.list(self.shelf.inventory.head().revision()).await?;
        let is_listed = self.is_listed();
        let Shelf { key, seen, inventory, .. } = &mut *self.shelf;
        if is_listed {
            inventory.update(key, &listing).map_err(VaultError::NotBelieved)?;
        } else {
            *inventory = Inventory::open(key, &seen.head, &listing).map_err(VaultError::NotBelieved)?;
        }
        self.keep(self.shelf.seen.writer).await
    }

    /// Takes what the node shows, whatever was seen before, if this account's devices have made it. Those that have not taken it
    /// are to see that it is another history: what this device writes in it is another writer's.
    pub(super) async fn accept(&mut self) -> Result<(), VaultError> {
        let listing = self.list(0).await?;
        let shown = Inventory::open(&self.shelf.key, &Head::default(), &listing);
        self.shelf.inventory = shown.map_err(VaultError::NotBelieved)?;
        self.keep(None).await
    }

    /// Whether the node was asked since the start, and has said what became of this device's writes.
    pub(super) fn is_settled(&self) -> bool {
        self.is_listed() && self.settled_writer().is_some()
    }

    /// As whom the next write is made.
    pub(super) fn writer(&self) -> Result<WriterId, VaultError> {
        match self.settled_writer() {
            Some(id) => Ok(id),
            None => Ok(WriterId::generate(&mut entropy::generator()?)),
        }
    }

    /// As whom this device has written, if it is known what became of that.
    fn settled_writer(&self) -> Option<WriterId> {
        let Shelf { seen, overtaken, inventory, .. } = &*self.shelf;
        let (head, VaultWriter { id, unconfirmed }) = (inventory.head(), seen.writer?);
        let is_settled = match unconfirmed {
            None => true,
            Some(revision) if *overtaken == Some(revision) => head.revision() >= revision,
            Some(revision) => head.has_write(id, revision),
        };
        is_settled.then_some(id)
    }

    /// Saves the head and as whom this device writes, if that is not what was saved.
    async fn keep(&mut self, writer: Option<VaultWriter>) -> Result<(), VaultError> {
        let seen = SeenCollection { head: self.shelf.inventory.head().clone(), writer };
        if seen == self.shelf.seen {
            return Ok(());
        }
        let (name, saved) = (self.name.clone(), seen.clone());
        let saving = self.client.tell(move |worker| {
            worker.keep_collection(name, saved);
            Ok(())
        });
        saving.await?;
        self.shelf.seen = seen;
        Ok(())
    }

    /// What was written past a revision, to the end of the last page.
    async fn list(&self, after: u64) -> Result<Listing, VaultError> {
        let (mut listing, mut next) = (Listing::default(), Some(after));
        while let Some(after) = next {
            let page = rest(&self.client, async |api| api.vault_page(&self.name, after).await).await?;
            listing.entries.extend(page.entries);
            (listing.revision, listing.head, next) = (page.revision, page.head, page.next);
            if next.is_some_and(|next| next <= after) || listing.entries.len() > ENTRIES_MAX {
                return Err(ApiError::Malformed.into());
            }
        }
        Ok(listing)
    }

    /// What the node hands out for an item. None if it says that there is none.
    pub(super) async fn fetch(&self, item: ItemId) -> Result<Option<VaultItem>, VaultError> {
        match rest(&self.client, async |api| api.vault_item(&self.name, item).await).await {
            Ok(item) => Ok(Some(item)),
            Err(VaultError::Client(ClientError::Api(error)))
                if matches!(error.code(), Some(ErrorCode::UnknownVaultItem | ErrorCode::VaultItemDeleted)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Has the node store a write of [`writer`](Self::writer). If the answer is lost it is sent once more, byte for byte: that
    /// settles it.
    pub(super) async fn write(
        &mut self,
        writer: WriterId,
        item: ItemId,
        write: PreparedWrite,
        content: Option<PutVaultItem>,
    ) -> Result<Outcome, VaultError> {
        // Before it leaves.
        self.keep(Some(VaultWriter { id: writer, unconfirmed: Some(write.revision()) })).await?;
        let answer = match self.send(item, &write, content.as_ref()).await {
            Err(VaultError::Client(ClientError::Api(ApiError::Unreachable(_)))) => {
                self.send(item, &write, content.as_ref()).await
            }
            answer => answer,
        };
        let written = match answer {
            Ok(written) => written,
            Err(VaultError::Client(ClientError::Api(error))) if is_overtaken(&error) => {
                self.shelf.overtaken = Some(write.revision());
                return Ok(Outcome::Overtaken);
            }
            Err(error) => return Err(error),
        };
        if (written.version, written.revision) != (write.version(), write.revision()) {
            return Err(VaultError::NotBelieved(vault::VaultError::Entries));
        }
        self.shelf.inventory.commit(write, written.updated_at);
        // Before the caller hears of it.
        self.keep(Some(VaultWriter { id: writer, unconfirmed: None })).await?;
        Ok(Outcome::Written(written))
    }

    async fn send(
        &self,
        item: ItemId,
        write: &PreparedWrite,
        content: Option<&PutVaultItem>,
    ) -> Result<VaultWritten, VaultError> {
        let after = write.after;
        let deletion = DeleteVaultItem { revision: write.revision(), head: write.sealed_head.clone() };
        rest(&self.client, async |api| match content {
            Some(body) => api.put_vault_item(&self.name, item, after, body).await,
            None => api.delete_vault_item(&self.name, item, after, &deletion).await,
        })
        .await
    }
}

/// Whether the node says that there is something else than what was listed.
fn is_overtaken(error: &ApiError) -> bool {
    let code = error.code();
    matches!(
        code,
        Some(
            ErrorCode::VaultVersionConflict
                | ErrorCode::VaultRevisionConflict
                | ErrorCode::VaultItemDeleted
                | ErrorCode::UnknownVaultItem
        )
    )
}

/// A call to the node. If it does not take the token any more, with the next one.
pub(super) async fn rest<T>(client: &Client, call: impl AsyncFn(&Api) -> Result<T, ApiError>) -> Result<T, VaultError> {
    let api = client.tell(|worker| worker.calls()).await?;
    match call(&api).await {
        Err(error) if error.is_signed_out() => {
            let refused = api.token().cloned();
            let api = client.ask(move |worker| Box::pin(worker.calls_after(refused))).await?;
            Ok(call(&api).await?)
        }
        answer => Ok(answer?),
    }
}

/// Entries of a collection that are listed: a node could go on for ever. Far more than a quota.
const ENTRIES_MAX: usize = 1 << 20;
