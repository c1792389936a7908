//! The seven calls about the keys of a room, through real HTTP and real sockets: where the node holds the keys, where the
//! clients do, and where it is refused.

mod client_rooms;
mod held_rooms;
mod outsiders;
mod wiped;

use conclave::ids::{AccountId, DeviceAddress, EnvelopeId, KeyId, RoomId};
use conclave::node::config::{Bounded, Settings};
use conclave::wire::{
    ByteString, Bytes, Custody, DecryptedMessage, Destination, Envelope, ErrorCode, Message, Protection, RoomKey,
    RoomKeys, RoomPolicy, RoomSummary, Signatures,
};
use serde_json::{Value, json};

use crate::client::User;
use crate::rooms::admit;
use crate::server::{Answer, START, TestNode};
use crate::socket::Socket;
use crate::support::ROOM;

/// A node that holds keys, some users, and a room that all of them are in.
struct Held {
    node: TestNode,
    users: Vec<User>,
    room: RoomId,
}

impl Held {
    async fn new(users: usize) -> Self {
        Self::with(users, RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() }).await
    }

    async fn with(count: usize, policy: RoomPolicy) -> Self {
        let node = TestNode::start_with(|settings| {
            settings.custody.enabled = true;
            settings.limits.requests_per_minute = Bounded::of::<100_000>();
            settings.limits.sign_in_per_minute = Bounded::of::<1_000>();
        })
        .await;
        let mut users = Vec::new();
        for (number, seed) in (0..count).zip((10..).step_by(10)) {
            users.push(User::join_without_prekeys(&node, &format!("user-{number}"), seed).await);
        }
        let room = new_room(&node, &users[0], policy).await;
        for guest in &users[1..] {
            admit(&node, room, &users[0].person, &guest.person).await;
        }
        Self { node, users, room }
    }

    /// The same, and everybody has keys.
    async fn with_keys(users: usize) -> Self {
        let held = Self::new(users).await;
        for user in 0..users {
            held.generate(user).await;
        }
        held
    }

    /// Two users with keys, on a node with other settings.
    async fn with_keys_on(change: impl FnOnce(&mut Settings)) -> Self {
        let Self { node, users, room } = Self::new(2).await;
        let change = |settings: &mut Settings| {
            settings.custody.enabled = true;
            change(settings);
        };
        let held = Self { node: node.restart_with(change).await, users, room };
        held.generate(0).await;
        held.generate(1).await;
        held
    }

    fn id(&self, user: usize) -> AccountId {
        self.users[user].address().account_id
    }

    async fn post(&self, user: usize, call: &str, body: &Value) -> Answer {
        self.node.post(&path(self.room, call), Some(self.users[user].person.token()), body).await
    }

    async fn generate(&self, user: usize) -> RoomKey {
        self.post(user, "keys/generate", &json!({})).await.ok()
    }

    async fn rotate(&self, user: usize) -> RoomKey {
        self.post(user, "keys/rotate", &json!({})).await.ok()
    }

    async fn try_show(&self, user: usize, of: usize) -> Answer {
        let path = path(self.room, &format!("keys/{}", self.id(of)));
        self.node.get(&path, Some(self.users[user].person.token())).await
    }

    async fn show(&self, user: usize, of: usize) -> Vec<RoomKey> {
        let keys: RoomKeys = self.try_show(user, of).await.ok();
        assert_eq!(keys.user_id, self.id(of));
        keys.keys
    }

    async fn revoke(&self, user: usize, key: KeyId) -> Answer {
        self.node.delete(&path(self.room, &format!("keys/{key}")), Some(self.users[user].person.token())).await
    }

    async fn exchange(&self, user: usize, with: usize) -> Answer {
        self.post(user, "keys/exchange", &json!({ "peer_user_id": self.id(with) })).await
    }

    async fn try_encrypt(&self, user: usize, to: usize, message: &Value) -> Answer {
        self.post(user, "encrypt", &json!({ "recipient_id": self.id(to), "message": message })).await
    }

    async fn encrypt(&self, user: usize, to: usize, message: &Value) -> Envelope {
        self.try_encrypt(user, to, message).await.ok()
    }

    async fn try_decrypt(&self, user: usize, envelope: &Envelope) -> Answer {
        self.post(user, "decrypt", &json!({ "encrypted_message": envelope })).await
    }

    async fn decrypt(&self, user: usize, envelope: &Envelope) -> Value {
        let decrypted: DecryptedMessage = self.try_decrypt(user, envelope).await.ok();
        assert_eq!(decrypted.sender_id, envelope.sender.account_id);
        Value::Object(decrypted.message)
    }

    async fn socket(&self, user: usize, encoding: conclave::wire::Encoding) -> Socket {
        let mut socket = Socket::open_as(&self.node, &self.users[user], encoding).await;
        socket.join(self.room, None).await.unwrap();
        socket
    }
}

fn path(room: RoomId, call: &str) -> String {
    format!("/api/webrtc/rooms/{room}/e2ee/{call}")
}

async fn new_room(node: &TestNode, owner: &User, policy: RoomPolicy) -> RoomId {
    let made: RoomSummary =
        node.post("/api/rooms", Some(owner.person.token()), &json!({ "policy": policy })).await.ok();
    assert_eq!(made.policy, policy);
    made.room_id
}

const UNSIGNED: RoomPolicy =
    RoomPolicy { custody: Custody::Node, protection: Protection::Ratchet, signatures: Signatures::Off };

/// The next broadcast about keys.
async fn about_keys(socket: &mut Socket) -> Message {
    let about_keys = |message: Message| match message {
        Message::E2eeKeyExchange { .. } | Message::E2eeKeyRotation { .. } | Message::E2eeKeyRevoke { .. } => {
            Some(message)
        }
        _ => None,
    };
    socket.until(about_keys).await
}

/// An envelope that nobody has made.
fn any_envelope(address: DeviceAddress) -> Envelope {
    Envelope {
        id: EnvelopeId::from_bytes([1; 16]),
        destination: Destination::Room(ROOM),
        sender: address,
        recipient: Some(address),
        key_id: KeyId::from_bytes([2; 8]),
        epoch: None,
        nonce: Bytes([3; 12]),
        timestamp: START,
        payload: ByteString(vec![4; 100]),
        signature: None,
    }
}

/// Everything that is refused where the node is to hold no keys.
async fn is_disabled(node: &TestNode, user: &User) {
    let policy = RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() };
    let made = node.post("/api/rooms", Some(user.person.token()), &json!({ "policy": policy })).await;
    made.refused(422, ErrorCode::CustodyDisabled);
}
