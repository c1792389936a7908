//! Members whom the node adds, and nobody has let in.

use conclave::client::{Conversation, Event};
use conclave::ids::{AccountId, DeviceAddress, RoomId};
use conclave::protocol::membership::{InvitationCode, MembershipKey};
use conclave::wire::{
    CreateInvitation, ErrorCode, MemberSummary, Members, MembershipProofBytes, Message, Role, RoomPolicy,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::attacker::Attacker;
use super::policies::CANARY;
use super::{Scene, found_room};
use crate::proxy::{Passing, Proxy};
use crate::rooms::admit;
use crate::user::User;

impl Scene {
    /// Until Ada is told that somebody is no member, whatever the node says.
    async fn member_is_refused(&mut self, account: AccountId) {
        let is_it = |event: &Event| match event {
            Event::MemberRefused { account: refused, .. } => (*refused == account).then_some(()),
            Event::MemberJoined { account: joined, .. } if *joined == account => panic!("{joined} was let in"),
            _ => None,
        };
        self.ada.until(is_it).await;
    }

    /// What Ada says in a room comes to Grace, and nothing of it is for a device.
    async fn is_said_past(&mut self, room: RoomId, device: DeviceAddress) {
        let said = self.ada.client.send(Conversation::Room(room), CANARY).await.unwrap();
        self.ada.is_sent(said).await;
        assert_eq!(self.grace.text().await.1, CANARY);
        assert!(!self.is_anything_for(device));
        assert!(!self.evil.has_seen(CANARY.as_bytes()));
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
        scene.member_is_refused(id).await;
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
    let joined = joan.id();
    let is_joan = |event: &Event| matches!(event, Event::MemberJoined { account, .. } if *account == joined);
    scene.ada.until(|event| is_joan(event).then_some(())).await;
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
    let joined = joan.id();
    let is_joan = |event: &Event| matches!(event, Event::MemberJoined { account, .. } if *account == joined);
    scene.ada.until(|event| is_joan(event).then_some(())).await;
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
    let others = scene.ada.client.members(other_room).await.unwrap();
    let of_other_room = others.iter().find(|member| member.account_id == id).unwrap().proof;
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let invented = MembershipKey::generate(rng).prove(room, id, &root_key, rng).to_wire();
    let grace = scene.grace.id();
    let of_grace = scene.ada.client.members(room).await.unwrap();
    let of_grace = of_grace.iter().find(|member| member.account_id == grace).unwrap().proof;
    for proof in [of_other_room, Some(invented), of_grace] {
        assert!(proof.is_some());
        scene.evil.says(&Message::MemberJoined { room_id: room, account_id: id, proof });
        scene.member_is_refused(id).await;
        // So that the next one is news again.
        scene.evil.says(&Message::MemberLeft { room_id: room, account_id: id });
    }
    scene.is_said_past(room, device).await;
}

/// Somebody who was let in, shown with a device list of the node's: Ada has never seen their keys.
#[tokio::test]
async fn a_member_with_another_root_key_than_they_were_let_in_with_is_refused() {
    let mut scene = Scene::new().await;
    let room = scene.room().await;
    let joan = User::new(&scene.node.url, "joan").await;
    let attacker = Attacker::posing_as(joan.id());
    scene.shows(&joan, attacker.list(1));
    admit(&mut scene.grace, room, &joan).await;
    let id = joan.id();
    let is_joan = |event: &Event| matches!(event, Event::MemberJoined { account, .. } if *account == id);
    scene.ada.until(|event| is_joan(event).then_some(())).await;
    let said = scene.ada.client.send(Conversation::Room(room), CANARY).await.unwrap();
    scene
        .ada
        .until(|event| matches!(event, Event::MemberRefused { account, .. } if *account == id).then_some(()))
        .await;
    scene.ada.is_sent(said).await;
    assert_eq!(scene.grace.text().await.1, CANARY);
    let is_for_joan = |device: DeviceAddress| device.account_id == id;
    assert!(!scene.evil.envelopes().iter().any(|envelope| envelope.recipient.is_some_and(is_for_joan)));
}

#[tokio::test]
async fn a_member_who_was_removed_does_not_come_back_by_the_proof_that_they_had() {
    let mut scene = Scene::new().await;
    let mallory = User::new(&scene.node.url, "mallory").await;
    let room = found_room(&mut scene.ada, RoomPolicy::default()).await;
    admit(&mut scene.ada, room, &scene.grace).await;
    admit(&mut scene.ada, room, &mallory).await;
    let (id, device) = (mallory.id(), mallory.client.device());
    let members = scene.ada.client.members(room).await.unwrap();
    let proof = members.iter().find(|member| member.account_id == id).unwrap().proof;
    scene.ada.client.remove(room, id).await.unwrap();
    let is_gone = |event: &Event| matches!(event, Event::MemberLeft { account, .. } if *account == id);
    scene.ada.until(|event| is_gone(event).then_some(())).await;
    scene.evil.says(&Message::MemberJoined { room_id: room, account_id: id, proof });
    scene.member_is_refused(id).await;
    scene.evil.answers(adds(room, id, proof));
    scene.evil.cut();
    scene.ada.is_level().await;
    scene.is_said_past(room, device).await;
    // By another invitation she does.
    scene.evil.answers(|_, _| ());
    admit(&mut scene.ada, room, &mallory).await;
    let said = scene.ada.client.send(Conversation::Room(room), "welcome back").await.unwrap();
    scene.ada.is_sent(said).await;
    assert!(scene.is_anything_for(device));
}

/// Mallory has the node's token and not the room's key. Her client is made to believe the others.
#[tokio::test]
async fn what_somebody_writes_whom_no_member_has_let_in_is_not_shown() {
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
    let code = InvitationCode::new(room, policy, drawn(), token);
    mallory.client.join(code.to_text().expose()).await.unwrap();
    let id = mallory.id();
    scene.member_is_refused(id).await;
    mallory.client.send(Conversation::Room(room), "I belong here").await.unwrap();
    let refused = scene.ada.until(|event| match event {
        Event::Undecryptable { sender, reason, .. } if sender.account_id == id => Some(*reason),
        Event::Message(message) => panic!("{message:?} was shown"),
        _ => None,
    });
    assert_eq!(refused.await, ErrorCode::NotVouched);
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
