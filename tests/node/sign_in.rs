//! Sign-in by the built-in provider, and the sessions that follow: what works, and what an outsider tries.

use std::time::Duration;

use conclave::node::config::{Bounded, WebAddress};
use conclave::wire::{ErrorCode, FlowStarted, Providers, SecretText, SessionTokens, Sessions, SignedOut};
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, TestNode};

const HOUR: Duration = Duration::from_secs(3_600);

#[actix_web::test]
async fn two_calls_sign_somebody_in() {
    let node = TestNode::start().await;
    let providers: Providers = node.get("/api/auth/providers", None).await.ok();
    assert_eq!(providers.providers.iter().map(|provider| provider.name.as_str()).collect::<Vec<_>>(), ["development"]);

    let flow = node.start_flow().await;
    let page = Answer::of(reqwest::Client::new().get(flow.authorization_url.expose())).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.body.contains("<label for=\"name\">") && page.body.contains("<html lang=\"en\">"));
    let (code, state) = node.authorize(flow.authorization_url.expose(), "ada").await;
    let tokens: SessionTokens = node.complete(&code, &state).await.ok();

    assert_eq!(tokens.access_expires_at, node.clock.now().plus(Duration::from_secs(900)));
    let sessions: Sessions = node.get("/api/auth/sessions", Some(&tokens.access_token)).await.ok();
    let [session] = sessions.sessions.as_slice() else { panic!("{sessions:?}") };
    assert_eq!((session.session_id, session.is_this, session.device_id), (tokens.session_id, true, None));
    node.stop().await;
}

#[actix_web::test]
async fn one_name_is_one_account_also_after_a_restart() {
    let node = TestNode::start().await;
    let (first, other) = (node.sign_in("ada").await, node.sign_in("grace").await);

    let node = node.restart().await;

    assert!(node.accepts(&first.access_token).await);
    let again = node.sign_in("ada").await;
    assert_eq!(again.account_id, first.account_id);
    assert_ne!(again.session_id, first.session_id);
    assert_ne!(other.account_id, first.account_id);
    node.stop().await;
}

#[actix_web::test]
async fn forged_replayed_and_expired_states_are_refused() {
    let node = TestNode::start().await;
    let flow = node.start_flow().await;
    let (code, state) = node.authorize(flow.authorization_url.expose(), "ada").await;

    for forged in ["", "x", "state", &"A".repeat(43), &"A".repeat(1_000)] {
        node.complete(&code, forged).await.refused(400, ErrorCode::FlowRefused);
    }
    node.complete(&code, &state).await.ok::<SessionTokens>();
    node.complete(&code, &state).await.refused(400, ErrorCode::FlowRefused);

    let flow = node.start_flow().await;
    node.clock.advance(Duration::from_secs(590));
    let (code, state) = node.authorize(flow.authorization_url.expose(), "ada").await;
    node.clock.advance(Duration::from_secs(10));
    node.complete(&code, &state).await.refused(400, ErrorCode::FlowRefused);
    node.stop().await;
}

#[actix_web::test]
async fn code_of_one_sign_in_does_not_complete_another() {
    let node = TestNode::start().await;
    let (one, other) = (node.start_flow().await, node.start_flow().await);
    let (stolen, _) = node.authorize(one.authorization_url.expose(), "ada").await;
    let (_, state) = node.authorize(other.authorization_url.expose(), "mallory").await;

    node.complete(&stolen, &state).await.refused(400, ErrorCode::CodeRefused);

    // Both are spent with it.
    node.complete(&stolen, one.state.expose()).await.refused(400, ErrorCode::CodeRefused);
    node.complete(&stolen, &state).await.refused(400, ErrorCode::FlowRefused);
    node.stop().await;
}

#[actix_web::test]
async fn codes_that_are_forged_or_late_are_refused() {
    let node = TestNode::start().await;
    for forged in ["", "code", &"A".repeat(43)] {
        let flow = node.start_flow().await;
        node.complete(forged, flow.state.expose()).await.refused(400, ErrorCode::CodeRefused);
    }

    let flow = node.start_flow().await;
    let (code, state) = node.authorize(flow.authorization_url.expose(), "ada").await;
    node.clock.advance(Duration::from_secs(60));

    node.complete(&code, &state).await.refused(400, ErrorCode::CodeRefused);
    node.stop().await;
}

