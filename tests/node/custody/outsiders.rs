//! Whoever is no member hears of no keys, and a node that is to hold none holds none.

use conclave::node::config::Bounded;
use conclave::wire::{Custody, ErrorCode, Joined, RoomKey, RoomPolicy, RoomSummary, Signatures};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Held, any_envelope, is_disabled, new_room, path};
use crate::client::{Person, User};
use crate::server::TestNode;
use crate::support::ROOM;

/// The seven calls, with bodies that are read.
fn calls(user: &User) -> Vec<(Method, String, Value)> {
    let (id, device) = (user.address().account_id, user.address());
    let envelope = any_envelope(device);
    vec![
        (Method::POST, "keys/generate".to_owned(), json!({})),
        (Method::POST, "keys/exchange".to_owned(), json!({ "peer_user_id": id })),
        (Method::GET, format!("keys/{id}"), json!({})),
        (Method::POST, "keys/rotate".to_owned(), json!({})),
        (Method::DELETE, "keys/AAAAAAAAAAA".to_owned(), json!({})),
        (Method::POST, "encrypt".to_owned(), json!({ "recipient_id": id, "message": {} })),
        (Method::POST, "decrypt".to_owned(), json!({ "encrypted_message": envelope })),
    ]
}

#[actix_web::test]
async fn an_outsider_is_answered_as_if_there_were_no_room() {
    let held = Held::with_keys(2).await;
    let outsider = User::join_without_prekeys(&held.node, "outsider", 500).await;
    let client_room = new_room(&held.node, &held.users[0], RoomPolicy::default()).await;
    for (method, call, body) in calls(&held.users[0]) {
        for room in [held.room, client_room, ROOM] {
            let token = Some(outsider.person.token());
            let answer = held.node.send(method.clone(), &path(room, &call), token, &body).await;
            answer.refused(404, ErrorCode::UnknownRoom);
        }
        held.node.send(method, &path(held.room, &call), None, &body).await.refused(401, ErrorCode::TokenMissing);
    }
    held.try_encrypt(0, 1, &json!({})).await.ok::<Value>();
    held.node.stop().await;
}

#[actix_web::test]
async fn somebody_who_is_no_member_is_nobodys_peer() {
    let mut held = Held::with_keys(2).await;
    held.users.push(User::join_without_prekeys(&held.node, "outsider", 500).await);
    held.exchange(0, 2).await.refused(404, ErrorCode::UnknownMember);
    held.try_encrypt(0, 2, &json!({})).await.refused(404, ErrorCode::UnknownMember);
    held.try_show(0, 2).await.refused(404, ErrorCode::UnknownMember);
    held.node.stop().await;
}

#[actix_web::test]
async fn keys_of_one_room_are_not_those_of_another() {
    let mut held = Held::with_keys(2).await;
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let first = held.room;
    let policy = RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() };
    held.room = new_room(&held.node, &held.users[0], policy).await;
    crate::rooms::admit(&held.node, held.room, &held.users[0].person, &held.users[1].person).await;

    held.try_decrypt(1, &envelope).await.refused(404, ErrorCode::NoRoomKeys);
    let (one, other) = (held.generate(0).await, held.generate(1).await);
    let mut moved = envelope.clone();
    moved.destination = conclave::wire::Destination::Room(held.room);
    held.try_decrypt(1, &envelope).await.refused(422, ErrorCode::NotForThisDevice);
    held.try_decrypt(1, &moved).await.refused(422, ErrorCode::KeyIdMismatch);
    moved.key_id = one.key_id;
    held.try_decrypt(1, &moved).await.refused(422, ErrorCode::SignatureInvalid);
    held.room = first;
    held.revoke(1, other.key_id).await.refused(404, ErrorCode::UnknownRoomKey);
    held.decrypt(1, &envelope).await;
    held.node.stop().await;
}

#[actix_web::test]
async fn a_session_without_a_device_holds_nothing() {
    let held = Held::new(1).await;
    let person = Person::sign_in(&held.node, "no-device", 700).await;
    crate::rooms::admit(&held.node, held.room, &held.users[0].person, &person).await;
    let answer = held.node.post(&path(held.room, "keys/generate"), Some(person.token()), &json!({})).await;
    answer.refused(409, ErrorCode::DeviceNotBound);
    held.node.stop().await;
}

#[actix_web::test]
async fn a_node_that_is_to_hold_no_keys_makes_no_such_room_and_serves_none() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;
    is_disabled(&node, &ada).await;
    node.stop().await;

    // A room that was made while it did: it is still there, and read, and nothing is encrypted.
    let held = Held::with_keys(2).await;
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let Held { node, users, room } = held;
    let held = Held { node: node.restart().await, users, room };
    for (method, call, body) in calls(&held.users[1]) {
        let token = Some(held.users[0].person.token());
        let answer = held.node.send(method, &path(held.room, &call), token, &body).await;
        answer.refused(422, ErrorCode::CustodyDisabled);
    }
    let mut socket = held.socket(0, conclave::wire::Encoding::Json).await;
    assert_eq!(socket.send(&envelope).await.unwrap_err(), ErrorCode::NoRoomKeys);
    held.node.stop().await;
}

#[actix_web::test]
async fn the_settings_say_how_rooms_are_signed_of_which_nothing_is_said() {
    let node = TestNode::start_with(|settings| settings.custody.signatures = false).await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let made: RoomSummary = node.post("/api/rooms", Some(ada.token()), &json!({})).await.ok();
    assert_eq!(made.policy, RoomPolicy { signatures: Signatures::Off, ..RoomPolicy::default() });
    let told = json!({ "policy": RoomPolicy::default() });
    let made: RoomSummary = node.post("/api/rooms", Some(ada.token()), &told).await.ok();
    assert_eq!(made.policy, RoomPolicy::default());
    node.stop().await;
}

#[actix_web::test]
async fn calls_count_as_commands_of_the_account() {
    let node = TestNode::start_with(|settings| {
        settings.custody.enabled = true;
        settings.limits.commands_per_minute = Bounded::of::<2>();
    })
    .await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;
    let room = new_room(&node, &ada, RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() }).await;
    let generate = async || node.post(&path(room, "keys/generate"), Some(ada.person.token()), &json!({})).await;

    generate().await.ok::<RoomKey>();
    generate().await.ok::<RoomKey>();
    let refused = generate().await;
    refused.refused(429, ErrorCode::RateLimited);
    assert_eq!(refused.header("retry-after"), "30");
    node.stop().await;
}

#[actix_web::test]
async fn no_more_members_have_keys_in_a_room_than_may() {
    let mut held = Held::new(1).await;
    let invitations = format!("/api/rooms/{}/invitations", held.room);
    let body = json!({ "uses": 64 });
    let made = held.node.post(&invitations, Some(held.users[0].person.token()), &body).await;
    let invitation: conclave::wire::InvitationCreated = made.ok();
    held.generate(0).await;
    for number in 1..=64 {
        let user = User::join_without_prekeys(&held.node, &format!("more-{number}"), 1_000 + 10 * number).await;
        let join = json!({ "token": invitation.token });
        held.node.post("/api/rooms/join", Some(user.person.token()), &join).await.ok::<Joined>();
        held.users.push(user);
    }
    for user in 1..64 {
        held.generate(user).await;
    }

    held.post(64, "keys/generate", &json!({})).await.refused(409, ErrorCode::TooManyRoomKeys);
    held.generate(63).await;
    let leave = format!("/api/rooms/{}/leave", held.room);
    held.node.post(&leave, Some(held.users[63].person.token()), &json!({})).await.done();
    held.generate(64).await;
    held.node.stop().await;
}
