//! What calls need that nobody can make up: rooms, keys, codes and tokens that there are, and bodies that fit them. Each
//! call has its own, so that none takes another's away.

use std::collections::BTreeMap;

use conclave::ids::RoomId;
use conclave::wire::{
    Custody, DeviceStarted, Envelope, FlowStarted, InvitationCreated, RoomKey, RoomKeyType, RoomKeys, RoomPolicy,
    RoomSummary, SecretText, VaultWritten,
};
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::client::User;
use crate::providers::browser::Browser;
use crate::providers::device;
use crate::rooms::admit;
use crate::server::TestNode;
use crate::vault;

/// What is known, by the ids of the operations, and those that it is about: Ada, who asks, and Grace.
pub(super) struct Known<'a> {
    node: &'a TestNode,
    ada: User,
    grace: User,
    calls: Map<String, Value>,
}

impl<'a> Known<'a> {
    /// Makes all of it on a node.
    pub(super) async fn on(node: &'a TestNode) -> Self {
        let ada = User::join_without_prekeys(node, "ada", 10).await;
        let grace = User::join(node, "grace", 20).await;
        let mut known = Self { node, ada, grace, calls: Map::new() };
        known.sign_in().await;
        known.devices();
        known.rooms().await;
        known.held_rooms().await;
        known.vault().await;
        known.add("openapi.file", json!({ "path": { "file": "swagger-ui.css" } }));
        known
    }

    /// Whoever asks.
    pub(super) fn token(&self) -> &SecretText {
        self.ada.person.token()
    }

    pub(super) fn to_json(&self) -> String {
        Value::from(self.calls.clone()).to_string()
    }

    fn add(&mut self, operation: &str, call: Value) {
        assert!(self.calls.insert(operation.to_owned(), call).is_none(), "{operation} has two");
    }

    async fn sign_in(&mut self) {
        let node = self.node;
        for operation in ["device.start", "sign_in.start"] {
            self.add(operation, json!({ "body": { "provider": "development" } }));
        }
        let flow: FlowStarted = node.start_flow().await;
        let (code, state) = node.authorize(flow.authorization_url.expose(), "linus").await;
        self.add("callback.show", json!({ "query": { "code": code, "state": state } }));
        self.add("sign_in.complete", json!({ "body": { "code": code, "state": state } }));
        let spare = node.sign_in("spare").await;
        self.add("sign_in.refresh", json!({ "body": { "refresh_token": spare.refresh_token } }));
        let other = node.sign_in("ada").await;
        self.add("sessions.end", json!({ "path": { "session_id": other.session_id } }));

        let flow = node.start_flow().await;
        let query = query(flow.authorization_url.expose());
        self.add("development.ask", json!({ "query": query }));
        self.add("development.answer", json!({ "query": query, "body": { "name": "linus" } }));
        self.sign_in_devices().await;
    }

    /// Three devices: one whose code is not typed yet, one whose owner comes back from the provider, and one that is
    /// signed in.
    async fn sign_in_devices(&mut self) {
        let node = self.node;
        let page = format!("{}/device", node.url);
        let mut browser = Browser::default();
        let opened = browser.open(&page).await;
        let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
        let started: DeviceStarted = device::start_device(node, "development").await;
        let body = json!({ "user_code": started.user_code });
        self.add("device.enter", json!({ "headers": { "Cookie": cookie }, "body": body }));

        let started = device::start_device(node, "development").await;
        let url = device::type_code(node, &mut browser, &started.user_code).await;
        let back = browser.submit(&url, "name", "linus").await;
        let query = query(back.header("location"));
        let path = json!({ "provider": "development" });
        self.add("callback.arrive", json!({ "path": path, "query": query, "headers": { "Cookie": cookie } }));

        let started = device::start_device(node, "development").await;
        let url = device::type_code(node, &mut browser, &started.user_code).await;
        device::give_name(&mut browser, &url, "linus").await;
        self.add("device.ask", json!({ "body": { "device_code": started.device_code } }));
    }

    fn devices(&mut self) {
        let User { person, device } = &self.ada;
        let signature = device.machine.prove_session(person.tokens.session_id);
        let proof = json!({ "device_id": device.address().device_id, "signature": signature });
        self.add("sessions.bind_device", json!({ "body": proof }));
        let prekeys = self.ada.new_prekeys();
        self.add("prekeys.publish", json!({ "body": prekeys }));
        let list = self.ada.person.next_list();
        self.add("devices.publish", json!({ "body": list }));
        let grace = self.grace.address();
        self.add("devices.fetch", json!({ "path": { "account_id": grace.account_id } }));
        self.add("prekeys.claim", json!({ "path": grace }));
    }

