//! A node with one room, for tests of what its actors do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic, and makes a folder"
)]

use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::oneshot;

use super::room::Room;
use super::session::Session;
use super::shard::Shard;
use super::supervisor::Supervisor;
use crate::ids::{AccountId, LogEpoch, RoomId};
use crate::node::clock::ManualClock;
use crate::node::config::Settings;
use crate::node::lifecycle::Node;
use crate::node::store::{NewRoom, ProviderIdentity};
use crate::wire::{Custody, ErrorCode, Protection, RoomPolicy, Signatures, Timestamp};

pub(in crate::node) const ROOM: RoomId = RoomId::from_bytes([7; 16]);
pub(in crate::node) const OWNER: AccountId = AccountId::from_bytes([8; 16]);
pub(in crate::node) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// After so long a room does not start at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A node with one room, a clock that tests move, and its folder.
pub(in crate::node) struct OneRoom {
    pub(in crate::node) node: Node,
    pub(in crate::node) clock: ManualClock,
    folder: PathBuf,
}

impl OneRoom {
    pub(in crate::node) async fn new(name: &str) -> Self {
        Self::new_with(name, |_| ()).await
    }

    /// The same, with settings of its own.
    pub(in crate::node) async fn new_with(name: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = std::env::temp_dir().join(format!("conclave-{name}-{}", std::process::id()));
        let clock = ManualClock::at(START);
        let mut settings = Settings::default();
        settings.server.address.set_port(0);
        settings.metrics.address.set_port(0);
        settings.store.folder.clone_from(&folder);
        change(&mut settings);
        let node = Node::start(settings, clock.clone().into()).await.unwrap();
        let store = &node.state().store;
        let identity = ProviderIdentity::new("https://issuer.example", "1").unwrap();
        store.find_or_create_account(&identity, OWNER, START).await.unwrap();
        let policy =
            RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::On };
        let epoch = LogEpoch::from_bytes([9; 8]);
        let room = NewRoom { room_id: ROOM, policy, owner: OWNER, membership: None, epoch, created_at: START };
        store.create_room(&room).await.unwrap();
        Self { node, clock, folder }
    }

    /// The room, which can be started.
    pub(super) async fn room(&self) -> Arc<Addr<Room>> {
        let started = async {
            loop {
                match self.node.state().routes.room(ROOM).await {
                    Ok(room) => return room,
                    // The workers are starting still, or the room is at the end of its fall.
                    Err(ErrorCode::Unavailable) => tokio::task::yield_now().await,
                    Err(code) => panic!("{code:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, started).await.unwrap()
    }

    /// Has rooms that start from now on look so often whether anybody is there.
    pub(super) async fn looks_for_use_every(&self, span: Duration) {
        let supervisor = self.node.state().routes.supervisor().unwrap();
        with(supervisor, move |supervisor, _| supervisor.parts.idle_check_every = span).await.unwrap();
    }

    /// Starts the room.
    #[cfg(feature = "custody")]
    pub(in crate::node) async fn start_room(&self) {
        self.room().await;
    }

    pub(in crate::node) async fn stop(self) {
        self.node.stop().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Has an actor panic, and waits until it is gone.
pub(super) async fn fell<A>(actor: &Addr<A>)
where
    A: Actor + Handler<Do<A>>,
    A::Context: ToEnvelope<A, Do<A>>,
{
    let answered = with::<A, ()>(actor, |_, _| panic!("a test has asked for it")).await;
    assert_eq!(answered, None, "it has answered");
    while actor.connected() {
        tokio::task::yield_now().await;
    }
}

/// Waits until something is so.
pub(in crate::node) async fn until(is_so: impl AsyncFn() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap();
}

/// Does something with an actor. What comes of it; none if the actor ends.
pub(in crate::node) async fn with<A, T>(
    actor: &Addr<A>,
    work: impl FnOnce(&mut A, &mut A::Context) -> T + Send + 'static,
) -> Option<T>
where
    A: Actor + Handler<Do<A>>,
    A::Context: ToEnvelope<A, Do<A>>,
    T: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let work = move |actor: &mut A, context: &mut A::Context| drop(reply.send(work(actor, context)));
    actor.send(Do(Box::new(work))).await.ok()?;
    answer.await.ok()
}

/// Has an actor do something.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::node) struct Do<A: Actor>(pub(in crate::node) Work<A>);

type Work<A> = Box<dyn FnOnce(&mut A, &mut <A as Actor>::Context) + Send>;

macro_rules! does {
    ($($actor:ty),+) => {$(
        impl Handler<Do<Self>> for $actor {
            type Result = ();

            fn handle(&mut self, Do(work): Do<Self>, context: &mut Self::Context) {
                work(self, context);
            }
        }
    )+};
}
does!(Room, Session, Shard, Supervisor);
