//! Rooms whose keys the node holds: the ten behaviours.

use std::collections::BTreeSet;
use std::time::Duration;

use conclave::node::config::Bounded;
use conclave::wire::{
    Custody, Encoding, Envelope, ErrorCode, Message, Problem, RoomKey, RoomKeyType, RoomKeys, RoomPolicy, RoomSummary,
    Rooms,
};
use serde_json::{Value, json};

use super::{Held, UNSIGNED, about_keys, path};
use crate::metrics::Numbers;
use crate::server::START;
use crate::socket::Socket;

const DAY: Duration = Duration::from_secs(86_400);

#[actix_web::test]
async fn keys_are_generated_and_shown_by_their_public_halves_and_told_to_the_room() {
    let held = Held::new(2).await;
    for encoding in Encoding::ALL {
        let mut socket = held.socket(1, encoding).await;
        let made: RoomKey = held.generate(0).await;

        assert_eq!((made.user_id, made.key_type, made.revoked), (held.id(0), RoomKeyType::Ephemeral, false));
        assert_eq!((made.created_at, made.expires_at), (START, START.plus(DAY)));
        let Message::E2eeKeyExchange { room_id, key } = about_keys(&mut socket).await else { panic!("another") };
        let told = if key.key_type == RoomKeyType::Identity {
            let Message::E2eeKeyExchange { key, .. } = about_keys(&mut socket).await else { panic!("another") };
            key
        } else {
            key
        };
        assert_eq!((room_id, told), (held.room, made));
        assert!(held.show(1, 0).await.contains(&made));
    }
    let identity: RoomKey = held.post(0, "keys/generate", &json!({ "key_type": "identity" })).await.ok();
    let keys = held.show(0, 0).await;
    assert_eq!(identity.key_type, RoomKeyType::Identity);
    assert_eq!(keys.len(), 2);
    assert!(keys.contains(&identity));
    let all: BTreeSet<[u8; 32]> = keys.iter().flat_map(|key| [key.agreement_key.0, key.signing_key.0]).collect();
    assert_eq!(all.len(), 4);

    held.try_show(0, 1).await.refused(404, ErrorCode::NoRoomKeys);
    // A body need not be there.
    let request = held.node.request(reqwest::Method::POST, &path(held.room, "keys/generate"));
    let request = request.bearer_auth(held.users[1].person.token().expose());
    crate::server::Answer::of(request).await.ok::<RoomKey>();
    let brought = json!({ "public_keys": { "agreement_key": made_up(9), "signing_key": made_up(9) } });
    held.post(0, "keys/generate", &brought).await.refused(400, ErrorCode::MalformedRequest);
    held.post(0, "keys/generate", &json!({ "key_type": "root" })).await.refused(400, ErrorCode::MalformedRequest);
    held.node.stop().await;
}

fn made_up(byte: u8) -> Value {
    json!(conclave::wire::Bytes([byte; 32]))
}

#[actix_web::test]
async fn keys_are_exchanged_once_and_the_peers_public_keys_are_answered() {
    let held = Held::new(3).await;
    held.generate(0).await;
    held.exchange(0, 1).await.refused(404, ErrorCode::NoRoomKeys);
    held.exchange(1, 0).await.refused(404, ErrorCode::NoRoomKeys);
    held.exchange(0, 0).await.refused(422, ErrorCode::OwnDevice);
    held.generate(1).await;

    let peer: RoomKeys = held.exchange(0, 1).await.ok();
    assert_eq!((peer.user_id, &peer.keys), (held.id(1), &held.show(0, 1).await));
    held.exchange(0, 1).await.ok::<RoomKeys>();
    held.exchange(1, 0).await.ok::<RoomKeys>();
    assert_eq!(Numbers::of(&held.node).await.count("conclave_key_exchanges_total"), 1);
    held.node.stop().await;
}

