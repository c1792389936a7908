//! Direct messages: sign-in, set-up, and two people who write to each other.

use conclave::client::{Client, ClientError, Conversation, Http, SignIn, Store, StoreError};
use conclave::protocol::keystore::{KeystoreError, Passphrase};

use crate::process::{DataFolder, NodeProcess};
use crate::user::{User, sign_in};

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple".to_owned()).unwrap()
}

#[tokio::test]
async fn a_message_reaches_who_is_offline_and_who_is_online_once_each() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let store = folder.path().join("grace");
    let grace = User::new_in(Store::create(&store, passphrase()).await.unwrap(), &node.url, "grace").await;
    let (ada_id, grace_id) = (ada.id(), grace.id());
    grace.close().await;

    let first = ada.client.send_direct(grace_id, "while you were out").await.unwrap();
    ada.is_sent(first).await;

    let mut grace = User::open(Store::open(&store, passphrase()).await.unwrap()).await;
    assert_eq!(grace.text().await, (ada_id, "while you were out".to_owned()));
    ada.write(&grace, "and now").await;
    assert_eq!(grace.text().await, (ada_id, "and now".to_owned()));
    grace.write(&ada, "here I am").await;
    assert_eq!(ada.text().await, (grace_id, "here I am".to_owned()));

    // What was told is not told again, and the mailbox is empty.
    grace.close().await;
    let mut grace = User::open(Store::open(&store, passphrase()).await.unwrap()).await;
    grace.is_level().await;
    ada.write(&grace, "again").await;
    assert_eq!(grace.text().await, (ada_id, "again".to_owned()));
    let kept = grace.kept(Conversation::Direct(ada_id)).await;
    assert_eq!(kept, ["while you were out", "and now", "here I am", "again"]);
    grace.close().await;
    ada.close().await;
}

#[tokio::test]
async fn a_given_token_signs_in_once() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let signed_in = sign_in(&node.url, "ada").await;
    let token = signed_in.tokens().refresh_token.clone();

    let sign_in = SignIn::new(Http::new().unwrap(), &node.url);
    assert_eq!(sign_in.providers().await.unwrap(), ["development"]);
    let given = sign_in.clone().token(token.clone()).await.unwrap();
    assert_eq!(given.account_id(), signed_in.account_id());
    let (client, _events) = Client::set_up(Store::in_memory(), given).await.unwrap();
    client.close().await.unwrap();
    assert!(sign_in.token(token).await.is_err());
}

#[tokio::test]
async fn a_second_first_device_and_a_store_that_is_not_empty_are_refused() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let path = folder.path().join("ada");
    let ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &node.url, "ada").await;
    let in_use = Store::open(&path, passphrase()).await;
    assert!(matches!(in_use, Err(StoreError::InUse { .. })), "{in_use:?}");
    ada.close().await;

    let refused = Client::set_up(Store::in_memory(), sign_in(&node.url, "ada").await).await;
    assert!(matches!(refused, Err(ClientError::AccountExists)), "{:?}", refused.err());
    let store = Store::open(&path, passphrase()).await.unwrap();
    let refused = Client::set_up(store, sign_in(&node.url, "ada").await).await;
    assert!(matches!(refused, Err(ClientError::AlreadySetUp)), "{:?}", refused.err());
    let refused = Client::open(Store::in_memory(), Http::new().unwrap()).await;
    assert!(matches!(refused, Err(ClientError::NotSetUp)), "{:?}", refused.err());
}

#[tokio::test]
async fn a_wrong_passphrase_and_a_changed_file_are_errors_and_change_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let path = folder.path().join("ada");
    let ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &node.url, "ada").await;
    ada.close().await;

    let before = read(&path);
    let wrong = Passphrase::new("another".to_owned()).unwrap();
    let refused = Store::open(&path, wrong).await;
    assert!(matches!(refused, Err(StoreError::Keystore(KeystoreError::Open))), "{refused:?}");
    let refused = Store::create(&path, passphrase()).await;
    assert!(matches!(refused, Err(StoreError::Exists { .. })), "{refused:?}");
    assert_eq!(read(&path), before);
    let missing = Store::open(&folder.path().join("nobody"), passphrase()).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    let other = folder.write("other", &"no database at all, but a text that is long enough ".repeat(20));
    let refused = Store::open(&other, passphrase()).await;
    assert!(matches!(refused, Err(StoreError::NotAStore { .. })), "{refused:?}");

    // A record that was changed: the store opens, the device does not.
    let database = rusqlite::Connection::open(&path).unwrap();
    let changed = "UPDATE records SET sealed = zeroblob(200) WHERE name = (SELECT min(name) FROM records)";
    assert_eq!(database.execute(changed, []).unwrap(), 1);
    drop(database);
    let refused = Client::open(Store::open(&path, passphrase()).await.unwrap(), Http::new().unwrap()).await;
    assert!(matches!(refused, Err(ClientError::Store(StoreError::Broken))), "{:?}", refused.err());
}

#[tokio::test]
async fn nothing_of_a_store_can_be_read_without_its_passphrase() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let path = folder.path().join("ada");
    let mut ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &node.url, "ada").await;
    let mut grace = User::new(&node.url, "grace").await;
    let id = ada.write(&grace, "a canary in a cage").await;
    ada.is_sent(id).await;
    assert_eq!(grace.text().await.1, "a canary in a cage");
    let account = grace.id();
    ada.close().await;

    let file = read(&path);
    for needle in ["a canary in a cage".as_bytes(), account.to_string().as_bytes(), account.as_bytes(), b"session/"] {
        assert!(!file.windows(needle.len()).any(|window| window == needle), "{}", needle.escape_ascii());
    }
}

#[expect(clippy::disallowed_methods, reason = "the test looks at the file")]
fn read(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
