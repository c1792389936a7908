use super::*;
use conclave::node::store::Member;
use conclave::wire::Role;

/// A room with an owner, a moderator and two members.
async fn four(store: &Store) -> (RoomId, [AccountId; 4]) {
    let accounts = [account(store, 1).await, account(store, 2).await, account(store, 3).await, account(store, 4).await];
    let room = room(store, 1, accounts[0]).await;
    for account_id in &accounts[1..] {
        join(store, room, accounts[0], *account_id).await;
    }
    store.set_role(room, accounts[0], accounts[1], Role::Moderator).await.unwrap();
    (room, accounts)
}

async fn role(store: &Store, room: RoomId, account_id: AccountId) -> Option<Role> {
    store.member(room, account_id).await.unwrap().map(|member| member.role)
}

#[tokio::test]
async fn members_are_listed_page_by_page() {
    let (_folder, store) = store().await;
    let (room, accounts) = four(&store).await;
    let roles = [Role::Owner, Role::Moderator, Role::Member, Role::Member];
    let mut expected: Vec<_> = accounts
        .into_iter()
        .zip(roles)
        .map(|(account_id, role)| Member { account_id, role, joined_at: START, membership: None })
        .collect();
    expected.sort_by_key(|member| member.account_id);

    let first = store.members(room, None, at_most(3)).await.unwrap();
    let second = store.members(room, Some(first[2].account_id), at_most(3)).await.unwrap();

    assert_eq!([first, second].concat(), expected);
    assert_eq!(store.members(room_id(7), None, at_most(3)).await.unwrap(), []);
    assert_eq!(store.member(room, AccountId::generate(&mut rng(9))).await.unwrap(), None);
}

#[tokio::test]
async fn roles_say_who_may_do_what() {
    let (_folder, store) = store().await;
    let (room, [owner, moderator, member, other]) = four(&store).await;
    let stranger = account(&store, 5).await;

    for (actor, target) in [(moderator, member), (member, other), (member, member)] {
        let refused = store.set_role(room, actor, target, Role::Owner).await;
        assert!(matches!(refused, Err(StoreError::RoleForbids { account_id }) if account_id == actor), "{refused:?}");
    }
    for (actor, target) in [(moderator, owner), (moderator, moderator), (member, other), (owner, owner)] {
        let refused = store.remove_member(room, actor, target).await;
        assert!(matches!(refused, Err(StoreError::RoleForbids { account_id }) if account_id == actor), "{refused:?}");
    }
    for refused in [
        store.set_role(room, stranger, stranger, Role::Owner).await,
        store.remove_member(room, stranger, member).await,
        store.leave(room, stranger, START).await,
    ] {
        assert!(matches!(refused, Err(StoreError::UnknownRoom { room_id }) if room_id == room), "{refused:?}");
    }
    for refused in
        [store.set_role(room, owner, stranger, Role::Member).await, store.remove_member(room, owner, stranger).await]
    {
        assert!(matches!(refused, Err(StoreError::UnknownMember { account_id }) if account_id == stranger));
    }
    // One who may remove nobody does not hear who is there.
    let asked = store.remove_member(room, member, stranger).await;
    assert!(matches!(asked, Err(StoreError::RoleForbids { .. })), "{asked:?}");

    store.remove_member(room, moderator, member).await.unwrap();
    store.remove_member(room, owner, moderator).await.unwrap();
    assert_eq!(store.members(room, None, PageLimit::default()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_room_keeps_an_owner_while_it_has_members() {
    let (_folder, store) = store().await;
    let (room, [owner, moderator, member, other]) = four(&store).await;

    let left = store.leave(room, owner, START).await;
    let demoted = store.set_role(room, owner, owner, Role::Moderator).await;
    assert!(matches!(left, Err(StoreError::LastOwner { room_id }) if room_id == room), "{left:?}");
    assert!(matches!(demoted, Err(StoreError::LastOwner { .. })), "{demoted:?}");
    assert_eq!(role(&store, room, owner).await, Some(Role::Owner));

    store.set_role(room, owner, owner, Role::Owner).await.unwrap();
    store.set_role(room, owner, member, Role::Owner).await.unwrap();
    store.set_role(room, member, owner, Role::Member).await.unwrap();
    assert_eq!(role(&store, room, owner).await, Some(Role::Member));
    for account_id in [owner, moderator, other] {
        store.leave(room, account_id, START).await.unwrap();
        assert_eq!(role(&store, room, account_id).await, None);
    }
    assert_eq!(store.room(room).await.unwrap().unwrap().closed_at, None);
    // The last one turns off the light.
    store.leave(room, member, START.plus(MINUTE)).await.unwrap();
    assert_eq!(store.room(room).await.unwrap().unwrap().closed_at, Some(START.plus(MINUTE)));
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let (_folder, store) = store().await;
    let (room, [owner, moderator, ..]) = four(&store).await;
    store.set_role(room, owner, moderator, Role::Owner).await.unwrap();

    let left = all([owner, moderator].map(|account_id| {
        let store = store.clone();
        async move { store.leave(room, account_id, START).await }
    }))
    .await;

    assert_eq!(left.iter().filter(|result| result.is_ok()).count(), 1, "{left:?}");
    assert_eq!(left.iter().filter(|result| matches!(result, Err(StoreError::LastOwner { .. }))).count(), 1);
}

#[tokio::test]
async fn who_goes_or_is_demoted_takes_their_invitations_along() {
    let (_folder, store) = store().await;
    let (room, [owner, moderator, member, other]) = four(&store).await;
    let stranger = account(&store, 5).await;
    let refused = async |number| {
        let joined = store.accept_invitation(invitation_token(number), stranger, None, START).await;
        assert!(matches!(joined, Err(StoreError::InvitationRefused)), "{joined:?}");
    };
    for account_id in [member, other] {
        store.set_role(room, owner, account_id, Role::Moderator).await.unwrap();
    }
    for (number, account_id) in [(10, owner), (11, moderator), (12, member), (13, other)] {
        store.create_invitation(&new_invitation(number, room, account_id), START).await.unwrap();
    }

    store.set_role(room, owner, moderator, Role::Member).await.unwrap();
    store.remove_member(room, owner, member).await.unwrap();
    store.leave(room, other, START).await.unwrap();

    refused(11).await;
    refused(12).await;
    refused(13).await;
    assert!(store.accept_invitation(invitation_token(10), stranger, None, START).await.unwrap().is_new);
}
