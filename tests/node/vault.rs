//! Vaults over REST: versions, what is there at one moment, what remains of the deleted, quotas, and who hears of nothing.

use std::time::Duration;

use conclave::ids::{ItemId, ItemType};
use conclave::node::config::Bounded;
use conclave::protocol::public::vault_digest;
use conclave::protocol::vault::{PreparedWrite, SealedItem};
use conclave::wire::{
    CollectionSummary, ErrorCode, Problem, PutVaultItem, SealedContent, SecretText, VaultContent, VaultEntry,
    VaultItem, VaultPage, VaultSummary, VaultWritten,
};
use data_encoding::BASE64URL_NOPAD;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::Person;
use crate::metrics::Numbers;
use crate::server::{Answer, Api, START, TestNode};

const MEMORIES: &str = "/api/vault/memories";

/// A header that says which version a call is for.
pub(crate) type When<'a> = (&'a str, &'a str);

pub(crate) const NEW: When<'static> = ("if-none-match", "*");

pub(crate) fn item_id(number: u8) -> ItemId {
    ItemId::from_bytes([number; 16])
}

pub(crate) fn path(number: u8) -> String {
    format!("{MEMORIES}/{}", item_id(number))
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

pub(crate) fn head(revision: u64) -> String {
    base64(format!("head {revision}"))
}

pub(crate) fn body(revision: u64, text: &str) -> Value {
    json!({ "item_type": "memory", "sealed": base64(text), "revision": revision, "head": head(revision) })
}

pub(crate) async fn put(node: &Api, token: &SecretText, path: &str, when: When<'_>, body: &Value) -> Answer {
    let request = node.request(Method::PUT, path).bearer_auth(token.expose()).header(when.0, when.1);
    Answer::of(request.json(body)).await
}

async fn delete(node: &Api, token: &SecretText, number: u8, when: When<'_>, revision: u64) -> Answer {
    let path = format!("{}?revision={revision}&head={}", path(number), head(revision));
    Answer::of(node.request(Method::DELETE, &path).bearer_auth(token.expose()).header(when.0, when.1)).await
}

/// The request of a write that the core has prepared; without content it deletes.
pub(crate) fn request(
    node: &Api,
    token: &SecretText,
    path: &str,
    write: &PreparedWrite,
    content: Option<&(ItemType, SealedItem)>,
) -> RequestBuilder {
    let (revision, head) = (write.revision(), write.sealed_head.clone());
    let request = if let Some((item_type, sealed)) = content {
        let sealed = SealedContent::new(sealed.as_bytes().to_vec()).unwrap();
        node.request(Method::PUT, path).json(&PutVaultItem { item_type: item_type.clone(), sealed, revision, head })
    } else {
        let head = base64(head.as_bytes());
        node.request(Method::DELETE, &format!("{path}?revision={revision}&head={head}"))
    };
    let request = request.bearer_auth(token.expose());
    match write.after {
        0 => request.header(NEW.0, NEW.1),
        after => request.header("if-match", format!("\"{after}\"")),
    }
}

async fn list(node: &Api, token: &SecretText) -> VaultPage {
    node.get(MEMORIES, Some(token)).await.ok()
}

fn written(version: u64, revision: u64) -> VaultWritten {
    VaultWritten { version, revision, updated_at: START }
}

fn entry(number: u8, version: u64, revision: u64, text: Option<&str>) -> VaultEntry {
    let content =
        |text: &str| VaultContent { bytes: u32::try_from(text.len()).unwrap(), digest: vault_digest(text.as_bytes()) };
    VaultEntry {
        item_id: item_id(number),
        item_type: "memory".parse().unwrap(),
        version,
        revision,
        updated_at: START,
        content: text.map(content),
    }
}

/// The code of a call that was refused, and what is there in place of what it was for.
#[track_caller]
fn conflict(answer: &Answer, status: u16, code: ErrorCode) -> u64 {
    answer.refused(status, code);
    serde_json::from_str::<Problem>(&answer.body).unwrap().present.unwrap()
}

#[actix_web::test]
async fn an_item_is_put_listed_read_and_deleted() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let token = ada.token();
    assert_eq!(list(&node, token).await, VaultPage { revision: 0, head: None, entries: vec![], next: None });

    let answer = put(&node, token, &path(1), NEW, &body(1, "one")).await;
    assert_eq!((answer.ok(), answer.header("etag")), (written(1, 1), "\"1\""));
    let answer = put(&node, token, &path(1), ("if-match", "\"1\""), &body(2, "two")).await;
    assert_eq!((answer.ok(), answer.header("etag")), (written(2, 2), "\"2\""));

    let answer = node.get(&path(1), Some(token)).await;
    let sealed = SealedContent::new("two".into()).unwrap();
    assert_eq!(answer.ok::<VaultItem>(), VaultItem { entry: entry(1, 2, 2, Some("two")), sealed });
    assert_eq!(answer.header("etag"), "\"2\"");
    let page = list(&node, token).await;
    assert_eq!(page.entries, [entry(1, 2, 2, Some("two"))]);
    assert_eq!((page.revision, page.head.unwrap().as_bytes()), (2, b"head 2".as_slice()));
    let summary: VaultSummary = node.get("/api/vault", Some(token)).await.ok();
    let memories = CollectionSummary { collection: "memories".parse().unwrap(), revision: 2, items: 1, bytes: 3 };
    assert_eq!(summary.collections, [memories]);
    assert_eq!((summary.items_max, summary.bytes_max), (10_000, 256 * 1024 * 1024));

    let answer = delete(&node, token, 1, ("if-match", "\"2\""), 3).await;
    assert_eq!((answer.ok(), answer.header("etag")), (written(3, 3), "\"3\""));
    assert_eq!(conflict(&node.get(&path(1), Some(token)).await, 410, ErrorCode::VaultItemDeleted), 3);
    assert_eq!(list(&node, token).await.entries, [entry(1, 3, 3, None)]);
    node.stop().await;
}

