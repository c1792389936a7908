//! Devices and prekeys: registered by whoever holds the root key, claimed once each.

use std::collections::BTreeSet;
use std::iter;

use conclave::ids::{AccountId, DeviceAddress, DeviceId};
use conclave::node::config::Bounded;
use conclave::node::store::limits::ONE_TIME_PREKEYS_STORED_MAX;
use conclave::protocol::identity::AccountRoot;
use conclave::protocol::machine::Input;
use conclave::wire::limits::ONE_TIME_PREKEYS_LOW;
use conclave::wire::{
    Bytes, Command, DeviceList, ErrorCode, KemPrekeyUse, Message, PrekeyBundle, PrekeyPublication, PrekeyStatus,
};
use serde_json::json;

use crate::client::{Person, User};
use crate::server::TestNode;
use crate::socket::Socket;
use crate::support::{POLICY, rng};

/// The whole slice: two devices meet by the node alone, and what one writes the other reads.
#[actix_web::test]
async fn two_devices_meet_through_the_node_and_talk() {
    let node = TestNode::start().await;
    let (mut ada, mut grace) = (User::join(&node, "ada", 10).await, User::join(&node, "grace", 20).await);
    let (ada_id, grace_id) = (ada.address().account_id, grace.address().account_id);
    ada.learn(&node, grace_id).await;
    grace.learn(&node, ada_id).await;

    let first = ada.write(&node, grace_id, b"Are you there?").await;
    let [envelope] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!(grace.device.try_read(envelope, POLICY).unwrap(), b"Are you there?");
    let answer = grace.write(&node, ada_id, b"I am.").await;
    assert_eq!(ada.device.try_read(&answer[0], POLICY).unwrap(), b"I am.");

    // One key of each kind was handed out, of the device that was written to first alone.
    let left = async |user: &User| node.get("/api/prekeys", Some(user.person.token())).await.ok::<PrekeyStatus>();
    assert_eq!(left(&grace).await, PrekeyStatus { one_time_prekeys: 99, one_time_kem_prekeys: 99 });
    assert_eq!(left(&ada).await, PrekeyStatus { one_time_prekeys: 100, one_time_kem_prekeys: 100 });
    node.stop().await;
}

#[actix_web::test]
async fn directory_outlives_a_restart() {
    let node = TestNode::start().await;
    let (mut ada, mut grace) = (User::join(&node, "ada", 10).await, User::join(&node, "grace", 20).await);
    let (ada_id, grace_id) = (ada.address().account_id, grace.address().account_id);

    let node = node.restart().await;

    ada.learn(&node, grace_id).await;
    let envelopes = ada.write(&node, grace_id, b"Still here?").await;
    grace.learn(&node, ada_id).await;
    assert_eq!(grace.device.try_read(&envelopes[0], POLICY).unwrap(), b"Still here?");
    node.stop().await;
}

#[actix_web::test]
async fn list_is_published_by_its_own_account_and_root_alone() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node, "ada", 10).await;
    let mallory = Person::sign_in(&node, "mallory", 30).await;
    ada.certify_device(11);
    let list = ada.next_list();

    mallory.put_list(&node, &list).await.refused(403, ErrorCode::OwnerMismatch);
    ada.put_list(&node, &DeviceList { version: 9, ..list.clone() }).await.refused(422, ErrorCode::SignatureInvalid);
    let mut forged = list.clone();
    forged.devices[0].signing_key = Bytes(*mallory.account.root.public_key().as_bytes());
    ada.put_list(&node, &forged).await.refused(422, ErrorCode::SignatureInvalid);
    ada.fetch_list(&node, list.account_id).await.refused(404, ErrorCode::UnknownAccount);

    ada.put_list(&node, &list).await.done();
    assert_eq!(mallory.fetch_list(&node, list.account_id).await.ok::<DeviceList>(), list);

    // The first list pinned the root key.
    let other_root = AccountRoot::generate(list.account_id, &mut rng(31));
    let usurped = other_root.sign_device_list(2, Vec::new());
    ada.put_list(&node, &usurped).await.refused(409, ErrorCode::RootKeyChanged);
    assert_eq!(mallory.fetch_list(&node, list.account_id).await.ok::<DeviceList>(), list);
    node.stop().await;
}

