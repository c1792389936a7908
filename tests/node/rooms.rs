//! Rooms over REST: who makes them, who comes in, who goes, who reads, and who hears nothing of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use conclave::ids::{AccountId, DeviceAddress, LogEpoch, RoomId};
use conclave::node::store::{Appended, NewRoom, Store};
use conclave::wire::limits::{INVITATION_AGE_DEFAULT, INVITATION_AGE_MAX};
use conclave::wire::{
    Envelope, ErrorCode, InvitationCreated, Invitations, Joined, LogPage, Members, Membership, Role, RoomPolicy,
    RoomSummary, Rooms, SecretText,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::client::{Person, User};
use crate::server::{Answer, START, TestNode};
use crate::support::{POLICY, ROOM, rng};

async fn create(node: &TestNode, owner: &Person) -> RoomId {
    node.post("/api/rooms", Some(owner.token()), &json!({})).await.ok::<RoomSummary>().room_id
}

async fn invite(node: &TestNode, room: RoomId, by: &Person, body: &Value) -> InvitationCreated {
    node.post(&format!("/api/rooms/{room}/invitations"), Some(by.token()), body).await.ok()
}

async fn join(node: &TestNode, who: &Person, token: &SecretText) -> Answer {
    node.post("/api/rooms/join", Some(who.token()), &json!({ "token": token })).await
}

/// Lets somebody into a room.
pub(crate) async fn admit(node: &TestNode, room: RoomId, by: &Person, who: &Person) {
    let invitation = invite(node, room, by, &json!({})).await;
    let joined: Joined = join(node, who, &invitation.token).await.ok();
    assert_eq!(joined, Joined { room_id: room, is_new: true });
}

async fn set_role(node: &TestNode, room: RoomId, by: &Person, who: &Person, role: &str) -> Answer {
    let path = format!("/api/rooms/{room}/members/{}", id(who));
    node.put(&path, Some(by.token()), &json!({ "role": role })).await
}

async fn remove(node: &TestNode, room: RoomId, by: &Person, who: &Person) -> Answer {
    node.delete(&format!("/api/rooms/{room}/members/{}", id(who)), Some(by.token())).await
}

async fn leave(node: &TestNode, room: RoomId, who: &Person) -> Answer {
    node.post(&format!("/api/rooms/{room}/leave"), Some(who.token()), &json!({})).await
}

async fn show(node: &TestNode, room: RoomId, to: &Person) -> Answer {
    node.get(&format!("/api/rooms/{room}"), Some(to.token())).await
}

async fn members(node: &TestNode, room: RoomId, to: &Person) -> Vec<(AccountId, Role)> {
    let list: Members = node.get(&format!("/api/rooms/{room}/members"), Some(to.token())).await.ok();
    list.members.into_iter().map(|member| (member.account_id, member.role)).collect()
}

fn id(person: &Person) -> AccountId {
    person.tokens.account_id
}

#[actix_web::test]
async fn a_room_is_made_joined_and_left() {
    let node = TestNode::start().await;
    let (ada, grace) = (Person::sign_in(&node, "ada", 10).await, Person::sign_in(&node, "grace", 20).await);

    let made: RoomSummary = node.post("/api/rooms", Some(ada.token()), &json!({})).await.ok();
    assert_eq!((made.policy, made.role, made.closed_at), (RoomPolicy::default(), Role::Owner, None));
    assert_eq!(show(&node, made.room_id, &ada).await.ok::<RoomSummary>(), made);
    show(&node, made.room_id, &grace).await.refused(404, ErrorCode::UnknownRoom);

    let invitation = invite(&node, made.room_id, &ada, &json!({})).await;
    assert_eq!(invitation.expires_at, START.plus(INVITATION_AGE_DEFAULT));
    assert!(join(&node, &grace, &invitation.token).await.ok::<Joined>().is_new);
    let seen: RoomSummary = show(&node, made.room_id, &grace).await.ok();
    assert_eq!(seen, RoomSummary { role: Role::Member, ..made });
    let both = BTreeSet::from([(id(&ada), Role::Owner), (id(&grace), Role::Member)]);
    assert_eq!(members(&node, made.room_id, &grace).await, both.into_iter().collect::<Vec<_>>());

    // It outlives a restart.
    let node = node.restart().await;
    leave(&node, made.room_id, &grace).await.done();
    show(&node, made.room_id, &grace).await.refused(404, ErrorCode::UnknownRoom);
    assert_eq!(members(&node, made.room_id, &ada).await, [(id(&ada), Role::Owner)]);
    node.stop().await;
}

#[actix_web::test]
async fn a_policy_is_one_that_the_node_carries() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let make = async |custody: &str, protection: &str, signatures: &str| {
        let policy = json!({ "custody": custody, "protection": protection, "signatures": signatures });
        node.post("/api/rooms", Some(ada.token()), &json!({ "policy": policy })).await
    };

    let quiet: RoomSummary = make("client", "ratchet", "off").await.ok();
    assert_eq!(show(&node, quiet.room_id, &ada).await.ok::<RoomSummary>().policy, quiet.policy);
    make("node", "ratchet", "on").await.refused(422, ErrorCode::CustodyDisabled);
    make("client", "mls", "on").await.refused(422, ErrorCode::ProtectionUnsupported);
    make("client", "none", "on").await.refused(400, ErrorCode::MalformedRequest);
    assert_eq!(node.get("/api/rooms", Some(ada.token())).await.ok::<Rooms>().rooms.len(), 1);
    node.stop().await;
}

