//! Members whom the node adds, and nobody has let in.

use std::sync::{Arc, Mutex};

use conclave::client::{Client, ClientError, Conversation, Event, Store};
use conclave::ids::{AccountId, DeviceAddress, RoomId};
use conclave::protocol::membership::{InvitationCode, MembershipKey};
use conclave::wire::{
    CreateInvitation, ErrorCode, Log, MemberSummary, Members, MembershipProofBytes, Message, Role, RoomPolicy, Rooms,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::attacker::Attacker;
use super::policies::CANARY;
use super::{Scene, found_room};
use crate::proxy::{Passing, Proxy};
use crate::rooms::admit;
use crate::user::{User, sign_in};

impl Scene {
    /// Until Ada is told that somebody is no member, whatever the node says, and why.
    async fn member_is_refused(&mut self, account: AccountId) -> ErrorCode {
        let is_it = |event: &Event| match event {
            Event::MemberRefused { account: refused, reason, .. } => (*refused == account).then_some(*reason),
            Event::MemberJoined { account: joined, .. } if *joined == account => panic!("{joined} was let in"),
            _ => None,
        };
        self.ada.until(is_it).await
    }

    async fn member_joins(&mut self, account: AccountId) {
        let is_it = |event: &Event| matches!(event, Event::MemberJoined { account: joined, .. } if *joined == account);
        self.ada.until(|event| is_it(event).then_some(())).await;
    }

    async fn member_leaves(&mut self, account: AccountId) {
        let is_it = |event: &Event| matches!(event, Event::MemberLeft { account: left, .. } if *left == account);
        self.ada.until(|event| is_it(event).then_some(())).await;
    }

    /// A room of Ada's with Grace and another guest in it, and that guest's proof.
    async fn room_with(&mut self, guest: &User) -> (RoomId, MembershipProofBytes) {
        let room = found_room(&mut self.ada, RoomPolicy::default()).await;
        admit(&mut self.ada, room, &self.grace).await;
        admit(&mut self.ada, room, guest).await;
        (room, proof_of(&self.ada, room, guest).await)
    }

    /// Whoever was removed is shown again, by the socket and in the list.
    async fn is_not_let_in_again(&mut self, room: RoomId, guest: &User, proof: MembershipProofBytes) {
        let account_id = guest.id();
        self.evil.says(&Message::MemberJoined { room_id: room, account_id, proof: Some(proof) });
        assert_eq!(self.member_is_refused(account_id).await, ErrorCode::MemberRemoved);
        self.evil.answers(adds(room, account_id, Some(proof)));
        self.evil.cut();
        self.ada.is_level().await;
        self.is_said_past(room, guest.client.device()).await;
    }

    /// What Ada says in a room comes to Grace, and nothing of it is for a device.
    async fn is_said_past(&mut self, room: RoomId, device: DeviceAddress) {
        let said = self.ada.client.send(Conversation::Room(room), CANARY).await.unwrap();
        self.ada.is_sent(said).await;
        assert_eq!(self.grace.text().await.1, CANARY);
        assert!(!self.is_anything_for(device));
        assert!(!self.evil.has_seen(CANARY.as_bytes()));
    }

    /// Has Ada hear of everything but a member.
    fn hides(&self, room: RoomId, account: AccountId) {
        let path = format!("GET /api/rooms/{room}/members");
        self.evil.answers(move |asks, answer| {
            if asks == path {
                answer.change(|members: &mut Members| members.members.retain(|member| member.account_id != account));
            }
        });
        self.evil.tells(move |_, message| match message {
            Message::MemberJoined { account_id, .. } if account_id == account => Vec::new(),
            other => vec![other],
        });
    }

    fn is_anything_for(&self, device: DeviceAddress) -> bool {
        self.evil.envelopes().iter().any(|envelope| envelope.recipient == Some(device))
    }
}

#[tokio::test]
async fn a_member_whom_the_node_adds_is_refused_and_nothing_is_sealed_for_them() {
    for is_by_socket in [false, true] {
        let mut scene = Scene::new().await;
        let mallory = User::new(&scene.node.url, "mallory").await;
        let room = scene.room().await;
        let (id, device) = (mallory.id(), mallory.client.device());
        if is_by_socket {
            scene.evil.says(&Message::MemberJoined { room_id: room, account_id: id, proof: None });
        } else {
            scene.evil.answers(adds(room, id, None));
            scene.evil.cut();
        }
        assert_eq!(scene.member_is_refused(id).await, ErrorCode::NotVouched);
        let shown = scene.ada.client.rooms().await.unwrap().remove(0);
        assert!(!shown.members.contains(&id));
        assert_eq!(shown.refused, [id]);
        scene.is_said_past(room, device).await;
    }
}

/// What waits when the node adds somebody, and what is written then.
#[tokio::test]
async fn what_waits_is_not_sealed_for_a_member_whom_the_node_adds_meanwhile() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let room = scene.room().await;
    let (id, device) = (mallory.id(), mallory.client.device());
    // Of Joan's devices nothing is known yet: what is written is sealed when that is there.
    let mut joan = User::new(&scene.node.url, "joan").await;
    admit(&mut scene.grace, room, &joan).await;
    scene.member_joins(joan.id()).await;
    scene.evil.close();
    scene.ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    scene.ada.client.send(Conversation::Room(room), "in the dark").await.unwrap();
    scene.evil.answers(adds(room, id, None));
    scene.evil.lead_to(&scene.node);
    scene.member_is_refused(id).await;
    assert_eq!(scene.grace.text().await.1, "in the dark");
    assert_eq!(joan.text().await.1, "in the dark");
    scene.is_said_past(room, device).await;
    assert_eq!(joan.text().await.1, CANARY);
}

