//! What the process does that is killed. Each of its programs can be begun again at any point: it does what was not done.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conclave::client::vault::ItemState;
use conclave::client::{Client, ClientError, Conversation, Event, Events, Http, Linking, RoomInfo, Store, StoreError};
use conclave::ids::RoomId;
use conclave::wire::{CreateInvitation, RoomPolicy};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::store::DyingStore;
use super::{Flow, ORDERS, Orders};
use crate::direct::passphrase;
use crate::user::{PATIENCE, sign_in};
use crate::vault::memory;

/// Runs the process, and passes on the codes that it shows.
pub(super) fn watch(command: &mut Command, codes: &mpsc::UnboundedSender<String>) -> ExitStatus {
    let mut child = command.spawn().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some((_, code)) = line.unwrap().split_once(CODE) {
            let _ = codes.send(code.to_owned());
        }
    }
    child.wait().unwrap()
}

const CODE: &str = "link code: ";

#[tokio::test]
#[ignore = "it is started by the tests beside it"]
#[expect(clippy::disallowed_methods, reason = "it is told by its environment what to do")]
async fn victim() {
    let orders: Orders = serde_json::from_str(&std::env::var(ORDERS).unwrap()).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let (client, events) = begin(&orders, &is_over).await;
    let mut device = Device { client, events, orders };
    match device.orders.flow {
        Flow::SetUp | Flow::Link => {}
        Flow::Answer => device.answers().await,
        Flow::Host => device.hosts().await,
        Flow::Guest => device.visits().await,
        Flow::Vault => device.keeps().await,
    }
    is_over.store(true, Ordering::Relaxed);
    let friend = Conversation::Direct(device.orders.friend);
    device.says_and_is_read(friend, "over").await;
    device.client.close().await.unwrap();
}

/// Opens the device of a store, or sets it up where that was not done, or not to its end.
async fn begin(orders: &Orders, is_over: &Arc<AtomicBool>) -> (Client, Events) {
    let Orders { url, name, store, death, .. } = orders;
    match Client::open(DyingStore::around(open(store).await, *death, is_over), Http::new().unwrap()).await {
        Ok(begun) => begun,
        Err(ClientError::NotSetUp) => {
            let signed_in = sign_in(url, name).await;
            let store = DyingStore::around(open(store).await, *death, is_over);
            if orders.flow == Flow::Link {
                let linking = Linking::begin(store, signed_in).await.unwrap();
                println!("\n{CODE}{}", *linking.code());
                linking.wait().await.unwrap()
            } else {
                Client::set_up(store, signed_in).await.unwrap()
            }
        }
        Err(error) => panic!("{error}"),
    }
}

async fn open(path: &Path) -> Store {
    match Store::open(path, passphrase()).await {
        Ok(store) => store,
        Err(StoreError::Missing { .. }) => Store::create(path, passphrase()).await.unwrap(),
        Err(error) => panic!("{error}"),
    }
}

struct Device {
    client: Client,
    events: Events,
    orders: Orders,
}

impl Device {
    async fn answers(&mut self) {
        let (friend, round) = (Conversation::Direct(self.orders.friend), self.orders.round);
        for n in 0..2 {
            self.hears(friend, &format!("question {n} {round}")).await;
            self.says(friend, format!("answer {n} {round}")).await;
        }
    }

    async fn hosts(&mut self) {
        let (round, friend) = (self.orders.round, self.orders.friend);
        self.until(|event| matches!(event, Event::Connected)).await;
        // One for each round; that of this round is the one in which not all was said.
        if self.client.rooms().await.unwrap().len() < round as usize {
            self.client.create_room(RoomPolicy::default()).await.unwrap();
        }
        let Some(room) = self.unfinished_room().await else { return };
        let place = Conversation::Room(room);
        let direct = Conversation::Direct(friend);
        let was_invited = |text: &String| text.starts_with(&format!("join {room} "));
        if !self.texts(direct).await.iter().any(was_invited) {
            let invitation = CreateInvitation { for_account: Some(friend), ..CreateInvitation::default() };
            let invitation = self.client.invite(room, invitation).await.unwrap();
            self.says(direct, format!("join {room} {}", invitation.code.expose())).await;
        }
        while !self.room(room).await.unwrap().members.contains(&friend) {
            self.event().await;
        }
        self.says_and_is_read(place, "hello").await;
        if !self.texts(place).await.contains(&format!("anew {round}")) {
            self.client.rotate_keys(room).await.unwrap();
        }
        self.says_and_is_read(place, "anew").await;
    }