/// What clients say of a membership. To the node it is bytes.
fn membership(byte: u8) -> Membership {
    Membership { proof: [byte; 81].into(), kept: [byte; 117].into() }
}

#[actix_web::test]
async fn what_clients_say_of_memberships_is_carried_to_those_whom_it_is_for() {
    let node = TestNode::start().await;
    let (ada, grace) = (Person::sign_in(&node, "ada", 10).await, Person::sign_in(&node, "grace", 20).await);
    let room = RoomId::from_bytes([7; 16]);
    let body = json!({ "room_id": room, "membership": membership(1) });
    let made: RoomSummary = node.post("/api/rooms", Some(ada.token()), &body).await.ok();
    assert_eq!((made.room_id, made.kept), (room, Some(membership(1).kept)));
    // Whoever draws an id that there is does not come into its room.
    node.post("/api/rooms", Some(grace.token()), &body).await.refused(409, ErrorCode::RoomExists);
    show(&node, room, &grace).await.refused(404, ErrorCode::UnknownRoom);

    let comes = async |membership: Option<Membership>| {
        let token = invite(&node, room, &ada, &json!({ "uses": 2 })).await.token;
        let body = match membership {
            Some(membership) => json!({ "token": token, "membership": membership }),
            None => json!({ "token": token }),
        };
        node.post("/api/rooms/join", Some(grace.token()), &body).await.ok::<Joined>().is_new
    };
    let seen = async |by: &Person| {
        let members: Members = node.get(&format!("/api/rooms/{room}/members"), Some(by.token())).await.ok();
        let proofs = members.members.into_iter().map(|member| (member.account_id, member.proof)).collect();
        let kept = show(&node, room, by).await.ok::<RoomSummary>().kept;
        let listed: Rooms = node.get("/api/rooms", Some(by.token())).await.ok();
        assert_eq!(listed.rooms[0].kept, kept);
        (proofs, kept)
    };
    let both = |of_grace: Option<u8>| {
        let of_grace = of_grace.map(|byte| membership(byte).proof);
        BTreeMap::from([(id(&ada), Some(membership(1).proof)), (id(&grace), of_grace)])
    };
    assert!(comes(Some(membership(2))).await);
    assert_eq!(seen(&ada).await, (both(Some(2)), Some(membership(1).kept)));
    assert_eq!(seen(&grace).await, (both(Some(2)), Some(membership(2).kept)));
    // Who comes again says it anew, or lets it stand.
    assert!(!comes(Some(membership(3))).await);
    assert!(!comes(None).await);
    assert_eq!(seen(&grace).await, (both(Some(3)), Some(membership(3).kept)));
    leave(&node, room, &grace).await.done();
    assert!(comes(None).await);
    assert_eq!(seen(&grace).await, (both(None), None));

    for (proof, kept) in [(80, 117), (82, 117), (81, 116), (81, 118)] {
        let text = |length: usize| BASE64URL_NOPAD.encode(&vec![1; length]);
        let body = json!({ "membership": { "proof": text(proof), "kept": text(kept) } });
        node.post("/api/rooms", Some(ada.token()), &body).await.refused(400, ErrorCode::MalformedRequest);
    }
    let half = json!({ "membership": { "proof": membership(1).proof } });
    node.post("/api/rooms", Some(ada.token()), &half).await.refused(400, ErrorCode::MalformedRequest);
    node.stop().await;
}

