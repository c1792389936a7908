//! The vault through a node that lies. The lies are told where a node's administrator would: in its database.

use std::path::Path;
use std::time::Duration;

use conclave::client::vault::{Collection, ItemState, Memory, Stored, VaultError};
use conclave::client::{Client, Store};
use conclave::protocol::vault;
use conclave::wire::ErrorCode;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::direct::passphrase;
use crate::evil::secrets::Secrets;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::user::{User, sign_in};
use crate::vault::{lose_answers, memory, second_device};

/// The database of a node, for whoever may write to it.
struct Database(Connection);

/// All rows of the vault's tables.
struct Snapshot([Vec<Vec<Value>>; 2]);

const TABLES: [&str; 2] = ["vault_collections", "vault_items"];

impl Database {
    fn of(folder: &Path) -> Self {
        let database = Connection::open(folder.join("conclave.db")).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        Self(database)
    }

    /// Does something to so many rows.
    #[track_caller]
    fn change(&self, rows: usize, sql: &str) {
        assert_eq!(self.0.execute(sql, []).unwrap(), rows, "{sql}");
    }

    /// Swaps columns of the items that revisions 1 and 4 have made.
    fn swap(&self, columns: &[&str]) {
        let revisions = [1, 4];
        for column in columns {
            let select = format!("SELECT {column} FROM vault_items WHERE revision = ?");
            let values = revisions.map(|revision| self.0.query_row(&select, [revision], |row| row.get(0)).unwrap());
            let [one, other]: [Value; 2] = values;
            assert_ne!((*column, &one), ("sealed", &other));
            for (revision, value) in revisions.iter().zip([other, one]) {
                let update = format!("UPDATE vault_items SET {column} = ? WHERE revision = ?");
                self.0.execute(&update, rusqlite::params![value, revision]).unwrap();
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot(TABLES.map(|table| {
            let mut statement = self.0.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
            rows.map(Result::unwrap).collect()
        }))
    }

    /// Puts the vault back as it was.
    fn restore(&mut self, snapshot: &Snapshot) {
        let transaction = self.0.transaction().unwrap();
        for table in TABLES.iter().rev() {
            transaction.execute(&format!("DELETE FROM {table}"), []).unwrap();
        }
        for (table, rows) in TABLES.iter().zip(&snapshot.0) {
            for row in rows {
                let places = vec!["?"; row.len()].join(", ");
                let insert = format!("INSERT INTO {table} VALUES ({places})");
                transaction.execute(&insert, rusqlite::params_from_iter(row)).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

/// Somebody with three memories, the second of which was written twice and the third deleted.
struct Story {
    folder: DataFolder,
    node: NodeProcess,
    /// Before it.
    proxy: Proxy,
    database: Database,
    ada: User,
    memories: Collection<Memory>,
    items: Vec<Stored>,
}

impl Story {
    async fn new() -> Self {
        let folder = DataFolder::new();
        let node = NodeProcess::start(folder.path(), |_| ());
        let proxy = Proxy::before(&node).await;
        let store = Store::create(&folder.path().join("ada"), passphrase()).await.unwrap();
        let secrets = Secrets::default();
        let ada = User::new_in(secrets.around(store), &proxy.url, "ada").await;
        proxy.must_not_see(move || {
            let texts = ["two again", "a canary in a cage", "a session with a telling name"]
                .map(|text| (text.to_owned(), text.into()));
            [secrets.all(), texts.into()].concat()
        });
        let memories = ada.client.vault().memories();
        let mut items = Vec::new();
        for text in ["one", "two", "three"] {
            items.push(memories.add(&memory(text)).await.unwrap());
        }
        items[1] = memories.put(items[1].id, 1, &memory("two again")).await.unwrap();
        memories.delete(items[2].id, 1).await.unwrap();
        let database = Database::of(folder.path());
        Self { folder, node, proxy, database, ada, memories, items }
    }

    /// The same device, started again: it has the head alone.
    async fn restart(self) -> Self {
        let Self { folder, node, proxy, database, ada, memories, items } = self;
        drop(memories);
        ada.close().await;
        let ada = User::open(Store::open(&folder.path().join("ada"), passphrase()).await.unwrap()).await;
        let memories = ada.client.vault().memories();
        Self { folder, node, proxy, database, ada, memories, items }
    }

    /// What a device says that has never seen the vault.
    async fn newcomer(&self) -> Result<usize, VaultError> {
        let newcomer = second_device(&self.ada, &self.node.url, "ada").await;
        newcomer.client.vault().memories().list().await.map(|list| list.len())
    }
}

#[track_caller]
fn is_not_believed<T: core::fmt::Debug>(result: Result<T, VaultError>, why: vault::VaultError) {
    match result {
        Err(error @ VaultError::NotBelieved(_)) => {
            assert!(error.blames_node());
            assert_eq!(error.code(), Some(why.code()), "{error}");
            assert!(matches!(error, VaultError::NotBelieved(found) if found == why), "another than {why}");
        }
        other => panic!("{other:?}, not {why}"),
    }
}

#[tokio::test]
async fn a_collection_that_is_put_back_is_noticed_also_after_a_restart() {
    let mut story = Story::new().await;
    let before = story.database.snapshot();
    story.memories.put(story.items[0].id, 1, &memory("newest")).await.unwrap();
    let after = story.database.snapshot();
    story.database.restore(&before);

    let rolled_back = vault::VaultError::RolledBack { seen: 6, shown: 5 };
    is_not_believed(story.memories.get(story.items[0].id).await, rolled_back);
    is_not_believed(story.memories.list().await, rolled_back);
    is_not_believed(story.memories.put(story.items[0].id, 2, &memory("x")).await, rolled_back);
    is_not_believed(story.memories.delete(story.items[0].id, 2).await, rolled_back);
    story = story.restart().await;
    is_not_believed(story.memories.get(story.items[0].id).await, rolled_back);
    story.database.0.execute("DELETE FROM vault_collections", []).unwrap();
    is_not_believed(story.memories.list().await, vault::VaultError::RolledBack { seen: 6, shown: 0 });

    // The truth is believed again.
    story.database.restore(&after);
    assert_eq!(story.memories.get(story.items[0].id).await.unwrap().unwrap().content.query, "newest");
}

/// A node that was restored from a backup looks like one that lies: only the user can say.
#[tokio::test]
async fn what_was_put_back_is_taken_when_the_user_says_so() {
    let mut story = Story::new().await;
    let before = story.database.snapshot();
    let first = story.items[0];
    story.memories.put(first.id, 1, &memory("lost")).await.unwrap();
    let other = second_device(&story.ada, &story.node.url, "ada").await;
    assert_eq!(other.client.vault().memories().list().await.unwrap().len(), 2);
    story.database.restore(&before);
    is_not_believed(story.memories.list().await, vault::VaultError::RolledBack { seen: 6, shown: 5 });

    story.memories.accept().await.unwrap();
    assert_eq!(story.memories.get(first.id).await.unwrap().unwrap().content.query, "one");
    story = story.restart().await;
    assert_eq!(story.memories.put(first.id, 1, &memory("anew")).await.unwrap().version, 2);

    // On each device, however far it has gone on.
    assert_eq!(story.memories.put(first.id, 2, &memory("and on")).await.unwrap().version, 3);
    is_not_believed(other.client.vault().memories().list().await, vault::VaultError::Forked);
    other.client.vault().memories().accept().await.unwrap();
    assert_eq!(other.client.vault().memories().get(first.id).await.unwrap().unwrap().content.query, "and on");

    // Not everything: what no device has written is refused then too.
    story
        .database
        .change(1, "UPDATE vault_items SET version = 7 WHERE revision = 1 + (SELECT min(revision) FROM vault_items)");
    is_not_believed(story.memories.accept().await, vault::VaultError::Entries);
}

#[tokio::test]
async fn a_node_that_shows_two_devices_two_histories_is_noticed_when_it_mixes_them() {
    let mut story = Story::new().await;
    let other = second_device(&story.ada, &story.node.url, "ada").await;
    let (here, there) = (story.memories.clone(), other.client.vault().memories());
    there.list().await.unwrap();
    let before = story.database.snapshot();
    here.put(story.items[0].id, 1, &memory("here")).await.unwrap();
    let with_here = story.database.snapshot();
    story.database.restore(&before);
    for version in 1..4 {
        there.put(story.items[0].id, version, &memory("there")).await.unwrap();
    }

    is_not_believed(here.list().await, vault::VaultError::Forked);
    is_not_believed(here.put(story.items[1].id, 2, &memory("x")).await, vault::VaultError::Forked);
    story = story.restart().await;
    is_not_believed(story.memories.list().await, vault::VaultError::Forked);
    story.database.restore(&with_here);
    is_not_believed(there.list().await, vault::VaultError::RolledBack { seen: 8, shown: 6 });
    assert_eq!(story.memories.list().await.unwrap().len(), 2);
}

/// The node stores it, shows it to another device, and tells whoever made it something else, also after a restart.
#[tokio::test]
async fn a_write_that_is_hidden_from_its_writer_is_missed_by_a_device_that_has_seen_it() {
    for (restarts, hides) in [(false, lose_both as fn(&Proxy)), (true, lose_both), (false, refuse), (true, refuse)] {
        let mut story = Story::new().await;
        let path = story.folder.path().join("tablet");
        let kit = story.ada.client.recovery_kit().await.unwrap();
        let device = Store::create(&path, passphrase()).await.unwrap();
        let signed_in = sign_in(&story.node.url, "ada").await;
        let (tablet, events) = Client::recover(device, signed_in, &kit).await.unwrap();

        let before = story.database.snapshot();
        hides(&story.proxy);
        let (first, version) = (story.items[0].id, story.items[0].version);
        story.memories.put(first, version, &memory("hidden")).await.unwrap_err();
        let seen = tablet.vault().memories().get(first).await.unwrap().unwrap();
        assert_eq!(seen.content.query, "hidden");
        tablet.close().await.unwrap();
        drop(events);
        story.database.restore(&before);
        if restarts {
            story = story.restart().await;
        }
        for after in [version, version + 1] {
            story.memories.put(first, after, &memory("goes on")).await.unwrap();
        }

        let tablet = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
        is_not_believed(tablet.client.vault().memories().get(first).await, vault::VaultError::Forked);
    }
}

/// That of a write, and of its repetition.
fn lose_both(proxy: &Proxy) {
    lose_answers(proxy, 2);
}

/// Refuses a write that was stored.
fn refuse(proxy: &Proxy) {
    let mut is_told = false;
    proxy.answers(move |asks, answer| {
        if asks.starts_with("PUT /api/vault/") && !is_told {
            is_told = true;
            answer.become_unavailable(1);
        }
    });
}

#[tokio::test]
async fn items_that_are_swapped_or_older_are_refused() {
    let mut story = Story::new().await;
    let (one, two) = (story.items[0].id, story.items[1].id);
    let honest = story.database.snapshot();
    assert_eq!(story.newcomer().await.unwrap(), 2);
    // With their digests: whoever lists them anew sees that they do not add up. Who knows the list sees other items.
    story.database.swap(&["sealed", "digest", "bytes"]);
    is_not_believed(story.newcomer().await, vault::VaultError::Entries);
    for id in [one, two] {
        is_not_believed(story.memories.get(id).await, vault::VaultError::OtherItem);
    }
    story = story.restart().await;
    is_not_believed(story.memories.get(one).await, vault::VaultError::Entries);

    // Without: the list is right, and what is handed out is not what it lists.
    story.database.restore(&honest);
    // Both are padded to the same length.
    story.database.swap(&["sealed"]);
    assert_eq!(story.newcomer().await.unwrap(), 2);
    for id in [one, two] {
        is_not_believed(story.memories.get(id).await, vault::VaultError::OtherItem);
    }
    story.database.restore(&honest);
    assert_eq!(story.memories.get(two).await.unwrap().unwrap().content.query, "two again");
}

#[tokio::test]
async fn items_that_the_node_drops_hides_or_says_to_be_deleted_are_missed() {
    let mut story = Story::new().await;
    let one = story.items[0].id;
    let honest = story.database.snapshot();
    for lie in [
        "DELETE FROM vault_items WHERE revision = 1",
        "UPDATE vault_items SET sealed = NULL, digest = NULL, bytes = NULL WHERE revision = 1",
        "UPDATE vault_items SET sealed = NULL, digest = NULL, bytes = NULL, version = 2 WHERE revision = 1",
    ] {
        story.database.change(1, lie);
        let withheld = story.memories.get(one).await.unwrap_err();
        assert!(matches!(withheld, VaultError::Withheld { item } if item == one), "{lie}: {withheld}");
        assert_eq!((withheld.code(), withheld.blames_node()), (Some(ErrorCode::VaultItemWithheld), true));
        is_not_believed(story.newcomer().await, vault::VaultError::Entries);
        story = story.restart().await;
        is_not_believed(story.memories.state(one).await, vault::VaultError::Entries);
        story.database.restore(&honest);
        assert_eq!(story.memories.state(one).await.unwrap(), ItemState::Present { version: 1 }, "{lie}");
    }
    // A deletion that is left out is missed as well, and one that happened is believed.
    story.database.change(1, "DELETE FROM vault_items WHERE sealed IS NULL");
    is_not_believed(story.newcomer().await, vault::VaultError::Entries);
    story.database.restore(&honest);
    assert_eq!(story.memories.state(story.items[2].id).await.unwrap(), ItemState::Deleted { version: 2 });
}

#[tokio::test]
async fn items_heads_and_numbers_that_are_made_up_are_refused() {
    let mut story = Story::new().await;
    let honest = story.database.snapshot();
    let first_head = {
        let other = Story::new().await;
        other.database.snapshot().0[0].remove(0)
    };
    for (lie, why) in [
        ("UPDATE vault_items SET item_id = zeroblob(16) WHERE revision = 1", vault::VaultError::Entries),
        ("UPDATE vault_items SET item_type = 'chat' WHERE revision = 1", vault::VaultError::Entries),
        ("UPDATE vault_items SET version = 9 WHERE revision = 4", vault::VaultError::Entries),
        ("UPDATE vault_items SET collection = 'memories', revision = 2 WHERE revision = 1", vault::VaultError::Entries),
        ("UPDATE vault_collections SET head = randomblob(length(head))", vault::VaultError::Head),
        ("UPDATE vault_collections SET revision = revision + 1", vault::VaultError::Head),
    ] {
        story.database.change(1, lie);
        is_not_believed(story.newcomer().await, why);
        story = story.restart().await;
        is_not_believed(story.memories.list().await, why);
        story.database.restore(&honest);
    }
    // The head of somebody else's collection of the same name and revision.
    let [.., head, _, _] = &first_head[..] else { panic!("its columns are others") };
    story.database.0.execute("UPDATE vault_collections SET head = ?", [head]).unwrap();
    is_not_believed(story.memories.list().await, vault::VaultError::Head);
    story.database.restore(&honest);
    assert_eq!(story.memories.list().await.unwrap().len(), 2);
}

/// Nothing of what is kept stands in the database, and nothing of the names of items that the app has.
#[tokio::test]
async fn the_node_has_no_plaintext_to_lie_about() {
    let story = Story::new().await;
    let chats = story.ada.client.vault().chats();
    let id = chats.id_of("a session with a telling name").await.unwrap();
    let turn = conclave::client::vault::Turn { role: "user".to_owned(), content: "a canary in a cage".to_owned() };
    let session_id = "a session with a telling name".to_owned();
    chats.put(id, 0, &conclave::client::vault::ChatHistory { session_id, turns: vec![turn] }).await.unwrap();

    let rows = story.database.snapshot().0.concat();
    let mut blobs = 0;
    for value in rows.iter().flatten() {
        let bytes = match value {
            Value::Blob(bytes) => bytes.as_slice(),
            Value::Text(text) => text.as_bytes(),
            _ => continue,
        };
        blobs += usize::from(matches!(value, Value::Blob(_)));
        for needle in ["canary", "telling", "two again", "curious", "session_id"] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle.as_bytes()), "{needle}");
        }
    }
    assert!(blobs > 10, "{blobs}");
}
