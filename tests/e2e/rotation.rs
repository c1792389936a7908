//! Sessions that are begun anew: by hand, by the schedule, and because a member has said something of their keys.
//!
//! Which session a message is of is seen by what leaves the device: one that is new carries its opening until it is answered.

use conclave::client::{Client, Clock, Conversation, Event, Http, Settings, Store};
use conclave::ids::{AccountId, OpeningId, RoomId};
use conclave::protocol::agreement::Opening;
use conclave::protocol::secret::{AgreementSecretKey, SigningSecretKey};
use conclave::protocol::session::PairwiseMessage;
use conclave::wire::{Bytes, Envelope, MakeRoomKey, Message, RoomKey, RoomPolicy, RoomPublicKeys, SecretText};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::rooms::admit;
use crate::user::{User, sign_in};

/// Two people in a room. What Ada sends is seen.
struct Talk {
    ada: User,
    grace: User,
    room: RoomId,
}

impl Talk {
    async fn begin(mut ada: User, grace: User) -> Self {
        let room = ada.client.create_room(RoomPolicy::default()).await.unwrap();
        admit(&mut ada, room, &grace).await;
        Self { ada, grace, room }
    }

    /// Ada writes. The opening that it leaves with; none if an answered session goes on.
    async fn opening(&mut self, proxy: &Proxy, text: &str) -> Option<OpeningId> {
        let id = self.ada.client.send(Conversation::Room(self.room), text).await.unwrap();
        self.ada.is_sent(id).await;
        assert_eq!(self.grace.text().await.1, text);
        let envelope = proxy.envelopes().pop().unwrap();
        assert_eq!(envelope.recipient, Some(self.grace.client.device()));
        opening_of(&envelope).map(|opening| opening.id())
    }

    async fn answers(&mut self) {
        self.grace.client.send(Conversation::Room(self.room), "heard").await.unwrap();
        assert_eq!(self.ada.text().await.1, "heard");
    }
}

/// What an envelope of a new session carries.
pub(crate) fn opening_of(envelope: &Envelope) -> Option<Opening> {
    PairwiseMessage::parse(&envelope.payload.0).unwrap().opening
}

#[tokio::test]
async fn keys_are_rotated_by_hand_and_by_schedule_and_the_old_session_is_left() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let (ada, grace) = (User::new(&proxy.url, "ada").await, User::new(&node.url, "grace").await);
    let mut talk = Talk::begin(ada, grace).await;
    let first = talk.opening(&proxy, "one").await;
    assert!(first.is_some());
    talk.answers().await;
    assert_eq!(talk.opening(&proxy, "two").await, None);

    talk.ada.client.rotate_keys(talk.room).await.unwrap();
    let second = talk.opening(&proxy, "three").await;
    assert!(second.is_some() && second != first);
    assert_eq!(talk.opening(&proxy, "four").await, second);
    // Had Grace answered on the old session, the new one would not be answered.
    talk.answers().await;
    assert_eq!(talk.opening(&proxy, "five").await, None);

    talk.ada.client.configure(Settings { key_age_ms_max: 0, ..Settings::default() }).await.unwrap();
    let third = talk.opening(&proxy, "six").await;
    let fourth = talk.opening(&proxy, "seven").await;
    assert!(third.is_some() && fourth.is_some() && third != fourth && third != second);
}

#[tokio::test]
async fn a_session_is_begun_anew_once_it_is_a_day_old_and_not_before() {
    const MINUTE_MS: i64 = 60_000;
    const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (proxy, clock) = (Proxy::before(&node).await, Clock::system());
    let signed_in = sign_in(&proxy.url, "ada").await;
    let (client, events) = Client::set_up_at(Store::in_memory(), signed_in, clock.clone()).await.unwrap();
    let mut talk = Talk::begin(User { client, events }, User::new(&node.url, "grace").await).await;
    assert!(talk.opening(&proxy, "the first").await.is_some());
    talk.answers().await;
    for (ahead_ms, is_new) in [(DAY_MS - MINUTE_MS, false), (DAY_MS + MINUTE_MS, true)] {
        clock.set_ahead(ahead_ms);
        assert_eq!(talk.opening(&proxy, "some hours later").await.is_some(), is_new, "{ahead_ms}");
        talk.answers().await;
    }
}

/// A member who publishes keys in a room by the node's calls.
pub(crate) struct Publisher<'a> {
    node: &'a NodeProcess,
    room: RoomId,
    token: SecretText,
    keys: ChaCha20Rng,
    http: reqwest::Client,
}

impl<'a> Publisher<'a> {
    pub(crate) async fn new(node: &'a NodeProcess, room: RoomId, name: &str) -> Self {
        let token = sign_in(&node.url, name).await.tokens().access_token.clone();
        Self { node, room, token, keys: ChaCha20Rng::seed_from_u64(9), http: reqwest::Client::new() }
    }