#[actix_web::test]
async fn lists_are_read_page_by_page() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let mut made = BTreeSet::new();
    for _ in 0..5 {
        made.insert(create(&node, &ada).await);
    }
    let room = *made.first().unwrap();
    for (name, seed) in [("grace", 20), ("joan", 30)] {
        admit(&node, room, &ada, &Person::sign_in(&node, name, seed).await).await;
    }

    let (mut rooms, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page: Rooms = node.get(&format!("/api/rooms?{query}"), Some(ada.token())).await.ok();
        rooms.extend(page.rooms.iter().map(|room| room.room_id));
        let Some(next) = page.next else { break };
        query = format!("limit=2&after={next}");
    }
    assert_eq!(rooms, made.into_iter().collect::<Vec<_>>());

    let path = format!("/api/rooms/{room}/members");
    let first: Members = node.get(&format!("{path}?limit=2"), Some(ada.token())).await.ok();
    let after = first.next.unwrap();
    let second: Members = node.get(&format!("{path}?limit=2&after={after}"), Some(ada.token())).await.ok();
    assert_eq!((first.members.len(), second.members.len(), second.next), (2, 1, None));
    node.stop().await;
}

#[actix_web::test]
async fn invitations_end_with_time_uses_and_withdrawal() {
    let node = TestNode::start().await;
    let (ada, grace) = (Person::sign_in(&node, "ada", 10).await, Person::sign_in(&node, "grace", 20).await);
    let joan = Person::sign_in(&node, "joan", 30).await;
    let room = create(&node, &ada).await;
    let refused = async |who: &Person, token: &SecretText| {
        join(&node, who, token).await.refused(400, ErrorCode::InvitationRefused);
    };

    let once = invite(&node, room, &ada, &json!({ "uses": 1 })).await;
    assert!(join(&node, &grace, &once.token).await.ok::<Joined>().is_new);
    refused(&joan, &once.token).await;
    let for_grace = invite(&node, room, &ada, &json!({ "for_account": id(&grace) })).await;
    refused(&joan, &for_grace.token).await;
    assert!(!join(&node, &grace, &for_grace.token).await.ok::<Joined>().is_new);
    let path = format!("/api/rooms/{room}/invitations");
    let listed: Invitations = node.get(&path, Some(ada.token())).await.ok();
    let [listed] = listed.invitations.as_slice() else { panic!("{listed:?}") };
    assert_eq!((listed.invitation_id, listed.for_account), (for_grace.invitation_id, Some(id(&grace))));

    let withdrawn = invite(&node, room, &ada, &json!({})).await;
    let path = format!("{path}/{}", withdrawn.invitation_id);
    node.delete(&path, Some(grace.token())).await.refused(403, ErrorCode::RoleForbids);
    node.delete(&path, Some(joan.token())).await.refused(404, ErrorCode::UnknownRoom);
    node.delete(&path, Some(ada.token())).await.done();
    node.delete(&path, Some(ada.token())).await.refused(404, ErrorCode::UnknownInvitation);
    refused(&joan, &withdrawn.token).await;

    let short = invite(&node, room, &ada, &json!({ "seconds": 60, "uses": 2 })).await;
    node.clock.advance(Duration::from_secs(60));
    refused(&joan, &short.token).await;
    refused(&joan, &SecretText::new("A".repeat(43))).await;
    refused(&joan, &SecretText::new("no token".to_owned())).await;
    node.stop().await;
}

