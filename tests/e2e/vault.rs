//! The vault through an honest node: memories and chat histories, versions, two devices, restarts, answers that are lost.

use conclave::client::vault::{ChatHistory, Collection, ItemState, Memory, Turn, VaultError};
use conclave::client::{ApiError, Client, ClientError, Event, Linking, Store};
use conclave::ids::ItemId;
use conclave::protocol::public::limits::VAULT_ITEM_BYTES_MAX;
use conclave::protocol::vault;
use conclave::wire::{ErrorCode, Timestamp};
use futures_util::future::join_all;
use serde_json::json;

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::user::{User, sign_in};

pub(crate) fn memory(query: &str) -> Memory {
    Memory {
        query: query.to_owned(),
        response: "without milk".to_owned(),
        timestamp: Timestamp::from_millis(1_800_000_000_000),
        context: json!({ "mood": "curious" }),
    }
}

fn chat(turns: &[(&str, &str)]) -> ChatHistory {
    let turn = |(role, content): &(&str, &str)| Turn { role: (*role).to_owned(), content: (*content).to_owned() };
    ChatHistory { session_id: "session 7".to_owned(), turns: turns.iter().map(turn).collect() }
}

/// Another device of the same account.
pub(crate) async fn second_device(of: &User, url: &str, name: &str) -> User {
    let kit = of.client.recovery_kit().await.unwrap();
    let (client, events) = Client::recover(Store::in_memory(), sign_in(url, name).await, &kit).await.unwrap();
    User { client, events }
}

/// A node, and Ada on two devices.
async fn two_devices() -> (DataFolder, NodeProcess, User, User) {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = User::new(&node.url, "ada").await;
    let other = second_device(&ada, &node.url, "ada").await;
    (folder, node, ada, other)
}

/// Loses the answers of the next writes: the node has done them then.
pub(crate) fn lose_answers(proxy: &Proxy, count: usize) {
    let mut left = count;
    proxy.answers(move |asks, answer| {
        let is_write = asks.starts_with("PUT /api/vault/") || asks.starts_with("DELETE /api/vault/");
        if is_write && left > 0 {
            left -= 1;
            answer.lose();
        }
    });
}

async fn query(memories: &Collection<Memory>, id: ItemId) -> Option<(u64, String)> {
    memories.get(id).await.unwrap().map(|kept| (kept.version, kept.content.query))
}

#[tokio::test]
async fn memories_and_chats_are_kept_for_all_devices_of_their_account_and_for_nobody_else() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = User::new(&node.url, "ada").await;
    let (memories, chats) = (ada.client.vault().memories(), ada.client.vault().chats());
    let tea = memories.add(&memory("how does Ada take her tea?")).await.unwrap();
    let session = chats.id_of("session 7").await.unwrap();
    let first = chats.put(session, 0, &chat(&[("user", "hello")])).await.unwrap();
    let longer = chat(&[("user", "hello"), ("assistant", "hello, Ada")]);
    assert_eq!(chats.put(session, first.version, &longer).await.unwrap().version, 2);

    let other = second_device(&ada, &node.url, "ada").await;
    let (memories, chats) = (other.client.vault().memories(), other.client.vault().chats());
    let kept = memories.get(tea.id).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.version, kept.updated_at), (tea.id, 1, tea.updated_at));
    assert_eq!(kept.content, memory("how does Ada take her tea?"));
    let session = chats.id_of("session 7").await.unwrap();
    assert_eq!(chats.get(session).await.unwrap().unwrap().content, longer);
    let listed = memories.list().await.unwrap();
    assert_eq!(listed.iter().map(|item| (item.id, item.version)).collect::<Vec<_>>(), [(tea.id, 1)]);
    let summary = other.client.vault().summary().await.unwrap();
    assert_eq!(summary.collections.iter().map(|one| one.revision).collect::<Vec<_>>(), [2, 1]);

    let grace = User::new(&node.url, "grace").await;
    let memories = grace.client.vault().memories();
    assert_eq!(memories.list().await.unwrap(), []);
    assert_eq!(memories.get(tea.id).await.unwrap(), None);
    assert_ne!(grace.client.vault().chats().id_of("session 7").await.unwrap(), session);
}