    async fn rooms(&mut self) {
        let open = ["rooms.show", "history.page", "members.list", "invitations.list", "invitations.create"];
        for operation in [&open[..], &["rooms.close"]].concat() {
            let room = self.room(&RoomPolicy::default()).await;
            self.add(operation, json!({ "path": { "room_id": room } }));
        }
        // Where a page begins is made up elsewhere: here there is one.
        for operation in ["rooms.list", "vault.summary"] {
            self.add(operation, json!({ "query": {} }));
        }
        for operation in ["members.remove", "members.set_role"] {
            let room = self.room(&RoomPolicy::default()).await;
            let path = json!({ "room_id": room, "account_id": self.grace.address().account_id });
            self.add(operation, json!({ "path": path, "body": { "role": "moderator" } }));
        }
        let room = self.room(&RoomPolicy::default()).await;
        let invitation = self.invite(&self.ada, room).await;
        let path = json!({ "room_id": room, "invitation_id": invitation.invitation_id });
        self.add("invitations.revoke", json!({ "path": path }));

        let grace = Some(self.grace.person.token());
        let joined: RoomSummary = self.node.post("/api/rooms", grace, &json!({})).await.ok();
        let invitation = self.invite(&self.grace, joined.room_id).await;
        let room: RoomSummary = self.node.post("/api/rooms", grace, &json!({})).await.ok();
        self.add("invitations.join", json!({ "body": { "token": invitation.token } }));
        admit(self.node, room.room_id, &self.grace.person, &self.ada.person).await;
        self.add("rooms.leave", json!({ "path": { "room_id": room.room_id } }));
    }

    async fn held_rooms(&mut self) {
        let grace = self.grace.address().account_id;
        for (operation, body) in [
            ("room_keys.generate", json!({})),
            ("room_keys.rotate", json!({})),
            ("room_keys.exchange", json!({ "peer_user_id": grace })),
            ("room_keys.encrypt", json!({ "recipient_id": grace, "message": { "text": "hello" } })),
        ] {
            let (room, _) = self.held_room().await;
            self.add(operation, json!({ "path": { "room_id": room }, "body": body }));
        }
        let (room, _) = self.held_room().await;
        self.add("room_keys.show", json!({ "path": { "room_id": room, "id": grace } }));
        let (room, keys) = self.held_room().await;
        let key = keys.iter().find(|key| key.key_type == RoomKeyType::Ephemeral).unwrap().key_id;
        self.add("room_keys.revoke", json!({ "path": { "room_id": room, "id": key } }));
        let (room, _) = self.held_room().await;
        let body = json!({ "recipient_id": self.ada.address().account_id, "message": { "text": "hello" } });
        let path = format!("/api/webrtc/rooms/{room}/e2ee/encrypt");
        let envelope: Envelope = self.node.post(&path, Some(self.grace.person.token()), &body).await.ok();
        let body = json!({ "encrypted_message": envelope });
        self.add("room_keys.decrypt", json!({ "path": { "room_id": room }, "body": body }));
    }

    async fn vault(&mut self) {
        let token = self.ada.person.token();
        let (item, key) = (vault::item_id(1), vault::path(1));
        let put = vault::put(self.node, token, &key, vault::NEW, &vault::body(1, "kept")).await;
        put.ok::<VaultWritten>();
        let path = json!({ "collection": "memories", "item_id": item });
        self.add("vault.list", json!({ "path": { "collection": "memories" }, "query": {} }));
        self.add("vault.get", json!({ "path": path }));
        let gone = format!("/api/vault/gone/{item}");
        let token = self.ada.person.token();
        let put = vault::put(self.node, token, &gone, vault::NEW, &vault::body(1, "gone")).await;
        put.ok::<VaultWritten>();
        let headers = json!({ "If-Match": "\"1\"", "If-None-Match": null });
        let query = json!({ "revision": 2, "head": vault::head(2) });
        let path = json!({ "collection": "gone", "item_id": item });
        self.add("vault.delete", json!({ "path": path, "query": query, "headers": headers }));
        let headers = json!({ "If-Match": null, "If-None-Match": "*" });
        let path = json!({ "collection": "new", "item_id": item });
        self.add("vault.put", json!({ "path": path, "headers": headers, "body": vault::body(1, "new") }));
    }

    /// A room of Ada's, with Grace in it.
    async fn room(&self, policy: &RoomPolicy) -> RoomId {
        let body = json!({ "policy": policy });
        let room: RoomSummary = self.node.post("/api/rooms", Some(self.ada.person.token()), &body).await.ok();
        admit(self.node, room.room_id, &self.ada.person, &self.grace.person).await;
        room.room_id
    }

    /// One whose keys the node holds, and Ada's keys in it.
    async fn held_room(&self) -> (RoomId, Vec<RoomKey>) {
        let room = self.room(&RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() }).await;
        let path = format!("/api/webrtc/rooms/{room}/e2ee/keys");
        for user in [&self.ada, &self.grace] {
            let made = self.node.post(&format!("{path}/generate"), Some(user.person.token()), &json!({})).await;
            made.ok::<RoomKey>();
        }
        let shown = format!("{path}/{}", self.ada.address().account_id);
        let keys: RoomKeys = self.node.get(&shown, Some(self.ada.person.token())).await.ok();
        (room, keys.keys)
    }

    async fn invite(&self, by: &User, room: RoomId) -> InvitationCreated {
        let path = format!("/api/rooms/{room}/invitations");
        self.node.post(&path, Some(by.person.token()), &json!({})).await.ok()
    }
}

/// The parameters of an address.
fn query(url: &str) -> BTreeMap<String, String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}
