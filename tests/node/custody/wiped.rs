//! When the node forgets the keys that it holds.

use std::time::Duration;

use conclave::node::config::Bounded;
use conclave::wire::{Encoding, ErrorCode, Message, RoomKeys};
use serde_json::json;

use super::{Held, about_keys};
use crate::metrics::Numbers;
use crate::rooms::admit;

impl Held {
    async fn leave(&self, user: usize) {
        let path = format!("/api/rooms/{}/leave", self.room);
        self.node.post(&path, Some(self.users[user].person.token()), &json!({})).await.done();
    }

    /// Two users whose keys count for ten minutes: for less long than their tokens.
    async fn with_short_lived_keys() -> Self {
        Self::with_keys_on(|settings| settings.custody.key_age_seconds_max = Bounded::of::<600>()).await
    }
}

#[actix_web::test]
async fn who_leaves_leaves_no_keys_and_comes_back_without_any() {
    let held = Held::with_keys(3).await;
    let from = held.encrypt(1, 0, &json!({ "n": 1 })).await;
    let to = held.encrypt(0, 1, &json!({ "n": 2 })).await;
    held.leave(1).await;

    held.try_show(0, 1).await.refused(404, ErrorCode::UnknownMember);
    held.try_decrypt(0, &from).await.refused(404, ErrorCode::NoRoomKeys);
    admit(&held.node, held.room, &held.users[0].person, &held.users[1].person).await;
    held.try_show(0, 1).await.refused(404, ErrorCode::NoRoomKeys);
    held.try_decrypt(1, &to).await.refused(404, ErrorCode::NoRoomKeys);
    let mut socket = held.socket(1, Encoding::Json).await;
    assert_eq!(socket.send(&from).await.unwrap_err(), ErrorCode::NoRoomKeys);
    held.generate(1).await;
    held.try_decrypt(1, &to).await.refused(422, ErrorCode::NoSession);
    held.try_decrypt(0, &from).await.refused(422, ErrorCode::KeyIdMismatch);
    held.decrypt(1, &held.encrypt(0, 1, &json!({ "n": 3 })).await).await;
    // The others were not touched.
    held.decrypt(2, &held.encrypt(0, 2, &json!({ "n": 4 })).await).await;
    held.node.stop().await;
}

#[actix_web::test]
async fn who_is_removed_by_a_moderator_leaves_no_keys() {
    let held = Held::with_keys(2).await;
    let from = held.encrypt(1, 0, &json!({ "n": 1 })).await;
    let path = format!("/api/rooms/{}/members/{}", held.room, held.id(1));
    held.node.delete(&path, Some(held.users[0].person.token())).await.done();

    held.try_decrypt(0, &from).await.refused(404, ErrorCode::NoRoomKeys);
    held.post(1, "keys/generate", &json!({})).await.refused(404, ErrorCode::UnknownRoom);
    held.node.stop().await;
}

#[actix_web::test]
async fn a_device_that_is_taken_off_its_list_leaves_no_keys() {
    let mut held = Held::with_keys(2).await;
    let from = held.encrypt(1, 0, &json!({ "n": 1 })).await;
    let mut socket = held.socket(0, Encoding::Json).await;
    let person = &mut held.users[1].person;
    person.certify_device(77);
    let both = person.next_list();
    person.put_list(&held.node, &both).await.done();
    held.try_show(0, 1).await.ok::<RoomKeys>();

    let person = &mut held.users[1].person;
    person.account.certificates.remove(0);
    let without = person.next_list();
    person.put_list(&held.node, &without).await.done();

    socket.until(|event| matches!(event, Message::E2eeKeyRevoke { .. }).then_some(())).await;
    held.try_encrypt(0, 1, &json!({ "n": 2 })).await.refused(404, ErrorCode::NoRoomKeys);
    held.try_decrypt(0, &from).await.refused(409, ErrorCode::RoomKeyRevoked);
    held.node.stop().await;
}

#[actix_web::test]
async fn a_closed_room_holds_no_keys_and_takes_none() {
    let held = Held::with_keys(2).await;
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let path = format!("/api/rooms/{}", held.room);
    held.node.delete(&path, Some(held.users[0].person.token())).await.done();

    held.try_decrypt(1, &envelope).await.refused(404, ErrorCode::NoRoomKeys);
    held.post(0, "keys/generate", &json!({})).await.refused(409, ErrorCode::RoomClosed);
    held.node.stop().await;
}

#[actix_web::test]
async fn a_restart_forgets_every_key() {
    let held = Held::with_keys(2).await;
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let Held { node, users, room } = held;
    let node = node.restart_with(|settings| settings.custody.enabled = true).await;
    let held = Held { node, users, room };

    held.try_decrypt(1, &envelope).await.refused(404, ErrorCode::NoRoomKeys);
    held.try_encrypt(0, 1, &json!({})).await.refused(404, ErrorCode::NoRoomKeys);
    held.generate(0).await;
    held.generate(1).await;
    held.decrypt(1, &held.encrypt(0, 1, &json!({ "n": 2 })).await).await;
    held.node.stop().await;
}

#[actix_web::test]
async fn keys_end_with_their_time_also_where_nobody_asks() {
    let held = Held::with_short_lived_keys().await;
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let mut socket = held.socket(0, Encoding::Cbor).await;
    held.node.clock.advance(Duration::from_secs(600));

    // The keeper looks by itself, and tells the room of all four.
    for _ in 0..4 {
        assert!(matches!(about_keys(&mut socket).await, Message::E2eeKeyRevoke { .. }));
    }
    assert_eq!(Numbers::of(&held.node).await.count("conclave_key_revocations_total"), 4);
    assert_eq!(socket.send(&envelope).await.unwrap_err(), ErrorCode::NoRoomKeys);
    held.post(0, "keys/rotate", &json!({})).await.refused(404, ErrorCode::NoRoomKeys);
    held.node.stop().await;
}

#[actix_web::test]
async fn a_key_does_not_count_from_the_millisecond_on_in_which_it_expires() {
    let held = Held::with_short_lived_keys().await;
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let last = held.encrypt(0, 1, &json!({ "n": 2 })).await;
    held.node.clock.advance(Duration::from_millis(599_999));
    held.decrypt(1, &envelope).await;

    held.node.clock.advance(Duration::from_millis(1));
    held.try_decrypt(1, &last).await.refused(404, ErrorCode::NoRoomKeys);
    held.generate(1).await;
    held.try_decrypt(1, &last).await.refused(409, ErrorCode::RoomKeyExpired);
    held.try_show(1, 0).await.refused(404, ErrorCode::NoRoomKeys);
    held.generate(0).await;
    held.exchange(1, 0).await.ok::<RoomKeys>();
    held.node.stop().await;
}
