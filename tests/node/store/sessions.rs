use super::*;
use conclave::ids::DeviceAddress;
use conclave::node::store::limits::{REFRESHES_MAX, SESSIONS_PER_ACCOUNT_MAX};
use conclave::node::store::{EndedSession, Rotation, Session, SessionInfo};

#[tokio::test]
async fn an_access_token_shows_its_session_until_it_expires() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;
    let session = Session { session_id: session_id(1), account_id, device_id: None, expires_at: START.plus(ACCESS) };

    let last_moment = just_before(START.plus(ACCESS));

    assert_eq!(store.session_by_access(access(1), START).await.unwrap(), Some(session));
    assert_eq!(store.session_by_access(access(1), last_moment).await.unwrap(), Some(session));
    assert_eq!(store.session_by_access(access(1), START.plus(ACCESS)).await.unwrap(), None);
    assert_eq!(store.session_by_access(access(2), START).await.unwrap(), None);
    assert_eq!(store.session_by_access(refresh(1), START).await.unwrap(), None);
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_and_ends_the_old_ones() {
    let (_folder, store) = store().await;
    let owner = Owner::published(&store, 1, 1).await;
    let device_id = owner.devices[0].address().device_id;
    open_session(&store, owner.id(), 1).await;
    bind(&store, 1, &owner.devices[0]).await.unwrap();
    let now = START.plus(MINUTE);

    let rotation = store.rotate_session(refresh(1), &tokens(2, now), now).await.unwrap();

    let session = Session {
        session_id: session_id(1),
        account_id: owner.id(),
        device_id: Some(device_id),
        expires_at: now.plus(ACCESS),
    };
    assert_eq!(rotation, Rotation::Rotated { session, refresh_expires_at: now.plus(IDLE) });
    assert_eq!(store.session_by_access(access(1), now).await.unwrap(), None);
    assert_eq!(store.session_by_access(access(2), now).await.unwrap(), Some(session));
    assert!(matches!(store.rotate_session(refresh(2), &tokens(3, now), now).await.unwrap(), Rotation::Rotated { .. }));
}

#[tokio::test]
async fn a_reused_refresh_token_ends_the_session_for_thief_and_owner() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;
    open_session(&store, account_id, 100).await;
    for number in 1..4 {
        store.rotate_session(refresh(number), &tokens(number + 1, START), START).await.unwrap();
    }

    // Not the last but one: any that was used.
    let reused = store.rotate_session(refresh(1), &tokens(9, START), START).await.unwrap();

    assert_eq!(reused, Rotation::Reused(EndedSession { session_id: session_id(1), account_id }));
    for number in 1..=9 {
        assert_eq!(store.session_by_access(access(number), START).await.unwrap(), None);
        let rotation = store.rotate_session(refresh(number), &tokens(10, START), START).await.unwrap();
        assert_eq!(rotation, Rotation::Unknown);
    }
    // Another sign-in of the account goes on.
    assert!(store.session_by_access(access(100), START).await.unwrap().is_some());
}

