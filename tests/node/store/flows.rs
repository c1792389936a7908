use super::*;
use conclave::node::store::limits::{FLOWS_MAX, REDIRECT_URI_BYTES_MAX, SUBJECT_BYTES_MAX};
use conclave::node::store::{CodeGrant, Flow};
use conclave::node::tokens::{AuthorizationCode, CodeVerifier, FlowState, Nonce};

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn flow(seed: u64) -> Flow {
    let mut rng = rng(seed);
    Flow {
        state_hash: FlowState::generate(&mut rng).hash(),
        provider: "development".into(),
        redirect_uri: "http://127.0.0.1/back".into(),
        code_verifier: CodeVerifier::generate(&mut rng),
        nonce: Nonce::generate(&mut rng),
        expires_at: START.plus(TEN_MINUTES),
        device: None,
    }
}

fn code(seed: u64) -> CodeGrant {
    let mut rng = rng(seed);
    CodeGrant {
        code_hash: AuthorizationCode::generate(&mut rng).hash(),
        subject: "ada".into(),
        code_challenge: CodeVerifier::generate(&mut rng).challenge(),
        redirect_uri: "http://127.0.0.1/back".into(),
        nonce: Nonce::generate(&mut rng),
        expires_at: START.plus(MINUTE),
    }
}

#[tokio::test]
async fn a_flow_comes_back_as_it_was_and_once() {
    let (_folder, store) = store().await;
    store.save_flow(flow(1), START).await.unwrap();
    store.save_flow(flow(2), START).await.unwrap();

    let Flow { state_hash, provider, redirect_uri, code_verifier, nonce, expires_at, device } =
        store.take_flow(flow(1).state_hash, START).await.unwrap().unwrap();
    let again = store.take_flow(flow(1).state_hash, START).await.unwrap();

    let expected = flow(1);
    assert_eq!(state_hash, expected.state_hash);
    assert_eq!(provider, expected.provider);
    assert_eq!(redirect_uri, expected.redirect_uri);
    assert_eq!(code_verifier.to_text(), expected.code_verifier.to_text());
    assert_eq!(nonce, expected.nonce);
    assert_eq!(expires_at, expected.expires_at);
    assert_eq!(device, None);
    assert!(again.is_none());
    assert!(store.take_flow(flow(2).state_hash, START).await.unwrap().is_some());
}

#[tokio::test]
async fn of_many_that_take_a_flow_or_code_one_gets_it() {
    let (_folder, store) = store().await;
    store.save_flow(flow(1), START).await.unwrap();
    store.save_code(code(1), START).await.unwrap();

    let taken = all((0..30).map(|_| {
        let store = store.clone();
        async move {
            let flow = store.take_flow(flow(1).state_hash, START).await.unwrap().is_some();
            let code = store.take_code(code(1).code_hash, START).await.unwrap().is_some();
            (flow, code)
        }
    }))
    .await;

    assert_eq!(taken.iter().filter(|(flow, _)| *flow).count(), 1);
    assert_eq!(taken.iter().filter(|(_, code)| *code).count(), 1);
}

#[tokio::test]
async fn flows_and_codes_end_at_their_expiry() {
    let (_folder, store) = store().await;
    for seed in [1, 2] {
        store.save_flow(flow(seed), START).await.unwrap();
        store.save_code(code(seed), START).await.unwrap();
    }

    assert!(store.take_flow(flow(1).state_hash, just_before(START.plus(TEN_MINUTES))).await.unwrap().is_some());
    assert!(store.take_flow(flow(2).state_hash, START.plus(TEN_MINUTES)).await.unwrap().is_none());
    assert!(store.take_code(code(1).code_hash, just_before(START.plus(MINUTE))).await.unwrap().is_some());
    assert!(store.take_code(code(2).code_hash, START.plus(MINUTE)).await.unwrap().is_none());
    // Asked too late, they are gone for good.
    assert!(store.take_flow(flow(2).state_hash, START).await.unwrap().is_none());
    assert!(store.take_code(code(2).code_hash, START).await.unwrap().is_none());
}

#[tokio::test]
async fn a_code_comes_back_as_it_was_and_once() {
    let (_folder, store) = store().await;
    store.save_code(code(1), START).await.unwrap();

    assert_eq!(store.take_code(code(2).code_hash, START).await.unwrap(), None);
    assert_eq!(store.take_code(code(1).code_hash, START).await.unwrap(), Some(code(1)));
    assert_eq!(store.take_code(code(1).code_hash, START).await.unwrap(), None);
}

#[tokio::test]
async fn a_state_drawn_twice_is_refused_and_the_first_flow_stands() {
    let (_folder, store) = store().await;
    store.save_flow(flow(1), START).await.unwrap();

    let result = store.save_flow(Flow { provider: "other".into(), ..flow(1) }, START).await;

    assert!(matches!(result, Err(StoreError::IdInUse)), "{result:?}");
    assert_eq!(store.take_flow(flow(1).state_hash, START).await.unwrap().unwrap().provider, "development");
}

#[tokio::test]
async fn pending_sign_ins_are_bounded_and_expired_ones_make_room() {
    let (_folder, store) = store().await;
    for first in (0..FLOWS_MAX as u64).step_by(2_000) {
        let saved = all((first..first + 2_000).map(|seed| {
            let store = store.clone();
            async move { store.save_flow(flow(seed), START).await }
        }))
        .await;
        assert!(saved.iter().all(Result::is_ok));
    }

    let result = store.save_flow(flow(20_000), START).await;

    assert!(matches!(result, Err(StoreError::TooManyFlows { limit: FLOWS_MAX })), "{result:?}");
    assert!(store.take_flow(flow(20_000).state_hash, START).await.unwrap().is_none());
    assert!(store.take_flow(flow(0).state_hash, START).await.unwrap().is_some());
    store.save_flow(flow(20_000), START).await.unwrap();
    assert!(store.save_flow(flow(20_001), START).await.is_err());
    store.save_flow(flow(20_001), START.plus(TEN_MINUTES)).await.unwrap();
}

#[tokio::test]
async fn long_texts_are_refused() {
    let (_folder, store) = store().await;
    let long = |length: usize| "x".repeat(length);

    store.save_flow(Flow { redirect_uri: long(REDIRECT_URI_BYTES_MAX), ..flow(1) }, START).await.unwrap();
    let over = store.save_flow(Flow { redirect_uri: long(REDIRECT_URI_BYTES_MAX + 1), ..flow(2) }, START).await;
    assert!(matches!(over, Err(StoreError::OutOfRange { field: "redirect address" })), "{over:?}");

    store.save_code(CodeGrant { subject: long(SUBJECT_BYTES_MAX), ..code(1) }, START).await.unwrap();
    let over = store.save_code(CodeGrant { subject: long(SUBJECT_BYTES_MAX + 1), ..code(2) }, START).await;
    assert!(matches!(over, Err(StoreError::OutOfRange { field: "subject" })), "{over:?}");
}
