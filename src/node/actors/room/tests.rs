//! A room's actor on a real node.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::ids::{DeviceId, EnvelopeId, KeyId};
use crate::node::actors::one_room::{OWNER, OneRoom, ROOM, START, with};
use crate::node::config::{Bounded, Settings};
use crate::wire::{ByteString, Bytes, Destination};

#[actix_web::test]
async fn a_room_remembers_nonces_for_as_long_as_the_setting_says() {
    let change = |settings: &mut Settings| settings.custody.nonce_ttl_seconds = Bounded::of::<61>();
    let one = OneRoom::new_with("room-nonces", change).await;

    let ttl = with(&*one.room().await, |room, _| room.state.nonces().ttl()).await;

    assert_eq!(ttl, Some(Duration::from_secs(61)));
    one.stop().await;
}

/// An envelope of the owner's, for one of the owner's devices.
fn envelope(number: usize) -> Envelope {
    let (mut id, mut nonce) = ([0; 16], [0; 12]);
    id[..8].copy_from_slice(&number.to_le_bytes());
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    let device = DeviceAddress { account_id: OWNER, device_id: DeviceId::from_bytes([3; 16]) };
    Envelope {
        id: EnvelopeId::from_bytes(id),
        destination: Destination::Room(ROOM),
        sender: device,
        recipient: Some(device),
        key_id: KeyId::from_bytes([5; 8]),
        epoch: None,
        nonce: Bytes(nonce),
        timestamp: START,
        payload: ByteString(vec![8; 3]),
        signature: None,
    }
}

/// Asks a room to take these together. What it answers for each.
async fn admitted(room: &Addr<Room>, numbers: impl Iterator<Item = usize>) -> Vec<Result<u64, ErrorCode>> {
    let (mut admits, mut answers) = (Vec::new(), Vec::new());
    for number in numbers {
        let (reply, answer) = oneshot::channel();
        admits.push(Admit { envelope: envelope(number), received_at: Duration::ZERO, reply });
        answers.push(answer);
    }
    room.send(AdmitAll(admits)).await.unwrap();
    let mut positions = Vec::new();
    for answer in answers {
        positions.push(answer.await.unwrap().map(|position| position.seq));
    }
    positions
}

/// Nothing is stored while the room looks at what came together, so all of it waits.
#[actix_web::test]
async fn a_room_in_which_as_many_wait_as_may_refuses_the_next_and_keeps_what_it_has() {
    let one = OneRoom::new("full").await;
    let room = one.room().await;

    let mut answers = admitted(&room, 0..WAITING_MAX + 2).await;

    let refused = answers.split_off(WAITING_MAX);
    assert_eq!(refused, [Err(ErrorCode::Unavailable); 2]);
    let expected: Vec<_> = (1..=WAITING_MAX as u64).map(Ok).collect();
    assert_eq!(answers, expected);
    // There is room again, also for what was refused.
    let next = WAITING_MAX as u64 + 1;
    assert_eq!(admitted(&room, [WAITING_MAX + 1, WAITING_MAX].into_iter()).await, [Ok(next), Ok(next + 1)]);
    one.stop().await;
}