#[tokio::test]
async fn of_many_refreshes_with_one_token_one_is_good_and_the_session_ends() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;

    let rotations = all((2..32).map(|number| {
        let store = store.clone();
        async move { store.rotate_session(refresh(1), &tokens(number, START), START).await.unwrap() }
    }))
    .await;

    let count = |is: fn(&Rotation) -> bool| rotations.iter().filter(|rotation| is(rotation)).count();
    assert_eq!(count(|rotation| matches!(rotation, Rotation::Rotated { .. })), 1);
    assert_eq!(count(|rotation| matches!(rotation, Rotation::Reused(_))), 1);
    assert_eq!(count(|rotation| matches!(rotation, Rotation::Unknown)), 28);
    assert_eq!(store.sessions(account_id, START).await.unwrap(), []);
    for number in 1..32 {
        assert_eq!(store.session_by_access(access(number), START).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_session_is_there_until_it_is_ended() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    assert!(!store.has_session(session_id(1)).await.unwrap());
    open_session(&store, account_id, 1).await;
    open_session(&store, account_id, 2).await;
    assert!(store.has_session(session_id(1)).await.unwrap());

    assert!(store.end_session(account_id, session_id(1)).await.unwrap());

    assert!(!store.has_session(session_id(1)).await.unwrap());
    assert!(store.has_session(session_id(2)).await.unwrap());
}

#[tokio::test]
async fn an_idle_session_expires() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;
    open_session(&store, account_id, 2).await;
    let last_moment = just_before(START.plus(IDLE));
    let too_late = START.plus(IDLE);

    let kept = store.rotate_session(refresh(1), &tokens(11, last_moment), last_moment).await.unwrap();
    let expired = store.rotate_session(refresh(2), &tokens(12, too_late), too_late).await.unwrap();

    assert!(matches!(kept, Rotation::Rotated { .. }));
    assert_eq!(expired, Rotation::Expired(EndedSession { session_id: session_id(2), account_id }));
    assert_eq!(store.session_by_access(access(12), too_late).await.unwrap(), None);
    let left = store.sessions(account_id, too_late).await.unwrap();
    assert_eq!(left.iter().map(|session| session.session_id).collect::<Vec<_>>(), [session_id(1)]);
}

#[tokio::test]
async fn no_refresh_moves_the_absolute_end() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let end = START.plus(ABSOLUTE);
    let mut now = START;
    open_session(&store, account_id, 1).await;

    let mut number = 1;
    while now.plus(IDLE) < end {
        now = just_before(now.plus(IDLE));
        let rotation = store.rotate_session(refresh(number), &tokens(number + 1, now), now).await.unwrap();
        assert!(matches!(rotation, Rotation::Rotated { .. }), "{rotation:?}");
        number += 1;
    }
    let shortly_before = just_before(end);
    let last = store.rotate_session(refresh(number), &tokens(number + 1, shortly_before), shortly_before).await;

    let session = store.session_by_access(access(number + 1), shortly_before).await.unwrap().unwrap();
    assert_eq!(last.unwrap(), Rotation::Rotated { session, refresh_expires_at: end });
    assert_eq!(session.expires_at, end);
    assert_eq!(store.session_by_access(access(number + 1), end).await.unwrap(), None);
    let rotation = store.rotate_session(refresh(number + 1), &tokens(number + 2, end), end).await.unwrap();
    assert!(matches!(rotation, Rotation::Expired(_)), "{rotation:?}");
}

#[tokio::test]
async fn a_session_that_begins_is_cut_to_its_absolute_end_too() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let end = START.plus(MINUTE);
    let session = NewSession { absolute_expires_at: end, ..new_session(account_id, 1, START) };

    store.open_session(&session).await.unwrap();

    assert_eq!(store.session_by_access(access(1), START).await.unwrap().unwrap().expires_at, end);
    assert_eq!(store.session_by_access(access(1), end).await.unwrap(), None);
    let rotation = store.rotate_session(refresh(1), &tokens(2, end), end).await.unwrap();
    assert!(matches!(rotation, Rotation::Expired(_)), "{rotation:?}");
}