#[actix_web::test]
async fn a_write_for_another_version_or_revision_is_told_what_is_there() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let token = ada.token();
    put(&node, token, &path(1), NEW, &body(1, "one")).await.ok::<VaultWritten>();
    put(&node, token, &path(1), ("if-match", "\"1\""), &body(2, "two")).await.ok::<VaultWritten>();

    for when in [NEW, ("if-match", "\"1\""), ("if-match", "\"3\""), ("if-match", "\"18446744073709551615\"")] {
        let refused = put(&node, token, &path(1), when, &body(3, "x")).await;
        assert_eq!(conflict(&refused, 412, ErrorCode::VaultVersionConflict), 2, "{when:?}");
    }
    let refused = put(&node, token, &path(2), ("if-match", "\"1\""), &body(3, "x")).await;
    assert_eq!(conflict(&refused, 412, ErrorCode::VaultVersionConflict), 0);
    for revision in [0, 2, 4, u64::MAX] {
        let refused = put(&node, token, &path(1), ("if-match", "\"2\""), &body(revision, "x")).await;
        assert_eq!(conflict(&refused, 409, ErrorCode::VaultRevisionConflict), 2, "{revision}");
    }
    let refused = delete(&node, token, 1, ("if-match", "\"1\""), 3).await;
    assert_eq!(conflict(&refused, 412, ErrorCode::VaultVersionConflict), 2);
    let refused = delete(&node, token, 1, ("if-match", "\"2\""), 2).await;
    assert_eq!(conflict(&refused, 409, ErrorCode::VaultRevisionConflict), 2);
    assert_eq!(list(&node, token).await.entries, [entry(1, 2, 2, Some("two"))]);

    let numbers = Numbers::of(&node).await;
    for (name, count) in [
        ("conclave_vault_writes_total{kind=\"put\"}", 2),
        ("conclave_vault_bytes_put_total", 6),
        ("conclave_vault_conflicts_total{of=\"version\"}", 6),
        ("conclave_vault_conflicts_total{of=\"revision\"}", 5),
    ] {
        assert_eq!(numbers.count(name), count, "{name}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_write_says_which_version_it_is_for() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let token = ada.token();

    for other in [("x-else", "1"), ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")] {
        let refused = put(&node, token, &path(1), other, &body(1, "x")).await;
        refused.refused(428, ErrorCode::PreconditionMissing);
        delete(&node, token, 1, other, 1).await.refused(428, ErrorCode::PreconditionMissing);
    }
    for bad in [("if-match", "*"), ("if-match", "1"), ("if-match", "W/\"1\""), ("if-none-match", "\"1\"")] {
        put(&node, token, &path(1), bad, &body(1, "x")).await.refused(400, ErrorCode::MalformedRequest);
        delete(&node, token, 1, bad, 1).await.refused(400, ErrorCode::MalformedRequest);
    }
    delete(&node, token, 1, NEW, 1).await.refused(404, ErrorCode::UnknownVaultItem);
    let without_head = format!("{}?revision=1", path(1));
    let request = node.request(Method::DELETE, &without_head).bearer_auth(token.expose()).header("if-match", "\"1\"");
    Answer::of(request).await.refused(400, ErrorCode::MalformedRequest);
    assert_eq!(list(&node, token).await.revision, 0);
    node.stop().await;
}

/// An answer that was lost is had by asking again.
#[actix_web::test]
async fn a_write_that_is_sent_again_is_answered_as_before_also_after_a_restart() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let token = ada.token();
    put(&node, token, &path(1), NEW, &body(1, "one")).await.ok::<VaultWritten>();
    delete(&node, token, 1, ("if-match", "\"1\""), 2).await.ok::<VaultWritten>();

    node.clock.advance(Duration::from_secs(60));
    let node = node.restart().await;

    assert_eq!(delete(&node, token, 1, ("if-match", "\"1\""), 2).await.ok::<VaultWritten>(), written(2, 2));
    let other = put(&node, token, &path(1), ("if-match", "\"1\""), &body(2, "other")).await;
    assert_eq!(conflict(&other, 412, ErrorCode::VaultVersionConflict), 2);
    assert_eq!(list(&node, token).await.entries, [entry(1, 2, 2, None)]);
    node.stop().await;
}

