//! Prekeys that are replaced by their schedule.
//!
//! Which signed prekey the node hands out is seen by what somebody new sends: the opening of a session names it.

use conclave::client::{Client, Clock, Http, Receipts, Settings, Store};
use conclave::ids::{AccountId, KeyId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::rotation::opening_of;
use crate::user::{PATIENCE, User, sign_in};

const MINUTE_MS: i64 = 60_000;
const WEEK_MS: i64 = 7 * 24 * 60 * MINUTE_MS;

/// The calls that a device makes, in their order.
struct Calls(mpsc::UnboundedReceiver<String>);

impl Calls {
    fn through(proxy: &Proxy) -> Self {
        let (say, said) = mpsc::unbounded_channel();
        proxy.answers(move |asks, _| {
            let _ = say.send(asks.to_owned());
        });
        Self(said)
    }

    /// Those that were made since they were last looked at.
    fn made(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }

    /// Waits until keys are published. The calls up to then.
    async fn publish(&mut self) -> Vec<String> {
        let mut made = Vec::new();
        while made.last().is_none_or(|asks| asks != PUBLISH) {
            made.push(timeout(PATIENCE, self.0.recv()).await.unwrap().unwrap());
        }
        made
    }
}

/// Has somebody new write to an account: the signed prekey that the node has handed out for it.
async fn handed_out(node: &NodeProcess, name: &str, to: AccountId) -> KeyId {
    let proxy = Proxy::before(node).await;
    let mut stranger = User::new(&proxy.url, name).await;
    let id = stranger.client.send_direct(to, name).await.unwrap();
    stranger.is_sent(id).await;
    let envelopes = proxy.envelopes();
    let [envelope] = &envelopes[..] else { panic!("{envelopes:?}") };
    assert_eq!(envelope.recipient.unwrap().account_id, to);
    opening_of(envelope).unwrap().signed_prekey_id
}

#[tokio::test]
async fn a_device_that_stays_connected_replaces_its_signed_prekey_once_it_is_seven_days_old_and_not_before() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (proxy, clock) = (Proxy::before(&node).await, Clock::system());
    let mut calls = Calls::through(&proxy);
    let signed_in = sign_in(&proxy.url, "ada").await;
    let (client, events) = Client::set_up_at(Store::in_memory(), signed_in, clock.clone()).await.unwrap();
    let mut ada = User { client, events };
    // What it sends itself would be refused by the time it bears: it would leave the socket to compare the clocks.
    ada.client.configure(Settings { receipts: Receipts::Off, ..Settings::default() }).await.unwrap();
    ada.is_level().await;
    let first = handed_out(&node, "grace", ada.id()).await;
    assert_eq!(ada.text().await.1, "grace");
    calls.made();

    clock.set_ahead(WEEK_MS - MINUTE_MS);
    assert!(ada.client.has_session().await.unwrap());
    assert_eq!(handed_out(&node, "joan", ada.id()).await, first);
    assert_eq!(ada.text().await.1, "joan");
    let made = calls.made();
    assert!(!made.iter().any(|asks| asks == PUBLISH), "{made:?}");

    clock.set_ahead(WEEK_MS + MINUTE_MS);
    assert!(ada.client.has_session().await.unwrap());
    let made = [made, calls.publish().await].concat();
    assert!(!made.iter().any(|asks| asks.contains("/ws")), "{made:?}");
    assert_ne!(handed_out(&node, "mary", ada.id()).await, first);
    assert_eq!(ada.text().await.1, "mary");
}

/// And what was sealed with the one before, while it was away, is read.
#[tokio::test]
async fn a_device_that_comes_back_replaces_its_signed_prekey_once_it_is_seven_days_old_and_not_before() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (proxy, clock) = (Proxy::before(&node).await, Clock::system());
    let mut calls = Calls::through(&proxy);
    let path = folder.path().join("ada");
    let store = Store::create(&path, passphrase()).await.unwrap();
    let signed_in = sign_in(&proxy.url, "ada").await;
    let (client, events) = Client::set_up_at(store, signed_in, clock.clone()).await.unwrap();
    let mut ada = User { client, events };
    ada.is_level().await;
    let id = ada.id();
    let mut last = None;
    for (ahead_ms, name, is_new) in
        [(0, "grace", false), (WEEK_MS - MINUTE_MS, "joan", false), (WEEK_MS + MINUTE_MS, "mary", true)]
    {
        ada.close().await;
        let old = handed_out(&node, name, id).await;
        assert_eq!(*last.get_or_insert(old), old);
        calls.made();

        clock.set_ahead(ahead_ms);
        let store = Store::open(&path, passphrase()).await.unwrap();
        let (client, events) = Client::open_at(store, Http::new().unwrap(), clock.clone()).await.unwrap();
        ada = User { client, events };
        assert_eq!(ada.text().await.1, name);
        ada.is_level().await;
        assert_eq!(calls.made().iter().any(|asks| asks == PUBLISH), is_new, "{name}");
    }
    assert_ne!(handed_out(&node, "edith", id).await, last.unwrap());
    assert_eq!(ada.text().await.1, "edith");
}

const PUBLISH: &str = "PUT /api/prekeys";
