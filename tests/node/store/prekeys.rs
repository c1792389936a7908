use std::collections::BTreeSet;

use super::*;
use conclave::ids::DeviceAddress;
use conclave::node::store::PrekeysLeft;
use conclave::node::store::limits::ONE_TIME_PREKEYS_STORED_MAX;
use conclave::protocol::public::{VerifyError, verify_prekey_bundle};
use conclave::wire::limits::ONE_TIME_PREKEYS_MAX;
use conclave::wire::{PrekeyBundle, WireError};

async fn claim(store: &Store, device: DeviceAddress) -> PrekeyBundle {
    store.claim_bundle(device).await.unwrap().unwrap()
}

#[tokio::test]
async fn fifty_claims_at_once_take_each_one_time_key_once() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    let published = publication(device, 1, 40, 30);
    store.publish_prekeys(&verified(published.clone(), device.device())).await.unwrap();

    let address = device.address();
    let bundles = all((0..50).map(|_| {
        let store = store.clone();
        async move { store.claim_bundle(address).await.unwrap().unwrap() }
    }))
    .await;

    for bundle in &bundles {
        verify_prekey_bundle(bundle, device.device()).unwrap();
    }
    let one_time: Vec<_> = bundles.iter().filter_map(|bundle| bundle.one_time_prekey.as_ref()).collect();
    let distinct: BTreeSet<_> = one_time.iter().map(|prekey| prekey.key_id).collect();
    assert_eq!(one_time.len(), 40);
    assert_eq!(distinct, published.one_time_prekeys.iter().map(|prekey| prekey.key_id).collect());
    let is_one_time = |prekey: &&KemPrekey| prekey.usage == KemPrekeyUse::OneTime;
    let (one_time, last_resort): (Vec<_>, Vec<_>) =
        bundles.iter().map(|bundle| &bundle.kem_prekey).partition(is_one_time);
    let distinct: BTreeSet<_> = one_time.iter().map(|prekey| prekey.key_id).collect();
    assert_eq!(one_time.len(), 30);
    assert_eq!(distinct, published.one_time_kem_prekeys.iter().map(|prekey| prekey.key_id).collect());
    assert_eq!(last_resort, vec![&published.last_resort_kem_prekey.unwrap(); 20]);
    assert_eq!(store.prekeys_left(address).await.unwrap(), PrekeysLeft::default());
}

#[tokio::test]
async fn the_oldest_keys_go_first_and_then_the_last_resort() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 2).await;
    let device = &owner.devices[0];
    let published = publication(device, 1, 2, 1);
    let other = &owner.devices[1];
    store.publish_prekeys(&verified(publication(other, 2, 1, 1), other.device())).await.unwrap();
    store.publish_prekeys(&verified(published.clone(), device.device())).await.unwrap();
    let bundle = |kem_prekey: &KemPrekey, one_time: Option<usize>| PrekeyBundle {
        device: device.address(),
        signed_prekey: published.signed_prekey.clone().unwrap(),
        kem_prekey: kem_prekey.clone(),
        one_time_prekey: one_time.map(|index| published.one_time_prekeys[index].clone()),
    };
    let last_resort = published.last_resort_kem_prekey.as_ref().unwrap();

    assert_eq!(claim(&store, device.address()).await, bundle(&published.one_time_kem_prekeys[0], Some(0)));
    assert_eq!(store.prekeys_left(device.address()).await.unwrap(), PrekeysLeft { one_time: 1, one_time_kem: 0 });
    assert_eq!(claim(&store, device.address()).await, bundle(last_resort, Some(1)));
    assert_eq!(claim(&store, device.address()).await, bundle(last_resort, None));
    assert_eq!(claim(&store, device.address()).await, bundle(last_resort, None));
    assert_eq!(store.prekeys_left(other.address()).await.unwrap(), PrekeysLeft { one_time: 1, one_time_kem: 1 });
}

