use super::*;
use conclave::node::store::Room;
use conclave::node::store::limits::ROOMS_PER_ACCOUNT_MAX;
use conclave::wire::{Custody, Protection, Role, Signatures};

#[tokio::test]
async fn a_room_comes_back_as_it_was_made() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let policy = RoomPolicy { custody: Custody::Node, protection: Protection::Mls, signatures: Signatures::Off };
    let new = NewRoom { policy, ..new_room(1, ada) };

    store.create_room(&new).await.unwrap();

    let expected = Room { room_id: room_id(1), policy, epoch: epoch(1), head: 0, created_at: START, closed_at: None };
    assert_eq!(store.room(room_id(1)).await.unwrap(), Some(expected));
    assert_eq!(store.member(room_id(1), ada).await.unwrap().unwrap().role, Role::Owner);
    assert_eq!(store.room(room_id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn a_room_needs_an_account_and_an_id_of_its_own() {
    let (_folder, store) = store().await;
    let (ada, nobody) = (account(&store, 1).await, AccountId::generate(&mut rng(5)));
    room(&store, 1, ada).await;

    let unknown = store.create_room(&new_room(2, nobody)).await;
    let again = store.create_room(&new_room(1, ada)).await;

    assert!(matches!(unknown, Err(StoreError::UnknownAccount { account_id }) if account_id == nobody), "{unknown:?}");
    assert!(matches!(again, Err(StoreError::IdInUse)), "{again:?}");
    assert_eq!(store.room(room_id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn an_account_lists_its_rooms_page_by_page() {
    let (_folder, store) = store().await;
    let (ada, bob) = (account(&store, 1).await, account(&store, 2).await);
    for number in 0..5 {
        room(&store, number, ada).await;
    }
    let shared = room(&store, 5, bob).await;
    room(&store, 6, bob).await;
    join(&store, shared, bob, ada).await;
    let mut expected: Vec<_> = (0..6).map(room_id).collect();
    expected.sort();

    let first = store.rooms_of(ada, None, at_most(4)).await.unwrap();
    let second = store.rooms_of(ada, Some(first[3].0.room_id), at_most(4)).await.unwrap();

    let listed: Vec<_> = first.iter().chain(&second).map(|(room, ..)| room.room_id).collect();
    assert_eq!(listed, expected);
    for (room, role, _) in first.iter().chain(&second) {
        assert_eq!(*role, if room.room_id == shared { Role::Member } else { Role::Owner });
        assert_eq!(store.room(room.room_id).await.unwrap(), Some(*room));
    }
    assert_eq!(store.rooms_of(ada, Some(expected[5]), at_most(4)).await.unwrap(), []);
}

#[tokio::test]
async fn an_account_is_in_so_many_rooms_and_no_more() {
    let (_folder, store) = store().await;
    let (ada, bob) = (account(&store, 1).await, account(&store, 2).await);
    let limit = ROOMS_PER_ACCOUNT_MAX as u64;
    let made = all((0..limit).map(|number| {
        let store = store.clone();
        async move { store.create_room(&new_room(number, ada)).await }
    }))
    .await;
    assert!(made.iter().all(Result::is_ok));
    let others = room(&store, limit, bob).await;
    store.create_invitation(&new_invitation(1, others, bob), START).await.unwrap();

    let over = store.create_room(&new_room(limit + 1, ada)).await;
    let joined = store.accept_invitation(invitation_token(1), ada, None, START).await;

    assert!(matches!(over, Err(StoreError::TooManyRooms { limit: ROOMS_PER_ACCOUNT_MAX })), "{over:?}");
    assert!(matches!(joined, Err(StoreError::TooManyRooms { .. })), "{joined:?}");
    assert_eq!(store.room(room_id(limit + 1)).await.unwrap(), None);
    assert_eq!(store.member(others, ada).await.unwrap(), None);
    // Leaving one makes room, and the invitation was not used up.
    store.leave(room_id(0), ada, START).await.unwrap();
    assert!(store.accept_invitation(invitation_token(1), ada, None, START).await.unwrap().is_new);
}

#[tokio::test]
async fn a_closed_room_takes_nothing_and_nobody_and_can_be_read_and_left() {
    let (_folder, store) = store().await;
    let [ada, bob, eve] = [account(&store, 1).await, account(&store, 2).await, account(&store, 3).await];
    let room = room(&store, 1, ada).await;
    join(&store, room, ada, bob).await;
    let device = device_of(bob, 1);
    store.append(room, vec![room_envelope(device, room, 1)], START).await.unwrap();
    store.create_invitation(&new_invitation(9, room, ada), START).await.unwrap();
    let closed_at = START.plus(MINUTE);

    let forbidden = store.close_room(room, bob, START).await;
    let foreign = store.close_room(room, eve, START).await;
    store.close_room(room, ada, closed_at).await.unwrap();
    let again = store.close_room(room, ada, closed_at.plus(MINUTE)).await;

    assert!(matches!(forbidden, Err(StoreError::RoleForbids { account_id }) if account_id == bob), "{forbidden:?}");
    assert!(matches!(foreign, Err(StoreError::UnknownRoom { .. })), "{foreign:?}");
    assert!(matches!(again, Err(StoreError::RoomClosed { .. })), "{again:?}");
    assert_eq!(store.room(room).await.unwrap().unwrap().closed_at, Some(closed_at));
    for refused in [
        store.set_role(room, ada, bob, Role::Owner).await,
        store.remove_member(room, ada, bob).await,
        store.create_invitation(&new_invitation(10, room, ada), START).await,
    ] {
        assert!(matches!(refused, Err(StoreError::RoomClosed { .. })), "{refused:?}");
    }
    let joined = store.accept_invitation(invitation_token(9), eve, None, START).await;
    assert!(matches!(joined, Err(StoreError::InvitationRefused)), "{joined:?}");
    assert_eq!(numbers(&store.room_page(room, device, 0, PageLimit::default()).await.unwrap()), [1]);
    // The last owner may go: nobody misses one.
    store.leave(room, ada, closed_at).await.unwrap();
    store.leave(room, bob, closed_at).await.unwrap();
    assert_eq!(store.room(room).await.unwrap().unwrap().closed_at, Some(closed_at));
}
