use super::*;
use conclave::node::store::Session;
use conclave::node::tokens::Ticket;

fn ticket(number: u64) -> TokenHash {
    Ticket::generate(&mut rng(number)).hash()
}

/// A ticket of that number for the session of that number, for a minute.
async fn save(store: &Store, number: u64, session: u64) -> Result<(), StoreError> {
    store.save_ticket(ticket(number), session_id(session), START.plus(MINUTE), START).await
}

#[tokio::test]
async fn a_ticket_is_taken_once_while_it_holds() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    for number in 1..=2 {
        open_session(&store, account_id, number).await;
        save(&store, number, number).await.unwrap();
    }

    let taken = all((0..8).map(|_| {
        let store = store.clone();
        async move { store.take_ticket(ticket(1), just_before(START.plus(MINUTE))).await.unwrap() }
    }))
    .await;

    let session = Session { session_id: session_id(1), account_id, device_id: None, expires_at: START.plus(ACCESS) };
    assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), [session]);
    assert_eq!(store.take_ticket(ticket(2), START.plus(MINUTE)).await.unwrap(), None);
    assert_eq!(store.take_ticket(ticket(3), START).await.unwrap(), None);
}

#[tokio::test]
async fn a_new_ticket_takes_the_place_of_its_sessions_last() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    open_session(&store, account_id, 1).await;
    save(&store, 1, 1).await.unwrap();
    save(&store, 2, 1).await.unwrap();

    assert_eq!(store.take_ticket(ticket(1), START).await.unwrap(), None);
    assert!(store.take_ticket(ticket(2), START).await.unwrap().is_some());
}

#[tokio::test]
async fn a_ticket_is_worth_what_its_session_is() {
    let (_folder, store) = store().await;
    let account_id = account(&store, 1).await;
    let unknown = save(&store, 1, 1).await;
    assert!(
        matches!(unknown, Err(StoreError::UnknownSession { session_id: id }) if id == session_id(1)),
        "{unknown:?}"
    );
    for number in 1..=2 {
        open_session(&store, account_id, number).await;
    }
    save(&store, 1, 1).await.unwrap();
    store.save_ticket(ticket(2), session_id(2), START.plus(IDLE), START).await.unwrap();

    assert!(store.end_session(account_id, session_id(1)).await.unwrap());
    assert_eq!(store.take_ticket(ticket(1), START).await.unwrap(), None);
    // Its access token has expired.
    assert_eq!(store.take_ticket(ticket(2), START.plus(ACCESS)).await.unwrap(), None);
}