#[tokio::test]
async fn a_session_can_be_refreshed_so_often() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 0).await;

    for first in (0..REFRESHES_MAX).step_by(2_048) {
        // Polled in this order, so they stand in the queue in this order.
        let rotations = all((first..first + 2_048).map(|number| {
            let store = store.clone();
            async move { store.rotate_session(refresh(number), &tokens(number + 1, START), START).await.unwrap() }
        }))
        .await;
        assert!(rotations.iter().all(|rotation| matches!(rotation, Rotation::Rotated { .. })));
    }
    let last = store.rotate_session(refresh(REFRESHES_MAX), &tokens(REFRESHES_MAX + 1, START), START).await.unwrap();

    assert_eq!(last, Rotation::Expired(EndedSession { session_id: session_id(0), account_id }));
    assert_eq!(store.sessions(account_id, START).await.unwrap(), []);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner_alone() {
    let (_folder, store) = store().await;
    let (ada, bob) = (account(&store, 1).await, account(&store, 2).await);
    for number in 1..=3 {
        open_session(&store, ada, number).await;
    }
    open_session(&store, bob, 4).await;
    let later = START.plus(MINUTE);
    store.rotate_session(refresh(2), &tokens(12, later), later).await.unwrap();

    let mut listed = store.sessions(ada, later).await.unwrap();
    listed.sort_by_key(|session| (session.refreshed_at, session.session_id));

    let info = |number, refreshed_at: Timestamp| SessionInfo {
        session_id: session_id(number),
        device_id: None,
        created_at: START,
        refreshed_at,
        expires_at: refreshed_at.plus(IDLE),
    };
    let mut expected = [info(1, START), info(3, START), info(2, later)];
    expected.sort_by_key(|session| (session.refreshed_at, session.session_id));
    assert_eq!(listed, expected);

    assert!(!store.end_session(bob, session_id(1)).await.unwrap());
    assert!(store.session_by_access(access(1), START).await.unwrap().is_some());
    assert!(store.end_session(ada, session_id(1)).await.unwrap());
    assert!(!store.end_session(ada, session_id(1)).await.unwrap());
    assert_eq!(store.session_by_access(access(1), START).await.unwrap(), None);
    assert_eq!(store.rotate_session(refresh(1), &tokens(11, START), START).await.unwrap(), Rotation::Unknown);

    assert_eq!(store.end_all_sessions(ada).await.unwrap(), 2);
    assert_eq!(store.end_all_sessions(ada).await.unwrap(), 0);
    assert_eq!(store.sessions(ada, START).await.unwrap(), []);
    assert!(store.session_by_access(access(4), START).await.unwrap().is_some());
}

