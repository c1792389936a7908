//! What is on the disk when: restart, loss of power, group commit, a full disk, a file that is not
//! ours.

use super::*;
use conclave::node::store::limits::WRITES_WAITING_MAX;
use conclave::node::store::{Flow, PrekeysLeft, Rotation};
use conclave::node::tokens::{CodeVerifier, FlowState, Nonce};

/// One of everything that the store keeps, written one after the other.
async fn fill(store: &Store) -> Owner {
    let owner = Owner::published(store, 1, 2).await;
    let device = &owner.devices[0];
    store.publish_prekeys(&verified(publication(device, 1, 3, 2), device.device())).await.unwrap();
    store.claim_bundle(device.address()).await.unwrap().unwrap();
    open_session(store, owner.id(), 1).await;
    bind(store, 1, device).await.unwrap();
    store.rotate_session(refresh(1), &tokens(2, START), START).await.unwrap();
    store.save_flow(flow(), START).await.unwrap();
    owner
}

async fn assert_filled(store: &Store, owner: &Owner) {
    let device = owner.devices[0].address();
    assert_eq!(account(store, 1).await, owner.id());
    assert_eq!(store.device_list(owner.id()).await.unwrap().as_ref(), Some(owner.list(1).list()));
    assert_eq!(store.prekeys_left(device).await.unwrap(), PrekeysLeft { one_time: 2, one_time_kem: 1 });
    let session = store.session_by_access(access(2), START).await.unwrap().unwrap();
    assert_eq!(session.device_id, Some(device.device_id));
    let flow_again = store.take_flow(flow().state_hash, START).await.unwrap().unwrap();
    assert_eq!(flow_again.code_verifier.to_text(), flow().code_verifier.to_text());
    // That the first refresh token was used is remembered too.
    assert!(matches!(store.rotate_session(refresh(1), &tokens(3, START), START).await, Ok(Rotation::Reused(_))));
}

fn flow() -> Flow {
    let mut rng = rng(70);
    Flow {
        state_hash: FlowState::generate(&mut rng).hash(),
        provider: "development".into(),
        redirect_uri: "http://127.0.0.1/back".into(),
        code_verifier: CodeVerifier::generate(&mut rng),
        nonce: Nonce::generate(&mut rng),
        expires_at: START.plus(MINUTE),
        device: None,
    }
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = Folder::new();
    let store = folder.open().await;
    let owner = fill(&store).await;
    store.close().await;

    let store = folder.open().await;

    assert_filled(&store, &owner).await;
}

/// The files as they stand while the store is open are what a killed process leaves behind.
#[tokio::test]
async fn a_crash_keeps_everything_acknowledged() {
    let folder = Folder::new();
    let store = folder.open().await;
    let owner = fill(&store).await;

    let after_crash = folder.copy();

    assert_filled(&after_crash.open().await, &owner).await;
    drop(store);
}

#[tokio::test]
async fn writes_at_once_share_a_commit() {
    let (folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let before = store.write_counts();

    let opened = (0..100).map(|number| {
        let store = store.clone();
        async move { store.open_session(&new_session(account_id, number, START)).await }
    });
    let opened = together(&folder, &store, opened).await;

    assert!(opened.iter().all(Result::is_ok));
    let after = store.write_counts();
    // Another one was in the writer's hands.
    assert_eq!((after.writes - before.writes, after.commits - before.commits), (101, 2));
    assert_eq!(store.sessions(account_id, START).await.unwrap().len(), 100);
}

#[tokio::test]
async fn one_after_the_other_each_write_has_its_commit() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let before = store.write_counts();

    for number in 0..10 {
        open_session(&store, account_id, number).await;
    }

    let after = store.write_counts();
    assert_eq!((after.writes - before.writes, after.commits - before.commits), (10, 10));
}

