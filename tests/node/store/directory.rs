use super::*;
use conclave::node::store::{DeviceListChange, PrekeysLeft};

#[tokio::test]
async fn a_list_comes_back_as_it_was_signed() {
    let (_folder, store) = store().await;
    let owner = Owner::new(&store, 1, 3).await;
    assert_eq!(store.device_list(owner.id()).await.unwrap(), None);

    let change = store.put_device_list(owner.id(), &owner.list(1), START).await.unwrap();

    let mut added: Vec<_> = owner.devices.iter().map(|device| device.address().device_id).collect();
    added.sort();
    assert_eq!(change, DeviceListChange { added, ..DeviceListChange::default() });
    assert_eq!(store.device_list(owner.id()).await.unwrap().unwrap(), *owner.list(1).list());
    assert_eq!(store.device_list(AccountId::generate(&mut rng(9))).await.unwrap(), None);
}

#[tokio::test]
async fn versions_grow() {
    let (_folder, store) = store().await;
    let mut owner = Owner::published(&store, 1, 1).await;
    let older = owner.list(1);
    owner.devices.push(device(&owner.root, 7));
    let newer = owner.list(3);
    store.put_device_list(owner.id(), &newer, START).await.unwrap();

    let again = store.put_device_list(owner.id(), &newer, START).await.unwrap();
    let stale = store.put_device_list(owner.id(), &older, START).await;
    owner.devices.remove(0);
    let forked = store.put_device_list(owner.id(), &owner.list(3), START).await;

    assert_eq!(again, DeviceListChange::default());
    assert!(matches!(stale, Err(StoreError::StaleVersion { stored: 3, given: 1 })), "{stale:?}");
    assert!(matches!(forked, Err(StoreError::ForkedVersion { version: 3 })), "{forked:?}");
    assert_eq!(store.device_list(owner.id()).await.unwrap().unwrap(), *newer.list());
    store.put_device_list(owner.id(), &owner.list(4), START).await.unwrap();
}

#[tokio::test]
async fn of_many_lists_at_once_the_highest_version_stands() {
    let (_folder, store) = store().await;
    let owner = Owner::new(&store, 1, 1).await;
    let lists: Vec<_> = (1..=20).map(|version| owner.list(version * 7 % 23)).collect();
    let highest = lists.iter().map(VerifiedDeviceList::version).max().unwrap();

    let account_id = owner.id();
    all(lists.into_iter().map(|list| {
        let store = store.clone();
        async move { store.put_device_list(account_id, &list, START).await }
    }))
    .await;

    assert_eq!(store.device_list(account_id).await.unwrap().unwrap().version, highest);
}

#[tokio::test]
async fn the_root_of_the_first_list_is_pinned() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let other_root = AccountRoot::generate(owner.id(), &mut rng(99));
    let other = device(&other_root, 8);
    let list = sign(&other_root, 2, vec![other.device().certificate().clone()]);

    let result = store.put_device_list(owner.id(), &list, START).await;

    assert!(matches!(result, Err(StoreError::RootKeyChanged { account_id }) if account_id == owner.id()), "{result:?}");
    assert_eq!(store.device_list(owner.id()).await.unwrap().unwrap(), *owner.list(1).list());
}

