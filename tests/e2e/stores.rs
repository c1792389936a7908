//! Local stores: one suite for every kind.

use conclave::client::Store;
use conclave::client::store::{Batch, LocalStore, MessagePage, Records, StoredMessage};
use zeroize::Zeroizing;

use crate::direct::passphrase;
use crate::process::DataFolder;

fn message(number: u64, place: &str) -> StoredMessage {
    let bytes = Zeroizing::new(format!("message {number}").into_bytes());
    StoredMessage { number, id: format!("id {number}"), place: place.to_owned(), bytes }
}

fn put(records: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (name, value) in records {
        batch.put(*name, value.as_bytes().to_vec());
    }
    batch
}

fn numbers(page: &[StoredMessage]) -> Vec<u64> {
    page.iter().map(|message| message.number).collect()
}

/// What every store does; returns it as it is then.
async fn keeps_what_it_is_given(store: &mut dyn LocalStore) {
    assert_eq!(store.load().await.unwrap(), (Records::new(), 0));
    store.commit(put(&[("a", "1"), ("b", "2"), ("c", "3")])).await.unwrap();
    let mut batch = put(&[("a", "4")]);
    batch.delete("b");
    batch.delete("nothing");
    for number in 1..=5 {
        batch.messages.push(message(number, if number % 2 == 0 { "even" } else { "odd" }));
    }
    store.commit(batch).await.unwrap();
    let (records, last) = store.load().await.unwrap();
    let records: Vec<_> = records.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    assert_eq!((records, last), (vec![("a", &b"4"[..]), ("c", b"3")], 5));

    // In place of the one that has its number.
    let changed = StoredMessage { bytes: Zeroizing::new(b"changed".to_vec()), ..message(3, "odd") };
    store.commit(Batch { messages: vec![changed.clone()], ..Batch::default() }).await.unwrap();
    assert_eq!(store.message("id 3").await.unwrap(), Some(changed));
    assert_eq!(store.message("id 2").await.unwrap(), Some(message(2, "even")));
    assert_eq!(store.message("id 6").await.unwrap(), None);
    let after = store.messages(MessagePage::After { number: 2, limit: 2 }).await.unwrap();
    assert_eq!(numbers(&after), [3, 4]);
    assert_eq!(numbers(&store.messages(MessagePage::After { number: 5, limit: 2 }).await.unwrap()), [0; 0]);
    let before = |number, limit| MessagePage::Before { place: "odd".to_owned(), number, limit };
    assert_eq!(numbers(&store.messages(before(u64::MAX, 2)).await.unwrap()), [3, 5]);
    assert_eq!(numbers(&store.messages(before(5, 9)).await.unwrap()), [1, 3]);
    let nowhere = MessagePage::Before { place: "nowhere".to_owned(), number: u64::MAX, limit: 9 };
    assert_eq!(numbers(&store.messages(nowhere).await.unwrap()), [0; 0]);
}

#[tokio::test]
async fn memory_keeps_what_it_is_given() {
    keeps_what_it_is_given(&mut *Store::in_memory().into_inner()).await;
}

#[tokio::test]
async fn memory_forgets_the_oldest_messages_past_its_limit() {
    let mut store = Store::in_memory().into_inner();
    for number in 1..=10_001 {
        store.commit(Batch { messages: vec![message(number, "odd")], ..Batch::default() }).await.unwrap();
    }
    assert_eq!(store.message("id 1").await.unwrap(), None);
    assert!(store.message("id 2").await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_keeps_what_it_is_given_and_has_it_when_it_is_opened_again() {
    let folder = DataFolder::new();
    let path = folder.path().join("store");
    let mut store = Store::create(&path, passphrase()).await.unwrap().into_inner();
    keeps_what_it_is_given(&mut *store).await;
    let (before, last) = store.load().await.unwrap();
    store.close().await.unwrap();
    assert!(store.commit(put(&[("a", "5")])).await.is_err());
    drop(store);

    let mut store = Store::open(&path, passphrase()).await.unwrap().into_inner();
    assert_eq!(store.load().await.unwrap(), (before, last));
    assert_eq!(store.message("id 2").await.unwrap(), Some(message(2, "even")));
}

/// Rows that change places are as good as changed ones.
#[tokio::test]
async fn records_and_messages_that_were_swapped_do_not_open() {
    let folder = DataFolder::new();
    let path = folder.path().join("store");
    let mut store = Store::create(&path, passphrase()).await.unwrap().into_inner();
    let mut batch = put(&[("a", "1"), ("b", "2")]);
    batch.messages = vec![message(1, "here"), message(2, "here")];
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let database = rusqlite::Connection::open(&path).unwrap();
    for (table, key) in [("records", "name"), ("messages", "number")] {
        let [first, second] = ["min", "max"].map(|which| {
            let row = format!("SELECT sealed FROM {table} WHERE {key} = (SELECT {which}({key}) FROM {table})");
            database.query_row(&row, [], |row| row.get::<_, Vec<u8>>(0)).unwrap()
        });
        for (which, sealed) in [("min", second), ("max", first)] {
            let swap = format!("UPDATE {table} SET sealed = ? WHERE {key} = (SELECT {which}({key}) FROM {table})");
            assert_eq!(database.execute(&swap, [sealed]).unwrap(), 1);
        }
    }
    drop(database);
    let mut store = Store::open(&path, passphrase()).await.unwrap().into_inner();
    assert!(store.load().await.is_err());
    assert!(store.message("id 1").await.is_err());
}

#[cfg(unix)]
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test looks at the files")]
async fn the_files_of_a_store_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = DataFolder::new();
    let path = folder.path().join("store");
    let mut store = Store::create(&path, passphrase()).await.unwrap().into_inner();
    store.commit(put(&[("a", "1")])).await.unwrap();
    for file in ["store", "store-wal", "store-shm"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}
