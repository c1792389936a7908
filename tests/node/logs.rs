//! What the node writes about itself: that it is there, and that no secret is in it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use conclave::ids::AccountId;
use conclave::wire::{
    Custody, DeviceStarted, ErrorCode, InvitationCreated, RoomKey, RoomPolicy, RoomSummary, SessionTokens,
};
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::User;
use crate::providers::browser::Browser;
use crate::providers::played::Reply;
use crate::providers::{CLIENT_SECRET, github};
use crate::rooms::admit;
use crate::server::{Answer, TestNode};
use crate::vault;

#[actix_web::test]
async fn logs_tell_what_happened_and_hold_no_secret() {
    let lines = lines();
    let node = TestNode::start().await;
    let flow = node.start_flow().await;
    let (code, state) = node.authorize(flow.authorization_url.expose(), "canary-name").await;
    node.get(&format!("/auth/callback?code={code}&state={state}"), None).await;
    let tokens: SessionTokens = node.complete(&code, &state).await.ok();
    node.complete(&code, &state).await.refused(400, ErrorCode::FlowRefused);
    node.accepts(&tokens.access_token).await;
    let new: SessionTokens = node.refresh(&tokens.refresh_token).await.ok();
    node.accepts(&tokens.access_token).await;
    node.refresh(&tokens.refresh_token).await.refused(401, ErrorCode::RefreshReused);
    let garbled = node.request(reqwest::Method::POST, "/api/auth/refresh").header("content-type", "application/json");
    let garbled = garbled.body(format!("{{\"refresh_token\":\"{}\"", new.refresh_token.expose()));
    Answer::of(garbled).await.refused(400, ErrorCode::MalformedRequest);
    let user = User::join(&node, "canary-name", 10).await;
    node.post("/api/auth/sign-out-everywhere", Some(user.person.token()), &json!({})).await;
    node.stop().await;

    let text = lines.text();
    let account: AccountId = tokens.account_id;
    for event in ["signed_in", "refreshed", "refresh_reused", "devices_published", "device_bound", "prekeys_published"]
    {
        let is_told = |line: &str| line.contains(event) && line.contains(&account.to_string());
        assert!(text.lines().any(is_told), "no {event} of {account}");
    }
    assert!(text.contains("/api/auth/flows/complete"), "requests are not there");
    let challenge = flow.authorization_url.expose().split("code_challenge=").nth(1).unwrap();
    for (what, secret) in [
        ("code", code.as_str()),
        ("state", &state),
        ("challenge", &challenge[..43]),
        ("access token", tokens.access_token.expose()),
        ("refresh token", tokens.refresh_token.expose()),
        ("new access token", new.access_token.expose()),
        ("new refresh token", new.refresh_token.expose()),
        ("name", "canary-name"),
    ] {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{what} in a log line: {}", line.unwrap());
    }
}

/// What the node shows to a provider, gets from it, and gives to a device that waits.
#[actix_web::test]
async fn logs_hold_no_secret_of_a_provider_or_of_a_device() {
    let lines = lines();
    let (github, node) = github::start().await;
    github::sign_in(&node).await.ok::<SessionTokens>();
    github.reply(github::TOKEN, Reply::Status(400, json!({ "error": "invalid_grant", "hint": "canary-token" })));
    github::sign_in(&node).await.refused(400, ErrorCode::CodeRefused);
    let device: DeviceStarted = node.post("/api/auth/device", None, &json!({ "provider": "github" })).await.ok();
    let mut browser = Browser::default();
    let page = browser.open(&format!("{}/device", node.url)).await;
    browser.submit(&format!("{}/device", node.url), "user_code", device.user_code.expose()).await;
    node.post("/api/auth/device/token", None, &json!({ "device_code": device.device_code })).await;
    node.stop().await;
    github.stop().await;

    let text = lines.text();
    assert!(text.contains("a sign-in is refused") && text.contains("/api/auth/device/token"));
    let cookie = page.header("set-cookie").split(['=', ';']).nth(1).unwrap();
    for secret in [
        CLIENT_SECRET,
        "canary-token",
        "canary-code",
        "583231",
        device.device_code.expose(),
        device.user_code.expose(),
        cookie,
    ] {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in a log line: {}", line.unwrap());
    }
}