#[tokio::test]
async fn a_write_comes_after_the_version_that_it_says_or_changes_nothing() {
    let (_folder, _node, ada, other) = two_devices().await;
    let (here, there) = (ada.client.vault().memories(), other.client.vault().memories());
    let item = here.add(&memory("first")).await.unwrap();
    assert_eq!(there.put(item.id, 1, &memory("second")).await.unwrap().version, 2);

    for after in [0, 1, 3] {
        let refused = here.put(item.id, after, &memory("lost")).await.unwrap_err();
        assert!(matches!(refused, VaultError::Conflict { present: 2, .. }), "{refused}");
        assert_eq!(refused.code(), Some(ErrorCode::VaultVersionConflict));
    }
    assert!(matches!(here.delete(item.id, 1).await, Err(VaultError::Conflict { present: 2, .. })));
    assert_eq!(query(&here, item.id).await, Some((2, "second".to_owned())));
    let nothing = ItemId::from_bytes([9; 16]);
    assert!(matches!(here.put(nothing, 1, &memory("x")).await, Err(VaultError::Conflict { present: 0, .. })));
    assert!(matches!(here.delete(nothing, 0).await, Err(VaultError::Conflict { present: 0, .. })));
    assert_eq!(here.state(nothing).await.unwrap(), ItemState::Absent);

    assert_eq!(here.delete(item.id, 2).await.unwrap(), 3);
    assert_eq!(there.state(item.id).await.unwrap(), ItemState::Deleted { version: 3 });
    assert_eq!((there.get(item.id).await.unwrap(), there.list().await.unwrap()), (None, vec![]));
    assert!(matches!(there.put(item.id, 2, &memory("late")).await, Err(VaultError::Conflict { present: 3, .. })));
    assert!(matches!(there.delete(item.id, 3).await, Err(VaultError::Deleted { version: 3, .. })));
    assert_eq!(there.put(item.id, 3, &memory("anew")).await.unwrap().version, 4);
    assert_eq!(here.state(item.id).await.unwrap(), ItemState::Present { version: 4 });
}

#[tokio::test]
async fn devices_that_write_at_once_do_not_lose_each_others_writes() {
    let (_folder, _node, ada, other) = two_devices().await;
    let (here, there) = (ada.client.vault().memories(), other.client.vault().memories());
    let shared = here.add(&memory("shared")).await.unwrap();

    let contents: Vec<Memory> = (0..16).map(|number| memory(&number.to_string())).collect();
    let added = join_all(contents.iter().enumerate().map(|(number, content)| {
        let memories = if number % 2 == 0 { &here } else { &there };
        async move { memories.add(content).await.unwrap() }
    }))
    .await;
    let replaced = join_all([&here, &there].map(|memories| memories.put(shared.id, 1, &contents[0]))).await;

    assert_eq!(replaced.iter().filter(|result| result.is_ok()).count(), 1, "{replaced:?}");
    let refused = replaced.iter().filter(|result| matches!(result, Err(VaultError::Conflict { present: 2, .. })));
    assert_eq!(refused.count(), 1, "{replaced:?}");
    for memories in [&here, &there] {
        let mut listed: Vec<ItemId> = memories.list().await.unwrap().into_iter().map(|item| item.id).collect();
        listed.sort();
        let mut expected: Vec<ItemId> = added.iter().map(|stored| stored.id).chain([shared.id]).collect();
        expected.sort();
        assert_eq!(listed, expected);
    }
}