#[actix_web::test]
async fn a_vault_is_its_accounts_alone() {
    let node = TestNode::start().await;
    let (ada, grace) = (Person::sign_in(&node, "ada", 10).await, Person::sign_in(&node, "grace", 20).await);
    put(&node, ada.token(), &path(1), NEW, &body(1, "ada's")).await.ok::<VaultWritten>();

    node.get(&path(1), Some(grace.token())).await.refused(404, ErrorCode::UnknownVaultItem);
    let refused = delete(&node, grace.token(), 1, ("if-match", "\"1\""), 1).await;
    assert_eq!(conflict(&refused, 412, ErrorCode::VaultVersionConflict), 0);
    assert_eq!(list(&node, grace.token()).await.revision, 0);
    let summary: VaultSummary = node.get("/api/vault", Some(grace.token())).await.ok();
    assert_eq!(summary.collections, []);
    put(&node, grace.token(), &path(1), NEW, &body(1, "grace's")).await.ok::<VaultWritten>();
    assert_eq!(list(&node, ada.token()).await.entries, [entry(1, 1, 1, Some("ada's"))]);

    for path in ["/api/vault", MEMORIES, &path(1)] {
        node.get(path, None).await.refused(401, ErrorCode::TokenMissing);
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_vault_holds_as_much_as_the_settings_say() {
    let node = TestNode::start_with(|settings| {
        settings.vault.items_per_account = Bounded::of::<2>();
        settings.vault.mebibytes_per_account = Bounded::of::<1>();
    })
    .await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let token = ada.token();
    let large = "x".repeat(1024 * 1024);

    put(&node, token, &path(1), NEW, &body(1, &large)).await.ok::<VaultWritten>();
    put(&node, token, &path(2), NEW, &body(2, "x")).await.refused(409, ErrorCode::VaultFull);
    put(&node, token, &path(1), ("if-match", "\"1\""), &body(2, "x")).await.ok::<VaultWritten>();
    put(&node, token, &path(2), NEW, &body(3, "x")).await.ok::<VaultWritten>();
    put(&node, token, &path(3), NEW, &body(4, "x")).await.refused(409, ErrorCode::TooManyVaultItems);
    delete(&node, token, 1, ("if-match", "\"2\""), 4).await.ok::<VaultWritten>();
    node.stop().await;
}

#[actix_web::test]
async fn the_largest_item_is_taken_and_none_beyond_it() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let largest = "x".repeat(1024 * 1024 + 81);

    let over = put(&node, ada.token(), &path(1), NEW, &body(1, &format!("{largest}x"))).await;
    over.refused(400, ErrorCode::MalformedRequest);
    put(&node, ada.token(), &path(1), NEW, &body(1, "")).await.refused(400, ErrorCode::MalformedRequest);
    put(&node, ada.token(), &path(1), NEW, &body(1, &largest)).await.ok::<VaultWritten>();

    let item: VaultItem = node.get(&path(1), Some(ada.token())).await.ok();
    assert_eq!(item.sealed.as_bytes(), largest.as_bytes());
    node.stop().await;
}

#[actix_web::test]
async fn a_collection_is_listed_page_by_page() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    for number in 1..=5 {
        put(&node, ada.token(), &path(number), NEW, &body(number.into(), "x")).await.ok::<VaultWritten>();
    }

    let (mut found, mut after) = (Vec::new(), Some(0));
    while let Some(next) = after {
        let page: VaultPage = node.get(&format!("{MEMORIES}?after={next}&limit=2"), Some(ada.token())).await.ok();
        assert_eq!(page.revision, 5);
        found.extend(page.entries.into_iter().map(|entry| entry.revision));
        after = page.next;
    }

    assert_eq!(found, [1, 2, 3, 4, 5]);
    for bad in ["Memories", "a%20b", "a.b", &"x".repeat(65)] {
        let answer = node.get(&format!("/api/vault/{bad}"), Some(ada.token())).await;
        answer.refused(400, ErrorCode::MalformedRequest);
    }
    node.stop().await;
}
