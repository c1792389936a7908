//! Sign-in at GitHub, as its documents show it.

use conclave::node::config::WebAddress;
use conclave::wire::{ErrorCode, SessionTokens};
use serde_json::json;

use super::played::{Played, Reply};
use super::{CLIENT_SECRET, client_secret, parameter};
use crate::server::{Answer, TestNode};

pub(crate) const TOKEN: &str = "/login/oauth/access_token";

const USER: &str = "/api/v3/user";

pub(crate) async fn start() -> (Played, TestNode) {
    let github = Played::start();
    github.reply(TOKEN, Reply::Json(json!({ "access_token": "canary-token", "token_type": "bearer", "scope": "" })));
    github.reply(USER, Reply::Json(json!({ "login": "ada", "id": 583_231, "name": null })));
    let node = TestNode::start_with(|settings| {
        settings.github.client_id = String::from("Iv1.app");
        settings.github.client_secret = client_secret();
        settings.github.web_url = WebAddress::parse(&github.url).unwrap();
        settings.github.api_url = WebAddress::parse(&format!("{}/api/v3", github.url)).unwrap();
    })
    .await;
    (github, node)
}

pub(crate) async fn sign_in(node: &TestNode) -> Answer {
    let flow = node.start_flow_at("github").await;
    node.complete("canary-code", flow.state.expose()).await
}

#[actix_web::test]
async fn the_number_of_an_account_is_who_somebody_is() {
    let (github, node) = start().await;

    let flow = node.start_flow_at("github").await;
    let url = flow.authorization_url.expose();
    assert!(url.starts_with(&format!("{}/login/oauth/authorize?response_type=code&client_id=Iv1.app", github.url)));
    assert_eq!(parameter(url, "redirect_uri"), format!("{}/auth/github/callback", node.url));
    assert_eq!(parameter(url, "code_challenge_method"), "S256");
    let first: SessionTokens = node.complete("canary-code", flow.state.expose()).await.ok();

    let [exchange] = &github.calls(TOKEN)[..] else { panic!("one exchange") };
    assert_eq!(exchange.accept, "application/json");
    for part in ["grant_type=authorization_code", "code=canary-code", "client_id=Iv1.app", "code_verifier="] {
        assert!(exchange.body.contains(part), "{part}");
    }
    assert!(exchange.body.contains(&format!("client_secret={CLIENT_SECRET}")));
    assert_eq!(github.calls(USER)[0].authorization, "Bearer canary-token");

    // Somebody who takes another name is who they were; somebody who takes the name they left is not.
    github.reply(USER, Reply::Json(json!({ "login": "lovelace", "id": 583_231 })));
    assert_eq!(sign_in(&node).await.ok::<SessionTokens>().account_id, first.account_id);
    github.reply(USER, Reply::Json(json!({ "login": "ada", "id": 583_232 })));
    assert_ne!(sign_in(&node).await.ok::<SessionTokens>().account_id, first.account_id);
    node.stop().await;
    github.stop().await;
}

#[actix_web::test]
async fn bad_code_and_bad_answers_sign_nobody_in() {
    let (github, node) = start().await;
    for refusal in [
        Reply::Json(json!({ "error": "bad_verification_code", "error_description": "expired" })),
        Reply::Status(400, json!({ "error": "invalid_grant" })),
        Reply::Json(json!({})),
    ] {
        github.reply(TOKEN, refusal);
        sign_in(&node).await.refused(400, ErrorCode::CodeRefused);
    }
    github.reply(TOKEN, Reply::Json(json!({ "access_token": "canary-token", "token_type": "bearer" })));
    for answer in [
        Reply::Json(json!({ "login": "ada" })),
        Reply::Json(json!({ "id": "583231" })),
        Reply::Json(json!({ "id": -1 })),
        Reply::Status(401, json!({ "message": "Bad credentials" })),
        Reply::Redirect("https://evil.example/user".to_owned()),
    ] {
        github.reply(USER, answer);
        sign_in(&node).await.refused(503, ErrorCode::ProviderUnavailable);
    }
    node.stop().await;
    github.stop().await;
}

#[actix_web::test]
async fn answer_of_another_provider_is_refused() {
    let (github, node) = start().await;
    for (iss, is_taken) in [("https://login.example", false), (&*format!("{}/login/oauth", github.url), true)] {
        let flow = node.start_flow_at("github").await;
        let body = json!({ "code": "canary-code", "state": flow.state, "iss": iss });
        let answer = node.post("/api/auth/flows/complete", None, &body).await;
        if is_taken {
            answer.ok::<SessionTokens>();
        } else {
            answer.refused(400, ErrorCode::CodeRefused);
        }
    }
    assert_eq!(github.calls(TOKEN).len(), 1);
    node.stop().await;
    github.stop().await;
}
