use super::*;
use conclave::ids::{CollectionName, ItemId};
use conclave::node::store::limits::VAULT_COLLECTIONS_MAX;
use conclave::node::store::{VaultQuota, VaultWrite};
use conclave::protocol::public::vault_digest;
use conclave::wire::{CollectionSummary, SealedContent, SealedHeadBytes, VaultContent, VaultEntry, VaultWritten};

const QUOTA: VaultQuota = VaultQuota { items_max: 1_000, bytes_max: 1_000_000 };

fn name(text: &str) -> CollectionName {
    text.parse().unwrap()
}

fn item_id(number: u8) -> ItemId {
    ItemId::from_bytes([number; 16])
}

fn sealed(text: &str) -> SealedContent {
    SealedContent::new(text.into()).unwrap()
}

fn head(revision: u64) -> SealedHeadBytes {
    SealedHeadBytes::new(revision.to_be_bytes().into()).unwrap()
}

/// A write of an item of `memories`, after that version of it, that makes that revision.
fn put(account_id: AccountId, number: u8, after: u64, revision: u64, text: &str) -> VaultWrite {
    VaultWrite {
        account_id,
        collection: name("memories"),
        item_id: item_id(number),
        after,
        revision,
        head: head(revision),
        content: Some(("memory".parse().unwrap(), sealed(text))),
        now: START.plus(Duration::from_secs(revision)),
    }
}

fn delete(account_id: AccountId, number: u8, after: u64, revision: u64) -> VaultWrite {
    VaultWrite { content: None, ..put(account_id, number, after, revision, "-") }
}

fn written(version: u64, revision: u64) -> VaultWritten {
    VaultWritten { version, revision, updated_at: START.plus(Duration::from_secs(revision)) }
}

fn entry(number: u8, version: u64, revision: u64, text: Option<&str>) -> VaultEntry {
    let content =
        |text: &str| VaultContent { bytes: u32::try_from(text.len()).unwrap(), digest: vault_digest(text.as_bytes()) };
    VaultEntry {
        item_id: item_id(number),
        item_type: "memory".parse().unwrap(),
        version,
        revision,
        updated_at: START.plus(Duration::from_secs(revision)),
        content: text.map(content),
    }
}

/// Revision and items of a whole collection, as one page has them.
async fn all_of(store: &Store, account_id: AccountId, collection: &str) -> (u64, Vec<VaultEntry>) {
    let page = store.vault_page(account_id, &name(collection), 0, PageLimit::default()).await.unwrap();
    assert_eq!((page.head, page.next), ((page.revision > 0).then(|| head(page.revision)), None));
    (page.revision, page.entries)
}

#[tokio::test]
async fn an_item_is_as_its_last_write_left_it() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;

    assert_eq!(store.write_vault(put(ada, 1, 0, 1, "one"), QUOTA).await.unwrap(), written(1, 1));
    assert_eq!(store.write_vault(put(ada, 2, 0, 2, "two"), QUOTA).await.unwrap(), written(1, 2));
    assert_eq!(store.write_vault(put(ada, 1, 1, 3, "one, again"), QUOTA).await.unwrap(), written(2, 3));

    let item = store.vault_item(ada, &name("memories"), item_id(1)).await.unwrap();
    assert_eq!((item.entry, item.sealed), (entry(1, 2, 3, Some("one, again")), sealed("one, again")));
    let expected = vec![entry(2, 1, 2, Some("two")), entry(1, 2, 3, Some("one, again"))];
    assert_eq!(all_of(&store, ada, "memories").await, (3, expected));
    let summary = CollectionSummary { collection: name("memories"), revision: 3, items: 2, bytes: 13 };
    assert_eq!(store.vault_collections(ada).await.unwrap(), [summary]);
}

#[tokio::test]
async fn a_deletion_is_a_version_that_remains() {
    let (folder, store) = store().await;
    let ada = account(&store, 1).await;
    let text = "sealed bytes that are to go";
    store.write_vault(put(ada, 1, 0, 1, text), QUOTA).await.unwrap();

    assert_eq!(store.write_vault(delete(ada, 1, 1, 2), QUOTA).await.unwrap(), written(2, 2));

    let gone = store.vault_item(ada, &name("memories"), item_id(1)).await.unwrap_err();
    assert!(matches!(gone, StoreError::VaultItemDeleted { version: 2 }), "{gone}");
    assert_eq!(all_of(&store, ada, "memories").await, (2, vec![entry(1, 2, 2, None)]));
    let again = store.write_vault(delete(ada, 1, 2, 3), QUOTA).await.unwrap_err();
    assert!(matches!(again, StoreError::VaultItemDeleted { version: 2 }), "{again}");
    let new = store.write_vault(put(ada, 1, 0, 3, "new"), QUOTA).await.unwrap_err();
    assert!(matches!(new, StoreError::VaultVersion { present: 2 }), "{new}");
    assert_eq!(store.write_vault(put(ada, 1, 2, 3, "new"), QUOTA).await.unwrap(), written(3, 3));
    let summary = CollectionSummary { collection: name("memories"), revision: 3, items: 1, bytes: 3 };
    assert_eq!(store.vault_collections(ada).await.unwrap(), [summary]);

    store.close().await;
    let is_there = |needle: &[u8]| folder.bytes().windows(needle.len()).any(|window| window == needle);
    assert!(is_there(item_id(1).as_bytes()), "the search finds nothing at all");
    assert!(!is_there(text.as_bytes()), "the deleted item is still in the file");
}

