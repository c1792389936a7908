//! Rooms that the node shows as others.

use conclave::client::{ApiError, Client, ClientError, Conversation, Event, Store};
use conclave::ids::{AccountId, RoomId};
use conclave::wire::{
    CreateInvitation, Custody, Members, Message, Outcome, Protection, Role, RoomPolicy, RoomSummary, Rooms, Signatures,
    Timestamp,
};
use tokio::time::timeout;

use super::{Scene, found_room};
use crate::proxy::Passing;
use crate::rooms::admit;
use crate::user::{PATIENCE, User, sign_in};

pub(super) const CANARY: &str = "not to be read by the node";

impl Scene {
    /// A room of Grace's with Ada in it, in which both have spoken.
    pub(super) async fn room(&mut self) -> RoomId {
        let room = found_room(&mut self.grace, RoomPolicy::default()).await;
        admit(&mut self.grace, room, &self.ada).await;
        self.ada.client.send(Conversation::Room(room), "hello").await.unwrap();
        assert_eq!(self.grace.text().await.1, "hello");
        self.grace.client.send(Conversation::Room(room), "hello").await.unwrap();
        assert_eq!(self.ada.text().await.1, "hello");
        room
    }

    /// What Ada says in a room is refused, and nothing of it leaves.
    async fn room_is_refused(&self, room: RoomId) -> ClientError {
        let before = self.evil.envelopes().len();
        let refused = self.ada.client.send(Conversation::Room(room), CANARY).await.unwrap_err();
        assert_eq!(self.evil.envelopes().len(), before);
        assert!(!self.evil.has_seen(CANARY.as_bytes()));
        refused
    }
}

/// Every policy but the one that clients ask for.
fn lies() -> [RoomPolicy; 3] {
    let truth = RoomPolicy::default();
    [
        RoomPolicy { custody: Custody::Node, ..truth },
        RoomPolicy { protection: Protection::Mls, ..truth },
        RoomPolicy { signatures: Signatures::Off, ..truth },
    ]
}

/// Shows a policy wherever a call shows a room's.
pub(crate) fn show(policy: RoomPolicy) -> impl FnMut(&str, &mut Passing) + Send + 'static {
    move |asks, answer| match asks.split_once(" /api/rooms") {
        Some(("GET", "")) => answer.change(|rooms: &mut Rooms| {
            for room in &mut rooms.rooms {
                room.policy = policy;
            }
        }),
        Some(("POST", "")) => answer.change(|room: &mut RoomSummary| room.policy = policy),
        Some(("GET", path)) if !path[1..].contains('/') => answer.change(|room: &mut RoomSummary| room.policy = policy),
        _ => {}
    }
}

#[tokio::test]
async fn a_room_that_is_made_with_another_policy_is_not_used() {
    let scene = Scene::new().await;
    for lie in lies() {
        scene.evil.answers(show(lie));
        let refused = scene.ada.client.create_room(RoomPolicy::default()).await.unwrap_err();
        let ClientError::PolicyChanged { room, pinned, shown } = refused else { panic!("{refused:?}") };
        assert_eq!((pinned, shown), (RoomPolicy::default(), lie));
        scene.room_is_refused(room).await;
    }
}

#[tokio::test]
async fn a_room_that_is_joined_and_shown_with_another_policy_is_not_used() {
    for lie in lies() {
        let scene = Scene::new().await;
        let room = scene.grace.client.create_room(RoomPolicy::default()).await.unwrap();
        let invitation = scene.grace.client.invite(room, CreateInvitation::default()).await.unwrap();
        scene.evil.answers(show(lie));
        let refused = scene.ada.client.join(invitation.code.expose()).await.unwrap_err();
        let ClientError::PolicyChanged { pinned, shown, .. } = refused else { panic!("{refused:?}") };
        assert_eq!((pinned, shown), (RoomPolicy::default(), lie));
        let refused = scene.room_is_refused(room).await;
        assert!(matches!(refused, ClientError::PolicyChanged { .. }), "{refused:?}");
    }
}

/// What the node says of a room before somebody is let in does not count.
#[tokio::test]
async fn a_room_that_was_shown_before_it_was_joined_has_the_policy_of_the_invitation() {
    let mut scene = Scene::new().await;
    let room = found_room(&mut scene.grace, RoomPolicy::default()).await;
    let lie = lies()[2];
    scene.evil.answers(move |asks, answer| {
        if asks == "GET /api/rooms" {
            answer.change(|rooms: &mut Rooms| {
                let (role, created_at) = (Role::Member, Timestamp::from_millis(1));
                rooms.rooms =
                    vec![RoomSummary { room_id: room, policy: lie, role, created_at, closed_at: None, kept: None }];
            });
        }
    });
    scene.evil.cut();
    scene.ada.is_level().await;
    assert!(!scene.ada.client.rooms().await.unwrap()[0].has_key);
    scene.evil.answers(|_, _| ());
    scene.evil.cut();
    scene.ada.is_level().await;
    admit(&mut scene.grace, room, &scene.ada).await;
    let known = scene.ada.client.rooms().await.unwrap().remove(0);
    assert_eq!((known.policy, known.shown, known.has_key), (RoomPolicy::default(), None, true));
    scene.ada.client.send(Conversation::Room(room), "hello").await.unwrap();
    assert_eq!(scene.grace.text().await.1, "hello");
}

