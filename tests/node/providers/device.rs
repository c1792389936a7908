//! Devices without a browser: somebody signs them in by a code that they type.

use std::time::Duration;

use conclave::node::store::limits::USER_CODE_ENTRIES_MAX;
use conclave::wire::{DeviceStarted, ErrorCode, SecretText, SessionTokens};
use serde_json::json;

use super::browser::Browser;
use super::oidc_provider::{self, as_user};
use crate::server::{Answer, Api, TestNode};

pub(crate) async fn start_device(node: &Api, provider: &str) -> DeviceStarted {
    node.post("/api/auth/device", None, &json!({ "provider": provider })).await.ok()
}

/// The device asks, as late as it may.
async fn ask(node: &TestNode, device: &DeviceStarted) -> Answer {
    node.clock.advance(Duration::from_secs(device.interval));
    ask_now(node, &device.device_code).await
}

pub(crate) async fn ask_now(node: &Api, device_code: &SecretText) -> Answer {
    node.post("/api/auth/device/token", None, &json!({ "device_code": device_code })).await
}

/// Opens the page and types the code: where the browser goes to sign in.
pub(crate) async fn type_code(node: &Api, browser: &mut Browser, user_code: &SecretText) -> String {
    let page = browser.open(&format!("{}/device", node.url)).await;
    assert_eq!(page.status, 200);
    let answer = browser.submit(&format!("{}/device", node.url), "user_code", user_code.expose()).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.header("location").to_owned()
}

/// Gives the development provider a name, and comes back.
pub(crate) async fn give_name(browser: &mut Browser, authorization_url: &str, name: &str) -> Answer {
    let sent_back = browser.submit(authorization_url, "name", name).await;
    browser.open(sent_back.header("location")).await
}

#[actix_web::test]
async fn device_is_signed_in_by_somebody_at_a_real_provider() {
    let (_provider, node) = oidc_provider::start().await;
    let device = start_device(&node, "openid").await;
    assert_eq!(device.verification_uri, format!("{}/device", node.url));
    assert_eq!((device.user_code.expose().len(), device.interval), (9, 5));
    ask(&node, &device).await.refused(400, ErrorCode::AuthorizationPending);

    let mut browser = Browser::default();
    let url = type_code(&node, &mut browser, &device.user_code).await;
    let callback = browser.sign_in(&as_user(&url, "ada"), &node.url).await;
    let page = browser.open(&callback).await;

    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("Your device is signed in"), "{}", page.body);
    let tokens: SessionTokens = ask(&node, &device).await.ok();
    assert!(node.accepts(&tokens.access_token).await);
    ask(&node, &device).await.refused(400, ErrorCode::ExpiredToken);
    node.stop().await;
}

#[actix_web::test]
async fn who_refuses_at_the_provider_refuses_the_device() {
    let (_provider, node) = oidc_provider::start().await;
    let device = start_device(&node, "openid").await;
    let mut browser = Browser::default();
    let url = type_code(&node, &mut browser, &device.user_code).await;
    let callback = browser.sign_in(&as_user(&url, "nobody"), &node.url).await;

    let page = browser.open(&callback).await;

    assert!(page.body.contains("you refused"), "{}", page.body);
    ask(&node, &device).await.refused(400, ErrorCode::AccessDenied);
    ask(&node, &device).await.refused(400, ErrorCode::ExpiredToken);
    node.stop().await;
}

/// Somebody who begins on a device of theirs and sends the provider's address to another person gets nothing.
#[actix_web::test]
async fn browser_that_comes_back_is_the_one_that_began() {
    let node = TestNode::start().await;
    let device = start_device(&node, "development").await;
    let (mut mallory, mut ada) = (Browser::default(), Browser::default());
    let url = type_code(&node, &mut mallory, &device.user_code).await;

    for victim in [&mut ada, &mut Browser::default()] {
        victim.open(&format!("{}/device", node.url)).await;
        let answer = give_name(victim, &url, "ada").await;
        assert_eq!((answer.status, answer.header("content-type")), (400, "text/html; charset=utf-8"));
    }
    // Nor is it completed as an ordinary sign-in.
    let sent_back = ada.submit(&url, "name", "ada").await;
    let [code, state] = ["code", "state"].map(|name| super::parameter(sent_back.header("location"), name));
    node.complete(&code, &state).await.refused(400, ErrorCode::FlowRefused);

    ask(&node, &device).await.refused(400, ErrorCode::AuthorizationPending);
    node.stop().await;
}