#[cfg(feature = "custody")]
fn well(answer: &Answer) {
    assert!(matches!(answer.status, 200 | 204), "{} {}", answer.status, answer.body);
}

/// What two people do once each is written down, by the ids of those who do it and of nobody else's.
#[cfg(feature = "custody")]
#[actix_web::test]
async fn what_people_do_is_written_down_and_not_with_whom() {
    let lines = lines();
    let node = TestNode::start_with(|settings| settings.custody.enabled = true).await;
    let (ada, grace) = (User::join(&node, "ada", 10).await, User::join(&node, "grace", 20).await);
    let (owner, guest) = (Some(ada.person.token()), Some(grace.person.token()));
    let policy = RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() };
    let room: RoomSummary = node.post("/api/rooms", owner, &json!({ "policy": policy })).await.ok();
    let room = room.room_id;
    let path = |call: &str| format!("/api/rooms/{room}/{call}");
    let keys = |call: &str| format!("/api/webrtc/rooms/{room}/e2ee/keys/{call}");
    let member = path(&format!("members/{}", grace.address().account_id));
    let invitation: InvitationCreated = node.post(&path("invitations"), owner, &json!({})).await.ok();
    well(&node.delete(&path(&format!("invitations/{}", invitation.invitation_id)), owner).await);
    admit(&node, room, &ada.person, &grace.person).await;
    well(&node.put(&member, owner, &json!({ "role": "moderator" })).await);
    for token in [owner, guest] {
        node.post(&keys("generate"), token, &json!({})).await.ok::<RoomKey>();
    }
    let key: RoomKey = node.post(&keys("rotate"), owner, &json!({})).await.ok();
    let peer = json!({ "peer_user_id": grace.address().account_id });
    well(&node.post(&keys("exchange"), owner, &peer).await);
    well(&node.delete(&keys(&key.key_id.to_string()), owner).await);
    well(&ada.person.claim(&node, grace.address()).await);
    well(&node.post(&path("leave"), guest, &json!({})).await);
    admit(&node, room, &ada.person, &grace.person).await;
    well(&node.delete(&member, owner).await);
    well(&node.delete(&format!("/api/rooms/{room}"), owner).await);
    let item = vault::path(1);
    well(&vault::put(&node, ada.person.token(), &item, vault::NEW, &vault::body(1, "sealed")).await);
    let deleted = format!("{item}?revision=2&head={}", vault::head(2));
    let deletion = node.request(reqwest::Method::DELETE, &deleted).bearer_auth(ada.person.token().expose());
    well(&Answer::of(deletion.header("if-match", "\"1\"")).await);
    well(&node.post("/api/auth/sign-out", guest, &json!({})).await);
    well(&node.post("/api/auth/sign-out-everywhere", owner, &json!({})).await);
    node.stop().await;

    let text = lines.text();
    let [ada, grace, of_room] =
        [ada.address().account_id.to_string(), grace.address().account_id.to_string(), room.to_string()];
    let told = |event: &str, id: &str| {
        let line = text.lines().find(|line| line.contains(" audit: ") && line.contains(event) && line.contains(id));
        line.unwrap_or_else(|| panic!("no {event} of {id}"))
    };
    for event in [
        "room_created",
        "invitation_made",
        "invitation_revoked",
        "role_given",
        "room_key_generated",
        "room_key_rotated",
        "room_keys_exchanged",
        "room_key_revoked",
        "member_removed",
        "room_closed",
    ] {
        assert!(told(event, &of_room).contains(&ada), "{event}");
    }
    for event in ["room_joined", "room_left"] {
        assert!(told(event, &of_room).contains(&grace), "{event}");
    }
    for (event, id) in [
        ("vault_item_put", &ada),
        ("vault_item_deleted", &ada),
        ("signed_out_everywhere", &ada),
        ("signed_out", &grace),
        ("bundle_claimed", &grace),
    ] {
        told(event, id);
    }
    assert!(!told("room_keys_exchanged", &of_room).contains(&grace));
    assert!(!told("bundle_claimed", &grace).contains(&ada));
}

/// All that the node and its libraries log in this process: its own parts from trace, others from debug. Those
/// of the test's HTTP client are not the node's.
fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let filter =
            EnvFilter::new("debug,conclave=trace,http=trace,audit=trace,node=trace,hyper_util=off,reqwest=off");
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(lines.clone()).init();
        lines
    })
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
