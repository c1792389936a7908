//! Devices that come to be, take others in, and end their sessions.

use conclave::client::vault::VaultError;
use conclave::client::{ClientError, Conversation, Event, Linking, Settings, Store};
use tokio::sync::mpsc;

use super::victim::Device;
use super::{Flow, Orders, begin, set_up, wherever_it_saves};
use crate::direct::passphrase;
use crate::user::{User, sign_in};
use crate::vault::memory;

impl Device {
    /// Once another device has given it the key.
    pub(super) async fn reads_the_vault(&mut self) {
        let memories = self.client.vault().memories();
        let shared = loop {
            match memories.id_of(SHARED).await {
                Ok(shared) => break shared,
                Err(VaultError::Client(ClientError::NoVaultKey)) => drop(self.event().await),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(memories.get(shared).await.unwrap().unwrap().content, memory(SHARED));
    }

    /// The code is typed again, as by somebody who is not sure.
    pub(super) async fn approves(&mut self) {
        let (friend, opened) = (Conversation::Direct(self.orders.friend), format!("opened {}", self.orders.round));
        if !self.texts(friend).await.contains(&opened) {
            self.client.link_device(&self.orders.given).await.unwrap();
            self.hears(friend, &opened).await;
        }
        // Who asks for the list only after that finds nobody on it who could have written.
        self.hears(friend, &format!("read {opened}")).await;
        for device in self.client.devices(self.client.account_id()).await.unwrap() {
            if device.address() != self.client.device() {
                self.client.revoke_device(device.address().device_id).await.unwrap();
            }
        }
    }

    pub(super) async fn signs_out(&mut self) {
        if self.client.is_kit_due().await.unwrap() {
            self.client.kit_is_given().await.unwrap();
        }
        self.client.configure(Settings::default()).await.unwrap();
        self.until(|event| matches!(event, Event::Connected)).await;
        self.client.sign_out().await.unwrap();
        self.signs_in().await;
    }
}

#[tokio::test]
async fn a_set_up_that_is_killed_wherever_it_saves_makes_one_device() {
    let (folder, node, friend) = begin().await;
    let orders = Orders::new(Flow::SetUp, &node.url, folder.path(), friend.client.account_id());
    let kinds = ["account-secrets", "kit-due", "machine/identity", "machine/one-time-prekey"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        let orders = orders.anew(folder.path());
        let was_killed = orders.run_to_the_end().await;
        // Whoever is set up answers to the same name.
        let account = orders.account().await;
        assert_eq!(friend.client.devices(account).await.unwrap().len(), 1, "{orders:?}");
        friend.has_heard(&orders, &["over"]);
        was_killed
    });
    all.await;
}

#[tokio::test]
async fn a_recovery_that_is_killed_wherever_it_saves_makes_one_device() {
    let (folder, node, friend) = begin().await;
    let orders = Orders::new(Flow::Recover, &node.url, folder.path(), friend.client.account_id());
    let kinds = ["account-secrets", "machine/identity", "machine/one-time-prekey"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        let mut orders = orders.anew(folder.path());
        let first = User::new(&node.url, &orders.name).await;
        orders.given = first.client.recovery_kit().await.unwrap().to_text().to_string();
        let was_killed = orders.run_to_the_end().await;
        assert_eq!(friend.client.devices(first.id()).await.unwrap().len(), 2, "{orders:?}");
        friend.has_heard(&orders, &["over"]);
        was_killed
    });
    all.await;
}

/// The user types the code that is shown first, once.
#[tokio::test]
async fn a_device_that_is_killed_wherever_it_saves_while_it_is_linked_needs_one_code_and_reads_the_vault() {
    let (folder, node, friend) = begin().await;
    let orders = Orders::new(Flow::Link, &node.url, folder.path(), friend.client.account_id());
    let kinds = ["link/", "machine/identity", "machine/one-time-prekey", "vault-key"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        let orders = orders.anew(folder.path());
        let first = User::new(&node.url, &orders.name).await;
        let memories = first.client.vault().memories();
        memories.put(memories.id_of(SHARED).await.unwrap(), 0, &memory(SHARED)).await.unwrap();
        let (show, mut shown) = mpsc::unbounded_channel::<String>();
        let own = first.client.clone();
        let typing = tokio::spawn(async move {
            let code = shown.recv().await.unwrap();
            own.link_device(&code).await.unwrap();
            while let Some(again) = shown.recv().await {
                assert_eq!(again, code);
            }
        });
        let was_killed = orders.run_to_the_end_and_show(&show).await;
        drop(show);
        typing.await.unwrap();
        assert_eq!(friend.client.devices(first.id()).await.unwrap().len(), 2, "{orders:?}");
        friend.has_heard(&orders, &["over"]);
        // By the key that it has kept: nobody is there to give it another time.
        first.close().await;
        let tablet = User::open(Store::open(&orders.store, passphrase()).await.unwrap()).await;
        let memories = tablet.client.vault().memories();
        let shared = memories.get(memories.id_of(SHARED).await.unwrap()).await.unwrap();
        assert_eq!(shared.unwrap().content, memory(SHARED), "{orders:?}");
        tablet.close().await;
        was_killed
    });
    all.await;
}

#[tokio::test]
async fn a_device_that_is_killed_wherever_it_saves_takes_another_in_and_revokes_it() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Approve, &node.url, &folder, &friend).await;
    let kinds = ["machine/contact", "mailbox", "outbox", "carried"];
    let all = wherever_it_saves(orders, &kinds, async |mut orders| {
        let linking = Linking::begin(Store::in_memory(), sign_in(&node.url, &orders.name).await).await.unwrap();
        orders.given = linking.code().to_string();
        let own = async {
            let (client, events) = linking.wait().await.unwrap();
            let mut tablet = User { client, events };
            tablet.until(|event| matches!(event, Event::VaultOpened).then_some(())).await;
            let opened = format!("opened {}", orders.round);
            tablet.client.send_direct(orders.friend, opened).await.unwrap();
            tablet.until(|event| matches!(event, Event::SignedOut { .. }).then_some(())).await;
        };
        let (was_killed, ()) = tokio::join!(orders.run_to_the_end(), own);
        let account = orders.account().await;
        assert_eq!(friend.client.devices(account).await.unwrap().len(), 1, "{orders:?}");
        friend.has_heard(&orders, &["opened", "over"]);
        was_killed
    });
    all.await;
}

#[tokio::test]
async fn a_device_that_is_killed_wherever_it_saves_hands_its_kit_out_and_ends_its_session() {
    let (folder, node, friend) = begin().await;
    let orders = Orders::new(Flow::SignOut, &node.url, folder.path(), friend.client.account_id());
    let kinds = ["kit-due", "settings", "tokens"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        let orders = orders.anew(folder.path());
        orders.run_before(Flow::SetUp).await;
        let was_killed = orders.run_to_the_end().await;
        friend.has_heard(&orders, &["over"]);
        let grace = User::open(Store::open(&orders.store, passphrase()).await.unwrap()).await;
        assert!(!grace.client.is_kit_due().await.unwrap());
        grace.close().await;
        was_killed
    });
    all.await;
}

/// What the first device has kept in the vault before.
const SHARED: &str = "how does she take her tea?";
