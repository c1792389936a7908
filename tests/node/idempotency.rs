//! Calls with an idempotency key act once, whatever happens in between.

use std::time::Duration;

use conclave::node::config::Bounded;
use conclave::wire::{ErrorCode, PrekeyBundle, PrekeyStatus, RoomSummary, Rooms, SecretText};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::User;
use crate::server::{Answer, Api, TestNode};

async fn post(node: &Api, path: &str, token: &SecretText, key: &str, body: &Value) -> Answer {
    let request = node.request(Method::POST, path).bearer_auth(token.expose()).header("idempotency-key", key);
    Answer::of(request.json(body)).await
}

async fn create(node: &Api, token: &SecretText, key: &str) -> RoomSummary {
    post(node, "/api/rooms", token, key, &json!({})).await.ok()
}

async fn rooms(node: &Api, token: &SecretText) -> Vec<RoomSummary> {
    node.get("/api/rooms", Some(token)).await.ok::<Rooms>().rooms
}

#[actix_web::test]
async fn the_same_call_with_the_same_key_acts_once_also_after_a_restart() {
    let node = TestNode::start().await;
    let ada = node.sign_in("ada").await;

    let first = create(&node, &ada.access_token, "\"one\"").await;
    node.clock.advance(Duration::from_secs(60));
    assert_eq!(create(&node, &ada.access_token, "one").await, first);
    let node = node.restart().await;
    assert_eq!(create(&node, &ada.access_token, "one").await, first);
    assert_eq!(rooms(&node, &ada.access_token).await, [first]);

    let other = create(&node, &ada.access_token, "two").await;
    assert_ne!(other.room_id, first.room_id);
    assert_eq!(rooms(&node, &ada.access_token).await.len(), 2);
    node.stop().await;
}

#[actix_web::test]
async fn of_calls_at_the_same_time_one_acts() {
    let node = TestNode::start().await;
    let ada = node.sign_in("ada").await;

    let made = join_all((0..16).map(|_| create(&node, &ada.access_token, "one"))).await;

    assert_eq!(rooms(&node, &ada.access_token).await.len(), 1);
    assert!(made.iter().all(|room| *room == made[0]), "{made:?}");
    node.stop().await;
}

#[actix_web::test]
async fn a_key_is_for_one_call_of_one_account() {
    let node = TestNode::start().await;
    let (ada, grace) = (node.sign_in("ada").await, node.sign_in("grace").await);
    let first = create(&node, &ada.access_token, "one").await;

    let unsigned = json!({ "policy": { "custody": "client", "protection": "ratchet", "signatures": "off" } });
    let other = post(&node, "/api/rooms", &ada.access_token, "one", &unsigned).await;
    other.refused(422, ErrorCode::IdempotencyKeyReused);
    assert_eq!(rooms(&node, &ada.access_token).await, [first]);
    assert_ne!(create(&node, &grace.access_token, "one").await.room_id, first.room_id);
    for bad in ["", "\"\"", "a b", &"x".repeat(65)] {
        let answer = post(&node, "/api/rooms", &ada.access_token, bad, &json!({})).await;
        answer.refused(400, ErrorCode::MalformedRequest);
    }
    node.stop().await;
}

#[actix_web::test]
async fn what_was_refused_may_be_asked_again() {
    let node = TestNode::start().await;
    let ada = node.sign_in("ada").await;
    let mls = json!({ "policy": { "custody": "client", "protection": "mls", "signatures": "on" } });

    let refused = post(&node, "/api/rooms", &ada.access_token, "one", &mls).await;
    refused.refused(422, ErrorCode::ProtectionUnsupported);
    create(&node, &ada.access_token, "one").await;
    assert_eq!(rooms(&node, &ada.access_token).await.len(), 1);
    node.stop().await;
}

#[actix_web::test]
async fn a_claim_that_is_made_again_takes_no_second_key() {
    let node = TestNode::start().await;
    let (ada, grace) = (User::join(&node, "ada", 10).await, User::join(&node, "grace", 20).await);
    let left = async || node.get("/api/prekeys", Some(grace.person.token())).await.ok::<PrekeyStatus>();
    let (account, device) = (grace.address().account_id, grace.address().device_id);
    let path = format!("/api/users/{account}/devices/{device}/claim");
    let before = left().await;

    let first: PrekeyBundle = post(&node, &path, ada.person.token(), "one", &json!({})).await.ok();
    let again: PrekeyBundle = post(&node, &path, ada.person.token(), "one", &json!({})).await.ok();

    assert_eq!(again, first);
    assert_eq!(left().await.one_time_prekeys, before.one_time_prekeys - 1);
    let other: PrekeyBundle = post(&node, &path, ada.person.token(), "two", &json!({})).await.ok();
    assert_ne!(other.one_time_prekey, first.one_time_prekey);
    node.stop().await;
}

/// The room of the call past the limit is not made: acting and remembering are one.
#[actix_web::test]
async fn keys_are_kept_for_a_day_and_no_more_than_an_account_may_have() {
    let node = TestNode::start_with(|settings| {
        settings.limits.requests_per_minute = Bounded::of::<10_000>();
        settings.sign_in.access_seconds = Bounded::of::<86_400>();
    })
    .await;
    let ada = node.sign_in("ada").await;
    let keys: Vec<String> = (0..256).map(|number| number.to_string()).collect();
    let made = join_all(keys.iter().map(|key| create(&node, &ada.access_token, key))).await;

    let past = post(&node, "/api/rooms", &ada.access_token, "past", &json!({})).await;
    past.refused(409, ErrorCode::TooManyIdempotencyKeys);
    assert_eq!(rooms(&node, &ada.access_token).await.len(), 256);
    assert_eq!(create(&node, &ada.access_token, "7").await, made[7]);

    node.clock.advance(Duration::from_secs(86_400));
    let ada = node.sign_in("ada").await;
    assert_ne!(create(&node, &ada.access_token, "7").await.room_id, made[7].room_id);
    create(&node, &ada.access_token, "past").await;
    node.stop().await;
}
