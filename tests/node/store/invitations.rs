use super::*;
use conclave::node::store::Invitation;
use conclave::node::store::limits::{INVITATIONS_PER_ROOM_MAX, ROOM_MEMBERS_MAX};
use conclave::wire::{Joined, Role};

#[tokio::test]
async fn an_invitation_lets_in_as_often_as_it_says() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let room = room(&store, 1, ada).await;
    let twice = NewInvitation { uses: 2, ..new_invitation(1, room, ada) };
    store.create_invitation(&twice, START).await.unwrap();
    let [bob, eve, joan] = [account(&store, 2).await, account(&store, 3).await, account(&store, 4).await];
    let accept = async |account_id| store.accept_invitation(invitation_token(1), account_id, None, START).await;

    assert_eq!(accept(bob).await.unwrap(), Joined { room_id: room, is_new: true });
    // Again, nothing is used up.
    assert_eq!(accept(bob).await.unwrap(), Joined { room_id: room, is_new: false });
    assert_eq!(store.invitations(room, ada, START).await.unwrap()[0].uses_left, 1);
    assert_eq!(accept(eve).await.unwrap(), Joined { room_id: room, is_new: true });
    let used_up = accept(joan).await;

    assert!(matches!(used_up, Err(StoreError::InvitationRefused)), "{used_up:?}");
    assert_eq!(store.invitations(room, ada, START).await.unwrap(), []);
    assert_eq!(store.member(room, eve).await.unwrap().unwrap().role, Role::Member);
    assert_eq!(store.member(room, joan).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_who_come_at_once_by_one_use_one_is_let_in() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let room = room(&store, 1, ada).await;
    store.create_invitation(&new_invitation(1, room, ada), START).await.unwrap();
    let mut others = Vec::new();
    for seed in 2..12 {
        others.push(account(&store, seed).await);
    }

    let joined = all(others.into_iter().map(|account_id| {
        let store = store.clone();
        async move { store.accept_invitation(invitation_token(1), account_id, None, START).await }
    }))
    .await;

    assert_eq!(joined.iter().filter(|result| result.is_ok()).count(), 1, "{joined:?}");
    assert_eq!(store.members(room, None, PageLimit::default()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_invitation_is_for_whom_and_for_how_long_it_says() {
    let (_folder, store) = store().await;
    let [ada, bob, eve] = [account(&store, 1).await, account(&store, 2).await, account(&store, 3).await];
    let room = room(&store, 1, ada).await;
    let for_bob = NewInvitation { for_account: Some(bob), ..new_invitation(1, room, ada) };
    store.create_invitation(&for_bob, START).await.unwrap();
    store.create_invitation(&new_invitation(2, room, ada), START).await.unwrap();
    let end = START.plus(MINUTE);

    for (number, account_id, now) in [(1, eve, START), (1, bob, end), (2, eve, end), (3, eve, START)] {
        let joined = store.accept_invitation(invitation_token(number), account_id, None, now).await;
        assert!(matches!(joined, Err(StoreError::InvitationRefused)), "{number} {joined:?}");
    }
    assert!(store.accept_invitation(invitation_token(1), bob, None, just_before(end)).await.unwrap().is_new);
    assert!(store.accept_invitation(invitation_token(2), eve, None, just_before(end)).await.unwrap().is_new);
}

#[tokio::test]
async fn invitations_are_made_listed_and_withdrawn_by_who_may() {
    let (_folder, store) = store().await;
    let [ada, bob, eve] = [account(&store, 1).await, account(&store, 2).await, account(&store, 3).await];
    let (room, others) = (room(&store, 1, ada).await, room(&store, 2, eve).await);
    join(&store, room, ada, bob).await;
    let new = NewInvitation { for_account: Some(eve), uses: 3, ..new_invitation(1, room, ada) };
    store.create_invitation(&new, START).await.unwrap();
    let id = new.invitation_id;

    let expected = Invitation {
        invitation_id: id,
        created_by: ada,
        for_account: Some(eve),
        expires_at: START.plus(MINUTE),
        uses_left: 3,
    };
    assert_eq!(store.invitations(room, ada, START).await.unwrap(), [expected]);
    assert_eq!(store.invitations(room, ada, START.plus(MINUTE)).await.unwrap(), []);
    for (actor, code) in [(bob, "forbidden"), (eve, "unknown")] {
        for refused in [
            store.create_invitation(&new_invitation(2, room, actor), START).await,
            store.invitations(room, actor, START).await.map(drop),
            store.revoke_invitation(room, actor, id).await,
        ] {
            let is_expected = match refused {
                Err(StoreError::RoleForbids { account_id }) => code == "forbidden" && account_id == actor,
                Err(StoreError::UnknownRoom { room_id }) => code == "unknown" && room_id == room,
                _ => false,
            };
            assert!(is_expected, "{refused:?}");
        }
    }
    // Nobody withdraws another room's.
    let foreign = store.revoke_invitation(others, eve, id).await;
    assert!(matches!(foreign, Err(StoreError::UnknownInvitation { invitation_id }) if invitation_id == id));
    store.revoke_invitation(room, ada, id).await.unwrap();
    let again = store.revoke_invitation(room, ada, id).await;
    assert!(matches!(again, Err(StoreError::UnknownInvitation { .. })), "{again:?}");
    let joined = store.accept_invitation(invitation_token(1), eve, None, START).await;
    assert!(matches!(joined, Err(StoreError::InvitationRefused)), "{joined:?}");
}

#[tokio::test]
async fn a_room_has_so_many_invitations_that_hold_and_no_more() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let (room, other) = (room(&store, 1, ada).await, room(&store, 2, ada).await);
    let limit = INVITATIONS_PER_ROOM_MAX as u64;
    for number in 0..limit {
        store.create_invitation(&new_invitation(number, room, ada), START).await.unwrap();
    }

    let over = store.create_invitation(&new_invitation(limit, room, ada), START).await;
    let no_use = store.create_invitation(&NewInvitation { uses: 0, ..new_invitation(limit, other, ada) }, START).await;
    let same = store.create_invitation(&new_invitation(1, other, ada), START).await;

    assert!(matches!(over, Err(StoreError::TooManyInvitations { limit: INVITATIONS_PER_ROOM_MAX })), "{over:?}");
    assert!(matches!(no_use, Err(StoreError::OutOfRange { .. })), "{no_use:?}");
    assert!(matches!(same, Err(StoreError::IdInUse)), "{same:?}");
    assert_eq!(store.invitations(room, ada, START).await.unwrap().len(), INVITATIONS_PER_ROOM_MAX);
    store.create_invitation(&new_invitation(limit, other, ada), START).await.unwrap();
    // Those that have expired do not count.
    let end = START.plus(MINUTE);
    let later = NewInvitation { expires_at: end.plus(MINUTE), ..new_invitation(limit + 1, room, ada) };
    store.create_invitation(&later, end).await.unwrap();
    assert_eq!(store.invitations(room, ada, end).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_room_has_so_many_members_and_no_more() {
    let (folder, store) = store().await;
    let (ada, bob) = (account(&store, 1).await, account(&store, 2).await);
    let room = room(&store, 1, ada).await;
    // Past the store: ten thousand sign-ins would take long.
    let raw = folder.raw();
    for sql in [
        "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
         INSERT INTO accounts SELECT randomblob(16), 'filler', n, 0 FROM n",
        "INSERT INTO members (room_id, account_id, role, joined_at) SELECT room_id, account_id, 'member', ?1
         FROM rooms, accounts WHERE issuer = 'filler'",
    ] {
        raw.execute(sql, [i64::try_from(ROOM_MEMBERS_MAX).unwrap() - 1]).unwrap();
    }
    store.create_invitation(&new_invitation(1, room, ada), START).await.unwrap();

    let over = store.accept_invitation(invitation_token(1), bob, None, START).await;

    assert!(matches!(over, Err(StoreError::TooManyMembers { limit: ROOM_MEMBERS_MAX })), "{over:?}");
    assert_eq!(store.member(room, bob).await.unwrap(), None);
    raw.execute("DELETE FROM members WHERE account_id = (SELECT account_id FROM accounts WHERE subject = '1')", [])
        .unwrap();
    assert!(store.accept_invitation(invitation_token(1), bob, None, START).await.unwrap().is_new);
}

#[tokio::test]
async fn what_has_expired_is_removed() {
    let (_folder, store) = store().await;
    let ada = account(&store, 1).await;
    let room = room(&store, 1, ada).await;
    store.create_invitation(&new_invitation(1, room, ada), START).await.unwrap();

    assert_eq!(store.remove_expired(just_before(START.plus(MINUTE))).await.unwrap(), 0);
    assert_eq!(store.remove_expired(START.plus(MINUTE)).await.unwrap(), 1);
}
