//! Each flow, killed wherever it saves.

use conclave::client::vault::ItemState;
use conclave::client::{Conversation, Store};
use conclave::ids::AccountId;
use conclave::wire::{CreateInvitation, RoomPolicy};
use tokio::sync::mpsc;

use super::friend::Friend;
use super::{Flow, Orders, wherever_it_saves};
use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::sessions;
use crate::user::{User, sign_in};

/// A channel for codes that nobody shows.
fn no_codes() -> mpsc::UnboundedSender<String> {
    mpsc::unbounded_channel().0
}

async fn begin() -> (DataFolder, NodeProcess, Friend) {
    let folder = DataFolder::new();
    // Nobody signs in and rotates as often as a client that is killed each time.
    let node = NodeProcess::start(folder.path(), |command| {
        command
            .env("CONCLAVE__LIMITS__SIGN_IN_PER_MINUTE", "100000")
            .env("CONCLAVE__LIMITS__CLAIMS_PER_MINUTE", "1000");
    });
    let friend = Friend::new(&node.url).await;
    (folder, node, friend)
}

/// Orders for a client that is set up.
async fn set_up(flow: Flow, node: &NodeProcess, folder: &DataFolder, friend: &Friend) -> Orders {
    let orders = Orders::new(Flow::SetUp, &node.url, folder.path(), friend.client.account_id());
    orders.run(no_codes()).await;
    Orders { flow, ..orders }
}

#[tokio::test]
async fn a_set_up_that_is_killed_wherever_it_saves_makes_one_device() {
    let (folder, node, friend) = begin().await;
    let orders = Orders::new(Flow::SetUp, &node.url, folder.path(), friend.client.account_id());
    let kills = wherever_it_saves(orders, async |orders| {
        let orders = orders.anew(folder.path());
        let was_killed = orders.run_to_the_end(&no_codes()).await;
        // Whoever is set up answers to the same name.
        let account = sign_in(&node.url, &orders.name).await.account_id();
        assert_eq!(friend.client.devices(account).await.unwrap().len(), 1, "{orders:?}");
        assert_eq!(friend.heard(orders.round), [format!("over {}", orders.round)]);
        was_killed
    });
    let kills = kills.await;
    assert!(kills >= 4, "{kills}");
}

#[tokio::test]
async fn answers_of_a_client_that_is_killed_wherever_it_saves_are_read_once_each() {
    answers_are_read_once_each(|_, _| ()).await;
}

/// Whose answer is lost with the process has lost its session, and nothing else.
#[tokio::test]
async fn a_client_that_is_killed_while_its_tokens_are_traded_goes_on() {
    answers_are_read_once_each(|folder, grace| sessions::change(folder, sessions::EXPIRE, grace)).await;
}

async fn answers_are_read_once_each(before_each: impl Fn(&DataFolder, AccountId)) {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Answer, &node, &folder, &friend).await;
    let grace = sign_in(&node.url, "grace").await.account_id();
    let kills = wherever_it_saves(orders, async |orders| {
        let round = orders.round;
        for n in 0..2 {
            friend.client.send_direct(grace, format!("question {n} {round}")).await.unwrap();
        }
        before_each(&folder, grace);
        let was_killed = orders.run_to_the_end(&no_codes()).await;
        assert_eq!(friend.heard(round), ["answer 0", "answer 1", "over"].map(|text| format!("{text} {round}")));
        was_killed
    });
    let kills = kills.await;
    assert!(kills >= 8, "{kills}");

    // What came is there once, as what was said is.
    let grace = User::open(Store::open(&folder.path().join("victim"), passphrase()).await.unwrap()).await;
    let mut kept = grace.kept(Conversation::Direct(friend.client.account_id())).await;
    let count = kept.len();
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept.len(), count);
    assert_eq!(friend.count("answer "), kept.iter().filter(|text| text.starts_with("question ")).count());
    grace.close().await;
}

