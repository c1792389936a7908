//! A keeper on a real node.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::node::actors::one_room::{Do, OWNER, OneRoom, ROOM, until, with};
use crate::node::config::{Bounded, Settings};
use crate::node::store;
use crate::wire::RoomKeyType;

impl Handler<Do<Self>> for Keeper {
    type Result = ();

    fn handle(&mut self, Do(work): Do<Self>, context: &mut Self::Context) {
        work(self, context);
    }
}

const DEVICE: DeviceAddress = DeviceAddress { account_id: OWNER, device_id: DeviceId::from_bytes([3; 16]) };

async fn room(one: &OneRoom) -> store::Room {
    // The workers have started when there is a room.
    one.start_room().await;
    one.node.state().store.room(ROOM).await.unwrap().unwrap()
}

#[actix_web::test]
async fn a_keeper_remembers_nonces_for_as_long_as_the_setting_says() {
    let change = |settings: &mut Settings| {
        settings.custody.enabled = true;
        settings.custody.nonce_ttl_seconds = Bounded::of::<61>();
    };
    let one = OneRoom::new_with("keeper-nonces", change).await;
    let room = room(&one).await;
    let custody = one.node.state().custody.clone().unwrap();
    custody.generate(&room, DEVICE, RoomKeyType::Ephemeral).await.unwrap();

    let ttl = with(&*custody.live(ROOM).unwrap(), |keeper, _| keeper.held.nonces().ttl()).await;

    assert_eq!(ttl, Some(Duration::from_secs(61)));
    one.stop().await;
}

/// The keys of rooms of that node, held by keepers that look so often whether they hold anything.
fn custody(one: &OneRoom, idle_check_every: Duration) -> Custody {
    let state = one.node.state();
    let times =
        Times { key_age_max: Duration::from_secs(3_600), key_rotation: None, nonce_ttl: Duration::from_secs(300) };
    Custody::new(KeeperParts {
        routes: state.routes.clone(),
        signers: state.signers.clone(),
        store: state.store.clone(),
        clock: state.clock.clone(),
        metrics: Arc::clone(&state.metrics),
        times,
        idle_check_every,
    })
}

#[actix_web::test]
async fn a_keeper_that_holds_nothing_ends_and_the_next_who_makes_keys_starts_another() {
    let one = OneRoom::new("keeper-unused").await;
    let (room, custody) = (room(&one).await, custody(&one, Duration::from_millis(10)));
    let generated = async || custody.generate(&room, DEVICE, RoomKeyType::Ephemeral).await;
    // It may end before it is asked for the first keys.
    until(async || generated().await.is_ok()).await;
    let first = custody.live(ROOM).unwrap();

    custody.forget(ROOM, OWNER).await;
    until(async || !first.connected()).await;

    assert_eq!(custody.0.keepers.len(), 0);
    assert_eq!(custody.show(&room, DEVICE, OWNER).await, Err(ErrorCode::NoRoomKeys));
    until(async || generated().await.is_ok()).await;
    assert!(*custody.live(ROOM).unwrap() != *first);
    assert_eq!(custody.show(&room, DEVICE, OWNER).await.map(|keys| keys.keys.len()), Ok(2));
    one.stop().await;
}
