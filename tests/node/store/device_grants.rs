use super::*;
use conclave::node::store::limits::{FLOWS_MAX, USER_CODE_ENTRIES_MAX};
use conclave::node::store::{Decision, DeviceFlow, DeviceGrant, DeviceGrantAnswer, Flow, PendingFlow};
use conclave::node::tokens::{CodeVerifier, DeviceCode, FlowState, Nonce};

const INTERVAL: Duration = Duration::from_secs(5);

const LIFETIME: Duration = Duration::from_secs(600);

fn grant(seed: u64) -> DeviceGrant {
    let mut rng = rng(seed);
    DeviceGrant {
        device_code: DeviceCode::generate(&mut rng).hash(),
        user_code: FlowState::generate(&mut rng).hash(),
        provider: "openid".into(),
        interval: INTERVAL,
        expires_at: START.plus(LIFETIME),
    }
}

async fn ask(store: &Store, seed: u64, now: Timestamp) -> DeviceGrantAnswer {
    store.ask_device_grant(grant(seed).device_code, INTERVAL, now).await.unwrap()
}

async fn enter(store: &Store, seed: u64, now: Timestamp) -> Option<(TokenHash, String)> {
    store.enter_user_code(grant(seed).user_code, now).await.unwrap()
}

async fn decide(store: &Store, seed: u64, decision: Decision, now: Timestamp) -> bool {
    store.decide_device_grant(grant(seed).device_code, decision, now).await.unwrap()
}

fn decided(decision: Decision) -> DeviceGrantAnswer {
    DeviceGrantAnswer::Decided { decision, provider: "openid".into() }
}

#[tokio::test]
async fn a_decision_is_made_once_and_told_once() {
    let (_folder, store) = store().await;
    let [ada, grace] = [account(&store, 1).await, account(&store, 2).await].map(Decision::SignedIn);
    store.save_device_grant(grant(1), START).await.unwrap();
    store.save_device_grant(grant(2), START).await.unwrap();
    assert_eq!(ask(&store, 1, START).await, DeviceGrantAnswer::Pending);

    assert!(decide(&store, 1, ada, START).await);
    assert!(!decide(&store, 1, grace, START).await);
    assert!(!decide(&store, 1, Decision::Denied, START).await);
    assert!(decide(&store, 2, Decision::Denied, START).await);
    assert!(!decide(&store, 2, ada, START).await);
    assert!(!decide(&store, 3, ada, START).await);
    assert_eq!(enter(&store, 1, START).await, None);

    assert_eq!(ask(&store, 1, START).await, decided(ada));
    assert_eq!(ask(&store, 1, START).await, DeviceGrantAnswer::Unknown);
    assert_eq!(ask(&store, 2, START).await, decided(Decision::Denied));
    assert_eq!(ask(&store, 2, START).await, DeviceGrantAnswer::Unknown);
}

#[tokio::test]
async fn of_many_that_ask_one_is_told() {
    let (_folder, store) = store().await;
    let ada = Decision::SignedIn(account(&store, 1).await);
    store.save_device_grant(grant(1), START).await.unwrap();
    decide(&store, 1, ada, START).await;

    let told = all((0..30).map(|_| {
        let store = store.clone();
        async move { ask(&store, 1, START).await }
    }))
    .await;

    assert_eq!(told.iter().filter(|answer| **answer == decided(ada)).count(), 1);
    assert_eq!(told.iter().filter(|answer| **answer == DeviceGrantAnswer::Unknown).count(), 29);
}

#[tokio::test]
async fn who_asks_too_soon_waits_longer() {
    let (_folder, store) = store().await;
    store.save_device_grant(grant(1), START).await.unwrap();
    let after = |seconds| START.plus(Duration::from_secs(seconds));

    assert_eq!(ask(&store, 1, START).await, DeviceGrantAnswer::Pending);
    assert_eq!(ask(&store, 1, just_before(after(5))).await, DeviceGrantAnswer::TooSoon);
    assert_eq!(ask(&store, 1, after(14)).await, DeviceGrantAnswer::TooSoon);
    assert_eq!(ask(&store, 1, after(29)).await, DeviceGrantAnswer::Pending);
}