#[tokio::test]
async fn a_list_is_its_own_accounts_and_that_has_to_exist() {
    let (_folder, store) = store().await;
    let (ada, bob) = (Owner::new(&store, 1, 1).await, Owner::new(&store, 2, 1).await);
    let nobody = AccountRoot::generate(AccountId::generate(&mut rng(5)), &mut rng(6));

    let foreign = store.put_device_list(bob.id(), &ada.list(1), START).await;
    let unknown = store.put_device_list(nobody.account_id(), &sign(&nobody, 1, vec![]), START).await;

    assert!(matches!(foreign, Err(StoreError::OwnerMismatch { account_id }) if account_id == bob.id()), "{foreign:?}");
    assert!(matches!(unknown, Err(StoreError::UnknownAccount { .. })), "{unknown:?}");
    assert_eq!(store.device_list(bob.id()).await.unwrap(), None);
    assert_eq!(store.device_list(ada.id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_version_that_the_database_cannot_hold_is_refused() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;

    let over = store.put_device_list(owner.id(), &owner.list(1 << 63), START).await;
    store.put_device_list(owner.id(), &owner.list((1 << 63) - 1), START).await.unwrap();

    assert!(matches!(over, Err(StoreError::OutOfRange { field: "version" })), "{over:?}");
    assert_eq!(store.device_list(owner.id()).await.unwrap().unwrap().version, (1 << 63) - 1);
}

#[tokio::test]
async fn a_removed_device_loses_its_prekeys_and_sessions_and_no_other_does() {
    let (_folder, store) = store().await;
    let mut owner = Owner::published(&store, 1, 2).await;
    for (device, number) in owner.devices.iter().zip(1..) {
        store.publish_prekeys(&verified(publication(device, number, 3, 2), device.device())).await.unwrap();
        open_session(&store, owner.id(), number).await;
        bind(&store, number, device).await.unwrap();
    }
    open_session(&store, owner.id(), 3).await;
    let removed = owner.devices.remove(0);

    let change = store.put_device_list(owner.id(), &owner.list(2), START).await.unwrap();

    let expected = DeviceListChange {
        added: vec![],
        removed: vec![removed.address().device_id],
        ended_sessions: vec![session_id(1)],
    };
    assert_eq!(change, expected);
    assert_eq!(store.prekeys_left(removed.address()).await.unwrap(), PrekeysLeft::default());
    assert_eq!(store.claim_bundle(removed.address()).await.unwrap(), None);
    assert_eq!(store.session_by_access(access(1), START).await.unwrap(), None);
    let kept = &owner.devices[0];
    assert_eq!(store.prekeys_left(kept.address()).await.unwrap(), PrekeysLeft { one_time: 3, one_time_kem: 2 });
    assert!(store.session_by_access(access(2), START).await.unwrap().is_some());
    assert!(store.session_by_access(access(3), START).await.unwrap().is_some());
    // Put back on the list, it has to publish again.
    owner.devices.push(removed);
    store.put_device_list(owner.id(), &owner.list(3), START).await.unwrap();
    assert_eq!(store.claim_bundle(owner.devices[1].address()).await.unwrap(), None);
}

#[tokio::test]
async fn a_device_with_new_identity_keys_is_a_new_device() {
    let (_folder, store) = store().await;
    let mut owner = Owner::published(&store, 1, 1).await;
    let before = &owner.devices[0];
    let address = before.address();
    store.publish_prekeys(&verified(publication(before, 1, 3, 2), before.device())).await.unwrap();
    open_session(&store, owner.id(), 1).await;
    bind(&store, 1, before).await.unwrap();
    owner.devices[0] = device_with_id(&owner.root, address.device_id, 77);

    let change = store.put_device_list(owner.id(), &owner.list(2), START).await.unwrap();

    assert_eq!(change.removed, [address.device_id]);
    assert_eq!(change.added, [address.device_id]);
    assert_eq!(change.ended_sessions, [session_id(1)]);
    assert_eq!(store.claim_bundle(address).await.unwrap(), None);
}

#[tokio::test]
async fn a_device_that_is_certified_again_with_its_keys_keeps_what_it_has() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device = &owner.devices[0];
    store.publish_prekeys(&verified(publication(device, 1, 3, 2), device.device())).await.unwrap();
    let keys = device.keys();
    let certificate = owner.root.certify(
        device.address().device_id,
        &keys.signing.public_key(),
        &keys.agreement.public_key(),
        START.plus(MINUTE),
    );

    let change = store.put_device_list(owner.id(), &sign(&owner.root, 2, vec![certificate]), START).await.unwrap();

    assert_eq!(change, DeviceListChange::default());
    assert_eq!(store.prekeys_left(device.address()).await.unwrap(), PrekeysLeft { one_time: 3, one_time_kem: 2 });
    assert_eq!(store.device_list(owner.id()).await.unwrap().unwrap().version, 2);
}