#[tokio::test]
async fn a_room_whose_maker_is_killed_wherever_it_saves_is_made_once_and_loses_nothing() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Host, &node, &folder, &friend).await;
    let kills = wherever_it_saves(orders, async |orders| {
        let was_killed = orders.run_to_the_end(&no_codes()).await;
        let round = orders.round;
        assert_eq!(friend.heard(round), ["hello", "anew", "over"].map(|text| format!("{text} {round}")), "{orders:?}");
        let rooms = friend.client.rooms().await.unwrap();
        assert_eq!((rooms.len(), friend.count("join ")), (round as usize, round as usize), "{orders:?}");
        was_killed
    });
    let kills = kills.await;
    assert!(kills >= 8, "{kills}");
}

#[tokio::test]
async fn a_guest_that_is_killed_wherever_it_saves_comes_in_and_loses_nothing() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Guest, &node, &folder, &friend).await;
    let grace = sign_in(&node.url, "grace").await.account_id();
    let kills = wherever_it_saves(orders, async |orders| {
        let (round, ada) = (orders.round, &friend.client);
        let room = ada.create_room(RoomPolicy::default()).await.unwrap();
        let invitation = CreateInvitation { for_account: Some(grace), ..CreateInvitation::default() };
        let code = ada.invite(room, invitation).await.unwrap().code;
        ada.send_direct(grace, format!("join {room} {}", code.expose())).await.unwrap();
        ada.send_direct(grace, format!("invited {round}")).await.unwrap();
        let was_killed = orders.run_to_the_end(&no_codes()).await;
        assert_eq!(friend.heard(round), ["hello", "over"].map(|text| format!("{text} {round}")), "{orders:?}");
        was_killed
    });
    let kills = kills.await;
    assert!(kills >= 6, "{kills}");
}

/// The user types the code that is shown first, once.
#[tokio::test]
async fn a_device_that_is_killed_wherever_it_saves_while_it_is_linked_needs_one_code() {
    let (folder, node, friend) = begin().await;
    let orders = Orders::new(Flow::Link, &node.url, folder.path(), friend.client.account_id());
    let kills = wherever_it_saves(orders, async |orders| {
        let orders = orders.anew(folder.path());
        let first = User::new(&node.url, &orders.name).await;
        let (show, mut shown) = mpsc::unbounded_channel::<String>();
        let own = first.client.clone();
        let typing = tokio::spawn(async move {
            let code = shown.recv().await.unwrap();
            own.link_device(&code).await.unwrap();
            while let Some(again) = shown.recv().await {
                assert_eq!(again, code);
            }
        });
        let was_killed = orders.run_to_the_end(&show).await;
        drop(show);
        typing.await.unwrap();
        assert_eq!(friend.client.devices(first.id()).await.unwrap().len(), 2, "{orders:?}");
        assert_eq!(friend.heard(orders.round), [format!("over {}", orders.round)]);
        was_killed
    });
    let kills = kills.await;
    assert!(kills >= 6, "{kills}");
}

#[tokio::test]
async fn a_vault_whose_writer_is_killed_wherever_it_saves_has_each_write_once() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Vault, &node, &folder, &friend).await;
    let mut rounds = 0;
    let kills = wherever_it_saves(orders, async |orders| {
        rounds = orders.round;
        orders.run_to_the_end(&no_codes()).await
    });
    let kills = kills.await;
    assert!(kills >= 8, "{kills}");

    let grace = User::open(Store::open(&folder.path().join("victim"), passphrase()).await.unwrap()).await;
    let memories = grace.client.vault().memories();
    for round in 1..=rounds {
        let kept = memories.id_of(&format!("kept {round}")).await.unwrap();
        let kept = memories.get(kept).await.unwrap().unwrap();
        assert_eq!((kept.version, kept.content.query.as_str()), (2, "second"), "{round}");
        let gone = memories.id_of(&format!("gone {round}")).await.unwrap();
        assert_eq!(memories.state(gone).await.unwrap(), ItemState::Deleted { version: 2 }, "{round}");
    }
    grace.close().await;
}
