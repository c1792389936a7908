//! What is to be found on a node after a whole run: in its database, write-ahead log, logs, metrics and memory, which is what
//! a core dump has.
//!
//! Canaries are plaintexts and private keys, which the node never gets, and tokens and codes, which it gets and forgets. They
//! are looked for in every form in which bytes are written down. The search is shown to find what is there: ciphertext.

mod canaries;
#[cfg(feature = "custody")]
mod custody;
mod memory;

use std::fs::File;
use std::path::Path;
use std::process::{self, Stdio};

use conclave::ids::{ItemId, ItemType, WriterId};
use conclave::protocol::backup::AccountSecrets;
use conclave::protocol::machine::{Encrypt, Input, Place};
use conclave::protocol::vault::{Change, Head, Inventory, ItemContext, Listing, SealedItem};
use conclave::wire::{
    ByteString, Command, Credential, Delivery, Encoding, Envelope, InvitationCreated, Joined, Message, RoomSummary,
    SessionTokens, SignalKind, SocketTicket, TurnCredentials, VaultItem, VaultWritten,
};
use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use rand_core::Rng;
use serde_json::json;

use crate::client::User;
use crate::process::{NodeProcess, now};
use crate::providers::browser::Browser;
use crate::providers::{device, parameter};
use crate::server::{Answer, Api, DataFolder};
use crate::socket::Socket;
use crate::support::{POLICY, rng};
use crate::vault;
use canaries::Canaries;
use memory::Memory;

const PLAINTEXT: &str = "a canary that only two people ever read";

const DIRECT: &str = "a canary that comes without a room";

const MEMORY: &str = "a canary that somebody keeps for themselves";

/// What a TURN server and the node share.
const TURN_SECRET: &str = "canary-of-two-servers";

/// Somebody's private keys. They are drawn from a seed, first of all, so that a test knows them.
fn add_private_keys(canaries: &mut Canaries, user: &User, name: &str, seed: u64) {
    let drawn = |seed, from: usize| {
        let mut bytes = [0; 64];
        rng(seed).fill_bytes(&mut bytes);
        bytes[from..from + 32].to_vec()
    };
    let certificate = &user.person.account.certificates[0];
    let signing = SigningKey::from_bytes(&drawn(seed + 1, 0).try_into().unwrap());
    assert_eq!(signing.verifying_key().as_bytes(), certificate.signing_key.as_array(), "it is not that key");
    for (what, seed, from) in [("root key", seed, 0), ("signing key", seed + 1, 0), ("agreement key", seed + 1, 32)] {
        canaries.add(&format!("{name}'s {what}"), &drawn(seed, from));
    }
}

