//! The process that is killed. Its programs stand beside their tests; each can be begun again at any point, and does what was
//! not done.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conclave::client::{
    Client, ClientError, Conversation, Event, Events, Http, Linking, RecoveryKit, RoomInfo, Store, StoreError,
};
use conclave::ids::RoomId;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::store::DyingStore;
use super::{Flow, ORDERS, Orders};
use crate::direct::passphrase;
use crate::user::{PATIENCE, sign_in};

/// Runs the process, and passes on what it shows.
pub(super) fn watch(command: &mut Command, shown: &mpsc::UnboundedSender<String>) -> ExitStatus {
    let mut child = command.spawn().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some((_, word)) = line.unwrap().split_once(SHOWS) {
            let _ = shown.send(word.to_owned());
        }
    }
    child.wait().unwrap()
}

/// Shows something to whoever watches the process.
pub(super) fn show(word: &str) {
    println!("\n{SHOWS}{word}");
}

const SHOWS: &str = "the victim shows: ";

#[tokio::test]
#[ignore = "it is started by the tests beside it"]
#[expect(clippy::disallowed_methods, reason = "it is told by its environment what to do")]
async fn victim() {
    let orders: Orders = serde_json::from_str(&std::env::var(ORDERS).unwrap()).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let (client, events) = begin(&orders, &is_over).await;
    let mut device = Device { client, events, orders };
    match device.orders.flow {
        Flow::SetUp | Flow::Recover => {}
        Flow::Link => device.reads_the_vault().await,
        Flow::Approve => device.approves().await,
        Flow::SignOut => device.signs_out().await,
        Flow::Answer => device.answers().await,
        Flow::Accept => device.accepts().await,
        Flow::Write => device.writes_ahead().await,
        Flow::Refill => device.is_supplied().await,
        Flow::Host => device.hosts().await,
        Flow::Guest => device.visits().await,
        Flow::Leave => device.leaves().await,
        Flow::Remove => device.removes().await,
        Flow::Listen => device.listens().await,
        Flow::Renew => device.renews().await,
        Flow::Vault => device.keeps().await,
    }
    is_over.store(true, Ordering::Relaxed);
    let friend = Conversation::Direct(device.orders.friend);
    device.says_and_is_read(friend, "over").await;
    device.client.close().await.unwrap();
}

/// Opens the device of a store, or sets it up where that was not done, or not to its end.
async fn begin(orders: &Orders, is_over: &Arc<AtomicBool>) -> (Client, Events) {
    let Orders { flow, url, name, store, given, .. } = orders;
    match Client::open(DyingStore::around(open(store).await, orders, is_over), Http::new().unwrap()).await {
        Ok(begun) => return begun,
        Err(ClientError::NotSetUp) => {}
        Err(error) => panic!("{error}"),
    }
    let signed_in = sign_in(url, name).await;
    let store = DyingStore::around(open(store).await, orders, is_over);
    match flow {
        Flow::Link => {
            let linking = Linking::begin(store, signed_in).await.unwrap();
            show(&linking.code());
            linking.wait().await.unwrap()
        }
        Flow::Recover => Client::recover(store, signed_in, &RecoveryKit::parse(given).unwrap()).await.unwrap(),
        _ => Client::set_up(store, signed_in).await.unwrap(),
    }
}

async fn open(path: &Path) -> Store {
    match Store::open(path, passphrase()).await {
        Ok(store) => store,
        Err(StoreError::Missing { .. }) => Store::create(path, passphrase()).await.unwrap(),
        Err(error) => panic!("{error}"),
    }
}

/// The client of the process.
pub(super) struct Device {
    pub(super) client: Client,
    events: Events,
    pub(super) orders: Orders,
}

impl Device {
    pub(super) async fn room(&self, wanted: RoomId) -> Option<RoomInfo> {
        self.client.rooms().await.unwrap().into_iter().find(|room| room.room_id == wanted)
    }

    pub(super) async fn texts(&self, place: Conversation) -> Vec<String> {
        let history = self.client.history(place, None, 1_000).await.unwrap();
        history.iter().map(|message| message.content.text().unwrap().to_owned()).collect()
    }

    /// Says something, if that was not done.
    pub(super) async fn says(&self, place: Conversation, text: String) {
        if !self.texts(place).await.contains(&text) {
            self.client.send(place, text).await.unwrap();
        }
    }

    /// Waits until something is here that was said.
    pub(super) async fn hears(&mut self, place: Conversation, text: &str) {
        while !self.texts(place).await.iter().any(|known| known == text) {
            self.event().await;
        }
    }

    /// Says something of this round, if that was not done, and waits for the friend's word.
    pub(super) async fn says_and_is_read(&mut self, place: Conversation, word: &str) {
        let text = format!("{word} {}", self.orders.round);
        let read = format!("read {text}");
        self.says(place, text).await;
        self.hears(place, &read).await;
    }

    pub(super) async fn until(&mut self, is_it: impl Fn(&Event) -> bool) {
        while !is_it(&self.event().await) {}
    }

    /// The next event. A session that has ended goes on with the next one.
    pub(super) async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.next()).await.unwrap().unwrap();
        if let Event::SignedOut { .. } = &event {
            self.signs_in().await;
        }
        event
    }

    pub(super) async fn signs_in(&self) {
        let signed_in = sign_in(&self.orders.url, &self.orders.name).await;
        self.client.sign_in_again(signed_in).await.unwrap();
    }
}
