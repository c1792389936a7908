//! Sign-in with a browser, here and elsewhere. The test plays the browser.

use conclave::client::{ApiError, Client, Http, SignIn, SignInError, Store};
use conclave::wire::{FlowStarted, SecretText};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use tokio::sync::oneshot;

use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;

fn browser() -> reqwest::Client {
    reqwest::Client::builder().redirect(Policy::none()).build().unwrap()
}

/// Sends a form of one field; where it leads.
async fn submit(url: &str, field: &str, cookie: &str) -> String {
    let form = browser().post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(COOKIE, cookie);
    let response = form.body(field.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), 303);
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}

/// Signs ada in at the page that a browser on this machine is to open; where it is sent then, at the port that waits.
pub(crate) async fn sign_in_here(page: &str, node_url: &str) -> String {
    let mut location = submit(page, "name=ada", "").await;
    // The node's callback sends the browser on.
    while location.starts_with(node_url) {
        let response = browser().get(&location).send().await.unwrap();
        response.headers()[LOCATION].to_str().unwrap().clone_into(&mut location);
    }
    location
}

/// What a page says.
pub(crate) async fn read_page(url: &str) -> String {
    browser().get(url).send().await.unwrap().text().await.unwrap()
}

/// Types a device's code into a browser elsewhere, and signs ada in; what is said at the end.
pub(crate) async fn sign_in_elsewhere(page: &str, code: &str) -> String {
    let response = browser().get(page).send().await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let url = submit(page, &format!("user_code={code}"), &cookie).await;
    let callback = submit(&url, "name=ada", &cookie).await;
    browser().get(&callback).header(COOKIE, &cookie).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_browser_on_this_machine_comes_back_with_the_sign_in() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (opened, open) = oneshot::channel();
    let sign_in = SignIn::new(Http::new().unwrap(), &node.url);
    let waiting = tokio::spawn(sign_in.loopback("development", |url| {
        opened.send(url.expose().to_owned()).unwrap();
    }));
    let home = sign_in_here(&open.await.unwrap(), &node.url).await;
    let (port, _) = home.split_once("/signed-in?").unwrap();
    let stray = browser().get(format!("{port}/favicon.ico")).send().await.unwrap();
    assert_eq!(stray.status(), 404);
    let forged = browser().get(format!("{port}/signed-in?code=x&state=y")).send().await.unwrap();
    assert_eq!(forged.status(), 404);
    let page = read_page(&home).await;
    assert!(page.contains("You are signed in."), "{page}");
    let signed_in = waiting.await.unwrap().unwrap();
    let (client, _events) = Client::set_up(Store::in_memory(), signed_in).await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_device_without_a_browser_is_signed_in_by_its_code() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (shown, show) = oneshot::channel();
    let sign_in = SignIn::new(Http::new().unwrap(), &node.url);
    let waiting = tokio::spawn(sign_in.device_flow("development", |code| {
        shown.send((code.verification_uri.clone(), code.code.expose().to_owned())).unwrap();
    }));
    let (page, code) = show.await.unwrap();
    let done = sign_in_elsewhere(&page, &code).await;
    assert!(done.contains("Your device is signed in"), "{done}");
    let signed_in = waiting.await.unwrap().unwrap();
    let (client, _events) = Client::set_up(Store::in_memory(), signed_in).await.unwrap();
    client.close().await.unwrap();
}

/// Whoever has it can come back in the browser's place.
#[tokio::test]
async fn an_error_does_not_show_the_address_of_a_sign_in() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    // A port that nobody listens on: it was given out, and given back.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    proxy.answers(move |asks, answer| {
        if asks == "POST /api/auth/flows" {
            let url = format!("http://{nobody}/authorize?state=canary");
            answer.change(|flow: &mut FlowStarted| flow.authorization_url = SecretText::new(url));
        }
    });
    let error = SignIn::new(Http::new().unwrap(), &proxy.url).development("ada").await.unwrap_err();
    assert!(matches!(error, SignInError::Api(ApiError::Unreachable(_))), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}