#[tokio::test]
async fn a_user_code_is_entered_so_often() {
    let (_folder, store) = store().await;
    store.save_device_grant(grant(1), START).await.unwrap();
    for _ in 0..USER_CODE_ENTRIES_MAX {
        assert_eq!(enter(&store, 1, START).await, Some((grant(1).device_code, "openid".into())));
    }
    assert_eq!(enter(&store, 1, START).await, None);
    assert_eq!(enter(&store, 2, START).await, None);
}

#[tokio::test]
async fn devices_wait_until_their_expiry() {
    let (_folder, store) = store().await;
    let (end, ada) = (START.plus(LIFETIME), Decision::SignedIn(account(&store, 1).await));
    store.save_device_grant(grant(1), START).await.unwrap();

    assert!(enter(&store, 1, just_before(end)).await.is_some());
    assert_eq!(enter(&store, 1, end).await, None);
    assert!(!decide(&store, 1, ada, end).await);
    assert_eq!(ask(&store, 1, end).await, DeviceGrantAnswer::Unknown);
    assert!(decide(&store, 1, ada, just_before(end)).await);
    assert_eq!(ask(&store, 1, end).await, DeviceGrantAnswer::Unknown);
    assert_eq!(store.remove_expired(just_before(end)).await.unwrap(), 0);
    assert_eq!(store.remove_expired(end).await.unwrap(), 1);
}

#[tokio::test]
async fn waiting_devices_are_bounded_and_codes_are_their_own() {
    let (_folder, store) = store().await;
    for first in (0..FLOWS_MAX as u64).step_by(2_000) {
        let saved = all((first..first + 2_000).map(|seed| {
            let store = store.clone();
            async move { store.save_device_grant(grant(seed), START).await }
        }))
        .await;
        assert!(saved.iter().all(Result::is_ok));
    }

    let over = store.save_device_grant(grant(20_000), START).await;
    assert!(matches!(over, Err(StoreError::TooManyFlows { limit: FLOWS_MAX })), "{over:?}");
    store.save_device_grant(grant(20_000), START.plus(LIFETIME)).await.unwrap();
    let again = DeviceGrant { device_code: grant(20_001).device_code, ..grant(20_000) };
    let again = store.save_device_grant(again, START).await;
    assert!(matches!(again, Err(StoreError::IdInUse)), "{again:?}");
}

#[tokio::test]
async fn a_flow_says_whose_device_it_signs_in_and_stays_until_it_is_taken() {
    let (_folder, store) = store().await;
    let mut rng = rng(1);
    let device = DeviceFlow { device_code: grant(1).device_code, browser: grant(2).device_code };
    let state_hash = FlowState::generate(&mut rng).hash();
    let flow = Flow {
        state_hash,
        provider: "openid".into(),
        redirect_uri: "http://127.0.0.1/back".into(),
        code_verifier: CodeVerifier::generate(&mut rng),
        nonce: Nonce::generate(&mut rng),
        expires_at: START.plus(MINUTE),
        device: Some(device),
    };
    store.save_flow(flow, START).await.unwrap();
    let pending =
        PendingFlow { provider: "openid".into(), redirect_uri: "http://127.0.0.1/back".into(), device: Some(device) };

    assert_eq!(store.pending_flow(state_hash, START).await.unwrap().as_ref(), Some(&pending));
    assert_eq!(store.pending_flow(state_hash, just_before(START.plus(MINUTE))).await.unwrap(), Some(pending));
    assert_eq!(store.pending_flow(state_hash, START.plus(MINUTE)).await.unwrap(), None);
    assert_eq!(store.pending_flow(grant(3).device_code, START).await.unwrap(), None);
    assert_eq!(store.take_flow(state_hash, START).await.unwrap().unwrap().device, Some(device));
    assert_eq!(store.pending_flow(state_hash, START).await.unwrap(), None);
}