/// A message that waits is for those who were there when it was written.
#[tokio::test]
async fn what_waits_is_not_sealed_for_a_guest_who_comes_later() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let room = scene.room().await;
    let mut joan = User::new(&scene.node.url, "joan").await;
    admit(&mut scene.grace, room, &joan).await;
    scene.member_joins(joan.id()).await;
    scene.evil.close();
    scene.ada.until(|event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    scene.ada.client.send(Conversation::Room(room), "before you came").await.unwrap();
    admit(&mut scene.grace, room, &mallory).await;
    scene.evil.lead_to(&scene.node);
    assert_eq!(joan.text().await.1, "before you came");
    assert!(!scene.is_anything_for(mallory.client.device()));
    let next = scene.ada.client.send(Conversation::Room(room), "for all of you").await.unwrap();
    scene.ada.is_sent(next).await;
    assert!(scene.is_anything_for(mallory.client.device()));
}

#[tokio::test]
async fn a_proof_is_of_one_account_room_and_key() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let room = scene.room().await;
    let (id, device, root_key) = (mallory.id(), mallory.client.device(), mallory.client.root_key().clone());
    // A room that Mallory is in by right, with Ada.
    let other_room = found_room(&mut scene.ada, RoomPolicy::default()).await;
    admit(&mut scene.ada, other_room, &mallory).await;
    let of_other_room = proof_of(&scene.ada, other_room, &mallory).await;
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let invented = MembershipKey::generate(rng).prove(room, id, &root_key, rng).to_wire();
    let of_grace = proof_of(&scene.ada, room, &scene.grace).await;
    for proof in [of_other_room, invented, of_grace] {
        scene.evil.says(&Message::MemberJoined { room_id: room, account_id: id, proof: Some(proof) });
        assert_eq!(scene.member_is_refused(id).await, ErrorCode::NotVouched);
        // So that the next one is news again.
        scene.evil.says(&Message::MemberLeft { room_id: room, account_id: id });
    }
    scene.is_said_past(room, device).await;
}

/// Somebody who was let in, shown with a device list of the node's: Ada has never seen their keys, and does not take these.
#[tokio::test]
async fn a_member_with_another_root_key_than_they_were_let_in_with_is_refused() {
    for is_rotated in [false, true] {
        let mut scene = Scene::new().await;
        let room = scene.room().await;
        let mut joan = User::new(&scene.node.url, "joan").await;
        scene.shows(&joan, Attacker::posing_as(joan.id()).list(1));
        admit(&mut scene.grace, room, &joan).await;
        let id = joan.id();
        scene.member_joins(id).await;
        let refused = scene.ada.client.send_direct(id, CANARY).await.unwrap_err();
        assert!(matches!(refused, ClientError::OtherRootKey), "{refused:?}");
        if is_rotated {
            scene.ada.client.rotate_keys(room).await.unwrap();
        }
        let said = scene.ada.client.send(Conversation::Room(room), CANARY).await.unwrap();
        assert_eq!(scene.member_is_refused(id).await, ErrorCode::IdentityChanged);
        scene.ada.is_sent(said).await;
        assert_eq!(scene.grace.text().await.1, CANARY);
        // Nor is it taken afterwards.
        scene.evil.cut();
        scene.ada.is_level().await;
        let refused = scene.ada.client.send_direct(id, CANARY).await.unwrap_err();
        assert!(matches!(refused, ClientError::OtherRootKey), "{refused:?}");
        let is_for_joan = |device: DeviceAddress| device.account_id == id;
        assert!(!scene.evil.envelopes().iter().any(|envelope| envelope.recipient.is_some_and(is_for_joan)));
        scene.evil.answers(|_, _| ());
        scene.ada.write(&joan, "to the true one").await;
        assert_eq!(joan.text().await.1, "to the true one");
    }
}

