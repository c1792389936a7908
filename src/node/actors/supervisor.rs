//! Starts rooms, one at a time for each, and again with back-off if one has panicked.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture};
use actix::{ActorFutureExt, fut};
use tokio::sync::oneshot;
use tracing::error;

use super::mailbox;
use super::room::{self, Room};
use super::room_state::RoomState;
use super::routes::Routes;
use crate::ids::{AccountId, RoomId};
use crate::node::clock::Clock;
use crate::node::http::{ApiError, NodeState};
use crate::node::metrics::Metrics;
use crate::node::store::{Store, StoreError};
use crate::wire::{ErrorCode, PageLimit};

/// What every room is made with.
#[derive(Clone, Debug)]
pub(super) struct RoomParts {
    pub(super) routes: Routes,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) nonce_ttl: Duration,
    /// How often a room looks whether anybody is there; with nobody there it ends.
    pub(super) idle_check_every: Duration,
    pub(super) metrics: Arc<Metrics>,
}

/// Starts rooms.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) parts: RoomParts,
    /// Rooms that are being started, and who waits for them.
    starting: BTreeMap<RoomId, Vec<oneshot::Sender<Started>>>,
    /// How often a room has panicked, and when last.
    falls: BTreeMap<RoomId, (u32, Duration)>,
}

type Started = Result<Arc<Addr<Room>>, ErrorCode>;

impl Supervisor {
    /// Starts the supervisor on the calling thread, and names it in the routes.
    pub fn start_with(state: &NodeState, nonce_ttl: Duration) {
        let NodeState { routes, store, clock, metrics, .. } = state;
        let (routes, metrics) = (routes.clone(), Arc::clone(metrics));
        let (store, clock, idle_check_every) = (store.clone(), clock.clone(), room::IDLE_CHECK_EVERY);
        let parts = RoomParts { routes, store, clock, nonce_ttl, idle_check_every, metrics };
        let supervisor = Self { parts, starting: BTreeMap::new(), falls: BTreeMap::new() }.start();
        state.routes.set_supervisor(supervisor);
    }

    /// Counts a room that has panicked since it was started last, and says whether it may start now.
    fn may_start(&mut self, room_id: RoomId) -> bool {
        let now = self.parts.clock.running();
        if self.parts.routes.is_fallen(room_id) {
            let (count, at) = self.falls.entry(room_id).or_insert((0, now));
            if *count > 0 && now.saturating_sub(*at) < back_off(*count) {
                return false;
            }
            *count += 1;
            *at = now;
            error!(target: "actors", room = %room_id, falls = *count, "a room has panicked and is started again");
        }
        // One that has run for long has nothing to make good.
        self.falls.retain(|_, (_, at)| now.saturating_sub(*at) < FALLS_KEPT);
        true
    }

    fn started(&mut self, room_id: RoomId, room: Result<RoomState, ErrorCode>) {
        let started = room.and_then(|state| {
            let worker = self.parts.routes.worker_of(room_id).ok_or(ErrorCode::Unavailable)?;
            let parts = self.parts.clone();
            let room = Room::start_in_arbiter(&worker.arbiter, move |_| Room::new(room_id, state, parts));
            // Before anybody is told, and not when it begins on its thread: whoever asks between the two would get a second.
            Ok(self.parts.routes.add_room(room_id, room))
        });
        for waiting in self.starting.remove(&room_id).unwrap_or_default() {
            // Whoever does not wait any more finds the room in the routes.
            let _ = waiting.send(started.clone());
        }
    }
}

/// How long a room that has panicked `count` times waits: 100 ms, doubled each time, at most a minute.
fn back_off(count: u32) -> Duration {
    Duration::from_millis(100).saturating_mul(1 << count.min(10)).min(Duration::from_secs(60))
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(mailbox::CAPACITY);
    }
}

/// Asks for a room that is not in the routes.
#[derive(Message)]
#[rtype(result = "Started")]
pub(super) struct StartRoom(pub(super) RoomId);

impl Handler<StartRoom> for Supervisor {
    type Result = ResponseActFuture<Self, Started>;

    fn handle(&mut self, StartRoom(room_id): StartRoom, context: &mut Self::Context) -> Self::Result {
        // It may have been started since it was asked for.
        if let Some(room) = self.parts.routes.live_room(room_id) {
            return Box::pin(fut::ready(Ok(room)));
        }
        let (reply, started) = oneshot::channel();
        if let Some(waiting) = self.starting.get_mut(&room_id) {
            waiting.push(reply);
        } else if self.may_start(room_id) {
            self.starting.insert(room_id, vec![reply]);
            let (store, nonce_ttl) = (self.parts.store.clone(), self.parts.nonce_ttl);
            let loaded = async move {
                let state = load(&store, room_id, nonce_ttl).await.map_err(refusal)?;
                state.ok_or(ErrorCode::UnknownRoom)
            };
            context.spawn(loaded.into_actor(self).map(move |state, supervisor, _| supervisor.started(room_id, state)));
        }
        let started = async move { started.await.unwrap_or(Err(ErrorCode::Unavailable)) };
        Box::pin(started.into_actor(self))
    }
}

/// The room as the store has it; none if there is none.
pub(super) async fn load(store: &Store, room_id: RoomId, nonce_ttl: Duration) -> Result<Option<RoomState>, StoreError> {
    let Some(room) = store.room(room_id).await? else { return Ok(None) };
    Ok(Some(RoomState::new(&room, members(store, room_id).await?, nonce_ttl)))
}

async fn members(store: &Store, room_id: RoomId) -> Result<BTreeSet<AccountId>, StoreError> {
    let mut members = BTreeSet::new();
    loop {
        let page = store.members(room_id, members.last().copied(), PageLimit::default()).await?;
        if page.is_empty() {
            return Ok(members);
        }
        members.extend(page.iter().map(|member| member.account_id));
    }
}

/// The code of a store's error, as over REST. What is the node's own fault is written down.
pub(super) fn refusal(error: StoreError) -> ErrorCode {
    ApiError::from(error).code()
}

/// How long a panic is remembered.
const FALLS_KEPT: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