#[tokio::test]
async fn a_refused_write_undoes_no_other_of_its_commit() {
    let (folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let before = store.write_counts();

    // Every third has the tokens of the one before, under an id of its own.
    let opened = (0..30).map(|number| {
        let store = store.clone();
        let copied = if number % 3 == 2 { number - 1 } else { number };
        let session = NewSession { session_id: session_id(number), ..new_session(account_id, copied, START) };
        async move { store.open_session(&session).await }
    });
    let opened = together(&folder, &store, opened).await;

    assert_eq!(opened.iter().filter(|result| result.is_ok()).count(), 20);
    assert_eq!(opened.iter().filter(|result| matches!(result, Err(StoreError::IdInUse))).count(), 10);
    assert_eq!(store.sessions(account_id, START).await.unwrap().len(), 20);
    let after = store.write_counts();
    assert_eq!((after.commits - before.commits, after.failed_commits), (2, 0));
}

#[tokio::test]
async fn past_its_capacity_the_queue_refuses_and_the_rest_is_done() {
    let (folder, store) = store().await;
    let over = 100;
    let write = |_| {
        let store = store.clone();
        async move { store.remove_expired(START).await }
    };
    let held = hold(&folder, &store).await;

    let refused = async {
        while store.write_counts().refused < over as u64 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    let (saved, ()) = tokio::join!(all((0..WRITES_WAITING_MAX + over).map(write)), refused);

    let busy = saved.iter().filter(|result| matches!(result, Err(StoreError::Busy))).count();
    assert_eq!(busy, over);
    assert_eq!(saved.iter().filter(|result| result.is_ok()).count(), WRITES_WAITING_MAX);
    assert_eq!(store.write_counts().refused, over as u64);
}

#[tokio::test]
async fn a_full_database_is_an_error_and_works_again_when_there_is_room() {
    let folder = Folder::new();
    let store = Store::open_with(folder.path(), StoreOptions { pages_max: Some(150), ..StoreOptions::default() })
        .await
        .unwrap();
    let owner = Owner::published(&store, 1, 2).await;
    open_session(&store, owner.id(), 1).await;
    let [first, second] = [&owner.devices[0], &owner.devices[1]];
    let mut acknowledged = PrekeysLeft::default();

    let error = loop {
        let seed = acknowledged.one_time_kem as u64 + 1;
        match store.publish_prekeys(&verified(publication(first, seed, 10, 10), first.device())).await {
            Ok(left) => acknowledged = left,
            Err(error) => break error,
        }
    };

    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(acknowledged.one_time_kem >= 10, "it was full from the start");
    assert_eq!(store.write_counts().failed_commits, 1);
    // What was acknowledged stands, and nothing of what failed does.
    assert_eq!(store.prekeys_left(first.address()).await.unwrap(), acknowledged);
    assert!(store.session_by_access(access(1), START).await.unwrap().is_some());

    // It is still full; all writes of a commit hear it, also those that would have fitted.
    let results = (0..3).map(|number| {
        let store = store.clone();
        let publication = verified(publication(second, 9, 100, 100), second.device());
        let session = new_session(owner.id(), 50 + number, START);
        async move {
            if number == 1 {
                store.publish_prekeys(&publication).await.map(|_| ())
            } else {
                store.open_session(&session).await.map(|_| ())
            }
        }
    });
    let results = together(&folder, &store, results).await;
    assert!(results.iter().all(|result| matches!(result, Err(StoreError::Full))), "{results:?}");
    assert_eq!(store.sessions(owner.id(), START).await.unwrap().len(), 1);

    // A device leaves, and its prekeys make room for another's.
    let kept = sign(&owner.root, 2, vec![second.device().certificate().clone()]);
    store.put_device_list(owner.id(), &kept, START).await.unwrap();
    let left = store.publish_prekeys(&verified(publication(second, 9, 10, 10), second.device())).await.unwrap();
    assert_eq!(left, PrekeysLeft { one_time: 10, one_time_kem: 10 });
    store.check().await.unwrap();
}

#[tokio::test]
async fn another_programs_lock_is_an_error_and_the_next_write_works() {
    let (folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let other = folder.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let locked = store.open_session(&new_session(account_id, 1, START)).await;
    other.execute_batch("ROLLBACK").unwrap();

    assert!(matches!(locked, Err(StoreError::Unavailable { .. })), "{locked:?}");
    open_session(&store, account_id, 1).await;
}

#[tokio::test]
async fn a_closed_store_says_so_and_finishes_what_waits() {
    let (folder, store) = store().await;
    let account_id = account(&store, 1).await;

    let mut writes = JoinSet::new();
    for number in 0..50 {
        let store = store.clone();
        writes.spawn(async move { store.open_session(&new_session(account_id, number, START)).await });
    }
    tokio::task::yield_now().await;
    store.close().await;

    assert!(writes.join_all().await.iter().all(Result::is_ok));
    assert!(matches!(store.end_all_sessions(account_id).await, Err(StoreError::Closed)));
    assert!(matches!(store.sessions(account_id, START).await, Err(StoreError::Closed)));
    assert!(matches!(store.check().await, Err(StoreError::Closed)));
    store.close().await;
    assert_eq!(folder.open().await.sessions(account_id, START).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_newer_programs_database_is_refused() {
    let folder = Folder::new();
    folder.open().await.close().await;
    folder.raw().execute_batch("PRAGMA user_version = 9999").unwrap();

    let result = Store::open(folder.path()).await;

    assert!(matches!(result, Err(StoreError::Migration { .. })), "{result:?}");
}

/// As databases had it before their head did.
#[tokio::test]
async fn a_version_that_stands_in_a_table_is_taken_over() {
    let (folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;
    store.close().await;
    let version = || folder.raw().pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap();
    let newest = version();

    let older = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL);
        INSERT INTO _sqlx_migrations VALUES (1, 'accounts and directory'), (10, 'vault writes');
        PRAGMA user_version = 0";
    folder.raw().execute_batch(older).unwrap();

    assert_eq!(folder.open().await.sessions(account_id, START).await.unwrap().len(), 1);
    assert_eq!((version(), newest), (10, 10));
    assert!(!folder.raw().table_exists(None, "_sqlx_migrations").unwrap());
    // What a program of then leaves that tries the file again.
    folder.raw().execute_batch("CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY)").unwrap();
    assert_eq!(folder.open().await.sessions(account_id, START).await.unwrap().len(), 1);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "these tests are about a file")]
async fn what_is_no_database_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let file = folder.path().join(Store::FILE_NAME);
    let text = "not a database, by far ".repeat(1_000);
    std::fs::write(&file, &text).unwrap();

    let no_database = Store::open(folder.path()).await;
    let no_folder = Store::open(&folder.path().join("missing")).await;

    assert!(matches!(no_database, Err(StoreError::Unavailable { .. })), "{no_database:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert!(matches!(no_folder, Err(StoreError::Unavailable { .. })), "{no_folder:?}");
}

#[tokio::test]
async fn a_damaged_value_is_an_error() {
    let (folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let raw = folder.raw();

    raw.execute("UPDATE device_lists SET list = substr(list, 2)", []).unwrap();
    let list = store.device_list(owner.id()).await;
    assert!(matches!(list, Err(StoreError::Corrupt { what: "device list" })), "{list:?}");

    open_session(&store, owner.id(), 1).await;
    raw.execute("UPDATE sessions SET access_expires_at = -1, refresh_expires_at = -1", []).unwrap();
    let rotation = store.rotate_session(refresh(1), &tokens(2, START), START).await;
    assert!(matches!(rotation, Err(StoreError::Corrupt { .. })), "{rotation:?}");
    // The error was this write's alone.
    store.check().await.unwrap();
}

#[tokio::test]
async fn the_files_hold_no_token_and_no_verifier_that_was_taken() {
    let folder = Folder::new();
    let store = folder.open().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;
    store.save_flow(flow(), START).await.unwrap();
    let verifier = decode(&flow().code_verifier.to_text());
    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(holds(&folder.bytes(), &verifier), "the search finds nothing at all");

    store.take_flow(flow().state_hash, START).await.unwrap().unwrap();
    let open_files = folder.bytes();
    store.close().await;
    let closed_files = folder.bytes();

    for text in [AccessToken::generate(&mut rng(1)).to_text(), RefreshToken::generate(&mut rng(1)).to_text()] {
        assert!(!holds(&open_files, text.as_bytes()));
        assert!(!holds(&open_files, &decode(&text)));
    }
    // The write-ahead log, which kept it, goes with the store.
    assert!(!holds(&closed_files, &verifier));
}

fn decode(text: &str) -> Vec<u8> {
    data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}
