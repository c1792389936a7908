//! A node that speaks the protocol and lies: what the SDK refuses, what it tells, and that nothing leaves.
//!
//! It is a real node behind a proxy, which keeps all that its client sends and changes what the client hears. Each test has
//! one lie; what was said before it is true.

mod attacker;
mod envelopes;
mod keys;
mod logs;
mod members;
pub(crate) mod policies;
pub(crate) mod secrets;
mod stores;

use conclave::client::Event;
use conclave::ids::RoomId;
use conclave::wire::{Entry, Log, Position, RoomPolicy};

use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::user::User;
use secrets::Secrets;

/// Ada behind an evil node, Grace at the real one. They do not know each other yet.
struct Scene {
    evil: Proxy,
    ada: User,
    /// What Ada's device keeps to itself. None of it may have left when the scene ends.
    secrets: Secrets,
    grace: User,
    node: NodeProcess,
    _folder: DataFolder,
}

impl Scene {
    async fn new() -> Self {
        let folder = DataFolder::new();
        let node = NodeProcess::start(folder.path(), |_| ());
        let evil = Proxy::before(&node).await;
        let (mut ada, secrets) = watched(&evil, "ada").await;
        ada.is_level().await;
        let grace = User::new(&node.url, "grace").await;
        Self { evil, ada, secrets, grace, node, _folder: folder }
    }
}

/// Somebody new behind an evil node, and what the device keeps to itself: none of it may have left when the proxy ends.
async fn watched(evil: &Proxy, name: &str) -> (User, Secrets) {
    let secrets = Secrets::default();
    let user = User::new_in(secrets.store(), &evil.url, name).await;
    let kept = secrets.clone();
    evil.must_not_see(move || kept.all());
    (user, secrets)
}

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