/// A device that has never seen a room has its policy from the account's other devices.
#[tokio::test]
async fn a_room_that_is_shown_with_another_policy_to_a_new_device_is_not_used() {
    for lie in lies() {
        let mut scene = Scene::new().await;
        let room = scene.room().await;
        let kit = scene.ada.client.recovery_kit().await.unwrap();
        scene.evil.answers(show(lie));
        let signed_in = sign_in(&scene.evil.url, "ada").await;
        let (client, events) = Client::recover(Store::in_memory(), signed_in, &kit).await.unwrap();
        scene.ada = User { client, events };
        let changed = scene.ada.until(|event| match event {
            Event::PolicyChanged { room, pinned, shown } => Some((*room, *pinned, *shown)),
            _ => None,
        });
        assert_eq!(changed.await, (room, RoomPolicy::default(), lie));
        let refused = scene.room_is_refused(room).await;
        assert!(matches!(refused, ClientError::PolicyChanged { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_policy_that_changes_is_told_and_ends_the_room() {
    for lie in lies() {
        let mut scene = Scene::new().await;
        let room = scene.room().await;
        scene.evil.answers(show(lie));
        scene.evil.cut();
        let changed = scene.ada.until(|event| match event {
            Event::PolicyChanged { room, pinned, shown } => Some((*room, *pinned, *shown)),
            _ => None,
        });
        assert_eq!(changed.await, (room, RoomPolicy::default(), lie));
        let refused = scene.room_is_refused(room).await;
        assert!(matches!(refused, ClientError::PolicyChanged { .. }), "{refused:?}");
        // The truth does not make it good.
        scene.evil.answers(|_, _| ());
        scene.evil.cut();
        scene.ada.is_level().await;
        let refused = scene.room_is_refused(room).await;
        assert!(matches!(refused, ClientError::PolicyChanged { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_policy_that_the_socket_shows_as_another_ends_the_room() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    let lie = lies()[2];
    scene.evil.tells(move |_, message| match message {
        Message::Ok(mut answer) => {
            if let Some(Outcome::Joined { policy, .. }) = &mut answer.result {
                *policy = lie;
            }
            vec![Message::Ok(answer)]
        }
        other => vec![other],
    });
    scene.evil.cut();
    let changed = scene.ada.until(|event| matches!(event, Event::PolicyChanged { .. }).then_some(()));
    changed.await;
    let refused = scene.room_is_refused(room).await;
    assert!(matches!(refused, ClientError::PolicyChanged { .. }), "{refused:?}");
}

/// Whoever forgot what a room was would take it for what it is shown as next.
#[tokio::test]
async fn a_room_that_the_node_takes_away_and_gives_back_is_what_it_was() {
    let mut scene = Scene::new().await;
    let (room, lie) = (scene.room().await, lies()[2]);
    scene.evil.answers(|asks, answer| {
        if asks == "GET /api/rooms" {
            answer.change(|rooms: &mut Rooms| rooms.rooms.clear());
        }
    });
    scene.evil.cut();
    let ada = scene.ada.id();
    let is_gone = |event: &Event| matches!(event, Event::MemberLeft { account, .. } if *account == ada);
    scene.ada.until(|event| is_gone(event).then_some(())).await;
    scene.evil.answers(show(lie));
    scene.evil.cut();
    let changed = scene.ada.until(|event| match event {
        Event::PolicyChanged { room, pinned, shown } => Some((*room, *pinned, *shown)),
        _ => None,
    });
    assert_eq!(changed.await, (room, RoomPolicy::default(), lie));
    let refused = scene.room_is_refused(room).await;
    assert!(matches!(refused, ClientError::PolicyChanged { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_room_that_is_made_is_none_that_others_are_in_already() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    scene.evil.answers(move |asks, answer| {
        if asks == "POST /api/rooms" {
            answer.change(|made: &mut RoomSummary| made.room_id = room);
        }
    });
    let refused = scene.ada.client.create_room(RoomPolicy::default()).await.unwrap_err();
    assert!(matches!(refused, ClientError::Api(ApiError::Mismatch)), "{refused:?}");
}

#[tokio::test]
async fn a_list_without_end_comes_to_an_end() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    let path = format!("GET /api/rooms/{room}/members");
    scene.evil.answers(move |asks, answer| {
        if asks.starts_with(&path) {
            answer.change(|members: &mut Members| {
                members.members.clear();
                members.next = Some(AccountId::from_bytes([1; 16]));
            });
        }
    });
    let refused = timeout(PATIENCE, scene.ada.client.members(room)).await.unwrap().unwrap_err();
    assert!(matches!(refused, ClientError::Api(ApiError::Malformed)), "{refused:?}");
}
