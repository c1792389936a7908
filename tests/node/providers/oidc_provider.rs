//! Sign-in at a real OpenID provider, which runs in a process of its own (`tests/peers/oidc-provider`).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use conclave::wire::{ErrorCode, FlowStarted, Providers, SessionTokens};
use serde_json::json;

use super::browser::Browser;
use super::{parameter, use_issuer};
use crate::server::{Answer, Api, TestNode};

/// The provider's process. It ends with its standard input.
pub(super) struct OidcProvider {
    process: Child,
    pub(super) url: String,
}

impl OidcProvider {
    pub(super) fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// Starts it with what else `change` sets.
    pub(super) fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/oidc-provider");
        assert!(folder.join("node_modules").exists(), "the provider is not installed: run scripts/install-test-tools");
        let mut command = Command::new("node");
        command
            .arg("server.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        change(&mut command);
        let mut process = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim().to_owned() }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.url.split_once("://").unwrap().1.parse().unwrap()
    }

    async fn rotate_keys(&self) {
        let answer = Answer::of(reqwest::Client::new().post(format!("{}/test/rotate", self.url))).await;
        assert_eq!(answer.status, 200);
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) async fn start() -> (OidcProvider, TestNode) {
    let provider = OidcProvider::start();
    let node = TestNode::start_beside(|settings| use_issuer(settings, &provider.url)).await;
    (provider, node)
}

/// The provider's address for somebody who signs in under a name.
pub(super) fn as_user(authorization_url: &str, name: &str) -> String {
    format!("{authorization_url}&login_hint={name}")
}

async fn come_back(node: &TestNode, authorization_url: &str) -> String {
    come_back_by(node, &mut Browser::default(), "openid", authorization_url).await
}

/// What comes back to whoever began: through the provider, and through the node's callback.
pub(super) async fn come_back_by(node: &Api, browser: &mut Browser, name: &str, authorization_url: &str) -> String {
    let callback = browser.sign_in(authorization_url, &node.url).await;
    assert!(callback.starts_with(&format!("{}/auth/{name}/callback?", node.url)), "{callback}");
    let sent_on = browser.open(&callback).await;
    assert_eq!(sent_on.status, 303, "{}", sent_on.body);
    sent_on.header("location").to_owned()
}

pub(super) async fn complete(node: &Api, location: &str) -> Answer {
    let [code, state, iss] = ["code", "state", "iss"].map(|name| parameter(location, name));
    node.post("/api/auth/flows/complete", None, &json!({ "code": code, "state": state, "iss": iss })).await
}

async fn sign_in(node: &TestNode, name: &str) -> Answer {
    let flow = node.start_flow_at("openid").await;
    let location = come_back(node, &as_user(flow.authorization_url.expose(), name)).await;
    assert_eq!(parameter(&location, "state"), flow.state.expose());
    complete(node, &location).await
}

#[actix_web::test]
async fn somebody_signs_in_and_is_the_same_account_each_time() {
    let (_provider, node) = start().await;
    let providers: Providers = node.get("/api/auth/providers", None).await.ok();
    assert!(providers.providers.iter().any(|provider| provider.name == "openid"));

    let first: SessionTokens = sign_in(&node, "ada").await.ok();
    let again: SessionTokens = sign_in(&node, "ada").await.ok();
    let other: SessionTokens = sign_in(&node, "grace").await.ok();

    assert!(node.accepts(&first.access_token).await);
    assert_eq!(again.account_id, first.account_id);
    assert_ne!(other.account_id, first.account_id);
    // A name at one provider is not the name at another.
    assert_ne!(node.sign_in("ada").await.account_id, first.account_id);
    node.stop().await;
}

#[actix_web::test]
async fn request_has_pkce_by_s256_nonce_and_the_registered_address() {
    let (_provider, node) = start().await;

    let flow = node.start_flow_at("openid").await;

    let url = flow.authorization_url.expose();
    let parameters = ["response_type", "client_id", "scope", "code_challenge_method"].map(|name| parameter(url, name));
    assert_eq!(parameters, ["code", "conclave", "openid", "S256"]);
    assert_eq!(parameter(url, "redirect_uri"), format!("{}/auth/openid/callback", node.url));
    assert_eq!(parameter(url, "state"), flow.state.expose());
    assert_eq!((parameter(url, "nonce").len(), parameter(url, "code_challenge").len()), (43, 43));
    node.stop().await;
}

#[actix_web::test]
async fn browser_is_sent_on_to_where_the_client_listens() {
    let (_provider, node) = start().await;
    let body = json!({ "provider": "openid", "redirect_uri": "http://127.0.0.1:9/done" });
    let flow: FlowStarted = node.post("/api/auth/flows", None, &body).await.ok();

    let location = come_back(&node, &as_user(flow.authorization_url.expose(), "ada")).await;

    assert!(location.starts_with("http://127.0.0.1:9/done?code="), "{location}");
    complete(&node, &location).await.ok::<SessionTokens>();
    node.stop().await;
}

#[actix_web::test]
async fn who_refuses_at_the_provider_is_sent_on_without_a_code() {
    let (_provider, node) = start().await;
    let flow = node.start_flow_at("openid").await;

    let location = come_back(&node, &as_user(flow.authorization_url.expose(), "nobody")).await;

    assert_eq!(parameter(&location, "error"), "access_denied");
    let page = Browser::default().open(&location).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("gave no code"), "{}", page.body);
    node.stop().await;
}