#[actix_web::test]
async fn invitations_have_bounds() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let path = format!("/api/rooms/{}/invitations", create(&node, &ada).await);
    let longest = INVITATION_AGE_MAX.as_secs();

    for body in [
        json!({ "seconds": 0 }),
        json!({ "seconds": longest + 1 }),
        json!({ "uses": 0 }),
        json!({ "uses": 10_001 }),
        json!({ "uses": -1 }),
    ] {
        node.post(&path, Some(ada.token()), &body).await.refused(400, ErrorCode::MalformedRequest);
    }
    let invitation = node.post(&path, Some(ada.token()), &json!({ "seconds": longest, "uses": 10_000 })).await;
    assert_eq!(invitation.ok::<InvitationCreated>().expires_at, START.plus(INVITATION_AGE_MAX));
    node.stop().await;
}

#[actix_web::test]
async fn roles_hold_over_rest() {
    let node = TestNode::start().await;
    let (ada, grace) = (Person::sign_in(&node, "ada", 10).await, Person::sign_in(&node, "grace", 20).await);
    let (joan, eve) = (Person::sign_in(&node, "joan", 30).await, Person::sign_in(&node, "eve", 40).await);
    let room = create(&node, &ada).await;
    admit(&node, room, &ada, &grace).await;
    admit(&node, room, &ada, &joan).await;
    let invitations = format!("/api/rooms/{room}/invitations");

    set_role(&node, room, &grace, &grace, "owner").await.refused(403, ErrorCode::RoleForbids);
    remove(&node, room, &grace, &joan).await.refused(403, ErrorCode::RoleForbids);
    node.post(&invitations, Some(grace.token()), &json!({})).await.refused(403, ErrorCode::RoleForbids);
    set_role(&node, room, &ada, &eve, "member").await.refused(404, ErrorCode::UnknownMember);
    set_role(&node, room, &ada, &ada, "member").await.refused(409, ErrorCode::LastOwner);
    leave(&node, room, &ada).await.refused(409, ErrorCode::LastOwner);

    set_role(&node, room, &ada, &grace, "moderator").await.done();
    node.post(&invitations, Some(grace.token()), &json!({})).await.ok::<InvitationCreated>();
    remove(&node, room, &grace, &ada).await.refused(403, ErrorCode::RoleForbids);
    remove(&node, room, &grace, &joan).await.done();
    show(&node, room, &joan).await.refused(404, ErrorCode::UnknownRoom);
    set_role(&node, room, &ada, &grace, "owner").await.done();
    leave(&node, room, &ada).await.done();
    assert_eq!(members(&node, room, &grace).await, [(id(&grace), Role::Owner)]);
    node.stop().await;
}

#[actix_web::test]
async fn a_closed_room_is_closed_to_all() {
    let node = TestNode::start().await;
    let (ada, grace) = (Person::sign_in(&node, "ada", 10).await, Person::sign_in(&node, "grace", 20).await);
    let joan = Person::sign_in(&node, "joan", 30).await;
    let room = create(&node, &ada).await;
    admit(&node, room, &ada, &grace).await;
    let invitation = invite(&node, room, &ada, &json!({})).await;
    let path = format!("/api/rooms/{room}");

    node.delete(&path, Some(grace.token())).await.refused(403, ErrorCode::RoleForbids);
    node.delete(&path, Some(joan.token())).await.refused(404, ErrorCode::UnknownRoom);
    node.delete(&path, Some(ada.token())).await.done();

    node.delete(&path, Some(ada.token())).await.refused(409, ErrorCode::RoomClosed);
    join(&node, &joan, &invitation.token).await.refused(400, ErrorCode::InvitationRefused);
    node.post(&format!("{path}/invitations"), Some(ada.token()), &json!({})).await.refused(409, ErrorCode::RoomClosed);
    assert_eq!(show(&node, room, &grace).await.ok::<RoomSummary>().closed_at, Some(START));
    leave(&node, room, &grace).await.done();
    node.stop().await;
}