#[tokio::test]
async fn a_write_that_is_made_again_is_answered_as_before() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let (first, second, last) = (put(ada, 1, 0, 1, "one"), put(ada, 1, 1, 2, "two"), delete(ada, 1, 2, 3));
    let later = |write: &VaultWrite| VaultWrite { now: START.plus(MINUTE), ..write.clone() };

    assert_eq!(store.write_vault(first.clone(), QUOTA).await.unwrap(), written(1, 1));
    assert_eq!(store.write_vault(later(&first), QUOTA).await.unwrap(), written(1, 1));
    assert_eq!(store.write_vault(second.clone(), QUOTA).await.unwrap(), written(2, 2));
    let stale = store.write_vault(later(&first), QUOTA).await.unwrap_err();
    assert!(matches!(stale, StoreError::VaultVersion { present: 2 }), "{stale}");
    // Another item was written since: this one is still as the write left it.
    store.write_vault(put(ada, 2, 0, 3, "x"), QUOTA).await.unwrap();
    assert_eq!(store.write_vault(later(&second), QUOTA).await.unwrap(), written(2, 2));

    let last = VaultWrite { revision: 4, head: head(4), now: START.plus(Duration::from_secs(4)), ..last };
    assert_eq!(store.write_vault(last.clone(), QUOTA).await.unwrap(), written(3, 4));
    assert_eq!(store.write_vault(later(&last), QUOTA).await.unwrap(), written(3, 4));
    // Somebody else's deletion of the same version differs in its head alone.
    let others = VaultWrite { head: head(99), ..later(&last) };
    let overtaken = store.write_vault(others, QUOTA).await.unwrap_err();
    assert!(matches!(overtaken, StoreError::VaultVersion { present: 3 }), "{overtaken}");
    assert_eq!(all_of(&store, ada, "memories").await.0, 4);
}

#[tokio::test]
async fn a_write_after_another_version_or_revision_changes_nothing() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let refused = async |write| store.write_vault(write, QUOTA).await.unwrap_err();
    assert!(matches!(refused(put(ada, 1, 1, 1, "x")).await, StoreError::VaultVersion { present: 0 }));
    assert!(matches!(refused(delete(ada, 1, 0, 1)).await, StoreError::UnknownVaultItem { .. }));
    assert!(matches!(refused(put(ada, 1, 0, 2, "x")).await, StoreError::VaultRevision { present: 0 }));
    assert!(matches!(refused(put(ada, 1, 0, 0, "x")).await, StoreError::VaultRevision { present: 0 }));
    assert_eq!(store.vault_collections(ada).await.unwrap(), []);

    store.write_vault(put(ada, 1, 0, 1, "one"), QUOTA).await.unwrap();
    for (after, present) in [(0, 1), (2, 1), (u64::MAX, 1)] {
        let error = refused(put(ada, 1, after, 2, "x")).await;
        assert!(matches!(error, StoreError::VaultVersion { present: found } if found == present), "{error}");
    }
    for revision in [0, 1, 3, u64::MAX] {
        let error = refused(put(ada, 1, 1, revision, "x")).await;
        assert!(matches!(error, StoreError::VaultRevision { present: 1 }), "{error}");
        let error = refused(delete(ada, 1, 1, revision)).await;
        assert!(matches!(error, StoreError::VaultRevision { present: 1 }), "{error}");
    }
    assert_eq!(all_of(&store, ada, "memories").await, (1, vec![entry(1, 1, 1, Some("one"))]));
}

#[tokio::test]
async fn of_writes_at_the_same_time_one_is_stored() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;

    let results = all((0..32).map(|number| {
        let store = store.clone();
        async move { store.write_vault(put(ada, number, 0, 1, &number.to_string()), QUOTA).await }
    }))
    .await;

    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let refused = results.iter().filter(|result| matches!(result, Err(StoreError::VaultRevision { present: 1 })));
    assert_eq!(refused.count(), 31);
    assert_eq!(all_of(&store, ada, "memories").await.1.len(), 1);
}