#[actix_web::test]
async fn certificate_of_another_account_or_root_is_refused() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node, "ada", 10).await;
    let mut mallory = Person::sign_in(&node, "mallory", 30).await;
    ada.certify_device(11);
    mallory.certify_device(31);

    let stolen = mallory.account.root.sign_device_list(1, ada.account.certificates.clone());
    mallory.put_list(&node, &stolen).await.refused(403, ErrorCode::OwnerMismatch);
    node.stop().await;
}

#[actix_web::test]
async fn lists_get_newer_only() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node, "ada", 10).await;
    ada.certify_device(11);
    let first = ada.next_list();
    ada.put_list(&node, &first).await.done();
    ada.certify_device(12);
    let forked = ada.account.root.sign_device_list(1, ada.account.certificates.clone());
    let second = ada.next_list();

    ada.put_list(&node, &first).await.done();
    ada.put_list(&node, &forked).await.refused(409, ErrorCode::ForkedDeviceList);
    ada.put_list(&node, &second).await.done();
    ada.put_list(&node, &first).await.refused(409, ErrorCode::StaleDeviceList);

    assert_eq!(ada.fetch_list(&node, second.account_id).await.ok::<DeviceList>(), second);
    node.stop().await;
}

#[actix_web::test]
async fn session_is_of_a_listed_device_and_of_one() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node, "ada", 10).await;
    let (one, other) = (ada.certify_device(11), ada.certify_device(12));

    ada.bind(&node, &one).await.refused(404, ErrorCode::UnknownDevice);
    let list = ada.next_list();
    ada.put_list(&node, &list).await.done();
    let proof = one.machine.prove_session(ada.tokens.session_id);
    ada.bind_with(&node, DeviceId::from_bytes([7; 16]), &proof).await.refused(404, ErrorCode::UnknownDevice);
    ada.bind(&node, &one).await.done();
    ada.bind(&node, &one).await.done();
    ada.bind(&node, &other).await.refused(409, ErrorCode::SessionBound);

    let stranger = Person::sign_in(&node, "grace", 20).await;
    stranger.bind(&node, &one).await.refused(404, ErrorCode::UnknownDevice);
    node.stop().await;
}