#[actix_web::test]
async fn messages_are_encrypted_sent_over_the_socket_and_decrypted() {
    let held = Held::with_keys(2).await;
    for encoding in Encoding::ALL {
        let mut from = held.socket(0, encoding).await;
        let mut to = held.socket(1, encoding).await;
        for number in 0..3 {
            let message = json!({ "text": "tschüß \u{1f600}", "number": number, "nested": { "list": [1, null, "x"] } });
            let envelope = held.encrypt(0, 1, &message).await;
            assert_eq!((envelope.sender, envelope.recipient), (held.users[0].address(), Some(held.users[1].address())));
            assert!(envelope.signature.is_some());
            assert_eq!(serde_json::to_value(&envelope).unwrap()["type"], "e2ee_encrypted_message");
            let position = from.send(&envelope).await.unwrap();

            let entry = to.envelope().await;
            assert_eq!((entry.position, &entry.envelope), (position, &envelope));
            assert_eq!(held.decrypt(1, &entry.envelope).await, message);
            // And back, each time on the same session.
            let answer = json!({ "answer": number });
            let envelope = held.encrypt(1, 0, &answer).await;
            assert_eq!(held.decrypt(0, &envelope).await, answer);
        }
    }
    let empty = held.encrypt(0, 1, &json!({})).await;
    assert_eq!(held.decrypt(1, &empty).await, json!({}));
    let numbers = Numbers::of(&held.node).await;
    assert_eq!(numbers.count("conclave_encryptions_total"), 13);
    assert_eq!(numbers.count("conclave_decryptions_total"), 13);
    assert_eq!(numbers.count("conclave_keys_generated_total{key_type=\"ephemeral\"}"), 2);
    assert_eq!(numbers.count("conclave_keys_generated_total{key_type=\"identity\"}"), 2);
    held.node.stop().await;
}

#[actix_web::test]
async fn messages_come_out_of_order_and_late() {
    let held = Held::with_keys(2).await;
    let mut envelopes = Vec::new();
    for number in 0..5 {
        envelopes.push(held.encrypt(0, 1, &json!({ "number": number })).await);
    }
    // Whoever was away for longer than a socket admits an envelope reads it all the same.
    held.node.clock.advance(Duration::from_secs(600));
    for number in [4, 1, 3, 0, 2] {
        assert_eq!(held.decrypt(1, &envelopes[number]).await, json!({ "number": number }));
    }
    held.node.stop().await;
}

#[actix_web::test]
async fn what_is_no_object_or_too_long_is_refused() {
    let held = Held::with_keys(2).await;
    for message in [json!("text"), json!([1]), json!(7), json!(null)] {
        held.try_encrypt(0, 1, &message).await.refused(400, ErrorCode::MalformedRequest);
    }
    // {"x":"..."} has eight bytes beside the text.
    let longest = json!({ "x": "y".repeat(32 * 1024 - 8) });
    let envelope = held.encrypt(0, 1, &longest).await;
    assert_eq!(held.decrypt(1, &envelope).await, longest);
    let longer = json!({ "x": "y".repeat(32 * 1024 - 7) });
    held.try_encrypt(0, 1, &longer).await.refused(422, ErrorCode::MessageTooLong);
    let longest_body = json!({ "x": "y".repeat(40 * 1024) });
    held.try_encrypt(0, 1, &longest_body).await.refused(413, ErrorCode::BodyTooLarge);
    held.node.stop().await;
}

#[actix_web::test]
async fn what_was_tampered_with_is_refused_and_changes_nothing() {
    let held = Held::with_keys(3).await;
    let (message, good) = {
        let message = json!({ "text": "hello" });
        let envelope = held.encrypt(0, 1, &message).await;
        (message, envelope)
    };
    let altered = |change: fn(&mut Envelope)| {
        let mut envelope = good.clone();
        change(&mut envelope);
        envelope
    };
    for change in [
        (|envelope| envelope.payload.0[60] ^= 1) as fn(&mut Envelope),
        |envelope| envelope.nonce.0[0] ^= 1,
        |envelope| envelope.id = conclave::ids::EnvelopeId::from_bytes([7; 16]),
        |envelope| envelope.timestamp = START.plus(Duration::from_millis(1)),
        |envelope| envelope.signature.as_mut().unwrap().0[0] ^= 1,
        |envelope| envelope.epoch = Some(1),
    ] {
        held.try_decrypt(1, &altered(change)).await.refused(422, ErrorCode::SignatureInvalid);
    }
    let unsigned = altered(|envelope| envelope.signature = None);
    held.try_decrypt(1, &unsigned).await.refused(422, ErrorCode::SignatureMissing);
    let other_key = altered(|envelope| envelope.key_id = conclave::ids::KeyId::from_bytes([7; 8]));
    held.try_decrypt(1, &other_key).await.refused(422, ErrorCode::KeyIdMismatch);
    let mut forged = good.clone();
    forged.sender = held.users[2].address();
    held.try_decrypt(1, &forged).await.refused(422, ErrorCode::KeyIdMismatch);
    // For somebody else, or elsewhere.
    held.try_decrypt(2, &good).await.refused(422, ErrorCode::NotForThisDevice);
    held.try_decrypt(0, &good).await.refused(422, ErrorCode::NotForThisDevice);
    let mut elsewhere = good.clone();
    elsewhere.destination = conclave::wire::Destination::Room(crate::support::ROOM);
    held.try_decrypt(1, &elsewhere).await.refused(422, ErrorCode::NotForThisDevice);

    assert_eq!(held.decrypt(1, &good).await, message);
    assert_eq!(Numbers::of(&held.node).await.count("conclave_signatures_failed_total"), 6);
    held.node.stop().await;
}

