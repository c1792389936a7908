//! An issuer that misbehaves, and ID tokens as an attacker would write them.

use std::time::Duration;

use conclave::protocol::secret::SigningSecretKey;
use conclave::wire::{ErrorCode, SessionTokens};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::played::{Played, Reply};
use super::{CLIENT_SECRET, parameter, use_issuer};
use crate::server::{Answer, START, TestNode};
use crate::support::rng;

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The issuer, with a key of its own, and a node that takes its word.
struct Story {
    issuer: Played,
    key: SigningSecretKey,
    node: TestNode,
}

impl Story {
    async fn start() -> Self {
        let (issuer, key) = (Played::start(), SigningSecretKey::generate(&mut rng(1)));
        issuer.reply(DISCOVERY, Reply::Json(discovery(&issuer.url)));
        issuer.reply("/keys", Reply::Json(json!({ "keys": [public_key(&key, "one")] })));
        let node = TestNode::start_with(|settings| use_issuer(settings, &issuer.url)).await;
        Self { issuer, key, node }
    }

    /// Claims as they should be.
    fn claims(&self, nonce: &str) -> Value {
        let now = START.as_millis() / 1_000;
        json!({
            "iss": self.issuer.url, "sub": "ada", "aud": "conclave", "nonce": nonce, "iat": now, "exp": now + 60,
        })
    }

    /// A sign-in whose ID token the test makes of the flow's nonce.
    async fn sign_in(&self, id_token: impl FnOnce(&Self, &str) -> String) -> Answer {
        let flow = self.node.start_flow_at("openid").await;
        let id_token = id_token(self, &parameter(flow.authorization_url.expose(), "nonce"));
        let tokens = json!({ "access_token": "x", "token_type": "Bearer", "id_token": id_token });
        self.issuer.reply("/token", Reply::Json(tokens));
        self.node.complete("a-code", flow.state.expose()).await
    }

    async fn sign_in_with(&self, change: impl FnOnce(&mut Value)) -> Answer {
        self.sign_in(|story, nonce| {
            let mut claims = story.claims(nonce);
            change(&mut claims);
            story.sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims)
        })
        .await
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        Self::sign_by(&self.key, header, claims)
    }

    fn sign_by(key: &SigningSecretKey, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        format!("{message}.{}", BASE64URL_NOPAD.encode(&key.sign(message.as_bytes()).0))
    }

    async fn stop(self) {
        self.node.stop().await;
        self.issuer.stop().await;
    }
}

fn discovery(url: &str) -> Value {
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
    })
}

/// The first two parts of a token: what is signed.
fn message(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes())).join(".")
}

fn public_key(key: &SigningSecretKey, id: &str) -> Value {
    let x = BASE64URL_NOPAD.encode(key.public_key().as_bytes());
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "alg": "EdDSA", "use": "sig" })
}

#[actix_web::test]
async fn token_as_it_should_be_is_taken() {
    let story = Story::start().await;

    let first: SessionTokens = story.sign_in_with(|_| ()).await.ok();

    let [exchange] = &story.issuer.calls("/token")[..] else { panic!("one exchange") };
    let credentials = data_encoding::BASE64.encode(format!("conclave:{CLIENT_SECRET}").as_bytes());
    assert_eq!(exchange.authorization, format!("Basic {credentials}"));
    assert!(exchange.body.contains("code_verifier="));
    for change in [
        |it: &mut Value| it["aud"] = json!(["conclave"]),
        |it: &mut Value| (it["aud"], it["azp"]) = (json!(["other", "conclave"]), json!("conclave")),
        |it: &mut Value| it["nbf"] = it["iat"].clone(),
        |it: &mut Value| it["exp"] = json!(START.as_millis() / 1_000 - 59),
        |it: &mut Value| it["iat"] = json!(START.as_millis() / 1_000 + 60),
        |it: &mut Value| it["email"] = json!("ada@example"),
    ] {
        assert_eq!(story.sign_in_with(change).await.ok::<SessionTokens>().account_id, first.account_id);
    }
    // A key without a name is taken where it is the only one.
    let unnamed = story.sign_in(|story, nonce| story.sign(&json!({ "alg": "EdDSA" }), &story.claims(nonce))).await;
    assert_eq!(unnamed.ok::<SessionTokens>().account_id, first.account_id);
    story.stop().await;
}