#[tokio::test]
async fn without_signed_prekey_or_kem_key_nothing_is_handed_out_or_used_up() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    let whole = publication(device, 1, 2, 2);
    let publish = async |publication| store.publish_prekeys(&verified(publication, device.device())).await.unwrap();

    let nobody = DeviceAddress { account_id: owner.id(), device_id: DeviceId::generate(&mut rng(5)) };
    assert_eq!(store.claim_bundle(nobody).await.unwrap(), None);
    assert_eq!(store.claim_bundle(device.address()).await.unwrap(), None);

    let left = publish(PrekeyPublication { one_time_prekeys: whole.one_time_prekeys.clone(), ..Default::default() });
    assert_eq!(left.await, PrekeysLeft { one_time: 2, one_time_kem: 0 });
    publish(PrekeyPublication { signed_prekey: whole.signed_prekey.clone(), ..Default::default() }).await;
    assert_eq!(store.claim_bundle(device.address()).await.unwrap(), None);
    assert_eq!(store.prekeys_left(device.address()).await.unwrap(), PrekeysLeft { one_time: 2, one_time_kem: 0 });

    publish(whole.clone()).await;
    assert_eq!(claim(&store, device.address()).await.one_time_prekey.as_ref(), whole.one_time_prekeys.first());
}

#[tokio::test]
async fn a_new_signed_prekey_takes_the_place_of_the_old_one() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    store.publish_prekeys(&verified(publication(device, 1, 1, 0), device.device())).await.unwrap();
    let next = publication(device, 2, 1, 0);

    let left = store.publish_prekeys(&verified(next.clone(), device.device())).await.unwrap();

    assert_eq!(left, PrekeysLeft { one_time: 2, one_time_kem: 0 });
    let bundle = claim(&store, device.address()).await;
    assert_eq!(Some(bundle.signed_prekey), next.signed_prekey);
    assert_eq!(Some(bundle.kem_prekey), next.last_resort_kem_prekey);
}

#[tokio::test]
async fn a_publication_sent_again_brings_back_nothing_that_was_handed_out() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    let published = verified(publication(device, 1, 3, 3), device.device());
    store.publish_prekeys(&published).await.unwrap();
    let first = claim(&store, device.address()).await;

    let left = store.publish_prekeys(&published).await.unwrap();

    assert_eq!(left, PrekeysLeft { one_time: 2, one_time_kem: 2 });
    for _ in 0..2 {
        let bundle = claim(&store, device.address()).await;
        assert_ne!(bundle.one_time_prekey, first.one_time_prekey);
        assert_ne!(bundle.kem_prekey, first.kem_prekey);
    }
    assert_eq!(store.publish_prekeys(&published).await.unwrap(), PrekeysLeft::default());
}

#[tokio::test]
async fn one_time_keys_of_a_device_are_bounded() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    let some = |seed, count| {
        let publication = PrekeyPublication { one_time_prekeys: one_time_prekeys(seed, count), ..Default::default() };
        verified(publication, device.device())
    };
    let full = PrekeysLeft { one_time: ONE_TIME_PREKEYS_STORED_MAX, one_time_kem: 0 };
    for seed in [1, 2] {
        store.publish_prekeys(&some(seed, ONE_TIME_PREKEYS_STORED_MAX as u64 / 2)).await.unwrap();
    }
    let mut over = publication(device, 3, 1, 0);

    let result = store.publish_prekeys(&verified(over.clone(), device.device())).await;

    let limit = ONE_TIME_PREKEYS_STORED_MAX;
    assert!(matches!(result, Err(StoreError::TooManyPrekeys { limit: at }) if at == limit), "{result:?}");
    assert_eq!(store.prekeys_left(device.address()).await.unwrap(), full);
    // Nothing of what was refused is there.
    assert_eq!(store.claim_bundle(device.address()).await.unwrap(), None);
    over.one_time_prekeys.clear();
    assert_eq!(store.publish_prekeys(&verified(over, device.device())).await.unwrap(), full);
    claim(&store, device.address()).await;
    assert_eq!(store.publish_prekeys(&some(3, 1)).await.unwrap(), full);
}

#[tokio::test]
async fn only_a_device_on_the_list_publishes() {
    let (_folder, store) = store().await;
    let mut owner = Owner::published(&store, 1, 1).await;
    let stranger = device(&owner.root, 55);
    let before = verified(publication(&owner.devices[0], 1, 1, 1), owner.devices[0].device());
    let address = owner.devices[0].address();
    owner.devices[0] = device_with_id(&owner.root, address.device_id, 77);
    store.put_device_list(owner.id(), &owner.list(2), START).await.unwrap();

    let not_listed = store.publish_prekeys(&verified(publication(&stranger, 1, 1, 1), stranger.device())).await;
    // It was verified with keys that the device had before.
    let outdated = store.publish_prekeys(&before).await;

    assert!(matches!(not_listed, Err(StoreError::UnknownDevice { device }) if device == stranger.address()));
    assert!(matches!(outdated, Err(StoreError::UnknownDevice { device }) if device == address), "{outdated:?}");
    assert_eq!(store.prekeys_left(address).await.unwrap(), PrekeysLeft::default());
}