#[tokio::test]
async fn a_vault_survives_restarts_of_both_sides() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let path = folder.path().join("ada");
    let ada = User::new_in(Store::create(&path, passphrase()).await.unwrap(), &proxy.url, "ada").await;
    let item = ada.client.vault().memories().add(&memory("kept")).await.unwrap();
    ada.close().await;
    drop(node);

    let node = NodeProcess::start(folder.path(), |_| ());
    proxy.lead_to(&node);
    let ada = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    let memories = ada.client.vault().memories();
    assert_eq!(query(&memories, item.id).await, Some((1, "kept".to_owned())));
    assert_eq!(memories.put(item.id, 1, &memory("on")).await.unwrap().version, 2);

    drop(node);
    let unreachable = memories.get(item.id).await.unwrap_err();
    assert!(matches!(unreachable, VaultError::Client(ClientError::Api(ApiError::Unreachable(_)))), "{unreachable:?}");
    assert!(!unreachable.blames_node());
}

/// Both know the version that goes, and neither knows of the other. The deletions differ in nothing but who has made them.
#[tokio::test]
async fn an_item_that_two_devices_delete_is_deleted_once_and_nobody_is_suspected() {
    let (_folder, _node, ada, other) = two_devices().await;
    let (here, there) = (ada.client.vault().memories(), other.client.vault().memories());
    let item = here.add(&memory("short-lived")).await.unwrap();
    there.list().await.unwrap();
    assert_eq!(here.delete(item.id, 1).await.unwrap(), 2);
    let late = there.delete(item.id, 1).await.unwrap_err();
    assert!(matches!(late, VaultError::Conflict { present: 2, .. }), "{late:?}");
    there.add(&memory("goes on")).await.unwrap();
    for memories in [&here, &there] {
        assert_eq!(memories.state(item.id).await.unwrap(), ItemState::Deleted { version: 2 });
        assert_eq!(memories.list().await.unwrap().len(), 1);
    }
}

/// The node has done it and the answer is lost: it is asked again, byte for byte, and does nothing twice.
#[tokio::test]
async fn a_write_whose_answer_is_lost_is_settled_by_sending_it_again() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let ada = User::new(&proxy.url, "ada").await;
    let memories = ada.client.vault().memories();

    lose_answers(&proxy, 1);
    let item = memories.add(&memory("once")).await.unwrap();
    lose_answers(&proxy, 1);
    assert_eq!(memories.put(item.id, 1, &memory("twice")).await.unwrap().version, 2);
    assert_eq!(ada.client.vault().summary().await.unwrap().collections[0].revision, 2);
    lose_answers(&proxy, 1);
    assert_eq!(memories.delete(item.id, 2).await.unwrap(), 3);

    // Lost for good: it is not known, and later it is. Whoever tries it once more is told, and nobody is suspected.
    let fleeting = memories.add(&memory("fleeting")).await.unwrap();
    lose_answers(&proxy, 2);
    let unknown = memories.delete(fleeting.id, 1).await.unwrap_err();
    assert!(matches!(unknown, VaultError::Client(ClientError::Api(ApiError::Unreachable(_)))), "{unknown:?}");
    let again = memories.delete(fleeting.id, 1).await.unwrap_err();
    assert!(matches!(again, VaultError::Conflict { present: 2, .. }), "{again:?}");
    assert_eq!(memories.state(fleeting.id).await.unwrap(), ItemState::Deleted { version: 2 });
    lose_answers(&proxy, 2);
    let unknown = memories.put(item.id, 3, &memory("anew")).await.unwrap_err();
    assert!(matches!(unknown, VaultError::Client(ClientError::Api(ApiError::Unreachable(_)))), "{unknown:?}");
    assert_eq!(memories.state(item.id).await.unwrap(), ItemState::Present { version: 4 });
    assert_eq!(query(&memories, item.id).await, Some((4, "anew".to_owned())));
}