#[actix_web::test]
async fn pkce_cannot_be_left_out_or_downgraded() {
    let node = TestNode::start().await;
    let url = node.start_flow().await.authorization_url.expose().to_owned();
    let challenge = parameter(&url, "code_challenge");
    let altered = [
        url.replace("code_challenge_method=S256", "code_challenge_method=plain"),
        url.replace("&code_challenge_method=S256", ""),
        url.replace(&format!("&code_challenge={challenge}"), ""),
        url.replace(&challenge, "short"),
        url.replace("response_type=code", "response_type=token"),
        url.replace("client_id=conclave", "client_id=other"),
        format!("{url}&prompt=none"),
    ];

    for url in altered {
        node.give_name(&url, "ada").await.refused(400, ErrorCode::MalformedRequest);
        Answer::of(reqwest::Client::new().get(&url)).await.refused(400, ErrorCode::MalformedRequest);
    }
    node.stop().await;
}

/// Somebody who changes the authorization request on its way gets a code that the node does not take.
#[actix_web::test]
async fn code_for_an_altered_request_is_refused() {
    let node = TestNode::start().await;
    let other = node.start_flow().await.authorization_url.expose().to_owned();
    for part in ["code_challenge", "nonce"] {
        let flow = node.start_flow().await;
        let url = flow.authorization_url.expose();
        let url = url.replace(&parameter(url, part), &parameter(&other, part));
        let (code, state) = node.authorize(&url, "ada").await;
        node.complete(&code, &state).await.refused(400, ErrorCode::CodeRefused);
    }

    let flow = node.start_flow().await;
    let url = flow.authorization_url.expose();
    let url = url.replace(&parameter(url, "redirect_uri"), "http%3A%2F%2F127.0.0.1%3A1%2Felsewhere");
    let (code, state) = node.authorize(&url, "ada").await;
    node.complete(&code, &state).await.refused(400, ErrorCode::CodeRefused);
    node.stop().await;
}

#[actix_web::test]
async fn browsers_are_sent_to_loopback_and_named_addresses_alone() {
    let named = WebAddress::parse("https://app.example/signed-in").unwrap();
    let node = TestNode::start_with(|settings| settings.sign_in.redirect_urls = vec![named]).await;
    let start = async |redirect_uri: &str| {
        let body = json!({ "provider": "development", "redirect_uri": redirect_uri });
        node.post("/api/auth/flows", None, &body).await
    };

    for allowed in ["https://app.example/signed-in", "http://127.0.0.1:9/done"] {
        let flow: FlowStarted = start(allowed).await.ok();
        let answer = node.give_name(flow.authorization_url.expose(), "ada").await;
        let (code, state) = answer.redirected();
        assert!(answer.header("location").starts_with(&format!("{allowed}?code=")));
        node.complete(&code, &state).await.ok::<SessionTokens>();
    }
    for foreign in ["https://evil.example/", "https://app.example/", "//evil.example", "javascript:1", ""] {
        start(foreign).await.refused(400, ErrorCode::RedirectRefused);
    }
    let url = node.start_flow().await.authorization_url.expose().to_owned();
    let url = url.replace(&parameter(&url, "redirect_uri"), "https%3A%2F%2Fevil.example%2F");
    node.give_name(&url, "ada").await.refused(400, ErrorCode::RedirectRefused);
    node.stop().await;
}

#[actix_web::test]
async fn unknown_providers_are_refused() {
    let node = TestNode::start().await;
    for provider in ["github", "google", "", "Development"] {
        let answer = node.post("/api/auth/flows", None, &json!({ "provider": provider })).await;
        answer.refused(400, ErrorCode::UnknownProvider);
    }
    node.stop().await;
}

#[actix_web::test]
async fn node_without_the_development_provider_signs_nobody_in() {
    let node = TestNode::start_with(|settings| settings.sign_in.development = false).await;

    let providers: Providers = node.get("/api/auth/providers", None).await.ok();
    assert!(providers.providers.is_empty());
    let answer = node.post("/api/auth/flows", None, &json!({ "provider": "development" })).await;
    answer.refused(400, ErrorCode::UnknownProvider);
    node.get("/development/authorize", None).await.refused(404, ErrorCode::NotFound);
    node.stop().await;
}