    fn path(&self, call: &str) -> String {
        format!("{}/api/webrtc/rooms/{}/e2ee/keys/{call}", self.node.url, self.room)
    }

    pub(crate) async fn publishes(&mut self, call: &str) -> RoomKey {
        let agreement_key = AgreementSecretKey::generate(&mut self.keys).public_key().to_wire();
        let signing_key = SigningSecretKey::generate(&mut self.keys).public_key().to_wire();
        let public_keys = Some(RoomPublicKeys { agreement_key, signing_key });
        let body = MakeRoomKey { public_keys, ..MakeRoomKey::default() };
        let request = self.http.post(self.path(call)).bearer_auth(self.token.expose()).json(&body);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    async fn revokes(&self, key: &RoomKey) {
        let request = self.http.delete(self.path(&key.key_id.to_string())).bearer_auth(self.token.expose());
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

/// What the next word of keys is, and of whom.
async fn word_of_keys(user: &mut User) -> (&'static str, AccountId) {
    user.until(|event| match event {
        Event::KeysRotated { account, .. } => Some(("rotated", *account)),
        Event::KeysRevoked { account, .. } => Some(("revoked", *account)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_members_word_of_their_keys_is_answered_with_a_new_session_also_after_a_restart() {
    const HOUR_MS: i64 = 3_600_000;
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let (path, clock) = (folder.path().join("ada"), Clock::system());
    let store = Store::create(&path, passphrase()).await.unwrap();
    let (client, events) = Client::set_up_at(store, sign_in(&proxy.url, "ada").await, clock.clone()).await.unwrap();
    let mut talk = Talk::begin(User { client, events }, User::new(&node.url, "grace").await).await;
    let grace = talk.grace.id();
    let mut publisher = Publisher::new(&node, talk.room, "grace").await;

    let mut last = talk.opening(&proxy, "first").await;
    talk.answers().await;
    let mut key = None;
    for (hours, call, word) in [(1, "generate", "rotated"), (2, "rotate", "rotated"), (3, "revoke", "revoked")] {
        match key.as_ref().filter(|_| call == "revoke") {
            Some(key) => publisher.revokes(key).await,
            None => key = Some(publisher.publishes(call).await),
        }
        assert_eq!(word_of_keys(&mut talk.ada).await, (word, grace), "{call}");
        talk.ada.close().await;
        clock.set_ahead(hours * HOUR_MS);
        let store = Store::open(&path, passphrase()).await.unwrap();
        let (client, events) = Client::open_at(store, Http::new().unwrap(), clock.clone()).await.unwrap();
        talk.ada = User { client, events };

        let opening = talk.opening(&proxy, call).await;
        assert!(opening.is_some() && opening != last, "{call}");
        last = opening;
        talk.answers().await;
        assert_eq!(talk.opening(&proxy, "goes on").await, None, "{call}");
    }

    // Not more than one in an hour; what was said meanwhile is answered after it.
    publisher.publishes("generate").await;
    assert_eq!(word_of_keys(&mut talk.ada).await, ("rotated", grace));
    assert_eq!(talk.opening(&proxy, "too early").await, None);
    // On the next socket: what the node's time is compared with is the clock at its welcome.
    proxy.cut();
    clock.set_ahead(4 * HOUR_MS);
    talk.ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    talk.ada.is_level().await;
    let opening = talk.opening(&proxy, "an hour later").await;
    assert!(opening.is_some() && opening != last);
}

#[tokio::test]
async fn what_the_node_says_of_the_keys_of_somebody_who_is_no_member_counts_for_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let (ada, grace) = (User::new(&proxy.url, "ada").await, User::new(&node.url, "grace").await);
    let mut talk = Talk::begin(ada, grace).await;
    let room_id = talk.room;
    let mut publisher = Publisher::new(&node, room_id, "grace").await;
    let key = publisher.publishes("generate").await;
    let grace = talk.grace.id();
    assert_eq!(word_of_keys(&mut talk.ada).await, ("rotated", grace));
    let strangers = RoomKey { user_id: AccountId::from_bytes([7; 16]), signing_key: Bytes([7; 32]), ..key };
    proxy.says(&Message::E2eeKeyRotation { room_id, key: strangers });
    proxy.says(&Message::E2eeKeyRevoke { room_id, user_id: strangers.user_id, key_id: key.key_id });
    proxy.says(&Message::E2eeKeyRevoke { room_id, user_id: grace, key_id: key.key_id });
    assert_eq!(word_of_keys(&mut talk.ada).await, ("revoked", grace));
}