fn add_tokens(canaries: &mut Canaries, name: &str, tokens: &SessionTokens) {
    canaries.add_token(&format!("{name}'s access token"), tokens.access_token.expose());
    canaries.add_token(&format!("{name}'s refresh token"), tokens.refresh_token.expose());
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

/// What `from` encrypts for the one device of `to`, claiming from the node what is missing.
async fn write(node: &Api, from: &mut User, to: &User, place: Place, text: &str) -> Envelope {
    let accounts = [to.address().account_id];
    let encrypt = Encrypt { accounts: &accounts, except: &[], place, policy: POLICY, plaintext: text.as_bytes() };
    let mut outputs = from.device.handle(Input::Encrypt(encrypt)).unwrap();
    for device in std::mem::take(&mut outputs.claim) {
        let bundle = from.person.claim(node, device).await.ok();
        from.device.handle(Input::Bundle(&bundle)).unwrap();
        outputs = from.device.handle(Input::Encrypt(encrypt)).unwrap();
    }
    let [envelope] = <[Envelope; 1]>::try_from(outputs.send).unwrap();
    envelope
}

#[track_caller]
fn reads(user: &mut User, envelope: &Envelope, text: &str) {
    let opened = user.device.handle(Input::Open { envelope, policy: POLICY }).unwrap();
    assert_eq!(opened.opened.unwrap().plaintext.as_slice(), text.as_bytes());
}

/// A conversation with all that belongs to it. Returns the canaries, and an envelope that the node has kept.
async fn whole_run(node: &Api) -> (Canaries, Envelope) {
    let mut canaries = Canaries::new();
    let (mut ada, mut grace) = (join(node, "ada", 310).await, join(node, "grace", 320).await);
    for (user, name, seed) in [(&ada, "ada", 310), (&grace, "grace", 320)] {
        add_private_keys(&mut canaries, user, name, seed);
        add_tokens(&mut canaries, name, &user.person.tokens);
    }
    let room: RoomSummary = node.post("/api/rooms", Some(ada.person.token()), &json!({ "policy": POLICY })).await.ok();
    canaries.add_token("invitation", invite(node, &room, &ada, &grace).await.token.expose());
    ada.learn(node, grace.address().account_id).await;
    grace.learn(node, ada.address().account_id).await;
    let ticket: SocketTicket = node.post("/api/ws/ticket", Some(grace.person.token()), &json!({})).await.ok();
    canaries.add_token("ticket", ticket.ticket.expose());

    let mut reader = Socket::connect(node, Encoding::Json, None).await;
    reader.hello(Some(Credential::Ticket(ticket.ticket)), None).await.unwrap();
    reader.join(room.room_id, None).await.unwrap();
    let mut writer = Socket::open_as(node, &ada, Encoding::Cbor).await;
    writer.join(room.room_id, None).await.unwrap();
    // Sealed, and not stored all the same.
    let mut payload = vec![0; 32];
    rng(340).fill_bytes(&mut payload);
    canaries.add("signal", &payload);
    let (room_id, to, kind, payload) = (room.room_id, grace.address(), SignalKind::Offer, ByteString(payload));
    let sent = payload.clone();
    writer.ask(|id| Command::Signal { id, room_id, to, kind, payload: sent }).await.unwrap();
    let is_it = |event| matches!(event, Message::Signal { payload: told, .. } if told == payload).then_some(());
    reader.until(is_it).await;
    canaries.add("plaintext", PLAINTEXT.as_bytes());
    let envelope = write(node, &mut ada, &grace, Place::Room(room.room_id), PLAINTEXT).await;
    writer.send(&envelope).await.unwrap();
    let received = reader.envelope().await.envelope;
    reads(&mut grace, &received, PLAINTEXT);
    canaries.add("direct message", DIRECT.as_bytes());
    let direct = write(node, &mut ada, &grace, Place::Direct, DIRECT).await;
    assert!(matches!(writer.deliver(vec![direct]).await[..], [Delivery::Stored(_)]));
    reads(&mut grace, &reader.direct().await.envelope, DIRECT);

    canaries.add("memory", MEMORY.as_bytes());
    canaries.add("vault key", &keep_memories(node, &ada).await);
    sign_in_device(node, &mut canaries).await;
    let turn: TurnCredentials = node.get("/api/turn", Some(ada.person.token())).await.ok();
    canaries.add("TURN credential as text", turn.credential.expose().as_bytes());
    canaries.add("TURN credential as bytes", &BASE64.decode(turn.credential.expose().as_bytes()).unwrap());

    let next: SessionTokens = node.refresh(&ada.person.tokens.refresh_token).await.ok();
    add_tokens(&mut canaries, "ada, later", &next);
    (canaries, received)
}

/// Signs somebody in on a device without a browser.
async fn sign_in_device(node: &Api, canaries: &mut Canaries) {
    let started = device::start_device(node, "development").await;
    canaries.add_token("device code", started.device_code.expose());
    canaries.add("user code", started.user_code.expose().as_bytes());
    canaries.add("user code without its dash", started.user_code.expose().replace('-', "").as_bytes());
    let mut browser = Browser::default();
    let url = device::type_code(node, &mut browser, &started.user_code).await;
    canaries.add_token("state", &parameter(&url, "state"));
    let sent_back = browser.submit(&url, "name", "linus").await;
    let callback = sent_back.header("location");
    canaries.add_token("code", &parameter(callback, "code"));
    assert_eq!(browser.open(callback).await.status, 200);
    let tokens: SessionTokens = device::ask_now(node, &started.device_code).await.ok();
    assert!(node.accepts(&tokens.access_token).await);
    add_tokens(canaries, "linus", &tokens);
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
        let write = inventory.prepare(&key, WriterId::from_bytes([1; 16]), change, &mut rng).unwrap();
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

#[expect(clippy::disallowed_methods, reason = "the files are what is looked at")]
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// How often the memory is looked at before what is in it is there to stay.
const LOOKS: usize = 20;

/// A node in a process of its own that tells all it can.
struct Observed {
    data: DataFolder,
    logs: DataFolder,
    node: NodeProcess,
}

impl Observed {
    fn start(change: impl FnOnce(&mut process::Command)) -> Self {
        let (data, logs) = (DataFolder::new(), DataFolder::new());
        #[expect(clippy::disallowed_methods, reason = "the log goes into a file")]
        let log_file = File::create(logs.path().join("log")).unwrap();
        let node = NodeProcess::start(data.path(), |process| {
            process
                .env("CONCLAVE__LOG__FILTER", "trace")
                .env("CONCLAVE__LOG__FORMAT", "json")
                .stderr(Stdio::from(log_file));
            change(process);
        });
        Self { data, logs, node }
    }

    /// All that it has written: the database, its log, its shared memory, and the lock on their folder; the node's log and metrics.
    async fn written(&self) -> Vec<(String, Vec<u8>)> {
        let mut written = files(self.data.path());
        written.extend(files(self.logs.path()));
        written.push(("metrics".into(), self.node.metrics().await.into_bytes()));
        assert_eq!(written.len(), 6, "{:?}", written.iter().map(|(place, _)| place).collect::<Vec<_>>());
        written
    }

    /// The memory once the connections are gone, which the node sees when it next looks: what was received on them stays in
    /// their buffers until then.
    async fn memory_at_rest(&self, which: Memory, canaries: &Canaries) -> Vec<u8> {
        for _ in 0..LOOKS {
            let memory = which.read(self.node.id());
            if canaries.found(&memory).is_empty() {
                return memory;
            }
            assert_eq!(self.node.api.get("/healthz", None).await.status, 200);
        }
        which.read(self.node.id())
    }
}

#[track_caller]
fn assert_in_none(places: &[(String, Vec<u8>)], canaries: &Canaries) {
    let found: Vec<_> = places.iter().map(|(place, bytes)| (place, canaries.found(bytes))).collect();
    assert!(found.iter().all(|(_, canaries)| canaries.is_empty()), "{found:#?}");
}

#[actix_web::test]
async fn a_node_holds_no_plaintext_no_private_key_and_no_token_after_a_whole_run() {
    let secrets = DataFolder::new();
    let secret_file = secrets.write("turn", TURN_SECRET);
    let observed = Observed::start(|process| {
        process.env("CONCLAVE__TURN__URLS", "turn:turn.example").env("CONCLAVE__TURN__SECRET_FILE", secret_file);
    });
    let api = Api::at(&observed.node.api.url);
    let (mut canaries, envelope) = whole_run(&api).await;
    drop(api);
    canaries.add("TURN secret", TURN_SECRET.as_bytes());

    let memory = observed.memory_at_rest(Memory::All, &canaries).await;
    let written = observed.written().await;
    let mut sealed = Canaries::new();
    sealed.add("ciphertext", &envelope.payload.0);
    assert!(written.iter().any(|(_, bytes)| !sealed.found(bytes).is_empty()), "the search finds nothing in files");
    assert!(!sealed.found(&memory).is_empty(), "the search finds nothing in memory");
    assert_in_none(&written, &canaries);
    assert_in_none(&[("memory".to_owned(), memory)], &canaries);
    observed.node.kill();
}

#[test]
fn a_canary_in_a_file_is_found() {
    let folder = DataFolder::new();
    let mut canaries = Canaries::new();
    canaries.add("plaintext", PLAINTEXT.as_bytes());
    folder.write("log", &format!("{{\"text\":\"{}\"}}", BASE64.encode(format!("> {PLAINTEXT} <").as_bytes())));
    folder.write("other", "{}");
    let found: Vec<_> = files(folder.path()).iter().map(|(_, bytes)| canaries.found(bytes).len()).collect();
    assert_eq!(found.iter().sum::<usize>(), 2, "in both alphabets, where neither's own letters occur: {found:?}");
}
