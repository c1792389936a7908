//! Credentials for a TURN server.

use std::time::Duration;

use conclave::wire::{ErrorCode, Timestamp, TurnCredentials};

use crate::config::load;
use crate::server::{START, TestNode};

const TURN: &str =
    "[turn]\nurls = [\"turn:turn.example:3478?transport=udp\"]\nsecret = \"canary-north\"\nttl_seconds = 600";

#[actix_web::test]
async fn credentials_are_new_for_every_call_short_lived_and_say_nothing_of_the_account() {
    let node = TestNode::start_with(|settings| settings.turn = load(TURN, &[]).unwrap().turn).await;
    let ada = node.sign_in("ada").await;
    node.clock.advance(Duration::from_millis(999));

    let one = node.get("/api/turn", Some(&ada.access_token)).await;
    let credentials: TurnCredentials = one.ok();
    let other: TurnCredentials = node.get("/api/turn", Some(&ada.access_token)).await.ok();

    assert_eq!(credentials.urls, ["turn:turn.example:3478?transport=udp"]);
    let (expiry, random) = credentials.username.split_once(':').unwrap();
    assert_eq!((expiry, random.len()), ("1800000600", 16));
    assert_eq!(credentials.expires_at, Timestamp::from_millis(1_800_000_600_000));
    assert_eq!(credentials.credential.expose().len(), 28);
    assert_ne!(credentials.username, other.username);
    assert_ne!(credentials.credential, other.credential);
    assert!(credentials.expires_at > START && !one.body.contains(&ada.account_id.to_string()));
    assert!(!one.body.contains("canary") && !format!("{:?}", node.node).contains("canary"));
    node.get("/api/turn", None).await.refused(401, ErrorCode::TokenMissing);
    node.stop().await;
}

#[actix_web::test]
async fn node_without_a_server_says_so() {
    let node = TestNode::start().await;
    let ada = node.sign_in("ada").await;
    node.get("/api/turn", Some(&ada.access_token)).await.refused(404, ErrorCode::TurnNotConfigured);
    node.stop().await;
}

#[test]
fn settings_of_a_server_go_together() {
    for (text, expected) in [
        ("[turn]\nurls = [\"turn:x\"]", "DIR/node.toml: turn.urls: the server takes credentials by a secret"),
        ("[turn]\nurls = [\"https://x\"]", "DIR/node.toml: turn.urls: "),
        ("[turn]\nurls = [\"turn:\"]", "DIR/node.toml: turn.urls: "),
        ("[turn]\nurls = [\"turn://x\"]", "DIR/node.toml: turn.urls: "),
        ("[turn]\nttl_seconds = 59", "DIR/node.toml: turn.ttl_seconds: 59 is not from 60 to 86400"),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    let urls = ("CONCLAVE__TURN__URLS", "turn:one:3478,turns:two:5349");
    let settings = load("", &[urls, ("CONCLAVE__TURN__SECRET", "canary")]).unwrap();
    assert_eq!(settings.turn.urls.len(), 2);
    assert!(!settings.to_toml().contains("canary") && !format!("{settings:?}").contains("canary"));
}