#[actix_web::test]
async fn development_page_exists_under_loopback_names_alone() {
    let node = TestNode::start().await;
    let url = node.start_flow().await.authorization_url.expose().to_owned();
    for (host, status) in
        [("evil.example", 404), ("127.0.0.1.evil.example:80", 404), ("localhost:1", 200), ("[::1]", 200)]
    {
        let answer = Answer::of(reqwest::Client::new().get(&url).header("host", host)).await;
        assert_eq!(answer.status, status, "{host}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn names_that_are_none_are_asked_for_again() {
    let node = TestNode::start().await;
    let url = node.start_flow().await.authorization_url.expose().to_owned();

    for name in ["", "Ada", "%3Cscript%3E", "a%20b", &"x".repeat(65)] {
        let answer = node.give_name(&url, name).await;
        assert_eq!(answer.status, 422, "{name}");
        assert!(answer.body.contains("role=\"alert\"") && !answer.body.contains("<script>"));
    }
    node.give_name(&url, "ada&admin=true").await.refused(400, ErrorCode::MalformedRequest);
    node.authorize(&url, "ada").await;
    node.stop().await;
}

#[actix_web::test]
async fn page_that_shows_the_code_shows_it_as_text() {
    let node = TestNode::start().await;

    let answer = node.get("/auth/callback?code=%3Cscript%3Ealert(1)%3C/script%3E&state=%22%27", None).await;

    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !answer.body.contains("<script"));
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!((answer.header("referrer-policy"), answer.header("cache-control")), ("no-referrer", "no-store"));
    node.stop().await;
}

#[actix_web::test]
async fn refresh_gives_a_new_pair_and_ends_the_old() {
    let node = TestNode::start().await;
    let old = node.sign_in("ada").await;

    node.clock.advance(Duration::from_secs(60));
    let new: SessionTokens = node.refresh(&old.refresh_token).await.ok();

    assert_eq!((new.session_id, new.account_id), (old.session_id, old.account_id));
    assert!(new.access_expires_at > old.access_expires_at);
    assert!(!node.accepts(&old.access_token).await);
    assert!(node.accepts(&new.access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn refresh_token_used_twice_ends_the_session() {
    let node = TestNode::start().await;
    let stolen = node.sign_in("ada").await;
    let elsewhere = node.sign_in("ada").await;
    let newest: SessionTokens = node.refresh(&stolen.refresh_token).await.ok();
    let newest: SessionTokens = node.refresh(&newest.refresh_token).await.ok();

    node.refresh(&stolen.refresh_token).await.refused(401, ErrorCode::RefreshReused);

    assert!(!node.accepts(&newest.access_token).await);
    node.refresh(&newest.refresh_token).await.refused(401, ErrorCode::RefreshRefused);
    assert!(node.accepts(&elsewhere.access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn of_two_refreshes_at_once_one_is_good_and_the_session_ends() {
    let node = TestNode::start().await;
    let tokens = node.sign_in("ada").await;

    let (one, other) = tokio::join!(node.refresh(&tokens.refresh_token), node.refresh(&tokens.refresh_token));

    let (good, bad) = if one.status == 200 { (one, other) } else { (other, one) };
    bad.refused(401, ErrorCode::RefreshReused);
    assert!(!node.accepts(&good.ok::<SessionTokens>().access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn forged_refresh_tokens_are_refused() {
    let node = TestNode::start().await;
    let tokens = node.sign_in("ada").await;
    for forged in ["", "x", &"A".repeat(43), tokens.access_token.expose()] {
        let forged = SecretText::new(forged.to_owned());
        node.refresh(&forged).await.refused(401, ErrorCode::RefreshRefused);
    }
    assert!(node.accepts(&tokens.access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn access_ends_in_time_and_a_refresh_renews_it() {
    let node = TestNode::start().await;
    let tokens = node.sign_in("ada").await;

    node.clock.advance(Duration::from_secs(899));
    assert!(node.accepts(&tokens.access_token).await);
    node.clock.advance(Duration::from_secs(1));
    assert!(!node.accepts(&tokens.access_token).await);

    let tokens: SessionTokens = node.refresh(&tokens.refresh_token).await.ok();
    assert!(node.accepts(&tokens.access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn idle_sessions_end_and_so_do_old_ones() {
    let node = TestNode::start_with(|settings| {
        settings.sign_in.idle_hours_max = Bounded::of::<2>();
        settings.sign_in.session_hours_max = Bounded::of::<5>();
    })
    .await;
    let (idle, mut used) = (node.sign_in("ada").await, node.sign_in("ada").await);

    for _ in 0..3 {
        node.clock.advance(HOUR * 3 / 2);
        used = node.refresh(&used.refresh_token).await.ok();
    }
    node.refresh(&idle.refresh_token).await.refused(401, ErrorCode::RefreshRefused);
    node.clock.advance(HOUR / 2);

    node.refresh(&used.refresh_token).await.refused(401, ErrorCode::RefreshRefused);
    assert!(!node.accepts(&used.access_token).await);
    node.stop().await;
}

/// The last access token before a session's end does not outlive it.
#[actix_web::test]
async fn no_access_token_outlives_its_session() {
    let node = TestNode::start_with(|settings| settings.sign_in.session_hours_max = Bounded::of::<1>()).await;
    let tokens = node.sign_in("ada").await;
    node.clock.advance(Duration::from_secs(59 * 60));

    let last: SessionTokens = node.refresh(&tokens.refresh_token).await.ok();

    assert_eq!(last.access_expires_at, node.clock.now().plus(Duration::from_secs(60)));
    assert_eq!((last.refresh_expires_at, tokens.refresh_expires_at), (last.access_expires_at, last.access_expires_at));
    node.clock.advance(Duration::from_secs(60));
    assert!(!node.accepts(&last.access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn sign_out_here_and_everywhere() {
    let node = TestNode::start().await;
    let [here, there, third] = [node.sign_in("ada").await, node.sign_in("ada").await, node.sign_in("ada").await];
    let stranger = node.sign_in("grace").await;

    node.post("/api/auth/sign-out", Some(&here.access_token), &json!({})).await.done();
    assert!(!node.accepts(&here.access_token).await);
    node.refresh(&here.refresh_token).await.refused(401, ErrorCode::RefreshRefused);
    assert!(node.accepts(&there.access_token).await);

    let answer = node.post("/api/auth/sign-out-everywhere", Some(&there.access_token), &json!({})).await;
    assert_eq!(answer.ok::<SignedOut>().sessions_ended, 2);
    for ended in [there, third] {
        assert!(!node.accepts(&ended.access_token).await);
        node.refresh(&ended.refresh_token).await.refused(401, ErrorCode::RefreshRefused);
    }
    assert!(node.accepts(&stranger.access_token).await);
    node.stop().await;
}

#[actix_web::test]
async fn sessions_are_ended_by_their_own_account_alone() {
    let node = TestNode::start().await;
    let (one, other) = (node.sign_in("ada").await, node.sign_in("ada").await);
    let stranger = node.sign_in("grace").await;
    let end = async |token: &SecretText| {
        let path = format!("/api/auth/sessions/{}", other.session_id);
        node.send(Method::DELETE, &path, Some(token), &json!({})).await
    };

    end(&stranger.access_token).await.refused(404, ErrorCode::UnknownSession);
    assert!(node.accepts(&other.access_token).await);
    end(&one.access_token).await.done();
    assert!(!node.accepts(&other.access_token).await);
    end(&one.access_token).await.refused(404, ErrorCode::UnknownSession);
    node.stop().await;
}

#[actix_web::test]
async fn only_a_good_bearer_token_is_taken() {
    let node = TestNode::start().await;
    let tokens = node.sign_in("ada").await;
    let good = tokens.access_token.expose();

    let missing = node.get("/api/auth/sessions", None).await;
    missing.refused(401, ErrorCode::TokenMissing);
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    let refresh = tokens.refresh_token.expose();
    for value in [
        good.to_owned(),
        format!("Basic {good}"),
        format!("Bearer {refresh}"),
        format!("Bearer {good}A"),
        format!("Bearer {}", &good[1..]),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
    ] {
        let request = node.request(Method::GET, "/api/auth/sessions").header("authorization", &value);
        Answer::of(request).await.refused(401, ErrorCode::TokenRefused);
    }
    let request = node.request(Method::GET, "/api/auth/sessions").header("authorization", format!("bearer {good}"));
    assert_eq!(Answer::of(request).await.status, 200);
    node.stop().await;
}

/// A parameter of a query, as it stands there.
fn parameter(url: &str, name: &str) -> String {
    let start = url.find(&format!("&{name}=")).unwrap() + name.len() + 2;
    url[start..].split('&').next().unwrap().to_owned()
}
