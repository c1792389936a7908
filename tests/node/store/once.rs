//! Calls that act once, however often they are made with the same key.

use super::*;
use conclave::node::store::limits::{IDEMPOTENCY_KEPT, IDEMPOTENCY_KEYS_MAX};
use conclave::node::store::{Acted, Once, PrekeysLeft};
use conclave::wire::{Role, RoomSummary};

/// The call of that number.
fn once(account_id: AccountId, number: u8) -> Once {
    Once { account_id, key_hash: [number; 32], request_hash: [number; 32], now: START }
}

fn summary(number: u64) -> RoomSummary {
    let NewRoom { room_id, policy, created_at, .. } = new_room(number, AccountId::from_bytes([0; 16]));
    RoomSummary { room_id, policy, role: Role::Owner, created_at, closed_at: None, kept: None }
}

/// Makes the room of that number, in a call.
async fn make(store: &Store, number: u64, once: Once) -> Result<Acted<RoomSummary>, StoreError> {
    store.create_room_once(&new_room(number, once.account_id), summary(number), once).await
}

#[tokio::test]
async fn of_calls_at_once_with_one_key_one_makes_a_room_and_all_are_answered_so() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;

    let mut acted = all((1..=8).map(|number| {
        let store = store.clone();
        async move { make(&store, number, once(ada, 1)).await.unwrap() }
    }))
    .await;
    acted.sort_by_key(|acted| matches!(acted, Acted::Before(_)));

    let Acted::Now(made) = acted.remove(0) else { panic!("none has acted") };
    assert_eq!(acted, vec![Acted::Before(made); 7]);
    let rooms = store.rooms_of(ada, None, PageLimit::default()).await.unwrap();
    assert_eq!(rooms.iter().map(|(room, ..)| room.room_id).collect::<Vec<_>>(), [made.room_id]);
}

#[tokio::test]
async fn a_key_is_its_accounts_its_requests_and_holds_for_a_day() {
    let (_folder, store) = store().await;
    let (ada, bob) = (account(&store, 1).await, account(&store, 2).await);
    assert_eq!(make(&store, 1, once(ada, 1)).await.unwrap(), Acted::Now(summary(1)));

    assert_eq!(make(&store, 2, once(bob, 1)).await.unwrap(), Acted::Now(summary(2)));
    let other = Once { request_hash: [9; 32], ..once(ada, 1) };
    let refused = make(&store, 3, other).await;
    assert!(matches!(refused, Err(StoreError::OtherRequest)), "{refused:?}");
    let over = START.plus(IDEMPOTENCY_KEPT);
    let late = Once { now: just_before(over), ..once(ada, 1) };
    assert_eq!(make(&store, 3, late).await.unwrap(), Acted::Before(summary(1)));
    let too_late = Once { now: over, ..once(ada, 1) };
    assert_eq!(make(&store, 3, too_late).await.unwrap(), Acted::Now(summary(3)));
}

#[tokio::test]
async fn what_was_refused_is_not_remembered() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    room(&store, 1, ada).await;

    let refused = make(&store, 1, once(ada, 1)).await;
    assert!(matches!(refused, Err(StoreError::IdInUse)), "{refused:?}");
    assert_eq!(make(&store, 2, once(ada, 1)).await.unwrap(), Acted::Now(summary(2)));
}

#[tokio::test]
async fn the_same_call_takes_no_second_one_time_key() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    let (caller, address) = (account(&store, 2).await, device.address());
    assert_eq!(store.claim_bundle_once(address, once(caller, 1)).await.unwrap(), None);
    store.publish_prekeys(&verified(publication(device, 1, 2, 2), device.device())).await.unwrap();

    // That there was nothing is not remembered.
    let Some(Acted::Now(first)) = store.claim_bundle_once(address, once(caller, 1)).await.unwrap() else {
        panic!("not now")
    };
    let again = store.claim_bundle_once(address, once(caller, 1)).await.unwrap();
    assert_eq!(again, Some(Acted::Before(first.clone())));
    assert_eq!(store.prekeys_left(address).await.unwrap(), PrekeysLeft { one_time: 1, one_time_kem: 1 });
    let Some(Acted::Now(second)) = store.claim_bundle_once(address, once(caller, 2)).await.unwrap() else {
        panic!("not now")
    };
    assert_ne!(second.one_time_prekey, first.one_time_prekey);
}

#[tokio::test]
async fn past_the_limit_of_keys_nothing_is_done() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    let (caller, address) = (account(&store, 2).await, device.address());
    store.publish_prekeys(&verified(publication(device, 1, 1, 0), device.device())).await.unwrap();
    let key = |number: usize| Once { key_hash: hash(number), ..once(caller, 1) };
    for number in 0..IDEMPOTENCY_KEYS_MAX {
        // The last resort, when the one-time keys are used up.
        assert!(store.claim_bundle_once(address, key(number)).await.unwrap().is_some());
    }

    let over = store.claim_bundle_once(address, key(IDEMPOTENCY_KEYS_MAX)).await;
    assert!(matches!(over, Err(StoreError::TooManyKeys { limit: IDEMPOTENCY_KEYS_MAX })), "{over:?}");
    let late = Once { now: START.plus(IDEMPOTENCY_KEPT), ..key(IDEMPOTENCY_KEYS_MAX) };
    assert!(matches!(store.claim_bundle_once(address, late).await.unwrap(), Some(Acted::Now(_))));
}

fn hash(number: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}
