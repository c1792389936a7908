//! A node that speaks the protocol and lies: what the SDK refuses, what it tells, and that nothing leaves.
//!
//! It is a real node behind a proxy, which keeps all that its client sends and changes what the client hears. Each test has
//! one lie; what was said before it is true.

mod attacker;
mod envelopes;
mod keys;
mod logs;
mod policies;
mod stores;

use conclave::client::Event;
use conclave::ids::RoomId;
use conclave::wire::{Entry, Log, Position, RoomPolicy};

use crate::user::User;

/// The entry of a log with another position.
fn at(position: Position, entry: &Entry) -> Entry {
    Entry { position, envelope: entry.envelope.clone() }
}

/// A room that its maker follows: who comes in from now on is told.
async fn found_room(maker: &mut User, policy: RoomPolicy) -> RoomId {
    let room = maker.client.create_room(policy).await.unwrap();
    maker.until(|event| matches!(event, Event::CaughtUp { log } if *log == Log::Room(room)).then_some(())).await;
    room
}
