//! Local stores: one suite for every kind.

use std::path::Path;

use conclave::client::store::{Batch, LocalStore, MessagePage, Records, StoredMessage};
use conclave::client::{Store, StoreError};
use rusqlite::Connection;
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

/// What a kill leaves of a store that is being made. Each is as if nothing had been begun, and is gone on with.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test makes the files as a kill leaves them")]
async fn a_store_whose_making_was_cut_off_is_missing_and_can_be_made() {
    let folder = DataFolder::new();
    let whole = folder.path().join("whole");
    let open = Store::create(&whole, passphrase()).await.unwrap();
    let beside = |path: &Path, end: &str| path.with_file_name(format!("{}{end}", path.file_name().unwrap().display()));
    let log = std::fs::read(beside(&whole, "-wal")).unwrap();
    let header = std::fs::read(&whole).unwrap();

    let [empty, begun, torn, in_log] = ["empty", "begun", "torn", "in_log"].map(|name| folder.path().join(name));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&begun, &header).unwrap();
    for (path, log) in [(&torn, &log[..log.len() - 1]), (&in_log, &log[..])] {
        std::fs::write(path, &header).unwrap();
        std::fs::write(beside(path, "-wal"), log).unwrap();
    }
    for path in [&empty, &begun, &torn] {
        assert!(!Store::is_at(path).await.unwrap(), "{path:?}");
        let missing = Store::open(path, passphrase()).await;
        assert!(matches!(missing, Err(StoreError::Missing { .. })), "{path:?}: {missing:?}");
        let mut store = Store::create(path, passphrase()).await.unwrap().into_inner();
        keeps_what_it_is_given(&mut *store).await;
    }
    // The last byte of the log makes the difference.
    assert!(Store::is_at(&in_log).await.unwrap());
    Store::open(&in_log, passphrase()).await.unwrap();
    let exists = Store::create(&in_log, passphrase()).await;
    assert!(matches!(exists, Err(StoreError::Exists { .. })), "{exists:?}");

    assert!(Store::is_at(&whole).await.unwrap());
    drop(open);
    assert!(!Store::is_at(&folder.path().join("nothing")).await.unwrap());
    let other = folder.path().join("other");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE other (id INTEGER)").unwrap();
    for refused in [Store::is_at(&other).await.err(), Store::open(&other, passphrase()).await.err()] {
        assert!(matches!(refused, Some(StoreError::NotAStore { .. })), "{refused:?}");
    }
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
    let database = Connection::open(&path).unwrap();
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