#[tokio::test]
async fn past_the_limit_the_session_that_was_idle_longest_ends() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let limit = SESSIONS_PER_ACCOUNT_MAX as u64;
    let at = |number: u64| Timestamp::from_millis(START.as_millis() + number);
    for number in 1..=limit {
        let ended = store.open_session(&new_session(account_id, number, at(number))).await.unwrap();
        assert_eq!(ended, []);
    }
    // The oldest has just been active.
    store.rotate_session(refresh(1), &tokens(1_000, at(limit)), at(limit)).await.unwrap();

    let ended = store.open_session(&new_session(account_id, 2_000, at(limit))).await.unwrap();

    assert_eq!(ended, [session_id(2)]);
    assert_eq!(store.sessions(account_id, at(limit)).await.unwrap().len(), SESSIONS_PER_ACCOUNT_MAX);
    // Those that have expired do not count, and nothing has to end for them.
    let later = START.plus(IDLE).plus(MINUTE);
    assert_eq!(store.open_session(&new_session(account_id, 3_000, later)).await.unwrap(), []);
    assert_eq!(store.sessions(account_id, later).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_needs_an_account_and_tokens_of_its_own() {
    let (_folder, store) = store().await;
    let nobody = AccountId::generate(&mut rng(5));
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;

    let unknown = store.open_session(&new_session(nobody, 2, START)).await;
    let same_tokens = NewSession { session_id: session_id(7), ..new_session(account_id, 1, START) };
    let same_tokens = store.open_session(&same_tokens).await;

    assert!(matches!(unknown, Err(StoreError::UnknownAccount { account_id }) if account_id == nobody), "{unknown:?}");
    assert!(matches!(same_tokens, Err(StoreError::IdInUse)), "{same_tokens:?}");
    assert_eq!(store.sessions(account_id, START).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_is_one_device_of_its_account() {
    let (_folder, store) = store().await;
    let ada = Owner::published(&store, 1, 2).await;
    let bob = Owner::published(&store, 2, 1).await;
    open_session(&store, ada.id(), 1).await;
    let [first, second] = [&ada.devices[0], &ada.devices[1]];
    let foreign = &bob.devices[0];

    let unknown = bind(&store, 9, first).await;
    let not_ours = bind(&store, 1, foreign).await;
    assert!(matches!(unknown, Err(StoreError::UnknownSession { session_id: id }) if id == session_id(9)));
    let wanted = DeviceAddress { account_id: ada.id(), device_id: foreign.address().device_id };
    assert!(matches!(not_ours, Err(StoreError::UnknownDevice { device }) if device == wanted), "{not_ours:?}");
    assert_eq!(store.session_by_access(access(1), START).await.unwrap().unwrap().device_id, None);

    bind(&store, 1, first).await.unwrap();
    bind(&store, 1, first).await.unwrap();
    let other = bind(&store, 1, second).await;
    assert!(matches!(other, Err(StoreError::SessionBound { session_id: id }) if id == session_id(1)), "{other:?}");
    assert_eq!(
        store.session_by_access(access(1), START).await.unwrap().unwrap().device_id,
        Some(first.address().device_id)
    );
    assert_eq!(store.sessions(ada.id(), START).await.unwrap()[0].device_id, Some(first.address().device_id));
}

/// Its account replaced it after its proof was verified.
#[tokio::test]
async fn a_session_is_not_made_that_of_a_device_with_another_key() {
    let (_folder, store) = store().await;
    let mut owner = Owner::published(&store, 1, 1).await;
    open_session(&store, owner.id(), 1).await;
    let address = owner.devices[0].address();
    let replaced = std::mem::replace(&mut owner.devices[0], device_with_id(&owner.root, address.device_id, 77));
    assert_eq!(store.signing_key(address).await.unwrap().as_ref(), Some(replaced.device().signing_key()));
    store.put_device_list(owner.id(), &owner.list(2), START).await.unwrap();

    let refused = bind(&store, 1, &replaced).await;

    assert!(matches!(refused, Err(StoreError::UnknownDevice { device }) if device == address), "{refused:?}");
    assert_eq!(store.signing_key(address).await.unwrap().as_ref(), Some(owner.devices[0].device().signing_key()));
    assert_eq!(
        store.signing_key(DeviceAddress { account_id: AccountId::from_bytes([9; 16]), ..address }).await.unwrap(),
        None
    );
    bind(&store, 1, &owner.devices[0]).await.unwrap();
}

#[tokio::test]
async fn what_has_expired_is_removed_and_nothing_else() {
    let (folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;
    store.open_session(&new_session(account_id, 2, START.plus(MINUTE))).await.unwrap();
    store.rotate_session(refresh(2), &tokens(3, START.plus(MINUTE)), START.plus(MINUTE)).await.unwrap();

    assert_eq!(store.remove_expired(just_before(START.plus(IDLE))).await.unwrap(), 0);
    // The session that was never refreshed; a minute later the used token of the other.
    assert_eq!(store.remove_expired(START.plus(IDLE)).await.unwrap(), 1);
    assert_eq!(store.rotate_session(refresh(3), &tokens(4, START.plus(IDLE)), START.plus(IDLE)).await.unwrap(), {
        let session = Session {
            session_id: session_id(2),
            account_id,
            device_id: None,
            expires_at: START.plus(IDLE).plus(ACCESS),
        };
        Rotation::Rotated { session, refresh_expires_at: START.plus(IDLE).plus(IDLE) }
    });
    assert_eq!(store.remove_expired(START.plus(IDLE).plus(MINUTE)).await.unwrap(), 2);
    store.close().await;
    let sql = "SELECT count(*) FROM spent_refresh_tokens";
    let spent: i64 = folder.raw().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(spent, 0);
}
