//! A keeper on a real node.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::node::actors::one_room::{Do, OWNER, OneRoom, ROOM, with};
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