#[actix_web::test]
async fn form_of_another_site_begins_nothing() {
    let node = TestNode::start().await;
    let device = start_device(&node, "development").await;
    let page = format!("{}/device", node.url);
    let body = format!("user_code={}", device.user_code.expose());

    // Without the cookie, which browsers leave out there.
    let answer = Browser::default().submit(&page, "user_code", device.user_code.expose()).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax; ") && cookie.contains("; Path=/; "), "{cookie}");
    // With it, from a neighbouring site.
    for (site, status) in [("same-site", 403), ("cross-site", 403), ("same-origin", 303)] {
        let request = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = request.post(&page).header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("cookie", cookie.split(';').next().unwrap()).header("sec-fetch-site", site);
        assert_eq!(Answer::of(request.body(body.clone())).await.status, status, "{site}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn codes_that_nobody_waits_with_are_asked_for_again() {
    let node = TestNode::start().await;
    let mut browser = Browser::default();
    let page = format!("{}/device", node.url);
    browser.open(&page).await;

    for typed in ["", "BCDF-GHJK", "AEIO-UAEI", "%3Cscript%3E", &"B".repeat(1_000)] {
        let answer = browser.submit(&page, "user_code", typed).await;
        assert_eq!(answer.status, 422, "{typed}");
        assert!(answer.body.contains("role=\"alert\"") && !answer.body.contains("<script"));
    }
    for bad in ["", "x", &"A".repeat(43)] {
        ask_now(&node, &SecretText::new(bad.to_owned())).await.refused(400, ErrorCode::ExpiredToken);
    }
    let answer = node.post("/api/auth/device", None, &json!({ "provider": "nobody" })).await;
    answer.refused(400, ErrorCode::UnknownProvider);
    node.stop().await;
}

#[actix_web::test]
async fn code_is_typed_a_few_times_and_decided_once() {
    let node = TestNode::start().await;
    let device = start_device(&node, "development").await;
    let mut browser = Browser::default();
    let mut urls = Vec::new();
    for _ in 0..USER_CODE_ENTRIES_MAX {
        urls.push(type_code(&node, &mut browser, &device.user_code).await);
    }
    let answer = browser.submit(&format!("{}/device", node.url), "user_code", device.user_code.expose()).await;
    assert_eq!(answer.status, 422);

    assert_eq!(give_name(&mut browser, &urls[0], "ada").await.status, 200);
    assert_eq!(give_name(&mut browser, &urls[1], "grace").await.status, 400);
    let tokens: SessionTokens = ask(&node, &device).await.ok();
    assert_eq!(tokens.account_id, node.sign_in("ada").await.account_id);

    // The code of a device that is signed in is nobody's any more.
    let second = start_device(&node, "development").await;
    let url = type_code(&node, &mut browser, &second.user_code).await;
    give_name(&mut browser, &url, "ada").await;
    let answer = browser.submit(&format!("{}/device", node.url), "user_code", second.user_code.expose()).await;
    assert_eq!(answer.status, 422);
    node.stop().await;
}

#[actix_web::test]
async fn device_that_asks_too_often_waits_longer_each_time() {
    let node = TestNode::start().await;
    let device = start_device(&node, "development").await;
    let after = async |seconds| {
        node.clock.advance(Duration::from_secs(seconds));
        ask_now(&node, &device.device_code).await
    };

    after(0).await.refused(400, ErrorCode::AuthorizationPending);
    after(5).await.refused(400, ErrorCode::AuthorizationPending);
    after(4).await.refused(400, ErrorCode::SlowDown);
    after(9).await.refused(400, ErrorCode::SlowDown);
    after(14).await.refused(400, ErrorCode::SlowDown);
    after(20).await.refused(400, ErrorCode::AuthorizationPending);
    node.stop().await;
}

#[actix_web::test]
async fn codes_end_in_time() {
    let node = TestNode::start().await;
    let device = start_device(&node, "development").await;
    let mut browser = Browser::default();
    let url = type_code(&node, &mut browser, &device.user_code).await;
    node.clock.advance(Duration::from_secs(600));

    assert_eq!(give_name(&mut browser, &url, "ada").await.status, 400);
    let answer = browser.submit(&format!("{}/device", node.url), "user_code", device.user_code.expose()).await;
    assert_eq!(answer.status, 422);
    ask_now(&node, &device.device_code).await.refused(400, ErrorCode::ExpiredToken);
    node.stop().await;
}
