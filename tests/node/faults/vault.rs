//! Vaults through crashes: an acknowledged write is there, one that was under way is there whole or not at all, and sending it
//! again settles it. What the node lists afterwards is what the writers' own inventories say.

use conclave::ids::{ItemId, ItemType, WriterId};
use conclave::protocol::backup::AccountSecrets;
use conclave::protocol::vault::{
    Change, CollectionKey, Head, Inventory, ItemContext, Listing, PreparedWrite, SealedItem, VaultError,
};
use conclave::wire::{SecretText, SessionTokens, VaultPage, VaultWritten};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::*;
use crate::server::Api;
use crate::support::rng;
use crate::vault;

const CRASHES: u32 = 12;

/// Collections that are written at once, each by a device of its own.
const WRITERS: u8 = 6;

/// Writes of each collection that a crash interrupts.
const WRITES: usize = 8;

/// Who writes one collection.
struct Writer {
    path: String,
    key: CollectionKey,
    id: WriterId,
    rng: ChaCha20Rng,
    inventory: Inventory,
    /// A write that was sent and not answered.
    open: Option<Write>,
    acknowledged: usize,
}

struct Write {
    item_id: ItemId,
    prepared: PreparedWrite,
    /// None deletes.
    content: Option<(ItemType, SealedItem)>,
}

impl Writer {
    fn new(number: u8, tokens: &SessionTokens) -> Self {
        let (account, collection) = (tokens.account_id, format!("collection-{number}"));
        let secrets = AccountSecrets::generate(account, &mut rng(60));
        let key = secrets.vault_key().collection_key(account, &collection.parse().unwrap());
        Self {
            inventory: Inventory::open(&key, &Head::default(), &Listing::default()).unwrap(),
            path: format!("/api/vault/{collection}"),
            key,
            id: WriterId::from_bytes([number; 16]),
            rng: rng(61 + u64::from(number)),
            open: None,
            acknowledged: 0,
        }
    }

    /// A new item, a new version of one, or a deletion.
    fn next_write(&mut self) -> Write {
        let known = self.inventory.entries().nth(self.rng.next_u32() as usize % 8).cloned();
        let item_id = known.as_ref().map_or_else(|| ItemId::generate(&mut self.rng), |entry| entry.item_id);
        let is_deletion = known.is_some_and(|entry| entry.content.is_some()) && self.rng.next_u32().is_multiple_of(3);
        let version = self.inventory.entry(item_id).map_or(0, |entry| entry.version) + 1;
        let context = ItemContext { item_id, item_type: "memory".parse().unwrap(), version };
        let text = vec![b'x'; self.rng.next_u32() as usize % 20_000];
        let sealed = (!is_deletion).then(|| self.key.seal(&context, &text, &mut self.rng).unwrap());
        let change = Change { item_id, item_type: context.item_type.clone(), sealed: sealed.as_ref() };
        let prepared = self.inventory.prepare(&self.key, self.id, change, &mut self.rng).unwrap();
        Write { item_id, prepared, content: sealed.map(|sealed| (context.item_type, sealed)) }
    }

    /// Writes on, first what is open; until an answer does not come any more.
    async fn write(&mut self, node: &Api, token: &SecretText, writes: usize) {
        for _ in 0..writes {
            let write = self.open.take().unwrap_or_else(|| self.next_write());
            let path = format!("{}/{}", self.path, write.item_id);
            let request = vault::request(node, token, &path, &write.prepared, write.content.as_ref());
            let answer = request.send().await;
            let Ok(answer) = answer else { return self.open = Some(write) };
            let status = answer.status();
            let Ok(body) = answer.text().await else { return self.open = Some(write) };
            assert_eq!(status, 200, "{body}");
            let written: VaultWritten = serde_json::from_str(&body).unwrap();
            assert_eq!((written.version, written.revision), (write.prepared.version(), write.prepared.revision()));
            self.inventory.commit(write.prepared, written.updated_at);
            self.acknowledged += 1;
        }
    }

    /// Whether the node lists what was acknowledged, and no more than what is open beside it.
    async fn check(&self, node: &Api, token: &SecretText) -> Result<(), VaultError> {
        let page: VaultPage = node.get(&self.path, Some(token)).await.ok();
        assert_eq!(page.next, None, "one page");
        let (VaultPage { revision, head, entries, .. }, known) = (page, self.inventory.head().revision());
        let listing = Listing { revision, head, entries };
        let listed = Inventory::open(&self.key, self.inventory.head(), &listing)?;
        match &self.open {
            Some(write) if revision == known + 1 => assert_eq!(listed.head(), write.prepared.head()),
            _ => assert_eq!(listed, self.inventory),
        }
        Ok(())
    }
}

#[actix_web::test]
async fn what_was_put_into_a_vault_is_there_after_every_crash() {
    let disk = Disk::new();
    let mut node = disk.start_node();
    let tokens = node.api.sign_in("ada").await;
    let token = tokens.access_token.clone();
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, &tokens)).collect();

    for number in 0..CRASHES {
        let api = Api::at(&node.api.url);
        // One of them writes less: with its last answer the node ends, while the others are under way.
        let (first, others) = writers.split_first_mut().unwrap();
        let rest = futures_util::future::join_all(others.iter_mut().map(|writer| writer.write(&api, &token, WRITES)));
        let kill = async {
            first.write(&api, &token, 1 + number as usize % 4).await;
            node.kill();
        };
        futures_util::future::join(rest, kill).await;
        if number % 3 == 2 {
            disk.lose_power();
        }
        node = disk.start_node();
        for writer in &writers {
            assert_eq!(writer.check(&node.api, &token).await, Ok(()), "crash {number}");
        }
    }

    for writer in &mut writers {
        writer.write(&node.api, &token, 2).await;
        assert_eq!(writer.check(&node.api, &token).await, Ok(()));
    }
    let acknowledged: usize = writers.iter().map(|writer| writer.acknowledged).sum();
    assert!(acknowledged > 100, "{acknowledged} acknowledged");
    node.kill();
}

/// The check is good for something, and so is the head that a client remembers: what a node has lost is missed.
#[actix_web::test]
async fn a_vault_that_was_not_synced_is_found_out() {
    let disk = Disk::new();
    let node = disk.start_node();
    let tokens = node.api.sign_in("ada").await;
    let token = tokens.access_token.clone();
    let mut writer = Writer::new(1, &tokens);
    writer.write(&node.api, &token, 3).await;
    node.kill();
    let node = disk.start_node();
    disk.set(Mode::Lying);
    writer.write(&node.api, &token, 2).await;
    node.kill();
    disk.lose_power();
    disk.set(Mode::Honest);

    let node = disk.start_node();
    let found = writer.check(&node.api, &token).await;
    assert!(matches!(found, Err(VaultError::RolledBack { seen: 5, shown }) if shown < 5), "{found:?}");
    node.kill();
}