#[actix_web::test]
async fn claims_that_are_not_of_this_sign_in_are_refused() {
    let story = Story::start().await;
    let now = START.as_millis() / 1_000;
    let without = |name: &'static str| move |it: &mut Value| drop(it.as_object_mut().unwrap().remove(name));
    let with = |name: &'static str, value: Value| move |it: &mut Value| it[name] = value;

    for name in ["iss", "sub", "aud", "exp", "iat", "nonce"] {
        story.sign_in_with(without(name)).await.refused(400, ErrorCode::CodeRefused);
    }
    for (name, value) in [
        ("iss", json!("https://accounts.example")),
        ("iss", json!(format!("{}/", story.issuer.url))),
        ("iss", json!([story.issuer.url])),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("aud", json!("another")),
        ("aud", json!([])),
        ("aud", json!(["conclave", "another"])),
        ("azp", json!("another")),
        ("exp", json!(now - 60)),
        ("exp", json!("never")),
        ("exp", json!(-1)),
        ("iat", json!(now + 61)),
        ("nbf", json!(now + 61)),
        ("nonce", json!("")),
        ("nonce", json!("A".repeat(43))),
    ] {
        story.sign_in_with(with(name, value)).await.refused(400, ErrorCode::CodeRefused);
    }
    story.stop().await;
}

#[actix_web::test]
async fn signatures_that_do_not_hold_are_refused() {
    let story = Story::start().await;
    let header = |alg: &str| json!({ "alg": alg, "kid": "one" });
    let refused = async |id_token: &dyn Fn(&Story, &str) -> String| {
        story.sign_in(id_token).await.refused(400, ErrorCode::CodeRefused);
    };

    // By another key, under the name of the issuer's.
    refused(&|story, nonce| {
        Story::sign_by(&SigningSecretKey::generate(&mut rng(2)), &header("EdDSA"), &story.claims(nonce))
    })
    .await;
    // Claims that were changed afterwards.
    refused(&|story, nonce| {
        let good = story.sign(&header("EdDSA"), &story.claims(nonce));
        let mut claims = story.claims(nonce);
        claims["sub"] = json!("grace");
        let (head, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
        format!("{head}.{}.{signature}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()))
    })
    .await;
    // No signature at all, in several ways.
    for alg in ["none", "None", "NONE", ""] {
        refused(&|story, nonce| {
            let signed = story.sign(&header(alg), &story.claims(nonce));
            format!("{}.", signed.rsplit_once('.').unwrap().0)
        })
        .await;
    }
    // Algorithms that the key is not of; with HMAC the public key would be the secret.
    for alg in ["HS256", "RS256", "ES256", "PS512", "unknown"] {
        refused(&|story, nonce| story.sign(&header(alg), &story.claims(nonce))).await;
    }
    refused(&|story, nonce| hmac_by_public_key(story, &story.claims(nonce))).await;
    // A header that has to be understood.
    let critical = json!({ "alg": "EdDSA", "kid": "one", "crit": ["b64"], "b64": false });
    refused(&|story, nonce| story.sign(&critical, &story.claims(nonce))).await;
    // A key that the token brings along.
    refused(&|story, nonce| {
        let thief = SigningSecretKey::generate(&mut rng(2));
        let header = json!({ "alg": "EdDSA", "kid": "two", "jwk": public_key(&thief, "two") });
        Story::sign_by(&thief, &header, &story.claims(nonce))
    })
    .await;
    for garbled in ["", "x", "a.b.c", "a.b.c.d", "..", &"A".repeat(40_000)] {
        refused(&|_, _| garbled.to_owned()).await;
    }
    story.stop().await;
}

fn hmac_by_public_key(story: &Story, claims: &Value) -> String {
    use hmac::{Hmac, KeyInit, Mac};

    let header = json!({ "alg": "HS256", "kid": "one" });
    let message = message(&header, claims);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(story.key.public_key().as_bytes()).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()))
}

#[actix_web::test]
async fn keys_for_other_uses_check_no_signature() {
    let story = Story::start().await;
    let changes: [fn(&mut Value); 5] = [
        |it| it["use"] = json!("enc"),
        |it| it["key_ops"] = json!(["encrypt"]),
        |it| it["alg"] = json!("RS256"),
        |it| it["crv"] = json!("X25519"),
        |it| it["kty"] = json!("oct"),
    ];
    for change in changes {
        let mut key = public_key(&story.key, "one");
        change(&mut key);
        story.issuer.reply("/keys", Reply::Json(json!({ "keys": [key] })));
        story.node.clock.advance(Duration::from_secs(600));
        story.sign_in_with(|it| it["exp"] = json!(START.as_millis())).await.refused(400, ErrorCode::CodeRefused);
    }
    // One that is not understood does not spoil the others.
    let keys = json!({ "keys": [{ "kty": "lattice" }, 1, public_key(&story.key, "one")] });
    story.issuer.reply("/keys", Reply::Json(keys));
    story.node.clock.advance(Duration::from_secs(600));
    story.sign_in_with(|it| it["exp"] = json!(START.as_millis())).await.ok::<SessionTokens>();
    story.stop().await;
}