/// Ada knows the node's keys for Joan's, when a member lets the true Joan in. It is for Ada to say which are right.
#[tokio::test]
async fn a_member_who_is_known_by_another_root_key_comes_in_when_the_user_takes_theirs() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    let mut joan = User::new(&scene.node.url, "joan").await;
    scene.shows(&joan, Attacker::posing_as(joan.id()).list(1));
    scene.ada.client.devices(joan.id()).await.unwrap();
    scene.evil.answers(|_, _| ());
    admit(&mut scene.grace, room, &joan).await;
    let id = joan.id();
    assert_eq!(scene.member_is_refused(id).await, ErrorCode::IdentityChanged);
    scene.ada.until(|event| matches!(event, Event::IdentityChanged { account } if *account == id).then_some(())).await;
    scene.ada.client.accept_identity(id, joan.client.root_key().clone()).await.unwrap();
    scene.member_joins(id).await;
    scene.ada.client.send(Conversation::Room(room), "so it is you").await.unwrap();
    assert_eq!(joan.text().await.1, "so it is you");
}

#[tokio::test]
async fn a_member_who_was_removed_does_not_come_back_by_the_proof_that_they_had() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let (room, proof) = scene.room_with(&mallory).await;
    let (id, device) = (mallory.id(), mallory.client.device());
    scene.ada.client.remove(room, id).await.unwrap();
    scene.member_leaves(id).await;
    scene.is_not_let_in_again(room, &mallory, proof).await;
    // Nor when the node takes the room away, and gives it back.
    scene.evil.answers(|asks, answer| {
        if asks == "GET /api/rooms" {
            answer.change(|rooms: &mut Rooms| rooms.rooms.clear());
        }
    });
    scene.evil.cut();
    scene.member_leaves(scene.ada.id()).await;
    scene.evil.answers(adds(room, id, Some(proof)));
    scene.evil.cut();
    assert_eq!(scene.member_is_refused(id).await, ErrorCode::MemberRemoved);
    scene.is_said_past(room, device).await;
    // By another invitation they do.
    scene.evil.answers(|_, _| ());
    admit(&mut scene.ada, room, &mallory).await;
    let said = scene.ada.client.send(Conversation::Room(room), "welcome back").await.unwrap();
    scene.ada.is_sent(said).await;
    assert!(scene.is_anything_for(device));
}

/// Who has proven twice has two proofs.
#[tokio::test]
async fn a_member_who_was_removed_does_not_come_back_by_any_proof_that_they_had() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let (room, older) = scene.room_with(&mallory).await;
    let invitation = scene.ada.client.invite(room, CreateInvitation::default()).await.unwrap();
    mallory.client.join(invitation.code.expose()).await.unwrap();
    let newer = proof_of(&scene.ada, room, &mallory).await;
    assert_ne!(older, newer);
    // Behind the news of the newer one.
    scene.grace.client.send(Conversation::Room(room), "she has come twice").await.unwrap();
    assert_eq!(scene.ada.text().await.1, "she has come twice");
    scene.ada.client.remove(room, mallory.id()).await.unwrap();
    scene.member_leaves(mallory.id()).await;
    for proof in [older, newer] {
        scene.is_not_let_in_again(room, &mallory, proof).await;
        // So that the next one is news again.
        scene.evil.says(&Message::MemberLeft { room_id: room, account_id: mallory.id() });
    }
}

