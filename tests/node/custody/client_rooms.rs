//! Rooms whose clients hold the keys: the seven calls handle public halves alone, also on a node that holds no keys.

use std::time::Duration;

use conclave::ids::RoomId;
use conclave::protocol::public::{SigningPublicKey, signing_key_id};
use conclave::protocol::secret::{AgreementSecretKey, SigningSecretKey};
use conclave::wire::{
    Bytes, Encoding, ErrorCode, Message, Problem, RoomKey, RoomKeyType, RoomKeys, RoomPolicy, RoomPublicKeys,
};
use serde_json::{Value, json};

use super::{about_keys, new_room, path};
use crate::client::User;
use crate::rooms::admit;
use crate::server::{Answer, START, TestNode};
use crate::socket::Socket;
use crate::support::rng;

struct Two {
    node: TestNode,
    ada: User,
    grace: User,
    room: RoomId,
}

impl Two {
    async fn new() -> Self {
        let node = TestNode::start().await;
        let ada = User::join_without_prekeys(&node, "ada", 10).await;
        let grace = User::join_without_prekeys(&node, "grace", 20).await;
        let room = new_room(&node, &ada, RoomPolicy::default()).await;
        admit(&node, room, &ada.person, &grace.person).await;
        Self { node, ada, grace, room }
    }

    async fn post(&self, user: &User, call: &str, body: &Value) -> Answer {
        self.node.post(&path(self.room, call), Some(user.person.token()), body).await
    }

    async fn show(&self, user: &User, of: &User) -> Answer {
        let path = path(self.room, &format!("keys/{}", of.address().account_id));
        self.node.get(&path, Some(user.person.token())).await
    }

    async fn revoke(&self, user: &User, key: &RoomKey) -> Answer {
        self.node.delete(&path(self.room, &format!("keys/{}", key.key_id)), Some(user.person.token())).await
    }
}

fn public_keys(seed: u64) -> RoomPublicKeys {
    let rng = &mut rng(seed);
    RoomPublicKeys {
        agreement_key: AgreementSecretKey::generate(rng).public_key().to_wire(),
        signing_key: SigningSecretKey::generate(rng).public_key().to_wire(),
    }
}

fn body(seed: u64, key_type: &str) -> Value {
    json!({ "key_type": key_type, "public_keys": public_keys(seed) })
}

#[actix_web::test]
async fn public_keys_are_published_rotated_and_revoked_and_told_to_the_room() {
    let two = Two::new().await;
    let mut sockets = Vec::new();
    for (user, encoding) in [(&two.ada, Encoding::Json), (&two.grace, Encoding::Cbor)] {
        let mut socket = Socket::open_as(&two.node, user, encoding).await;
        socket.join(two.room, None).await.unwrap();
        sockets.push(socket);
    }
    let id = two.ada.address().account_id;
    two.show(&two.grace, &two.ada).await.refused(404, ErrorCode::NoRoomKeys);
    two.post(&two.ada, "keys/rotate", &body(1, "ephemeral")).await.refused(404, ErrorCode::NoRoomKeys);

    let made: RoomKey = two.post(&two.ada, "keys/generate", &body(1, "ephemeral")).await.ok();
    let RoomPublicKeys { agreement_key, signing_key } = public_keys(1);
    let signing = SigningPublicKey::parse(&signing_key.0).unwrap();
    let expected = RoomKey {
        user_id: id,
        key_id: signing_key_id(&signing),
        key_type: RoomKeyType::Ephemeral,
        agreement_key,
        signing_key,
        created_at: START,
        expires_at: START.plus(Duration::from_secs(86_400)),
        revoked: false,
    };
    assert_eq!(made, expected);
    let identity: RoomKey = two.post(&two.ada, "keys/generate", &body(2, "identity")).await.ok();
    assert_eq!(two.show(&two.grace, &two.ada).await.ok::<RoomKeys>().keys, [identity, made]);
    let rotated: RoomKey = two.post(&two.ada, "keys/rotate", &body(3, "ephemeral")).await.ok();
    two.revoke(&two.grace, &rotated).await.refused(404, ErrorCode::UnknownRoomKey);
    two.revoke(&two.ada, &made).await.refused(404, ErrorCode::UnknownRoomKey);
    two.revoke(&two.ada, &rotated).await.done();
    two.revoke(&two.ada, &rotated).await.refused(404, ErrorCode::UnknownRoomKey);
    let shown = two.show(&two.grace, &two.ada).await.ok::<RoomKeys>();
    assert_eq!(shown, RoomKeys { user_id: id, keys: vec![identity, RoomKey { revoked: true, ..rotated }] });

    for socket in &mut sockets {
        let room_id = two.room;
        assert_eq!(about_keys(socket).await, Message::E2eeKeyExchange { room_id, key: made });
        assert_eq!(about_keys(socket).await, Message::E2eeKeyExchange { room_id, key: identity });
        assert_eq!(about_keys(socket).await, Message::E2eeKeyRotation { room_id, key: rotated });
        let revoked = Message::E2eeKeyRevoke { room_id, user_id: id, key_id: rotated.key_id };
        assert_eq!(about_keys(socket).await, revoked);
    }
    two.node.stop().await;
}

