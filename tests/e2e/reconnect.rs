//! When a client connects again, and when it does not: as the node says, or because it says nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conclave::client::{ClientError, Event, Settings};
use conclave::protocol::machine::MachineError;
use conclave::wire::{DeviceList, ErrorCode, Message, Outcome};
use tokio::time::Instant;

use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::user::User;

/// Ada, behind a proxy, and Grace.
struct Scene {
    _folder: DataFolder,
    _node: NodeProcess,
    proxy: Proxy,
    ada: User,
    grace: User,
}

impl Scene {
    async fn new() -> Self {
        let folder = DataFolder::new();
        let node = NodeProcess::start(folder.path(), |_| ());
        let proxy = Proxy::before(&node).await;
        let (mut ada, grace) = (User::new(&proxy.url, "ada").await, User::new(&node.url, "grace").await);
        ada.is_level().await;
        Self { _folder: folder, _node: node, proxy, ada, grace }
    }

    /// Waits until Ada's socket is gone. In how long she tries again; none if she does not.
    async fn is_disconnected(&mut self) -> Option<Duration> {
        let retry_in = self.ada.until(|event| match event {
            Event::Disconnected { retry_in } => Some(*retry_in),
            _ => None,
        });
        retry_in.await
    }

    async fn is_connected(&mut self) {
        self.ada.until(|event| matches!(event, Event::Connected).then_some(())).await;
    }

    /// What is written both ways arrives.
    async fn talks(&mut self) {
        let id = self.ada.write(&self.grace, "there").await;
        self.ada.is_sent(id).await;
        assert_eq!(self.grace.text().await.1, "there");
        self.grace.write(&self.ada, "and back").await;
        assert_eq!(self.ada.text().await.1, "and back");
    }

    /// The times at which sockets are asked for from now on. The first so many are refused, with so long to wait.
    fn sockets_are_asked_for(&self, refused: usize, retry_after_seconds: u64) -> Arc<Mutex<Vec<Instant>>> {
        let times = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&times);
        self.proxy.answers(move |asks, answer| {
            if asks == "GET /ws" {
                let mut kept = kept.lock().unwrap();
                kept.push(Instant::now());
                if kept.len() <= refused {
                    answer.become_unavailable(retry_after_seconds);
                }
            }
        });
        times
    }
}

#[tokio::test]
async fn a_node_that_stops_is_left_when_it_says() {
    let mut scene = Scene::new().await;
    let said = Instant::now();
    scene.proxy.says(&Message::Reconnect { after_ms: 400, within_ms: 10_000 });
    assert_eq!(scene.is_disconnected().await, Some(Duration::ZERO));
    assert!(said.elapsed() >= Duration::from_millis(400), "{:?}", said.elapsed());
    scene.is_connected().await;
    scene.talks().await;
}

#[tokio::test]
async fn a_client_whose_place_was_taken_stays_away_until_it_is_told() {
    for code in [4200, 4201] {
        let mut scene = Scene::new().await;
        scene.proxy.closes(code);
        assert_eq!(scene.is_disconnected().await, None, "{code}");
        scene.ada.until(|event| matches!(event, Event::Refused).then_some(())).await;
        // What is written meanwhile waits.
        let id = scene.ada.write(&scene.grace, "later").await;
        let asked = scene.sockets_are_asked_for(0, 0);
        scene.ada.client.reconnect().await.unwrap();
        scene.ada.is_sent(id).await;
        assert_eq!(scene.grace.text().await.1, "later");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_client_whose_token_counts_no_more_takes_another_and_comes_back() {
    for code in [4100, 4101] {
        let mut scene = Scene::new().await;
        let has_refreshed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&has_refreshed);
        scene.proxy.answers(move |asks, _| {
            let is_refresh = asks == "POST /api/auth/refresh";
            // Before the next socket is asked for.
            assert!(asks != "GET /ws" || seen.load(Ordering::SeqCst));
            seen.fetch_or(is_refresh, Ordering::SeqCst);
        });
        scene.proxy.closes(code);
        assert_eq!(scene.is_disconnected().await, None, "{code}");
        scene.is_connected().await;
        assert!(has_refreshed.load(Ordering::SeqCst), "{code}");
        scene.talks().await;
    }
}

#[tokio::test]
async fn a_node_that_closes_for_another_reason_is_tried_again_soon() {
    for code in [4000, 4001, 4002, 4003, 1011] {
        let mut scene = Scene::new().await;
        scene.proxy.closes(code);
        assert!(scene.is_disconnected().await < Some(Duration::from_secs(1)), "{code}");
        scene.is_connected().await;
        scene.talks().await;
    }
}

/// What a node must not be able to bring about: that a device goes on with a list of its account that does not verify.
#[tokio::test]
async fn a_node_that_lies_about_the_own_account_is_not_connected_to() {
    let mut scene = Scene::new().await;
    let own = format!("GET /api/users/{}/devices", scene.ada.id());
    scene.proxy.answers(move |asks, answer| {
        if asks == own {
            answer.change(|list: &mut DeviceList| list.signature.0[0] ^= 1);
        }
        assert_ne!(asks, "GET /ws");
    });
    scene.proxy.closes(4100);
    let reason = scene.ada.until(|event| match event {
        Event::Distrusted { reason } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.await, ErrorCode::SignatureInvalid);
    let refused = scene.ada.client.send_direct(scene.grace.id(), "to whom?").await;
    assert!(matches!(refused, Err(ClientError::Machine(MachineError::Verify(_)))), "{refused:?}");
    scene.proxy.answers(|_, _| ());
    scene.ada.client.reconnect().await.unwrap();
    scene.is_connected().await;
    scene.talks().await;
}

#[tokio::test]
async fn a_node_that_asks_to_wait_is_not_asked_before() {
    let mut scene = Scene::new().await;
    let asked = scene.sockets_are_asked_for(2, 2);
    scene.proxy.cut();
    scene.is_disconnected().await;
    scene.is_connected().await;
    let times = asked.lock().unwrap().clone();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 2);
    assert!(waits.iter().all(|wait| *wait >= Duration::from_secs(2)), "{waits:?}");
    scene.talks().await;
}

/// An answer that is lost while the socket stays open, for each command that is waited for: the socket is given up.
#[tokio::test]
async fn a_node_that_does_not_answer_is_given_up() {
    for name in ["hello", "deliver"] {
        let mut scene = Scene::new().await;
        scene.ada.client.configure(Settings { answer_ms_max: 700, ..Settings::default() }).await.unwrap();
        // Before the next socket is asked for.
        scene.proxy.cut();
        let mut is_lost = false;
        scene.proxy.tells(move |_, message| match &message {
            // The first answer on a socket is that to hello.
            Message::Ok(answer)
                if !is_lost && matches!(answer.result, Some(Outcome::Delivered(_))) == (name == "deliver") =>
            {
                is_lost = true;
                Vec::new()
            }
            _ => vec![message],
        });
        scene.is_disconnected().await;
        let id = scene.ada.write(&scene.grace, name).await;
        let asked = Instant::now();
        scene.ada.is_sent(id).await;
        assert!(asked.elapsed() >= Duration::from_millis(700), "{name}");
        assert_eq!(scene.grace.text().await.1, name);
        scene.talks().await;
    }
}