#[actix_web::test]
async fn a_replay_is_refused_also_under_another_nonce() {
    let signed = RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() };
    for (policy, refused, replays) in
        [(signed, ErrorCode::SignatureInvalid, 2), (UNSIGNED, ErrorCode::MessageKeyGone, 3)]
    {
        let held = Held::with(2, policy).await;
        held.generate(0).await;
        held.generate(1).await;
        let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
        held.decrypt(1, &envelope).await;

        held.try_decrypt(1, &envelope).await.refused(422, ErrorCode::EnvelopeReplayed);
        held.try_decrypt(1, &envelope).await.refused(422, ErrorCode::EnvelopeReplayed);
        let mut another = envelope;
        another.nonce.0[0] ^= 1;
        // Nobody but the ratchet knows it then.
        held.try_decrypt(1, &another).await.refused(422, refused);
        assert_eq!(Numbers::of(&held.node).await.count("conclave_replays_refused_total"), replays);
        held.node.stop().await;
    }
}

#[actix_web::test]
async fn the_socket_takes_what_the_rooms_key_has_signed_and_nothing_else() {
    let held = Held::with_keys(2).await;
    let (mut ada, mut grace) = (held.socket(0, Encoding::Json).await, held.socket(1, Encoding::Cbor).await);
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;

    // Of another's socket, altered, with the device's own key, late, twice.
    assert_eq!(grace.send(&envelope).await.unwrap_err(), ErrorCode::OwnerMismatch);
    let mut altered = envelope.clone();
    altered.payload.0[60] ^= 1;
    assert_eq!(ada.send(&altered).await.unwrap_err(), ErrorCode::SignatureInvalid);
    ada.send(&envelope).await.unwrap();
    let mut again = envelope.clone();
    again.id = conclave::ids::EnvelopeId::from_bytes([7; 16]);
    assert_eq!(ada.send(&again).await.unwrap_err(), ErrorCode::SignatureInvalid);
    let late = held.encrypt(0, 1, &json!({ "n": 2 })).await;
    held.node.clock.advance(Duration::from_secs(271));
    assert_eq!(ada.send(&late).await.unwrap_err(), ErrorCode::TimestampTooOld);
    let stale = held.encrypt(0, 1, &json!({ "n": 3 })).await;
    let key = held.rotate(0).await;
    assert_eq!(ada.send(&stale).await.unwrap_err(), ErrorCode::KeyIdMismatch);
    held.revoke(0, key.key_id).await.done();
    assert_eq!(ada.send(&stale).await.unwrap_err(), ErrorCode::NoRoomKeys);
    held.node.stop().await;
}

