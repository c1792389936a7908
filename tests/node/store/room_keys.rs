use super::*;
use conclave::node::store::KeyPlace;
use conclave::wire::{RoomKey, RoomKeyType};

fn key(user_id: AccountId, key_type: RoomKeyType, number: u8) -> RoomKey {
    RoomKey {
        user_id,
        key_id: KeyId::from_bytes([number; 8]),
        key_type,
        agreement_key: Bytes([number; 32]),
        signing_key: Bytes([number + 1; 32]),
        created_at: START,
        expires_at: START.plus(MINUTE),
        revoked: false,
    }
}

#[tokio::test]
async fn of_each_type_the_newest_key_is_kept_until_its_time_is_over() {
    let (_folder, store) = store().await;
    let owner = account(&store, 1).await;
    let room = room(&store, 1, owner).await;
    let (first, second) = (key(owner, RoomKeyType::Ephemeral, 1), key(owner, RoomKeyType::Ephemeral, 2));
    let identity = key(owner, RoomKeyType::Identity, 3);

    assert!(!store.put_room_key(room, first, KeyPlace::Successor).await.unwrap());
    assert!(store.put_room_key(room, first, KeyPlace::New).await.unwrap());
    assert!(!store.put_room_key(room, identity, KeyPlace::Successor).await.unwrap());
    assert!(store.put_room_key(room, identity, KeyPlace::New).await.unwrap());
    assert!(store.put_room_key(room, second, KeyPlace::Successor).await.unwrap());
    assert_eq!(store.room_keys(room, owner, START).await.unwrap(), [identity, second]);

    let end = START.plus(MINUTE);
    assert_eq!(store.room_keys(room, owner, just_before(end)).await.unwrap().len(), 2);
    assert_eq!(store.room_keys(room, owner, end).await.unwrap(), []);
    let later = RoomKey { created_at: end, expires_at: end.plus(MINUTE), ..first };
    assert!(!store.put_room_key(room, later, KeyPlace::Successor).await.unwrap());
    assert_eq!(store.remove_expired(just_before(end)).await.unwrap(), 0);
    assert_eq!(store.remove_expired(end).await.unwrap(), 2);
}

#[tokio::test]
async fn a_key_is_revoked_once_by_its_owner() {
    let (_folder, store) = store().await;
    let (owner, member) = (account(&store, 1).await, account(&store, 2).await);
    let room = room(&store, 1, owner).await;
    join(&store, room, owner, member).await;
    let key = key(owner, RoomKeyType::Ephemeral, 1);
    store.put_room_key(room, key, KeyPlace::New).await.unwrap();

    assert!(!store.revoke_room_key(room, member, key.key_id).await.unwrap());
    assert!(!store.revoke_room_key(room_id(7), owner, key.key_id).await.unwrap());
    assert!(store.revoke_room_key(room, owner, key.key_id).await.unwrap());
    assert!(!store.revoke_room_key(room, owner, key.key_id).await.unwrap());
    assert_eq!(store.room_keys(room, owner, START).await.unwrap(), [RoomKey { revoked: true, ..key }]);
}

#[tokio::test]
async fn keys_are_of_members_of_open_rooms_and_go_with_them() {
    let (_folder, store) = store().await;
    let (owner, member) = (account(&store, 1).await, account(&store, 2).await);
    let room = room(&store, 1, owner).await;
    let of_member = key(member, RoomKeyType::Ephemeral, 1);
    let refused = store.put_room_key(room, of_member, KeyPlace::New).await.unwrap_err();
    assert!(matches!(refused, StoreError::UnknownRoom { .. }), "{refused}");

    join(&store, room, owner, member).await;
    store.put_room_key(room, of_member, KeyPlace::New).await.unwrap();
    store.leave(room, member, START).await.unwrap();
    join(&store, room, owner, member).await;
    assert_eq!(store.room_keys(room, member, START).await.unwrap(), []);

    store.close_room(room, owner, START).await.unwrap();
    let refused = store.put_room_key(room, of_member, KeyPlace::New).await.unwrap_err();
    assert!(matches!(refused, StoreError::RoomClosed { .. }), "{refused}");
}