/// The node does as it is told, and does not say so.
#[tokio::test]
async fn a_member_whose_removal_is_not_answered_does_not_come_back() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let (room, proof) = scene.room_with(&mallory).await;
    scene.evil.answers(|asks, answer| {
        if asks.starts_with("DELETE ") {
            answer.lose();
        }
    });
    scene.ada.client.remove(room, mallory.id()).await.unwrap_err();
    scene.member_leaves(mallory.id()).await;
    scene.is_not_let_in_again(room, &mallory, proof).await;
}

/// What the node has kept back until its writer was removed.
#[tokio::test]
async fn what_a_member_writes_whom_this_device_has_removed_is_not_shown() {
    let mut scene = Scene::new().await;
    let mut mallory = User::new(&scene.node.url, "mallory").await;
    let (room, _) = scene.room_with(&mallory).await;
    let (device, kept_back) = (mallory.client.device(), Arc::new(Mutex::new(None)));
    let keeps = Arc::clone(&kept_back);
    scene.evil.tells(move |_, message| match message {
        Message::Envelope(entry) if entry.envelope.sender == device => {
            *keeps.lock().unwrap() = Some(entry);
            Vec::new()
        }
        other => vec![other],
    });
    let said = mallory.client.send(Conversation::Room(room), "one more thing").await.unwrap();
    mallory.is_sent(said).await;
    assert_eq!(scene.grace.text().await.1, "one more thing");
    scene.ada.client.remove(room, mallory.id()).await.unwrap();
    scene.member_leaves(mallory.id()).await;
    let entry = kept_back.lock().unwrap().take().unwrap();
    scene.evil.tells(|_, message| vec![message]);
    scene.evil.says(&Message::Envelope(entry));
    let refused = scene.ada.until(|event| match event {
        Event::Undecryptable { sender, reason, .. } if *sender == device => Some(*reason),
        Event::Message(message) => panic!("{message:?} was shown"),
        _ => None,
    });
    assert_eq!(refused.await, ErrorCode::NotVouched);
}

/// Whom a message is for is not known when it is written: it waits for all of them.
#[tokio::test]
async fn what_is_written_before_the_members_were_ever_told_waits_for_them() {
    let mut scene = Scene::new().await;
    let room = found_room(&mut scene.grace, RoomPolicy::default()).await;
    let invitation = scene.grace.client.invite(room, CreateInvitation::default()).await.unwrap();
    let path = format!("GET /api/rooms/{room}/members");
    scene.evil.answers(move |asks, answer| {
        if asks == path {
            answer.lose();
        }
    });
    assert_eq!(scene.ada.client.join(invitation.code.expose()).await.unwrap(), room);
    let said = scene.ada.client.send(Conversation::Room(room), "is anybody here?").await.unwrap();
    scene.evil.answers(|_, _| ());
    scene.ada.is_sent(said).await;
    assert_eq!(scene.grace.text().await.1, "is anybody here?");
}

#[tokio::test]
async fn a_member_whom_the_user_may_not_remove_stays_one() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    let mut joan = User::new(&scene.node.url, "joan").await;
    admit(&mut scene.grace, room, &joan).await;
    let id = joan.id();
    scene.member_joins(id).await;
    let refused = scene.ada.client.remove(room, id).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Api(error) if error.code() == Some(ErrorCode::RoleForbids)), "{refused:?}");
    let proof = proof_of(&scene.ada, room, &joan).await;
    scene.evil.says(&Message::MemberLeft { room_id: room, account_id: id });
    scene.member_leaves(id).await;
    scene.evil.says(&Message::MemberJoined { room_id: room, account_id: id, proof: Some(proof) });
    scene.member_joins(id).await;
    scene.ada.client.send(Conversation::Room(room), "still here").await.unwrap();
    assert_eq!(joan.text().await.1, "still here");
}

/// A new device of Ada's has the key and the policy from what her account has kept. The node cannot make that up.
#[tokio::test]
async fn a_new_device_to_which_the_node_shows_something_else_for_its_key_uses_no_room() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    let kit = scene.ada.client.recovery_kit().await.unwrap();
    for kept in [None, Some([7; 117].into())] {
        scene.evil.answers(move |asks, answer| {
            if asks == "GET /api/rooms" {
                answer.change(|rooms: &mut Rooms| rooms.rooms[0].kept = kept);
            }
        });
        let signed_in = sign_in(&scene.evil.url, "ada").await;
        let (client, events) = Client::recover(Store::in_memory(), signed_in, &kit).await.unwrap();
        let mut new = User { client, events };
        new.is_level().await;
        assert!(!new.client.rooms().await.unwrap().remove(0).has_key);
        let refused = new.client.send(Conversation::Room(room), CANARY).await.unwrap_err();
        assert!(matches!(refused, ClientError::NoMembershipKey { .. }), "{refused:?}");
    }
}