#[actix_web::test]
async fn rotation_makes_new_keys_and_sessions_and_refuses_what_the_old_key_signed() {
    let held = Held::with_keys(2).await;
    let before = held.show(0, 0).await;
    let mut socket = held.socket(1, Encoding::Cbor).await;
    let under_way = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let to_me = held.encrypt(1, 0, &json!({ "n": 2 })).await;

    held.node.clock.advance(Duration::from_secs(60));
    let key = held.rotate(0).await;
    let Message::E2eeKeyRotation { room_id, key: told } = about_keys(&mut socket).await else { panic!("another") };
    assert_eq!((room_id, told), (held.room, key));
    let after = held.show(1, 0).await;
    assert_eq!(after.iter().filter(|key| before.contains(key)).count(), 1, "the identity stays");
    held.try_decrypt(1, &under_way).await.refused(409, ErrorCode::RoomKeyReplaced);
    held.try_decrypt(0, &to_me).await.refused(422, ErrorCode::NoSession);

    let message = json!({ "n": 3 });
    let envelope = held.encrypt(0, 1, &message).await;
    assert_eq!(envelope.key_id, key.key_id);
    assert_eq!(held.decrypt(1, &envelope).await, message);
    // What was for the old session does not open on the new one.
    held.try_decrypt(0, &to_me).await.refused(422, ErrorCode::DoesNotOpen);
    let identity: RoomKey = held.post(0, "keys/rotate", &json!({ "key_type": "identity" })).await.ok();
    assert!(!after.iter().any(|key| held_key_is(key, &identity)));
    assert_eq!(Numbers::of(&held.node).await.count("conclave_key_rotations_total"), 3);
    held.node.stop().await;
}

#[actix_web::test]
async fn a_schedule_rotates_session_keys_as_if_their_members_had_asked() {
    let held = Held::with_keys_on(|settings| settings.custody.key_rotation_seconds = Bounded::of::<60>()).await;
    let before = [held.show(0, 0).await, held.show(0, 1).await];
    let under_way = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let mut socket = held.socket(0, Encoding::Cbor).await;
    held.node.clock.advance(Duration::from_secs(60));

    // The keeper looks by itself.
    for _ in 0..2 {
        let Message::E2eeKeyRotation { room_id, key } = about_keys(&mut socket).await else { panic!("another") };
        let user = (0..2).find(|user| held.id(*user) == key.user_id).unwrap();
        let after = held.show(1, user).await;
        assert_eq!((room_id, key.key_type), (held.room, RoomKeyType::Ephemeral));
        assert!(after.contains(&key) && !before[user].contains(&key));
        assert_eq!(after.iter().filter(|key| before[user].contains(key)).count(), 1, "the identity stays");
    }
    held.try_decrypt(1, &under_way).await.refused(409, ErrorCode::RoomKeyReplaced);
    let message = json!({ "n": 2 });
    let envelope = held.encrypt(0, 1, &message).await;
    // The socket knows the new key too.
    socket.send(&envelope).await.unwrap();
    assert_eq!(held.decrypt(1, &envelope).await, message);
    let numbers = Numbers::of(&held.node).await;
    assert_eq!(numbers.count("conclave_key_rotations_total"), 2);
    assert_eq!(numbers.count("conclave_keys_generated_total{key_type=\"ephemeral\"}"), 4);
    held.node.stop().await;
}

fn held_key_is(one: &RoomKey, other: &RoomKey) -> bool {
    one.key_id == other.key_id
}

#[actix_web::test]
async fn a_revoked_key_is_refused_and_none_but_its_owner_revokes_it() {
    let held = Held::with_keys(2).await;
    let keys = held.show(0, 0).await;
    let key = *keys.iter().find(|key| key.key_type == RoomKeyType::Ephemeral).unwrap();
    let identity = *keys.iter().find(|key| key.key_type == RoomKeyType::Identity).unwrap();
    let mut socket = held.socket(1, Encoding::Json).await;
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;

    held.revoke(1, key.key_id).await.refused(404, ErrorCode::UnknownRoomKey);
    held.revoke(0, key.key_id).await.done();
    held.revoke(0, key.key_id).await.refused(404, ErrorCode::UnknownRoomKey);
    let told = about_keys(&mut socket).await;
    assert_eq!(told, Message::E2eeKeyRevoke { room_id: held.room, user_id: held.id(0), key_id: key.key_id });
    held.try_decrypt(1, &envelope).await.refused(409, ErrorCode::RoomKeyRevoked);
    let shown = held.show(1, 0).await;
    assert!(shown.contains(&RoomKey { revoked: true, ..key }) && shown.contains(&identity));
    held.try_encrypt(0, 1, &json!({})).await.refused(404, ErrorCode::NoRoomKeys);
    held.try_encrypt(1, 0, &json!({})).await.refused(404, ErrorCode::NoRoomKeys);
    held.exchange(1, 0).await.refused(404, ErrorCode::NoRoomKeys);

    // With the identity goes everything; after that one begins anew.
    held.generate(0).await;
    held.revoke(0, identity.key_id).await.done();
    held.post(0, "keys/rotate", &json!({})).await.refused(404, ErrorCode::NoRoomKeys);
    assert!(held.show(1, 0).await.iter().all(|key| key.revoked));
    held.generate(0).await;
    held.decrypt(1, &held.encrypt(0, 1, &json!({ "n": 2 })).await).await;
    assert_eq!(Numbers::of(&held.node).await.count("conclave_key_revocations_total"), 3);
    held.node.stop().await;
}