#[actix_web::test]
async fn keys_that_the_provider_changes_are_fetched_anew() {
    let (provider, node) = start().await;
    sign_in(&node, "ada").await.ok::<SessionTokens>();
    provider.rotate_keys().await;

    // Not at once: whoever sends tokens with unknown keys does not make the node ask for them each time.
    sign_in(&node, "ada").await.refused(400, ErrorCode::CodeRefused);
    node.clock.advance(Duration::from_secs(10));
    sign_in(&node, "ada").await.ok::<SessionTokens>();
    node.stop().await;
}

#[actix_web::test]
async fn pkce_cannot_be_downgraded_or_taken_out_on_the_way() {
    let (_provider, node) = start().await;
    let flow = node.start_flow_at("openid").await;
    let url = as_user(flow.authorization_url.expose(), "ada");
    let challenge = parameter(&url, "code_challenge");

    for altered in [
        url.replace("code_challenge_method=S256", "code_challenge_method=plain"),
        url.replace("&code_challenge_method=S256", "").replace(&format!("&code_challenge={challenge}"), ""),
    ] {
        let callback = Browser::default().sign_in(&altered, &node.url).await;
        assert_eq!(parameter(&callback, "error"), "invalid_request");
    }
    // Another challenge gives a code that the node's verifier does not open.
    let other = node.start_flow_at("openid").await;
    let altered = url.replace(&challenge, &parameter(other.authorization_url.expose(), "code_challenge"));
    let location = come_back(&node, &altered).await;
    complete(&node, &location).await.refused(400, ErrorCode::CodeRefused);
    node.stop().await;
}

#[actix_web::test]
async fn token_with_another_nonce_is_refused() {
    let (_provider, node) = start().await;
    let (flow, other) = (node.start_flow_at("openid").await, node.start_flow_at("openid").await);
    let url = as_user(flow.authorization_url.expose(), "ada");

    let altered = url.replace(&parameter(&url, "nonce"), &parameter(other.authorization_url.expose(), "nonce"));
    let location = come_back(&node, &altered).await;

    complete(&node, &location).await.refused(400, ErrorCode::CodeRefused);
    node.stop().await;
}

#[actix_web::test]
async fn replayed_state_code_of_another_flow_and_of_another_client_are_refused() {
    let (_provider, node) = start().await;
    let (one, other) = (node.start_flow_at("openid").await, node.start_flow_at("openid").await);
    let one = come_back(&node, &as_user(one.authorization_url.expose(), "ada")).await;
    let other = come_back(&node, &as_user(other.authorization_url.expose(), "mallory")).await;

    let mixed = one.replace(&parameter(&one, "state"), &parameter(&other, "state"));
    complete(&node, &mixed).await.refused(400, ErrorCode::CodeRefused);
    // The provider saw the code used with the wrong verifier, and the other state is spent.
    complete(&node, &other).await.refused(400, ErrorCode::FlowRefused);

    let location = {
        let flow = node.start_flow_at("openid").await;
        come_back(&node, &as_user(flow.authorization_url.expose(), "ada")).await
    };
    complete(&node, &location).await.ok::<SessionTokens>();
    complete(&node, &location).await.refused(400, ErrorCode::FlowRefused);

    let flow = node.start_flow_at("openid").await;
    let foreign = as_user(flow.authorization_url.expose(), "ada").replace("client_id=conclave", "client_id=another");
    let location = come_back(&node, &foreign).await;
    complete(&node, &location).await.refused(400, ErrorCode::CodeRefused);
    node.stop().await;
}

#[actix_web::test]
async fn answer_that_names_another_issuer_or_none_is_refused() {
    let (_provider, node) = start().await;
    for iss in [json!("http://127.0.0.1:1"), json!(null)] {
        let flow = node.start_flow_at("openid").await;
        let location = come_back(&node, &as_user(flow.authorization_url.expose(), "ada")).await;
        let [code, state] = ["code", "state"].map(|name| parameter(&location, name));
        let mut body = json!({ "code": code, "state": state, "iss": iss });
        if iss.is_null() {
            body.as_object_mut().unwrap().remove("iss");
        }
        node.post("/api/auth/flows/complete", None, &body).await.refused(400, ErrorCode::CodeRefused);
    }
    node.stop().await;
}

#[actix_web::test]
async fn id_token_that_is_too_old_for_the_nodes_clock_is_refused() {
    let provider = OidcProvider::start();
    let node = TestNode::start_beside(|settings| use_issuer(settings, &provider.url)).await;
    let flow = node.start_flow_at("openid").await;
    let location = come_back(&node, &as_user(flow.authorization_url.expose(), "ada")).await;

    // It is good for a minute, and clocks may differ by another.
    node.clock.advance(Duration::from_secs(125));

    complete(&node, &location).await.refused(400, ErrorCode::CodeRefused);
    node.stop().await;
}

/// The node sends nobody on who comes with a state that is not under way, or from another provider.
#[actix_web::test]
async fn callback_takes_states_of_its_own_provider_alone() {
    let (_provider, node) = start().await;
    let (own, foreign) = (node.start_flow_at("openid").await, node.start_flow().await);
    let arrive = async |provider: &str, state: &str| {
        node.get(&format!("/auth/{provider}/callback?code=x&state={state}"), None).await
    };

    assert_eq!(arrive("openid", own.state.expose()).await.status, 303);
    for (provider, state) in [
        ("openid", foreign.state.expose()),
        ("github", own.state.expose()),
        ("openid", "x"),
        ("openid", &"A".repeat(43)),
    ] {
        let answer = arrive(provider, state).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, "text/html; charset=utf-8"),
            "{}",
            answer.body
        );
    }
    node.stop().await;
}