#[actix_web::test]
async fn an_exchange_answers_the_peers_public_keys_if_one_is_good() {
    let two = Two::new().await;
    let with_grace = json!({ "peer_user_id": two.grace.address().account_id });
    two.post(&two.ada, "keys/exchange", &with_grace).await.refused(404, ErrorCode::NoRoomKeys);
    let key: RoomKey = two.post(&two.grace, "keys/generate", &body(1, "ephemeral")).await.ok();

    let answered: RoomKeys = two.post(&two.ada, "keys/exchange", &with_grace).await.ok();
    assert_eq!(answered, RoomKeys { user_id: key.user_id, keys: vec![key] });
    two.revoke(&two.grace, &key).await.done();
    two.post(&two.ada, "keys/exchange", &with_grace).await.refused(404, ErrorCode::NoRoomKeys);
    let with_nobody = json!({ "peer_user_id": conclave::ids::AccountId::from_bytes([7; 16]) });
    two.post(&two.ada, "keys/exchange", &with_nobody).await.refused(404, ErrorCode::UnknownMember);
    two.node.stop().await;
}

#[actix_web::test]
async fn the_node_neither_makes_keys_nor_encrypts_nor_decrypts() {
    let two = Two::new().await;
    for call in ["keys/generate", "keys/rotate"] {
        let answer = two.post(&two.ada, call, &json!({})).await;
        answer.refused(400, ErrorCode::MalformedRequest);
        assert!(answer.body.contains("public_keys"), "{}", answer.body);
    }
    let message = json!({ "recipient_id": two.grace.address().account_id, "message": { "text": "canary" } });
    let refused = two.post(&two.ada, "encrypt", &message).await;
    refused.refused(409, ErrorCode::CustodyIsClient);
    let problem: Problem = serde_json::from_str(&refused.body).unwrap();
    assert!(problem.detail.unwrap().contains("SDK"));
    let envelope = json!({ "encrypted_message": super::any_envelope(two.ada.address()) });
    two.post(&two.ada, "decrypt", &envelope).await.refused(409, ErrorCode::CustodyIsClient);
    two.node.stop().await;
}

#[actix_web::test]
async fn keys_that_nobody_may_use_are_refused_where_they_are_parsed() {
    let two = Two::new().await;
    let good = public_keys(1);
    let low_order = Bytes([0; 32]);
    let not_canonical = Bytes([0xff; 32]);
    for bad in [low_order, not_canonical] {
        for keys in [RoomPublicKeys { agreement_key: bad, ..good }, RoomPublicKeys { signing_key: bad, ..good }] {
            let answer = two.post(&two.ada, "keys/generate", &json!({ "public_keys": keys })).await;
            answer.refused(422, ErrorCode::KeyUnacceptable);
        }
    }
    let short = json!({ "public_keys": { "agreement_key": "AAAA", "signing_key": good.signing_key } });
    two.post(&two.ada, "keys/generate", &short).await.refused(400, ErrorCode::MalformedRequest);
    two.show(&two.ada, &two.ada).await.refused(404, ErrorCode::NoRoomKeys);
    two.node.stop().await;
}

#[actix_web::test]
async fn published_keys_outlive_a_restart_and_end_with_their_time_or_the_membership() {
    let two = Two::new().await;
    let key: RoomKey = two.post(&two.grace, "keys/generate", &body(1, "ephemeral")).await.ok();
    let two = Two { node: two.node.restart().await, ..two };
    assert_eq!(two.show(&two.ada, &two.grace).await.ok::<RoomKeys>().keys, [key]);

    let leave = format!("/api/rooms/{}/leave", two.room);
    two.node.post(&leave, Some(two.grace.person.token()), &json!({})).await.done();
    two.show(&two.ada, &two.grace).await.refused(404, ErrorCode::UnknownMember);
    admit(&two.node, two.room, &two.ada.person, &two.grace.person).await;
    two.show(&two.ada, &two.grace).await.refused(404, ErrorCode::NoRoomKeys);

    two.post(&two.grace, "keys/generate", &body(2, "ephemeral")).await.ok::<RoomKey>();
    two.node.clock.advance(Duration::from_secs(86_400));
    let grace = two.node.refresh(&two.grace.person.tokens.refresh_token).await.ok::<conclave::wire::SessionTokens>();
    let shown = path(two.room, &format!("keys/{}", two.grace.address().account_id));
    two.node.get(&shown, Some(&grace.access_token)).await.refused(404, ErrorCode::NoRoomKeys);
    two.node.stop().await;
}