/// Somebody who is no member has the same answer as for a room that is none.
#[actix_web::test]
async fn outsiders_hear_nothing_of_a_room() {
    let node = TestNode::start().await;
    let ada = Person::sign_in(&node, "ada", 10).await;
    let eve = User::join_without_prekeys(&node, "eve", 40).await;
    let room = create(&node, &ada).await;
    let none = RoomId::generate(&mut rng(50));

    for room in [room, none] {
        let member = format!("/members/{}", id(&ada));
        for (method, path, body) in [
            ("GET", "", json!({})),
            ("DELETE", "", json!({})),
            ("GET", "/members", json!({})),
            ("PUT", member.as_str(), json!({ "role": "member" })),
            ("DELETE", &member, json!({})),
            ("POST", "/leave", json!({})),
            ("GET", "/invitations", json!({})),
            ("POST", "/invitations", json!({})),
            ("DELETE", "/invitations/AAAAAAAAAAAAAAAAAAAAAA", json!({})),
            ("GET", "/history", json!({})),
        ] {
            let path = format!("/api/rooms/{room}{path}");
            let answer = node.send(method.parse().unwrap(), &path, Some(eve.person.token()), &body).await;
            answer.refused(404, ErrorCode::UnknownRoom);
            let answer = node.send(method.parse().unwrap(), &path, None, &body).await;
            answer.refused(401, ErrorCode::TokenMissing);
        }
    }
    assert_eq!(members(&node, room, &ada).await, [(id(&ada), Role::Owner)]);
    node.stop().await;
}

/// What was written in a room while the node ran is read over REST when it runs again.
#[actix_web::test]
async fn history_is_read_by_the_devices_it_is_for() {
    let node = TestNode::start().await;
    let (mut ada, mut grace) = (User::join(&node, "ada", 10).await, User::join(&node, "grace", 20).await);
    let joan = User::join_without_prekeys(&node, "joan", 30).await;
    let grace_id = grace.address().account_id;
    ada.learn(&node, grace_id).await;
    grace.learn(&node, ada.address().account_id).await;
    let mut sent = Vec::new();
    for text in [b"one", b"two"] {
        sent.extend(ada.write(&node, grace_id, text).await);
    }

    let others = [grace.address(), joan.address()];
    let node = node.restart_after(async |store| write_room(store, &ada, &others, &sent).await).await;

    let history = async |user: &User, query: &str| {
        node.get(&format!("/api/rooms/{ROOM}/history{query}"), Some(user.person.token())).await
    };
    let page: LogPage = history(&grace, "").await.ok();
    assert_eq!((page.entries.len(), page.read_to, page.head), (2, 2, 2));
    for (entry, text) in page.entries.iter().zip([b"one", b"two"]) {
        assert_eq!(grace.device.try_read(&entry.envelope, POLICY).unwrap(), text);
    }
    let second: LogPage = history(&grace, "?after=1&limit=1").await.ok();
    assert_eq!(second.entries, page.entries[1..]);
    // It is for Grace's device alone; that there is something is no secret to members.
    let page: LogPage = history(&joan, "").await.ok();
    assert_eq!((page.entries.len(), page.read_to), (0, 2));
    history(&grace, "?after=3").await.refused(409, ErrorCode::PositionAhead);
    let thin = Person::sign_in(&node, "joan", 30).await;
    let answer = node.get(&format!("/api/rooms/{ROOM}/history"), Some(thin.token())).await;
    answer.refused(409, ErrorCode::DeviceNotBound);
    node.stop().await;
}

/// The room in which the test devices write, with what they wrote.
async fn write_room(store: &Store, owner: &User, others: &[DeviceAddress], sent: &[Envelope]) {
    let room = NewRoom {
        room_id: ROOM,
        policy: POLICY,
        owner: owner.address().account_id,
        membership: None,
        epoch: LogEpoch::generate(&mut rng(60)),
        created_at: START,
    };
    store.create_room(&room).await.unwrap();
    for other in others {
        crate::store::join(store, ROOM, room.owner, other.account_id).await;
    }
    let answers = store.append(ROOM, sent.to_vec(), START).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Appended::Stored(_))), "{answers:?}");
}
