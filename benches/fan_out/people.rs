//! Who takes part: accounts that have signed in at the development provider, each with a device that is registered and a
//! session that is the device's. It is what a client does, over REST.

use std::net::SocketAddr;

use conclave::ids::{AccountId, DeviceAddress, DeviceId, RoomId};
use conclave::node::clock::Clock;
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::wire::{FlowStarted, InvitationCreated, SecretText, SessionTokens};
use futures_util::StreamExt;
use futures_util::stream;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// Somebody with one device.
pub(crate) struct Person {
    pub(crate) device: DeviceAddress,
    pub(crate) token: SecretText,
    saved_keys: Vec<u8>,
}

impl Person {
    pub(crate) fn keys(&self) -> DeviceKeys {
        DeviceKeys::load(&self.saved_keys).unwrap()
    }

    pub(crate) fn account_id(&self) -> AccountId {
        self.device.account_id
    }
}

/// A node over REST.
pub(crate) struct Api {
    url: String,
    client: Client,
}

impl Api {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { url: format!("http://{address}"), client }
    }

    /// Signs in so many.
    pub(crate) async fn sign_in(&self, count: usize) -> Vec<Person> {
        stream::iter(0..count).map(|number| self.sign_in_one(number)).buffered(AT_ONCE).collect().await
    }

    async fn sign_in_one(&self, number: usize) -> Person {
        let mut rng = ChaCha20Rng::seed_from_u64(number as u64);
        let flow: FlowStarted = self.call("/api/auth/flows", None, &json!({ "provider": "development" })).await;
        let form = self.client.post(flow.authorization_url.expose());
        let form = form.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(format!("name=person-{number}"));
        let answer = form.send().await.unwrap();
        let query = answer.headers()[LOCATION].to_str().unwrap().split_once("?code=").unwrap().1;
        let (code, state) = query.split_once("&state=").unwrap();
        let tokens: SessionTokens =
            self.call("/api/auth/flows/complete", None, &json!({ "code": code, "state": state })).await;

        let root = AccountRoot::generate(tokens.account_id, &mut rng);
        let keys = DeviceKeys::generate(&mut rng);
        let saved_keys = keys.save().to_vec();
        let (signing_key, agreement_key) = (keys.signing.public_key(), keys.agreement.public_key());
        let now = Clock::system().now();
        let certificate = root.certify(DeviceId::generate(&mut rng), &signing_key, &agreement_key, now);
        let list = root.sign_device_list(1, vec![certificate.clone()]);
        let token = tokens.access_token;
        self.request(Method::PUT, "/api/devices", Some(&token), &json!(list)).await;
        let device = DeviceIdentity::new(keys, &certificate).unwrap();
        let proof = json!({
            "device_id": device.address().device_id,
            "signature": device.prove_session(tokens.session_id),
        });
        self.request(Method::PUT, "/api/session/device", Some(&token), &proof).await;
        Person { device: device.address(), token, saved_keys }
    }

    /// Lets people into a room that the first of them owns.
    pub(crate) async fn invite(&self, room_id: RoomId, people: &[Person]) {
        let (owner, guests) = people.split_first().unwrap();
        let path = format!("/api/rooms/{room_id}/invitations");
        let uses = json!({ "uses": guests.len() });
        let invitation: InvitationCreated = self.call(&path, Some(&owner.token), &uses).await;
        let body = json!({ "token": invitation.token });
        let join = async |guest: &Person| {
            self.request(Method::POST, "/api/rooms/join", Some(&guest.token), &body).await;
        };
        stream::iter(guests).map(join).buffered(AT_ONCE).collect::<()>().await;
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, path: &str, token: Option<&SecretText>, body: &Value) -> T {
        self.request(Method::POST, path, token, body).await.json().await.unwrap()
    }

    async fn request(&self, method: Method, path: &str, token: Option<&SecretText>, body: &Value) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).json(body);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
        response
    }
}

/// Calls under way.
const AT_ONCE: usize = 32;
