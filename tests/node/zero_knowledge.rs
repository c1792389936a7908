//! What is to be found on a node after a whole run: in its database, write-ahead log, logs, metrics and memory, which is what
//! a core dump has.
//!
//! Canaries are plaintexts and private keys, which the node never gets, and tokens, which it gets and forgets. The search
//! is shown to find what is there: ciphertext and ids.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;

use conclave::ids::{ItemId, ItemType};
use conclave::protocol::backup::AccountSecrets;
use conclave::protocol::machine::{Encrypt, Input, Place};
use conclave::protocol::vault::{Change, Head, Inventory, ItemContext, Listing, SealedItem};
use conclave::wire::{
    Encoding, Envelope, InvitationCreated, Joined, RoomSummary, SessionTokens, SocketTicket, VaultItem, VaultWritten,
};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use rand_core::Rng;
use serde_json::json;

use crate::client::User;
use crate::process::{NodeProcess, now};
use crate::server::{Answer, Api, DataFolder};
use crate::socket::Socket;
use crate::support::{POLICY, rng};
use crate::vault;

const PLAINTEXT: &str = "a canary that only two people ever read";

const MEMORY: &str = "a canary that somebody keeps for themselves";

/// What is looked for, by its name.
type Needles = BTreeMap<String, Vec<u8>>;

/// Somebody's private keys. They are drawn from a seed, first of all, so that a test knows them.
fn private_keys(user: &User, name: &str, seed: u64) -> Needles {
    let drawn = |seed, from: usize| {
        let mut bytes = [0; 64];
        rng(seed).fill_bytes(&mut bytes);
        bytes[from..from + 32].to_vec()
    };
    let certificate = &user.person.account.certificates[0];
    let signing = SigningKey::from_bytes(&drawn(seed + 1, 0).try_into().unwrap());
    assert_eq!(signing.verifying_key().as_bytes(), certificate.signing_key.as_array(), "it is not that key");
    [("root key", seed, 0), ("signing key", seed + 1, 0), ("agreement key", seed + 1, 32)]
        .map(|(what, seed, from)| (format!("{name}'s {what}"), drawn(seed, from)))
        .into()
}

/// A secret that the node knows as 32 bytes and gives out as text.
fn token(needles: &mut Needles, name: &str, text: &str) {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
    needles.insert(format!("{name}, as bytes"), bytes);
    needles.insert(format!("{name}, as text"), text.as_bytes().to_vec());
}

fn tokens(needles: &mut Needles, name: &str, tokens: &SessionTokens) {
    token(needles, &format!("{name}'s access token"), tokens.access_token.expose());
    token(needles, &format!("{name}'s refresh token"), tokens.refresh_token.expose());
}

/// The node has the system's clock, and so have the devices.
async fn join(node: &Api, name: &str, seed: u64) -> User {
    let mut user = User::join_without_prekeys(node, name, seed).await;
    user.device.now = now();
    user.publish_prekeys(node).await;
    user
}

async fn invite(node: &Api, room: &RoomSummary, owner: &User, guest: &User) -> InvitationCreated {
    let path = format!("/api/rooms/{}/invitations", room.room_id);
    let invitation: InvitationCreated = node.post(&path, Some(owner.person.token()), &json!({})).await.ok();
    let body = json!({ "token": invitation.token });
    node.post("/api/rooms/join", Some(guest.person.token()), &body).await.ok::<Joined>();
    invitation
}

/// A conversation with all that belongs to it. Returns the canaries, and an envelope that the node has kept.
async fn whole_run(node: &Api) -> (Needles, Envelope) {
    let mut needles = Needles::from([("plaintext".to_owned(), PLAINTEXT.as_bytes().to_vec())]);
    let (mut ada, mut grace) = (join(node, "ada", 310).await, join(node, "grace", 320).await);
    for (user, name, seed) in [(&ada, "ada", 310), (&grace, "grace", 320)] {
        needles.extend(private_keys(user, name, seed));
        tokens(&mut needles, name, &user.person.tokens);
    }
    let room: RoomSummary = node.post("/api/rooms", Some(ada.person.token()), &json!({ "policy": POLICY })).await.ok();
    token(&mut needles, "invitation", invite(node, &room, &ada, &grace).await.token.expose());
    ada.learn(node, grace.address().account_id).await;
    grace.learn(node, ada.address().account_id).await;
    let ticket: SocketTicket = node.post("/api/ws/ticket", Some(grace.person.token()), &json!({})).await.ok();
    token(&mut needles, "ticket", ticket.ticket.expose());

    let place = Place::Room(room.room_id);
    let accounts = [grace.address().account_id];
    let plaintext = PLAINTEXT.as_bytes();
    let encrypt = Encrypt { accounts: &accounts, except: &[], place, policy: POLICY, plaintext };
    let outputs = ada.device.handle(Input::Encrypt(encrypt)).unwrap();
    for device in &outputs.claim {
        let bundle = ada.person.claim(node, *device).await.ok();
        ada.device.handle(Input::Bundle(&bundle)).unwrap();
    }
    let [envelope] = &ada.device.handle(Input::Encrypt(encrypt)).unwrap().send[..] else { panic!("one device") };

    let mut reader = Socket::connect(node, Encoding::Json, None).await;
    reader.hello(Some(conclave::wire::Credential::Ticket(ticket.ticket)), None).await.unwrap();
    reader.join(room.room_id, None).await.unwrap();
    let mut writer = Socket::open_as(node, &ada, Encoding::Cbor).await;
    writer.join(room.room_id, None).await.unwrap();
    writer.send(envelope).await.unwrap();
    let received = reader.envelope().await.envelope;
    let opened = grace.device.handle(Input::Open { envelope: &received, policy: POLICY }).unwrap();
    assert_eq!(opened.opened.unwrap().plaintext.as_slice(), plaintext, "grace has read it");

    needles.insert("memory".to_owned(), MEMORY.as_bytes().to_vec());
    needles.insert("vault key".to_owned(), keep_memories(node, &ada).await);

    let next: SessionTokens = node.refresh(&ada.person.tokens.refresh_token).await.ok();
    tokens(&mut needles, "ada, later", &next);
    (needles, received)
}