    async fn unfinished_room(&self) -> Option<RoomId> {
        for room in self.client.rooms().await.unwrap() {
            let texts = self.texts(Conversation::Room(room.room_id)).await;
            if !texts.iter().any(|text| text.starts_with("read anew ")) {
                return Some(room.room_id);
            }
        }
        None
    }

    async fn visits(&mut self) {
        let direct = Conversation::Direct(self.orders.friend);
        self.until(|event| matches!(event, Event::Connected)).await;
        self.hears(direct, &format!("invited {}", self.orders.round)).await;
        let texts = self.texts(direct).await;
        let last = texts.iter().rev().find_map(|text| text.strip_prefix("join ")).unwrap();
        let (room, code) = last.split_once(' ').unwrap();
        let room = room.parse().unwrap();
        if self.room(room).await.is_none() {
            self.client.join(code).await.unwrap();
        }
        self.says_and_is_read(Conversation::Room(room), "hello").await;
    }

    async fn keeps(&mut self) {
        let (memories, round) = (self.client.vault().memories(), self.orders.round);
        let [kept, gone] = ["kept", "gone"].map(|name| format!("{name} {round}"));
        let kept = memories.id_of(&kept).await.unwrap();
        for (version, text) in [(0, "first"), (1, "second")] {
            if memories.state(kept).await.unwrap().version() == version {
                memories.put(kept, version, &memory(text)).await.unwrap();
            }
        }
        let gone = memories.id_of(&gone).await.unwrap();
        if memories.state(gone).await.unwrap() == ItemState::Absent {
            memories.put(gone, 0, &memory("for a moment")).await.unwrap();
        }
        if (memories.state(gone).await.unwrap() == ItemState::Present { version: 1 }) {
            memories.delete(gone, 1).await.unwrap();
        }
    }

    async fn room(&self, wanted: RoomId) -> Option<RoomInfo> {
        self.client.rooms().await.unwrap().into_iter().find(|room| room.room_id == wanted)
    }

    async fn texts(&self, place: Conversation) -> Vec<String> {
        let history = self.client.history(place, None, 1_000).await.unwrap();
        history.iter().map(|message| message.content.text().unwrap().to_owned()).collect()
    }

    /// Says something, if that was not done.
    async fn says(&self, place: Conversation, text: String) {
        if !self.texts(place).await.contains(&text) {
            self.client.send(place, text).await.unwrap();
        }
    }

    /// Waits until something is here that was said.
    async fn hears(&mut self, place: Conversation, text: &str) {
        while !self.texts(place).await.iter().any(|known| known == text) {
            self.event().await;
        }
    }

    /// Says something of this round, if that was not done, and waits for the friend's word.
    async fn says_and_is_read(&mut self, place: Conversation, word: &str) {
        let text = format!("{word} {}", self.orders.round);
        let read = format!("read {text}");
        self.says(place, text).await;
        self.hears(place, &read).await;
    }

    async fn until(&mut self, is_it: impl Fn(&Event) -> bool) {
        while !is_it(&self.event().await) {}
    }

    /// The next event. A session that has ended goes on with the next one.
    async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.next()).await.unwrap().unwrap();
        if let Event::SignedOut { .. } = &event {
            let signed_in = sign_in(&self.orders.url, &self.orders.name).await;
            self.client.sign_in_again(signed_in).await.unwrap();
        }
        event
    }
}
