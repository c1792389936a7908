//! Calls with idempotency keys through crashes: each acts once, and has the answer that it had.

use std::collections::BTreeMap;

use conclave::wire::{RoomSummary, Rooms, SecretText};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::*;
use crate::server::Api;

const CRASHES: u32 = 6;

/// Calls that are made at once, again and again.
const CALLERS: usize = 6;

/// Calls of each that a crash interrupts.
const CALLS: usize = 5;

/// Makes rooms, first the one that was not answered. What it was answered, by key.
struct Caller {
    number: usize,
    next: usize,
    answers: BTreeMap<String, RoomSummary>,
}

impl Caller {
    /// Until an answer does not come any more.
    async fn call(&mut self, node: &Api, token: &SecretText, calls: usize) {
        for _ in 0..calls {
            let key = format!("{}-{}", self.number, self.next);
            let Some(room) = create(node, token, &key).await else { return };
            self.answers.insert(key, room);
            self.next += 1;
        }
    }
}

async fn create(node: &Api, token: &SecretText, key: &str) -> Option<RoomSummary> {
    let request = node.request(Method::POST, "/api/rooms").bearer_auth(token.expose()).header("idempotency-key", key);
    let answer = request.json(&json!({})).send().await.ok()?;
    let status = answer.status();
    let body = answer.text().await.ok()?;
    assert_eq!(status, 200, "{body}");
    Some(serde_json::from_str(&body).unwrap())
}

#[actix_web::test]
async fn a_call_with_a_key_acts_once_through_every_crash() {
    let disk = Disk::new();
    let mut node = disk.start_node();
    let token = node.api.sign_in("ada").await.access_token;
    let caller = |number| Caller { number, next: 0, answers: BTreeMap::new() };
    let mut callers: Vec<Caller> = (0..CALLERS).map(caller).collect();

    for number in 0..CRASHES {
        let api = Api::at(&node.api.url);
        // One of them calls less: with its last answer the node ends, while the others are under way.
        let (first, others) = callers.split_first_mut().unwrap();
        let rest = join_all(others.iter_mut().map(|caller| caller.call(&api, &token, CALLS)));
        let kill = async {
            first.call(&api, &token, 1 + number as usize % 3).await;
            node.kill();
        };
        futures_util::future::join(rest, kill).await;
        if number % 3 == 2 {
            disk.lose_power();
        }
        node = disk.start_node();
    }
    for caller in &mut callers {
        caller.call(&node.api, &token, 1).await;
    }

    let answers: BTreeMap<&String, &RoomSummary> = callers.iter().flat_map(|caller| &caller.answers).collect();
    assert!(answers.len() > CALLERS * 3, "{} answered", answers.len());
    for (key, room) in &answers {
        assert_eq!(create(&node.api, &token, key).await.as_ref(), Some(*room), "{key}");
    }
    let mut made: Vec<_> = rooms(&node.api, &token).await.into_iter().map(|room| room.room_id).collect();
    let mut answered: Vec<_> = answers.values().map(|room| room.room_id).collect();
    made.sort();
    answered.sort();
    assert_eq!(made, answered);
    node.kill();
}

async fn rooms(node: &Api, token: &SecretText) -> Vec<RoomSummary> {
    let mut all = Vec::new();
    let mut path = "/api/rooms".to_owned();
    loop {
        let Rooms { rooms, next } = node.get(&path, Some(token)).await.ok();
        all.extend(rooms);
        match next {
            Some(next) => path = format!("/api/rooms?after={next}"),
            None => return all,
        }
    }
}
