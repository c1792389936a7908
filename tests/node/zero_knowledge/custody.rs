//! A room whose keys the node holds: it knows what is said there, and has it in memory alone.

use std::collections::BTreeSet;

use conclave::ids::{AccountId, RoomId};
use conclave::wire::{Custody, DecryptedMessage, Encoding, Envelope, RoomKey, RoomPolicy, RoomSummary};
use ed25519_dalek::SigningKey;
use serde_json::json;
use x25519_dalek::{PublicKey, StaticSecret};

use super::canaries::Canaries;
use super::memory::Memory;
use super::{Observed, assert_in_none, invite};
use crate::client::User;
use crate::process::now;
use crate::server::Api;
use crate::socket::Socket;

const PLAINTEXT: &str = "a canary that two people and their node read";

/// How a key's bytes lie in memory: its allocations begin at multiples of this, and so do its fields.
const ALIGNMENT: usize = 8;

/// Different bytes among 32 random ones: 30 on average, and fewer than this in one of millions.
const DIFFERENT_MIN: usize = 24;

/// Two people who have said something to each other in a room.
struct Conversation {
    owner: User,
    room: RoomId,
    keys: Vec<RoomKey>,
}

impl Conversation {
    async fn hold(node: &Api) -> Self {
        let (owner, guest) = (join(node, "ada", 340).await, join(node, "grace", 350).await);
        let policy = RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() };
        let body = json!({ "policy": policy });
        let room: RoomSummary = node.post("/api/rooms", Some(owner.person.token()), &body).await.ok();
        invite(node, &room, &owner, &guest).await;
        let path = |call: &str| format!("/api/webrtc/rooms/{}/e2ee/{call}", room.room_id);
        let mut keys = Vec::new();
        for user in [&owner, &guest] {
            for key_type in ["identity", "ephemeral"] {
                let body = json!({ "key_type": key_type });
                keys.push(node.post(&path("keys/generate"), Some(user.person.token()), &body).await.ok());
            }
        }

        let to: AccountId = guest.address().account_id;
        let mut from = Socket::open_as(node, &owner, Encoding::Json).await;
        let mut reader = Socket::open_as(node, &guest, Encoding::Cbor).await;
        from.join(room.room_id, None).await.unwrap();
        reader.join(room.room_id, None).await.unwrap();
        let body = json!({ "recipient_id": to, "message": { "text": PLAINTEXT } });
        let envelope: Envelope = node.post(&path("encrypt"), Some(owner.person.token()), &body).await.ok();
        from.send(&envelope).await.unwrap();
        let body = json!({ "encrypted_message": reader.envelope().await.envelope });
        let read: DecryptedMessage = node.post(&path("decrypt"), Some(guest.person.token()), &body).await.ok();
        assert_eq!(read.message["text"], PLAINTEXT);
        Self { owner, room: room.room_id, keys }
    }

    async fn close_room(&self, node: &Api) {
        node.delete(&format!("/api/rooms/{}", self.room), Some(self.owner.person.token())).await.done();
    }
}

async fn join(node: &Api, name: &str, seed: u64) -> User {
    let mut user = User::join_without_prekeys(node, name, seed).await;
    user.device.now = now();
    user
}

/// The private halves of keys. The node makes them by itself and answers them to nobody, so they are looked for in its
/// memory: whatever gives one of the public keys is that key.
fn held_keys(memory: &[u8], keys: &[RoomKey]) -> Canaries {
    let signing: BTreeSet<[u8; 32]> = keys.iter().map(|key| key.signing_key.0).collect();
    let agreement: BTreeSet<[u8; 32]> = keys.iter().map(|key| key.agreement_key.0).collect();
    let candidates: BTreeSet<[u8; 32]> = memory
        .windows(32)
        .step_by(ALIGNMENT)
        .filter(|window| different(window) >= DIFFERENT_MIN)
        .map(|window| window.try_into().unwrap())
        .collect();
    let mut found = Canaries::new();
    let mut open = signing.union(&agreement).copied().collect::<BTreeSet<_>>();
    for secret in candidates {
        let public = [
            SigningKey::from_bytes(&secret).verifying_key().to_bytes(),
            PublicKey::from(&StaticSecret::from(secret)).to_bytes(),
        ];
        if public.iter().any(|public| open.remove(public)) {
            found.add(&format!("held key {}", open.len()), &secret);
        }
    }
    assert!(open.is_empty(), "{} of the keys that are held were not found", open.len());
    found
}

fn different(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    bytes.iter().filter(|byte| !std::mem::replace(&mut seen[usize::from(**byte)], true)).count()
}

#[actix_web::test]
async fn a_node_writes_down_nothing_of_a_room_whose_keys_it_holds_and_forgets_them_with_the_room() {
    let observed = Observed::start(|process| {
        process.env("CONCLAVE__CUSTODY__ENABLED", "true");
    });
    let api = Api::at(&observed.node.api.url);
    let conversation = Conversation::hold(&api).await;
    drop(api);
    let mut canaries = Canaries::new();
    canaries.add("plaintext", PLAINTEXT.as_bytes());

    // What was said is forgotten with the call, but for what the compiler has copied on the stack. The keys are what the node
    // is there to hold: they are in its memory.
    let at_rest = observed.memory_at_rest(Memory::WithoutStacks, &canaries).await;
    let held = held_keys(&at_rest, &conversation.keys);
    let written = observed.written().await;
    assert_in_none(&written, &canaries);
    assert_in_none(&written, &held);
    assert_in_none(&[("memory".to_owned(), at_rest)], &canaries);

    conversation.close_room(&observed.node.api).await;
    assert_in_none(&observed.written().await, &held);
    let after = observed.memory_at_rest(Memory::WithoutStacks, &held).await;
    assert_in_none(&[("memory".to_owned(), after)], &held);
    observed.node.kill();
}
