//! Members of rooms: who makes one, comes, leaves, and removes somebody.

use std::collections::BTreeSet;

use conclave::client::{ClientError, Conversation, Event, Store};
use conclave::ids::{AccountId, OpeningId, RoomId};
use conclave::wire::{CreateInvitation, Destination, ErrorCode, Log, RoomPolicy};
use tokio::sync::mpsc;

use super::friend::Friend;
use super::victim::{Device, show};
use super::{Flow, Orders, begin, set_up, wherever_it_saves};
use crate::direct::passphrase;
use crate::proxy::Proxy;
use crate::rotation::{Publisher, opening_of};

impl Device {
    pub(super) async fn hosts(&mut self) {
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

    pub(super) async fn visits(&mut self) {
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

    pub(super) async fn leaves(&mut self) {
        let room = self.given_room();
        self.until(|event| matches!(event, Event::Connected)).await;
        if self.room(room).await.is_some() {
            self.client.leave(room).await.unwrap();
        }
        assert_eq!(self.room(room).await, None);
    }

    pub(super) async fn removes(&mut self) {
        let (room, friend) = (self.given_room(), self.orders.friend);
        self.until(|event| matches!(event, Event::Connected)).await;
        // By the node's word: what is known here may be further.
        if self.client.members(room).await.unwrap().iter().any(|member| member.account_id == friend) {
            self.client.remove(room, friend).await.unwrap();
        }
        // Who died before it was kept hears it again from the room's log.
        while self.room(room).await.unwrap().members.contains(&friend) {
            self.event().await;
        }
    }

    pub(super) async fn listens(&mut self) {
        let (room, friend) = (self.given_room(), self.orders.friend);
        self.until(|event| matches!(event, Event::CaughtUp { log } if *log == Log::Room(room))).await;
        show("listening");
        self.until(|event| matches!(event, Event::KeysRotated { account, .. } if *account == friend)).await;
        self.renews().await;
    }

    pub(super) async fn renews(&mut self) {
        self.says_and_is_read(Conversation::Room(self.given_room()), "anew").await;
    }

    fn given_room(&self) -> RoomId {
        self.orders.given.parse().unwrap()
    }
}

#[tokio::test]
async fn a_room_whose_maker_is_killed_wherever_it_saves_is_made_once_and_loses_nothing() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Host, &node.url, &folder, &friend).await;
    let kinds = ["room/", "room-key/", "renewed/", "outbox"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        let was_killed = orders.run_to_the_end().await;
        friend.has_heard(&orders, &["hello", "anew", "over"]);
        let (rooms, rounds) = (friend.client.rooms().await.unwrap(), orders.round as usize);
        assert_eq!((rooms.len(), friend.count("join ")), (rounds, rounds), "{orders:?}");
        was_killed
    });
    all.await;
}

#[tokio::test]
async fn a_guest_that_is_killed_wherever_it_saves_comes_in_and_loses_nothing() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Guest, &node.url, &folder, &friend).await;
    let grace = orders.account().await;
    let kinds = ["room/", "room-key/", "read/"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        invite(&friend, grace, orders.round).await;
        let was_killed = orders.run_to_the_end().await;
        friend.has_heard(&orders, &["hello", "over"]);
        was_killed
    });
    all.await;
}

#[tokio::test]
async fn who_is_killed_wherever_it_saves_while_it_leaves_has_left() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Leave, &node.url, &folder, &friend).await;
    let grace = orders.account().await;
    let kinds = ["room/", "left/"];
    let all = wherever_it_saves(orders, &kinds, async |mut orders| {
        let room = invite(&friend, grace, orders.round_before()).await;
        orders.run_before(Flow::Guest).await;
        orders.given = room.to_string();
        let was_killed = orders.run_to_the_end().await;
        let members = friend.client.members(room).await.unwrap();
        assert_eq!(members.len(), 1, "{orders:?}");
        friend.has_heard(&orders, &["over"]);
        was_killed
    });
    all.await;
}