#[actix_web::test]
async fn every_pair_of_users_talks() {
    let held = Held::with_keys(5).await;
    for from in 0..5 {
        for to in (0..5).filter(|to| *to != from) {
            let message = json!({ "from": from, "to": to });
            let envelope = held.encrypt(from, to, &message).await;
            for other in (0..5).filter(|other| *other != to) {
                held.try_decrypt(other, &envelope).await.refused(422, ErrorCode::NotForThisDevice);
            }
            assert_eq!(held.decrypt(to, &envelope).await, message);
        }
    }
    assert_eq!(Numbers::of(&held.node).await.count("conclave_key_exchanges_total"), 10);
    held.node.stop().await;
}

#[actix_web::test]
async fn without_signatures_the_socket_says_who_writes() {
    let held = Held::with(2, UNSIGNED).await;
    held.generate(0).await;
    held.generate(1).await;
    let (mut ada, mut grace) = (held.socket(0, Encoding::Json).await, held.socket(1, Encoding::Json).await);
    let envelope = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    assert_eq!(envelope.signature, None);

    assert_eq!(grace.send(&envelope).await.unwrap_err(), ErrorCode::OwnerMismatch);
    ada.send(&envelope).await.unwrap();
    let mut altered = envelope.clone();
    altered.payload.0[60] ^= 1;
    held.try_decrypt(1, &altered).await.refused(422, ErrorCode::DoesNotOpen);
    assert_eq!(held.decrypt(1, &grace.envelope().await.envelope).await, json!({ "n": 1 }));
    held.node.stop().await;
}

#[actix_web::test]
async fn custody_is_shown_wherever_the_room_is() {
    let held = Held::new(2).await;
    let token = Some(held.users[1].person.token());
    let rooms: Rooms = held.node.get("/api/rooms", token).await.ok();
    let room: RoomSummary = held.node.get(&format!("/api/rooms/{}", held.room), token).await.ok();
    let mut socket = Socket::open(&held.node, &held.users[1]).await;
    let joined = socket.ask(|id| conclave::wire::Command::Join { id, room_id: held.room, after: None }).await.unwrap();

    let Some(conclave::wire::Outcome::Joined { policy, .. }) = joined else { panic!("{joined:?}") };
    assert_eq!([rooms.rooms[0].policy, room.policy], [policy; 2]);
    assert_eq!(serde_json::to_value(policy).unwrap()["custody"], "node");
    held.node.stop().await;
}

#[actix_web::test]
async fn another_device_of_an_account_takes_over_by_generating() {
    let mut held = Held::with_keys(2).await;
    let old = held.encrypt(0, 1, &json!({ "n": 1 })).await;
    let nobody = fresh_account(held.id(0));
    let mut person = crate::client::Person {
        tokens: held.node.sign_in("user-0").await,
        account: std::mem::replace(&mut held.users[0].person.account, nobody),
    };
    let device = person.certify_device(77);
    let list = person.next_list();
    person.put_list(&held.node, &list).await.done();
    person.bind(&held.node, &device).await.done();
    held.users.push(crate::client::User { person, device });

    held.try_encrypt(2, 1, &json!({})).await.refused(404, ErrorCode::NoRoomKeys);
    held.generate(2).await;
    held.try_encrypt(0, 1, &json!({})).await.refused(404, ErrorCode::NoRoomKeys);
    let problem: Problem = serde_json::from_str(&held.try_decrypt(1, &old).await.body).unwrap();
    assert_eq!(problem.code, ErrorCode::RoomKeyReplaced);
    held.decrypt(1, &held.encrypt(2, 1, &json!({ "n": 2 })).await).await;
    held.node.stop().await;
}

fn fresh_account(id: conclave::ids::AccountId) -> crate::support::Account {
    let root = conclave::protocol::identity::AccountRoot::generate(id, &mut crate::support::rng(1));
    crate::support::Account { root, version: 0, certificates: Vec::new() }
}