/// Puts a memory into a vault, another version of it in its place, and deletes a second one. Returns the vault's key.
async fn keep_memories(node: &Api, user: &User) -> Vec<u8> {
    let (account, mut rng) = (user.address().account_id, rng(330));
    let secrets = AccountSecrets::generate(account, &mut rng);
    let key = secrets.vault_key().collection_key(account, &"memories".parse().unwrap());
    let mut inventory = Inventory::open(&key, &Head::default(), &Listing::default()).unwrap();
    for (number, is_kept) in [(1, true), (1, true), (2, true), (2, false)] {
        let (item_id, item_type) = (ItemId::from_bytes([number; 16]), "memory".parse::<ItemType>().unwrap());
        let version = inventory.entry(item_id).map_or(0, |entry| entry.version) + 1;
        let context = ItemContext { item_id, item_type: item_type.clone(), version };
        let sealed = is_kept.then(|| key.seal(&context, MEMORY.as_bytes(), &mut rng).unwrap());
        let change = Change { item_id, item_type: item_type.clone(), sealed: sealed.as_ref() };
        let write = inventory.prepare(&key, user.address().device_id, change, &mut rng).unwrap();
        let path = format!("/api/vault/memories/{item_id}");
        let item = sealed.map(|sealed| (item_type, sealed));
        let request = vault::request(node, user.person.token(), &path, &write, item.as_ref());
        let written: VaultWritten = Answer::of(request).await.ok();
        inventory.commit(write, written.updated_at);
    }
    let item_id = ItemId::from_bytes([1; 16]);
    let item: VaultItem = node.get(&format!("/api/vault/memories/{item_id}"), Some(user.person.token())).await.ok();
    let context = ItemContext { item_id, item_type: item.entry.item_type, version: 2 };
    let sealed = SealedItem::parse(item.sealed.into_bytes()).unwrap();
    assert_eq!(key.open(&context, &sealed).unwrap().as_slice(), MEMORY.as_bytes());
    // Version, root key, vault key.
    secrets.encode_secret()[33..].to_vec()
}

/// Which of them are in `bytes`.
fn found<'a>(needles: &'a Needles, bytes: &[u8]) -> Vec<&'a str> {
    let is_there = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    needles.iter().filter(|(_, needle)| is_there(needle)).map(|(name, _)| name.as_str()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the files are what is looked at")]
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// The memory that a process can write: heap, stacks and data.
#[expect(clippy::disallowed_methods, reason = "the memory of a process is a file")]
fn memory(process: u32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            all.extend(bytes);
        }
    }
    all
}

/// The memory once the connections are gone, which the node sees when it next looks: what was received on them stays in
/// their buffers until then.
async fn memory_at_rest(node: &NodeProcess, needles: &Needles) -> Vec<u8> {
    for _ in 0..LOOKS {
        let memory = memory(node.id());
        if found(needles, &memory).is_empty() {
            return memory;
        }
        assert_eq!(node.api.get("/healthz", None).await.status, 200);
    }
    memory(node.id())
}

/// How often the memory is looked at before what is in it is there to stay.
const LOOKS: usize = 20;

#[actix_web::test]
async fn a_node_holds_no_plaintext_no_private_key_and_no_token_after_a_whole_run() {
    let (data, logs) = (DataFolder::new(), DataFolder::new());
    #[expect(clippy::disallowed_methods, reason = "the log goes into a file")]
    let log_file = File::create(logs.path().join("log")).unwrap();
    let node = NodeProcess::start(data.path(), |process| {
        process
            .env("CONCLAVE__LOG__FILTER", "trace")
            .env("CONCLAVE__LOG__FORMAT", "json")
            .stderr(Stdio::from(log_file));
    });

    let api = Api::at(&node.api.url);
    let (needles, envelope) = whole_run(&api).await;
    let metrics = node.metrics().await;
    drop(api);

    let memory = memory_at_rest(&node, &needles).await;
    let sealed = Needles::from([("ciphertext".to_owned(), envelope.payload.0.clone())]);
    let mut places = files(data.path());
    assert!(places.iter().any(|(_, bytes)| !found(&sealed, bytes).is_empty()), "the search finds nothing in files");
    assert!(!found(&sealed, &memory).is_empty(), "the search finds nothing in memory");
    places.extend(files(logs.path()));
    places.push(("metrics".into(), metrics.into_bytes()));
    places.push(("memory".into(), memory));
    assert_eq!(places.len(), 6, "the database, its log, its shared memory; the node's log, metrics and memory");
    let found: Vec<_> = places.iter().map(|(place, bytes)| (place, found(&needles, bytes))).collect();
    assert!(found.iter().all(|(_, needles)| needles.is_empty()), "{found:#?}");
    node.kill();
}