/// This account's own devices need no proof of each other.
#[tokio::test]
async fn what_is_written_on_a_new_device_comes_to_the_others_whatever_is_shown_of_its_account() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    let kit = scene.ada.client.recovery_kit().await.unwrap();
    let (id, path) = (scene.ada.id(), format!("GET /api/rooms/{room}/members"));
    scene.evil.answers(move |asks, answer| {
        if asks == path {
            answer.change(|members: &mut Members| {
                for member in members.members.iter_mut().filter(|member| member.account_id == id) {
                    member.proof = None;
                }
            });
        }
    });
    let (client, events) =
        Client::recover(Store::in_memory(), sign_in(&scene.evil.url, "ada").await, &kit).await.unwrap();
    let mut new = User { client, events };
    new.until(|event| matches!(event, Event::CaughtUp { log: Log::Room(_) }).then_some(())).await;
    new.client.send(Conversation::Room(room), "on the new one").await.unwrap();
    assert_eq!(scene.ada.text().await, (id, "on the new one".to_owned()));
    assert_eq!(scene.grace.text().await, (id, "on the new one".to_owned()));
}

/// Mallory has the node's token and not the room's key. Her client is made to believe the others. Ada is told that she is there,
/// or not even that.
#[tokio::test]
async fn what_somebody_writes_whom_no_member_has_let_in_is_not_shown() {
    for is_hidden in [false, true] {
        let mut scene = Scene::new().await;
        let room = scene.room().await;
        let mirror = Proxy::before(&scene.node).await;
        let mallory = User::new(&mirror.url, "mallory").await;
        let code: InvitationCode = {
            let invitation = scene.grace.client.invite(room, CreateInvitation::default()).await.unwrap();
            invitation.code.expose().parse().unwrap()
        };
        let (policy, (token, _)) = (code.policy(), code.into_parts());
        let drawn = || MembershipKey::generate(&mut ChaCha20Rng::seed_from_u64(2));
        let hers = drawn();
        let roots = [&scene.ada, &scene.grace].map(|user| (user.id(), user.client.root_key().clone()));
        let path = format!("GET /api/rooms/{room}/members");
        mirror.answers(move |asks, answer| {
            if asks == path {
                answer.change(|members: &mut Members| {
                    for member in &mut members.members {
                        if let Some((id, root_key)) = roots.iter().find(|(id, _)| *id == member.account_id) {
                            let rng = &mut ChaCha20Rng::seed_from_u64(3);
                            member.proof = Some(hers.prove(room, *id, root_key, rng).to_wire());
                        }
                    }
                });
            }
        });
        let code = InvitationCode::new(room, policy, drawn(), token).unwrap();
        let id = mallory.id();
        if is_hidden {
            scene.hides(room, id);
        }
        mallory.client.join(code.to_text().expose()).await.unwrap();
        if !is_hidden {
            scene.member_is_refused(id).await;
        }
        mallory.client.send(Conversation::Room(room), "I belong here").await.unwrap();
        let refused = scene.ada.until(|event| match event {
            Event::Undecryptable { sender, reason, .. } if sender.account_id == id => Some(*reason),
            Event::Message(message) => panic!("{message:?} was shown"),
            _ => None,
        });
        assert_eq!(refused.await, ErrorCode::NotVouched);
    }
}

async fn proof_of(by: &User, room: RoomId, of: &User) -> MembershipProofBytes {
    let members = by.client.members(room).await.unwrap();
    members.iter().find(|member| member.account_id == of.id()).unwrap().proof.unwrap()
}

/// Has an account stand among a room's members.
fn adds(
    room: RoomId,
    account_id: AccountId,
    proof: Option<MembershipProofBytes>,
) -> impl FnMut(&str, &mut Passing) + Send + 'static {
    let path = format!("GET /api/rooms/{room}/members");
    move |asks, answer| {
        if asks == path {
            answer.change(|members: &mut Members| {
                let joined_at = members.members[0].joined_at;
                members.members.push(MemberSummary { account_id, role: Role::Member, joined_at, proof });
            });
        }
    }
}
