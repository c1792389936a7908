//! Rooms that the node shows as others: another policy, and members whom nobody has let in.

use conclave::client::{ApiError, ClientError, Conversation, Event};
use conclave::ids::{AccountId, MessageId, RoomId};
use conclave::protocol::machine::MachineError;
use conclave::wire::{
    CreateInvitation, Custody, ErrorCode, MemberSummary, Members, Message, Outcome, Protection, Role, RoomPolicy,
    RoomSummary, Rooms, Signatures,
};
use tokio::time::timeout;

use super::{Scene, found_room};
use crate::proxy::Passing;
use crate::rooms::admit;
use crate::user::{PATIENCE, User};

const CANARY: &str = "not to be read by the node";

impl Scene {
    /// A room of Grace's with Ada in it, in which both have spoken.
    async fn room(&mut self) -> RoomId {
        let room = found_room(&mut self.grace, RoomPolicy::default()).await;
        admit(&mut self.grace, room, &self.ada).await;
        self.ada.client.send(Conversation::Room(room), "hello").await.unwrap();
        assert_eq!(self.grace.text().await.1, "hello");
        self.grace.client.send(Conversation::Room(room), "hello").await.unwrap();
        assert_eq!(self.ada.text().await.1, "hello");
        room
    }

    /// The members of whom Ada is told before a message of hers is called sent.
    async fn told_before_sent(&mut self, message: MessageId) -> Vec<AccountId> {
        let mut told = Vec::new();
        self.ada
            .until(|event| match event {
                Event::MemberJoined { account, .. } => {
                    told.push(*account);
                    None
                }
                Event::Sent { id, .. } => (*id == message).then_some(()),
                Event::NotSent { reason, .. } => panic!("{reason:?}"),
                _ => None,
            })
            .await;
        told
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
fn show(policy: RoomPolicy) -> impl FnMut(&str, &mut Passing) + Send + 'static {
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

/// Whoever joins knows no better than the node says; what is said then does not open at those who know.
#[tokio::test]
async fn a_room_that_is_joined_with_another_policy_has_nothing_to_read_or_write() {
    for lie in lies() {
        let mut scene = Scene::new().await;
        let room = scene.grace.client.create_room(RoomPolicy::default()).await.unwrap();
        let invitation = scene.grace.client.invite(room, CreateInvitation::default()).await.unwrap();
        scene.evil.answers(show(lie));
        scene.evil.tells(move |_, message| match message {
            Message::Ok(mut answer) => {
                if let Some(Outcome::Joined { policy, .. }) = &mut answer.result {
                    *policy = lie;
                }
                vec![Message::Ok(answer)]
            }
            other => vec![other],
        });
        scene.ada.client.join(invitation.token).await.unwrap();
        assert_eq!(scene.ada.client.rooms().await.unwrap()[0].policy, lie);
        let place = Conversation::Room(room);
        if lie.signatures == Signatures::On {
            let refused = scene.room_is_refused(room).await;
            assert!(matches!(refused, ClientError::Machine(MachineError::OtherPolicy { .. })), "{refused:?}");
            continue;
        }
        // Written under another policy than the readers have: refused by the node, and it would not open.
        let id = scene.ada.client.send(place, CANARY).await.unwrap();
        let refused = scene.ada.until(|event| match event {
            Event::NotSent { id: of, reason, .. } if *of == Some(id) => Some(*reason),
            _ => None,
        });
        assert_eq!(refused.await, ErrorCode::SignatureMissing);
        let ada = scene.ada.id();
        let told = scene
            .grace
            .until(|event| matches!(event, Event::MemberJoined { account, .. } if *account == ada).then_some(()));
        told.await;
        scene.grace.client.send(place, "under the true one").await.unwrap();
        let refused = scene.ada.until(|event| match event {
            Event::Undecryptable { reason, .. } => Some(*reason),
            Event::Message(message) => panic!("{message:?} was shown"),
            _ => None,
        });
        assert_eq!(refused.await, ErrorCode::SignatureUnexpected);
        assert!(!scene.evil.has_seen(CANARY.as_bytes()));
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

/// Who is a member is the node's word. It is told, so that an app can ask before it goes on.
#[tokio::test]
async fn a_member_whom_the_node_adds_is_told_before_anything_is_sealed_for_them() {
    for is_by_socket in [false, true] {
        let mut scene = Scene::new().await;
        let mallory = User::new(&scene.node.url, "mallory").await;
        let room = scene.room().await;
        let (id, device) = (mallory.id(), mallory.client.device());
        if is_by_socket {
            scene.evil.says(&Message::MemberJoined { room_id: room, account_id: id });
        } else {
            scene.evil.answers(adds(room, id));
            scene.evil.cut();
        }
        let is_told = |event: &Event| matches!(event, Event::MemberJoined { account, .. } if *account == id);
        scene.ada.until(|event| is_told(event).then_some(())).await;
        assert!(scene.ada.client.rooms().await.unwrap()[0].members.contains(&id));
        // What the app does about it: it leaves, and nothing ever was for her.
        scene.ada.client.leave(room).await.unwrap();
        let refused = scene.room_is_refused(room).await;
        assert!(matches!(refused, ClientError::NotJoined { .. }), "{refused:?}");
        assert!(scene.evil.envelopes().iter().all(|envelope| envelope.recipient != Some(device)));
    }
}

/// What is written is sealed for those of whom the app knew, though it leaves later. The next message is for her too.
#[tokio::test]
async fn what_waits_is_not_sealed_for_a_member_whom_the_node_adds_meanwhile() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let room = scene.room().await;
    let (id, device) = (mallory.id(), mallory.client.device());
    // Of Joan's devices nothing is known yet: what is written is sealed when that is there.
    let mut joan = User::new(&scene.node.url, "joan").await;
    admit(&mut scene.grace, room, &joan).await;
    let joined = joan.id();
    let is_joan = |event: &Event| matches!(event, Event::MemberJoined { account, .. } if *account == joined);
    scene.ada.until(|event| is_joan(event).then_some(())).await;
    scene.evil.close();
    scene.ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let waits = scene.ada.client.send(Conversation::Room(room), CANARY).await.unwrap();
    scene.evil.answers(adds(room, id));
    scene.evil.lead_to(&scene.node);
    assert_eq!(scene.told_before_sent(waits).await, [id]);
    assert_eq!(scene.grace.text().await.1, CANARY);
    assert_eq!(joan.text().await.1, CANARY);
    let is_for_her = |scene: &Scene| scene.evil.envelopes().iter().any(|envelope| envelope.recipient == Some(device));
    assert!(!is_for_her(&scene));
    let next = scene.ada.client.send(Conversation::Room(room), "for all of them").await.unwrap();
    assert!(scene.told_before_sent(next).await.is_empty());
    assert!(is_for_her(&scene));
}

/// Has an account stand among a room's members.
fn adds(room: RoomId, account_id: AccountId) -> impl FnMut(&str, &mut Passing) + Send + 'static {
    let path = format!("GET /api/rooms/{room}/members");
    move |asks, answer| {
        if asks == path {
            answer.change(|members: &mut Members| {
                let joined_at = members.members[0].joined_at;
                members.members.push(MemberSummary { account_id, role: Role::Member, joined_at });
            });
        }
    }
}