#[actix_web::test]
async fn unknown_keys_make_the_node_ask_once_in_a_while() {
    let story = Story::start().await;
    let unknown =
        |story: &Story, nonce: &str| story.sign(&json!({ "alg": "EdDSA", "kid": "new" }), &story.claims(nonce));
    for _ in 0..5 {
        story.sign_in(unknown).await.refused(400, ErrorCode::CodeRefused);
    }
    assert_eq!(story.issuer.calls("/keys").len(), 1);

    story.issuer.reply("/keys", Reply::Json(json!({ "keys": [public_key(&story.key, "new")] })));
    story.node.clock.advance(Duration::from_secs(10));
    story.sign_in(unknown).await.ok::<SessionTokens>();

    assert_eq!((story.issuer.calls("/keys").len(), story.issuer.calls(DISCOVERY).len()), (2, 1));
    story.stop().await;
}

#[actix_web::test]
async fn discovery_that_is_not_the_issuers_is_refused() {
    let issuer = Played::start();
    let good = discovery(&issuer.url);
    let changed = |name: &str, value: Value| {
        let mut document = good.clone();
        document[name] = value;
        Reply::Json(document)
    };
    for reply in [
        changed("issuer", json!("https://accounts.example")),
        changed("issuer", json!(format!("{}/", issuer.url))),
        changed("token_endpoint", json!("http://198.51.100.1/token")),
        changed("jwks_uri", json!("file:///etc/passwd")),
        changed("code_challenge_methods_supported", json!(["plain"])),
        Reply::Json(json!([])),
        Reply::Status(500, good.clone()),
        Reply::Redirect(format!("{}/elsewhere", issuer.url)),
        Reply::Bytes(300_000),
    ] {
        issuer.reply(DISCOVERY, reply);
        issuer.reply("/elsewhere", Reply::Json(good.clone()));
        let node = TestNode::start_with(|settings| use_issuer(settings, &issuer.url)).await;
        let answer = node.post("/api/auth/flows", None, &json!({ "provider": "openid" })).await;
        answer.refused(503, ErrorCode::ProviderUnavailable);
        assert_eq!(answer.header("retry-after"), "10");
        node.stop().await;
    }
    assert!(issuer.calls("/elsewhere").is_empty());
    issuer.stop().await;
}

#[actix_web::test]
async fn issuer_that_is_down_is_asked_again_later_and_others_go_on() {
    let issuer = Played::start();
    let node = TestNode::start_with(|settings| use_issuer(settings, &issuer.url)).await;
    let start = async || node.post("/api/auth/flows", None, &json!({ "provider": "openid" })).await;

    start().await.refused(503, ErrorCode::ProviderUnavailable);
    issuer.reply(DISCOVERY, Reply::Json(discovery(&issuer.url)));
    start().await.refused(503, ErrorCode::ProviderUnavailable);
    assert_eq!(issuer.calls(DISCOVERY).len(), 1);
    node.sign_in("ada").await;

    node.clock.advance(Duration::from_secs(10));
    assert_eq!(start().await.status, 200);
    node.stop().await;
    issuer.stop().await;
}

#[actix_web::test]
async fn exchange_that_goes_wrong_signs_nobody_in() {
    let story = Story::start().await;
    for (reply, status, code) in [
        (Reply::Status(400, json!({ "error": "invalid_grant" })), 400, ErrorCode::CodeRefused),
        (Reply::Status(401, json!({ "error": "invalid_client" })), 400, ErrorCode::CodeRefused),
        (Reply::Json(json!({ "access_token": "x", "token_type": "Bearer" })), 503, ErrorCode::ProviderUnavailable),
        (Reply::Status(500, json!("x")), 503, ErrorCode::ProviderUnavailable),
        (Reply::Redirect(format!("{}/keys", story.issuer.url)), 503, ErrorCode::ProviderUnavailable),
        (Reply::Bytes(300_000), 503, ErrorCode::ProviderUnavailable),
    ] {
        let flow = story.node.start_flow_at("openid").await;
        story.issuer.reply("/token", reply);
        story.node.complete("a-code", flow.state.expose()).await.refused(status, code);
        // It is spent all the same.
        story.node.complete("a-code", flow.state.expose()).await.refused(400, ErrorCode::FlowRefused);
    }
    story.stop().await;
}