#[tokio::test]
async fn a_time_that_the_database_cannot_hold_is_refused() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    let mut prekey = signed_prekey(device, 1);
    prekey.created_at = Timestamp::from_millis(u64::MAX);
    let message = signed_prekey_signed_bytes(device.address(), &prekey.public_key, prekey.created_at);
    prekey.signature = device.keys().signing.sign(&message);
    let publication = PrekeyPublication { signed_prekey: Some(prekey), ..Default::default() };

    let result = store.publish_prekeys(&verified(publication, device.device())).await;

    assert!(matches!(result, Err(StoreError::OutOfRange { field: "creation time" })), "{result:?}");
}

#[tokio::test]
async fn what_its_device_did_not_sign_is_no_publication() {
    let (_folder, store) = store().await;
    let owner = Owner::new(&store, 1, 2).await;
    let [device, other] = [&owner.devices[0], &owner.devices[1]];
    let verify = |publication| VerifiedPublication::verify(publication, device.device()).map(|_| ());
    let signature = |part| Err(VerifyError::Signature { part });
    let good = || publication(device, 1, 2, 2);
    assert_eq!(verify(good()), Ok(()));
    assert_eq!(verify(PrekeyPublication::default()), Ok(()));

    let signed_prekey = Some(signed_prekey(other, 1));
    assert_eq!(verify(PrekeyPublication { signed_prekey, ..good() }), signature("signed prekey"));
    let last_resort_kem_prekey = Some(kem_prekey(other, KemPrekeyUse::LastResort, 1));
    assert_eq!(verify(PrekeyPublication { last_resort_kem_prekey, ..good() }), signature("KEM prekey"));
    let one_time_kem_prekeys = one_time_kem_prekeys(other, 1, 1);
    assert_eq!(verify(PrekeyPublication { one_time_kem_prekeys, ..good() }), signature("KEM prekey"));
    let mut false_id = good();
    false_id.one_time_prekeys[1].key_id = false_id.one_time_prekeys[0].key_id;
    let part = "one-time prekey";
    assert_eq!(verify(false_id), Err(VerifyError::KeyId { part }));

    let last_resort_kem_prekey = Some(kem_prekey(device, KemPrekeyUse::OneTime, 1));
    let other_use = Err(VerifyError::Prekeys(WireError::Invalid { field: "use of a KEM prekey" }));
    assert_eq!(verify(PrekeyPublication { last_resort_kem_prekey, ..good() }), other_use);
    let one_time_kem_prekeys = vec![kem_prekey(device, KemPrekeyUse::LastResort, 1)];
    assert_eq!(verify(PrekeyPublication { one_time_kem_prekeys, ..good() }), other_use);
}

#[tokio::test]
async fn keys_of_one_publication_are_bounded() {
    let (_folder, store) = store().await;
    let owner = Owner::new(&store, 1, 1).await;
    let device = &owner.devices[0];
    let verify = |publication| VerifiedPublication::verify(publication, device.device()).map(|_| ());
    let limit = ONE_TIME_PREKEYS_MAX;
    let over = |field| Err(VerifyError::Prekeys(WireError::OverLimit { field, limit }));
    let one_time = |count| PrekeyPublication { one_time_prekeys: one_time_prekeys(1, count), ..Default::default() };
    let kem = kem_prekey(device, KemPrekeyUse::OneTime, 1);
    let one_time_kem =
        |count| PrekeyPublication { one_time_kem_prekeys: vec![kem.clone(); count], ..Default::default() };

    assert_eq!(verify(one_time(limit as u64)), Ok(()));
    assert_eq!(verify(one_time(limit as u64 + 1)), over("one-time prekeys"));
    assert_eq!(verify(one_time_kem(limit)), Ok(()));
    assert_eq!(verify(one_time_kem(limit + 1)), over("one-time KEM prekeys"));
}