#[tokio::test]
async fn a_token_that_has_expired_is_traded_for_the_next() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    ada.is_level().await;
    let memories = ada.client.vault().memories();
    let item = memories.add(&memory("kept")).await.unwrap();

    let database = rusqlite::Connection::open(folder.path().join("conclave.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    assert_eq!(database.execute("UPDATE sessions SET access_expires_at = 1", []).unwrap(), 1);

    assert_eq!(query(&memories, item.id).await, Some((1, "kept".to_owned())));
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |process| {
        process.env("CONCLAVE__VAULT__ITEMS_PER_ACCOUNT", "2").env("CONCLAVE__VAULT__MEBIBYTES_PER_ACCOUNT", "2");
    });
    let ada = User::new(&node.url, "ada").await;
    let memories = ada.client.vault().memories();
    // In JSON a memory has 100 bytes beside its query.
    let largest = memory(&"x".repeat(VAULT_ITEM_BYTES_MAX - 200));

    let refused = memories.add(&memory(&"x".repeat(VAULT_ITEM_BYTES_MAX))).await.unwrap_err();
    assert!(matches!(refused, VaultError::Item(vault::VaultError::TooLong { .. })), "{refused:?}");
    let item = memories.add(&largest).await.unwrap();
    assert_eq!(memories.get(item.id).await.unwrap().unwrap().content, largest);
    assert_eq!(memories.add(&largest).await.unwrap_err().code(), Some(ErrorCode::VaultFull));
    memories.add(&memory("small")).await.unwrap();
    assert_eq!(memories.add(&memory("small")).await.unwrap_err().code(), Some(ErrorCode::TooManyVaultItems));
    assert_eq!(memories.list().await.unwrap().len(), 2);

    // Something else under the same id.
    let chats = ada.client.vault().collection::<ChatHistory>("memories".parse().unwrap(), "memory".parse().unwrap());
    let other_form = chats.get(item.id).await.unwrap_err();
    assert!(matches!(other_form, VaultError::OtherForm { .. }), "{other_form:?}");
}

/// A linked device has no secrets of the account; it gets the vault's key from the first one, and keeps it.
#[tokio::test]
async fn a_linked_device_gets_the_key_of_the_vault_and_keeps_it() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = User::new(&node.url, "ada").await;
    let item = ada.client.vault().memories().add(&memory("kept")).await.unwrap();
    let path = folder.path().join("tablet");
    let store = Store::create(&path, passphrase()).await.unwrap();
    let linking = Linking::begin(store, sign_in(&node.url, "ada").await).await.unwrap();
    ada.client.link_device(&linking.code()).await.unwrap();
    let (client, events) = linking.wait().await.unwrap();
    let mut tablet = User { client, events };

    tablet.until(|event| matches!(event, Event::VaultOpened).then_some(())).await;
    let memories = tablet.client.vault().memories();
    assert_eq!(query(&memories, item.id).await, Some((1, "kept".to_owned())));
    assert_eq!(memories.put(item.id, 1, &memory("on")).await.unwrap().version, 2);
    drop(memories);
    tablet.close().await;
    ada.close().await;
    let tablet = User::open(Store::open(&path, passphrase()).await.unwrap()).await;
    assert_eq!(query(&tablet.client.vault().memories(), item.id).await, Some((2, "on".to_owned())));
}

/// The first device is away: the vault stays closed until it answers.
#[tokio::test]
async fn a_device_without_the_key_says_so() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = User::new(&node.url, "ada").await;
    let linking = Linking::begin(Store::in_memory(), sign_in(&node.url, "ada").await).await.unwrap();
    ada.client.link_device(&linking.code()).await.unwrap();
    ada.close().await;

    let (client, events) = linking.wait().await.unwrap();
    let mut tablet = User { client, events };
    tablet.is_level().await;
    let refused = tablet.client.vault().memories().list().await.unwrap_err();
    assert!(matches!(refused, VaultError::Client(ClientError::NoVaultKey)), "{refused:?}");
}
