use super::*;
use conclave::node::store::IdentityError;
use conclave::node::store::limits::{ISSUER_BYTES_MAX, SUBJECT_BYTES_MAX};

#[tokio::test]
async fn an_identity_keeps_its_account_and_another_has_another() {
    let (_folder, store) = store().await;
    let candidate = |seed| AccountId::generate(&mut rng(seed));
    let elsewhere = ProviderIdentity::new("https://other.example", "ada").unwrap();

    let first = store.find_or_create_account(&identity("ada"), candidate(1), START).await.unwrap();
    let again = store.find_or_create_account(&identity("ada"), candidate(2), START).await.unwrap();
    let other = store.find_or_create_account(&identity("Ada"), candidate(3), START).await.unwrap();
    let elsewhere = store.find_or_create_account(&elsewhere, candidate(4), START).await.unwrap();

    assert_eq!([first, again, other, elsewhere], [candidate(1), candidate(1), candidate(3), candidate(4)]);
}

#[tokio::test]
async fn sign_ins_at_once_make_one_account() {
    let (_folder, store) = store().await;

    let ids = all((0..30).map(|seed| {
        let store = store.clone();
        async move {
            let candidate = AccountId::generate(&mut rng(seed));
            store.find_or_create_account(&identity("ada"), candidate, START).await.unwrap()
        }
    }))
    .await;

    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn an_id_in_use_is_refused() {
    let (_folder, store) = store().await;
    let id = account(&store, 1).await;

    let result = store.find_or_create_account(&identity("somebody else"), id, START).await;

    assert!(matches!(result, Err(StoreError::IdInUse)), "{result:?}");
}

#[test]
fn texts_of_an_identity_are_bounded() {
    let long = |length| "x".repeat(length);

    assert!(ProviderIdentity::new(long(ISSUER_BYTES_MAX), long(SUBJECT_BYTES_MAX)).is_ok());
    assert_eq!(
        ProviderIdentity::new(long(ISSUER_BYTES_MAX + 1), "s"),
        Err(IdentityError { field: "issuer", bytes_max: ISSUER_BYTES_MAX, actual: ISSUER_BYTES_MAX + 1 })
    );
    assert_eq!(
        ProviderIdentity::new("i", long(SUBJECT_BYTES_MAX + 1)),
        Err(IdentityError { field: "subject", bytes_max: SUBJECT_BYTES_MAX, actual: SUBJECT_BYTES_MAX + 1 })
    );
    assert_eq!(
        ProviderIdentity::new("i", ""),
        Err(IdentityError { field: "subject", bytes_max: SUBJECT_BYTES_MAX, actual: 0 })
    );
}

#[test]
fn debug_of_an_identity_names_nobody() {
    assert_eq!(format!("{:?}", identity("ada")), r#"ProviderIdentity { issuer: "https://issuer.example", .. }"#);
}