#[tokio::test]
async fn who_is_killed_wherever_it_saves_while_it_removes_somebody_has_removed_them() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Remove, &node.url, &folder, &friend).await;
    let kinds = ["room/"];
    let all = wherever_it_saves(orders, &kinds, async |mut orders| {
        let before: BTreeSet<_> = rooms(&friend).await;
        orders.run_before(Flow::Host).await;
        let room = *rooms(&friend).await.difference(&before).next().unwrap();
        orders.given = room.to_string();
        let was_killed = orders.run_to_the_end().await;
        let refused = friend.client.members(room).await;
        assert!(matches!(&refused, Err(ClientError::Api(error)) if error.code() == Some(ErrorCode::UnknownRoom)));
        friend.has_heard(&orders, &["over"]);
        was_killed
    });
    all.await;
}

/// Who has heard that a member has new keys has kept it, or hears it the next time that it is said: the word is not in the log.
#[tokio::test]
async fn who_is_killed_wherever_it_saves_after_a_members_word_of_their_keys_begins_a_new_session() {
    let (folder, node, friend) = begin().await;
    let proxy = Proxy::before(&node).await;
    let orders = set_up(Flow::Listen, &proxy.url, &folder, &friend).await;
    let grace = orders.account().await;
    let all = wherever_it_saves(orders, &["rotated/"], async |mut orders| {
        // Of somebody else each time: one member's word is answered once in an hour.
        let friend = orders.meet(&node.url).await;
        let room = invite(&friend, grace, orders.round_before()).await;
        orders.run_before(Flow::Guest).await;
        orders.given = room.to_string();
        let before = openings(&proxy, room, &friend);

        let (show, mut shown) = mpsc::unbounded_channel();
        let runs = async {
            let was_killed = orders.run(show.clone()).await;
            if was_killed {
                let flow = if has_heard(&orders).await { Flow::Renew } else { Flow::Listen };
                Orders { flow, death: None, ..orders.clone() }.run(show).await;
            }
            was_killed
        };
        let mut publisher = Publisher::new(&node, room, &orders.name_met()).await;
        let says_so = async {
            while shown.recv().await.is_some() {
                publisher.publishes("generate").await;
            }
        };
        let (was_killed, ()) = tokio::join!(runs, says_so);
        let last = openings(&proxy, room, &friend).pop().unwrap();
        assert!(last.is_some() && !before.contains(&last), "{orders:?}: {before:?}, {last:?}");
        friend.has_heard(&orders, &["anew", "over"]);
        was_killed
    });
    all.await;
}

/// Whether the store of a device that has died says that the friend has new keys.
async fn has_heard(orders: &Orders) -> bool {
    let mut store = Store::open(&orders.store, passphrase()).await.unwrap().into_inner();
    let (records, _) = store.load().await.unwrap();
    store.close().await.unwrap();
    records.contains_key(&format!("rotated/{}", orders.friend))
}

/// Which new session each message to the friend in a room has begun, if it has begun one.
fn openings(proxy: &Proxy, room: RoomId, friend: &Friend) -> Vec<Option<OpeningId>> {
    let envelopes = proxy.envelopes().into_iter();
    let theirs = envelopes.filter(|envelope| {
        (envelope.destination, envelope.recipient) == (Destination::Room(room), Some(friend.client.device()))
    });
    theirs.map(|envelope| opening_of(&envelope).map(|opening| opening.id())).collect()
}

async fn rooms(friend: &Friend) -> BTreeSet<RoomId> {
    friend.client.rooms().await.unwrap().iter().map(|room| room.room_id).collect()
}

/// A room of the friend's, and a code for somebody.
async fn invite(friend: &Friend, guest: AccountId, round: u32) -> RoomId {
    let ada = &friend.client;
    let room = ada.create_room(RoomPolicy::default()).await.unwrap();
    let invitation = CreateInvitation { for_account: Some(guest), ..CreateInvitation::default() };
    let code = ada.invite(room, invitation).await.unwrap().code;
    ada.send_direct(guest, format!("join {room} {}", code.expose())).await.unwrap();
    ada.send_direct(guest, format!("invited {round}")).await.unwrap();
    room
}
