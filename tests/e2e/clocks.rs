//! Devices whose clocks are wrong, and messages that waited for long.

use conclave::client::{Client, Clock, Store};

use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::user::{User, sign_in};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn a_device_whose_clock_is_wrong_is_understood() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    for (name, ahead_ms) in [("grace", 5 * HOUR_MS), ("joan", -5 * HOUR_MS), ("mary", 40_000), ("edith", -300_000)] {
        let clock = Clock::system();
        clock.set_ahead(ahead_ms);
        let signed_in = sign_in(&node.url, name).await;
        let (client, events) = Client::set_up_at(Store::in_memory(), signed_in, clock).await.unwrap();
        let mut user = User { client, events };
        let id = user.write(&ada, name).await;
        user.is_sent(id).await;
        assert_eq!(ada.text().await, (user.id(), name.to_owned()));
        ada.write(&user, "welcome").await;
        assert_eq!(user.text().await.1, "welcome");
        user.close().await;
    }
}

/// The node's time is compared with the clock once for each socket. One that is set later has it refuse everything.
#[tokio::test]
async fn a_clock_that_is_set_while_the_device_is_connected_keeps_nothing_back() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let clock = Clock::system();
    let signed_in = sign_in(&node.url, "ada").await;
    let (client, events) = Client::set_up_at(Store::in_memory(), signed_in, clock.clone()).await.unwrap();
    let mut ada = User { client, events };
    let mut grace = User::new(&node.url, "grace").await;
    for ahead_ms in [0, HOUR_MS, -HOUR_MS, 0] {
        clock.set_ahead(ahead_ms);
        let text = format!("{ahead_ms} ms ahead");
        let id = ada.write(&grace, &text).await;
        ada.is_sent(id).await;
        assert_eq!(grace.text().await.1, text);
    }
}

#[tokio::test]
async fn what_waited_longer_than_the_node_takes_is_stamped_anew() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let clock = Clock::system();
    let signed_in = sign_in(&proxy.url, "ada").await;
    let (client, events) = Client::set_up_at(Store::in_memory(), signed_in, clock.clone()).await.unwrap();
    let mut ada = User { client, events };
    let mut grace = User::new(&node.url, "grace").await;
    ada.write(&grace, "first").await;
    assert_eq!(grace.text().await.1, "first");
    // Sealed an hour ago, by a clock that was set since.
    proxy.close();
    clock.set_ahead(-HOUR_MS);
    let id = ada.write(&grace, "an hour ago").await;
    clock.set_ahead(0);
    proxy.lead_to(&node);
    ada.is_sent(id).await;
    let message = grace.message().await;
    assert_eq!(message.content.text(), Some("an hour ago"));
    assert_eq!(message.id, id);
}