/// A token alone takes nobody's place: the device itself has to sign for this very session.
#[actix_web::test]
async fn session_is_of_a_device_that_proves_it() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node, "ada", 10).await;
    let (one, other) = (ada.certify_device(11), ada.certify_device(12));
    let list = ada.next_list();
    ada.put_list(&node, &list).await.done();
    let device_id = one.address().device_id;
    let thief = Person { tokens: node.sign_in("ada").await, account: ada.account };

    let of_another_session = one.machine.prove_session(ada.tokens.session_id);
    let of_another_device = other.machine.prove_session(thief.tokens.session_id);
    let mut altered = one.machine.prove_session(thief.tokens.session_id);
    altered.0[0] ^= 1;
    for proof in [of_another_session, of_another_device, altered, Bytes([0; 64])] {
        thief.bind_with(&node, device_id, &proof).await.refused(403, ErrorCode::DeviceProofRefused);
    }
    node.get("/api/prekeys", Some(thief.token())).await.refused(409, ErrorCode::DeviceNotBound);

    thief.bind(&node, &one).await.done();
    assert_eq!(node.get("/api/prekeys", Some(thief.token())).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn removed_device_loses_its_session_and_its_prekeys() {
    let node = TestNode::start().await;
    let mut ada = User::join(&node, "ada", 10).await;
    let grace = Person::sign_in(&node, "grace", 20).await;
    let elsewhere = node.sign_in("ada").await;
    let removed = ada.address();
    ada.person.account.certificates.clear();
    let list = ada.person.next_list();

    let answer = node.put("/api/devices", Some(&elsewhere.access_token), &json!(list)).await;

    answer.done();
    assert!(!node.accepts(ada.person.token()).await);
    grace.claim(&node, removed).await.refused(404, ErrorCode::UnknownDevice);
    node.stop().await;
}

#[actix_web::test]
async fn prekeys_that_others_would_refuse_are_refused() {
    let node = TestNode::start().await;
    let mut ada = User::join_without_prekeys(&node, "ada", 10).await;
    let grace = User::join_without_prekeys(&node, "grace", 20).await;
    let good = ada.new_prekeys();
    let altered = |alter: fn(&mut PrekeyPublication)| {
        let mut publication = good.clone();
        alter(&mut publication);
        publication
    };
    let cases = [
        (altered(|keys| keys.signed_prekey.as_mut().unwrap().signature.0[0] ^= 1), ErrorCode::SignatureInvalid),
        (altered(|keys| keys.one_time_kem_prekeys[7].signature.0[40] ^= 1), ErrorCode::SignatureInvalid),
        (altered(|keys| keys.one_time_prekeys[3].key_id = keys.one_time_prekeys[4].key_id), ErrorCode::KeyIdMismatch),
        (altered(|keys| keys.one_time_prekeys[3].public_key = Bytes([0; 32])), ErrorCode::KeyUnacceptable),
        (altered(|keys| keys.one_time_kem_prekeys[0].public_key.0 = [0xff; 1568]), ErrorCode::KeyUnacceptable),
        (altered(|keys| keys.one_time_kem_prekeys[0].usage = KemPrekeyUse::LastResort), ErrorCode::PrekeysMalformed),
    ];

    for (publication, code) in cases {
        ada.person.put_prekeys(&node, &publication).await.refused(422, code);
    }
    // Another device's keys are not this one's.
    grace.person.put_prekeys(&node, &good).await.refused(422, ErrorCode::SignatureInvalid);
    let left: PrekeyStatus = node.get("/api/prekeys", Some(ada.person.token())).await.ok();
    assert_eq!(left, PrekeyStatus { one_time_prekeys: 0, one_time_kem_prekeys: 0 });
    ada.person.put_prekeys(&node, &good).await.ok::<PrekeyStatus>();
    node.stop().await;
}

#[actix_web::test]
async fn prekeys_are_those_of_the_device_that_the_session_is_of() {
    let node = TestNode::start().await;
    let mut ada = User::join_without_prekeys(&node, "ada", 10).await;
    let publication = ada.new_prekeys();
    let tokens = node.sign_in("ada").await;

    node.get("/api/prekeys", Some(&tokens.access_token)).await.refused(409, ErrorCode::DeviceNotBound);
    let answer = node.put("/api/prekeys", Some(&tokens.access_token), &json!(publication)).await;
    answer.refused(409, ErrorCode::DeviceNotBound);
    node.get("/api/prekeys", None).await.refused(401, ErrorCode::TokenMissing);

    ada.person.put_prekeys(&node, &publication).await.ok::<PrekeyStatus>();
    let grace = User::join_without_prekeys(&node, "grace", 20).await;
    let left: PrekeyStatus = node.get("/api/prekeys", Some(grace.person.token())).await.ok();
    assert_eq!(left, PrekeyStatus { one_time_prekeys: 0, one_time_kem_prekeys: 0 });
    node.stop().await;
}

#[actix_web::test]
async fn each_one_time_key_is_claimed_once_also_by_many_at_once() {
    let node = TestNode::start_with(|settings| settings.limits.claims_per_minute = Bounded::of::<1_000>()).await;
    let ada = User::join(&node, "ada", 10).await;
    let (one, other) = (Person::sign_in(&node, "grace", 20).await, Person::sign_in(&node, "joan", 30).await);

    let mut bundles: Vec<PrekeyBundle> = Vec::new();
    let mut socket = Socket::open(&node, &ada).await;
    for _ in 0..26 {
        let answers = tokio::join!(
            one.claim(&node, ada.address()),
            other.claim(&node, ada.address()),
            one.claim(&node, ada.address()),
            other.claim(&node, ada.address()),
        );
        bundles.extend([answers.0.ok(), answers.1.ok(), answers.2.ok(), answers.3.ok()]);
    }

    let one_time: Vec<_> = bundles.iter().filter_map(|bundle| bundle.one_time_prekey.as_ref()).collect();
    let distinct: BTreeSet<_> = one_time.iter().map(|key| key.key_id).collect();
    assert_eq!((one_time.len(), distinct.len()), (100, 100));
    let kem: Vec<_> = bundles.iter().map(|bundle| &bundle.kem_prekey).collect();
    let once = kem.iter().filter(|key| key.usage == KemPrekeyUse::OneTime).map(|key| key.key_id);
    assert_eq!(once.collect::<BTreeSet<_>>().len(), 100);
    // The supply is used up: what is left is good again and again.
    assert_eq!(kem.iter().filter(|key| key.usage == KemPrekeyUse::LastResort).count(), 4);
    // Their owner was told from when few were left, and not before.
    socket.ask(|id| Command::Ping { id }).await.unwrap();
    let told: BTreeSet<(u32, u32)> = iter::from_fn(|| socket.pending())
        .filter_map(|event| match event {
            Message::PrekeysLow { one_time_prekeys, one_time_kem_prekeys } => {
                Some((one_time_prekeys, one_time_kem_prekeys))
            }
            _ => None,
        })
        .collect();
    assert!(
        told.contains(&(0, 0)) && told.last().is_some_and(|(one_time, _)| *one_time < ONE_TIME_PREKEYS_LOW),
        "{told:?}"
    );
    node.stop().await;
}

#[actix_web::test]
async fn nothing_is_claimed_of_devices_that_are_unknown_or_have_no_keys() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;
    let grace = Person::sign_in(&node, "grace", 20).await;
    let unknown = |account_id| DeviceAddress { account_id, device_id: DeviceId::from_bytes([7; 16]) };

    grace.claim(&node, unknown(ada.address().account_id)).await.refused(404, ErrorCode::UnknownDevice);
    grace.claim(&node, unknown(AccountId::from_bytes([7; 16]))).await.refused(404, ErrorCode::UnknownDevice);
    grace.claim(&node, ada.address()).await.refused(404, ErrorCode::NoPrekeys);
    grace.fetch_list(&node, AccountId::from_bytes([7; 16])).await.refused(404, ErrorCode::UnknownAccount);
    grace.fetch_list(&node, grace.tokens.account_id).await.refused(404, ErrorCode::UnknownAccount);
    node.stop().await;
}

#[actix_web::test]
async fn supply_of_a_device_is_bounded() {
    let node = TestNode::start().await;
    let mut ada = User::join_without_prekeys(&node, "ada", 10).await;
    let mut stored = 0;
    loop {
        let outputs = ada.device.handle(Input::PrekeysLeft { one_time: 0, one_time_kem: 0 }).unwrap();
        let publication = outputs.publish.unwrap();
        stored += publication.one_time_prekeys.len();
        let answer = ada.person.put_prekeys(&node, &publication).await;
        if stored > ONE_TIME_PREKEYS_STORED_MAX {
            answer.refused(409, ErrorCode::TooManyPrekeys);
            break;
        }
        assert_eq!(answer.ok::<PrekeyStatus>().one_time_prekeys as usize, stored);
        ada.device.handle(Input::Published(&publication)).unwrap();
    }
    node.stop().await;
}