#[tokio::test]
async fn a_collection_is_read_page_by_page_while_it_is_written() {
    let (_folder, store) = store().await;
    let (ada, memories) = (account(&store, 1).await, name("memories"));
    for number in 1..=5 {
        store.write_vault(put(ada, number, 0, number.into(), "x"), QUOTA).await.unwrap();
    }
    let page = async |after| store.vault_page(ada, &memories, after, at_most(2)).await.unwrap();
    let ids = |entries: &[VaultEntry]| entries.iter().map(|entry| entry.item_id).collect::<Vec<_>>();

    let first = page(0).await;
    assert_eq!((first.revision, first.next), (5, Some(2)));
    store.write_vault(put(ada, 4, 1, 6, "y"), QUOTA).await.unwrap();
    let second = page(2).await;
    assert_eq!((second.revision, second.next, second.head), (6, Some(5), Some(head(6))));
    let last = page(5).await;

    assert_eq!((last.revision, last.next), (6, None));
    assert_eq!(ids(&first.entries), [item_id(1), item_id(2)]);
    assert_eq!(ids(&second.entries), [item_id(3), item_id(5)]);
    assert_eq!(last.entries, [entry(4, 2, 6, Some("y"))]);
    let level = page(6).await;
    assert_eq!((level.revision, level.entries, level.next), (6, vec![], None));
}

#[tokio::test]
async fn accounts_and_collections_do_not_see_each_other() {
    let (_folder, store) = store().await;
    let (ada, grace) = (account(&store, 1).await, account(&store, 2).await);
    store.write_vault(put(ada, 1, 0, 1, "ada's"), QUOTA).await.unwrap();
    store.write_vault(put(grace, 1, 0, 1, "grace's"), QUOTA).await.unwrap();
    let chat = VaultWrite { collection: name("chats"), ..put(ada, 1, 0, 1, "a chat") };
    store.write_vault(chat, QUOTA).await.unwrap();

    for (account, collection, text) in
        [(ada, "memories", "ada's"), (grace, "memories", "grace's"), (ada, "chats", "a chat")]
    {
        assert_eq!(all_of(&store, account, collection).await, (1, vec![entry(1, 1, 1, Some(text))]));
    }
    let unknown = store.vault_item(grace, &name("chats"), item_id(1)).await.unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownVaultItem { .. }), "{unknown}");
    assert_eq!(all_of(&store, grace, "chats").await, (0, vec![]));
    let past = store.vault_page(grace, &name("chats"), 1 << 63, PageLimit::default()).await.unwrap_err();
    assert!(matches!(past, StoreError::OutOfRange { .. }), "{past}");
    let nobody = AccountId::generate(&mut rng(7));
    let unknown = store.write_vault(put(nobody, 1, 0, 1, "x"), QUOTA).await.unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownAccount { .. }), "{unknown}");
}

#[tokio::test]
async fn an_account_has_so_many_items_bytes_and_collections() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let write = async |write, items_max, bytes_max| {
        store.write_vault(write, VaultQuota { items_max, bytes_max }).await.map(|written| written.version)
    };
    write(put(ada, 1, 0, 1, "12345"), 2, 10).await.unwrap();
    write(put(ada, 2, 0, 2, "12345"), 2, 10).await.unwrap();

    let many = write(put(ada, 3, 0, 3, "x"), 2, 100).await.unwrap_err();
    assert!(matches!(many, StoreError::TooManyVaultItems { limit: 2 }), "{many}");
    let elsewhere = VaultWrite { collection: name("chats"), ..put(ada, 3, 0, 1, "x") };
    let full = write(elsewhere, 9, 10).await.unwrap_err();
    assert!(matches!(full, StoreError::VaultFull { limit: 10 }), "{full}");
    let full = write(put(ada, 1, 1, 3, "123456"), 2, 10).await.unwrap_err();
    assert!(matches!(full, StoreError::VaultFull { limit: 10 }), "{full}");

    // What takes no more room is stored, also where a quota was lowered.
    assert_eq!(write(put(ada, 1, 1, 3, "1234"), 1, 1).await.unwrap(), 2);
    assert_eq!(write(delete(ada, 1, 2, 4), 1, 1).await.unwrap(), 3);
    let deleted_counts = write(put(ada, 3, 0, 5, "x"), 2, 10).await.unwrap_err();
    assert!(matches!(deleted_counts, StoreError::TooManyVaultItems { limit: 2 }), "{deleted_counts}");
    assert_eq!(write(put(ada, 3, 0, 5, "12345"), 3, 10).await.unwrap(), 1);

    let grace = account(&store, 2).await;
    let in_collection = |number: u64| VaultWrite { collection: name(&number.to_string()), ..put(grace, 1, 0, 1, "x") };
    for number in 0..VAULT_COLLECTIONS_MAX {
        write(in_collection(number), 1_000, 1_000).await.unwrap();
    }
    let many = write(in_collection(VAULT_COLLECTIONS_MAX), 1_000, 1_000).await.unwrap_err();
    assert!(matches!(many, StoreError::TooManyCollections { .. }), "{many}");
    let summaries = store.vault_collections(grace).await.unwrap();
    assert_eq!(summaries.len() as u64, VAULT_COLLECTIONS_MAX);
    assert!(summaries.is_sorted_by(|one, next| one.collection < next.collection));
}
