//! The map by which messages find rooms, devices and shards. Looking something up waits for nobody.

use core::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, ArbiterHandle, Handler, Message};
use dashmap::DashMap;

use super::mailbox::{self, Refused};
use super::room::{Announce, Changed, Room};
use super::session::{Close, ConnectionId, Direct, Session, Tell};
use super::shard::{DrainAll, Shard};
use super::supervisor::{StartRoom, Supervisor};
use crate::ids::{AccountId, DeviceAddress, RoomId, SessionId};
use crate::node::ws::CloseCode;
use crate::wire::{self, ErrorCode};

/// Where rooms, devices and shards are.
///
/// An address is kept behind an `Arc`, and shared: each clone of an address has a place of its own in the mailbox beside
/// its capacity, so that cloning one for each message would leave the mailbox without a bound.
#[derive(Clone, Default)]
pub struct Routes(Arc<Map>);

#[derive(Default)]
struct Map {
    rooms: DashMap<RoomId, Arc<Addr<Room>>>,
    devices: DashMap<DeviceAddress, Device>,
    shards: RwLock<Vec<Worker>>,
    supervisor: OnceLock<Addr<Supervisor>>,
    refused: AtomicU64,
    connections: AtomicU64,
}

/// The socket of a device.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) connection: ConnectionId,
    pub(super) session_id: SessionId,
    pub(super) session: Arc<Addr<Session>>,
    /// Set if the session could not be told of an envelope in its mailbox: it looks at its next beat.
    pub(super) has_missed: Arc<AtomicBool>,
}

/// One worker: the thread that its shard and the rooms of that thread are on.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) arbiter: ArbiterHandle,
    pub(super) shard: Arc<Addr<Shard>>,
}

impl core::fmt::Debug for Routes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Routes")
            .field("rooms", &self.0.rooms.len())
            .field("devices", &self.0.devices.len())
            .finish_non_exhaustive()
    }
}

impl Routes {
    /// Messages that were refused because an actor's mailbox was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Rooms whose actor runs.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.0.rooms.len()
    }

    /// Devices that have a socket.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.0.devices.len()
    }

    /// A number for a new connection; none is used twice while the node runs.
    pub(super) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.0.connections.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts a message into an actor's mailbox, and counts it if it does not fit.
    pub(super) fn offer<A, M>(&self, actor: &Addr<A>, message: M) -> Result<(), Refused>
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result = ()> + Send + 'static,
    {
        mailbox::offer(actor, message).inspect_err(|_| {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Whether what nothing starts again is there: the supervisor, and the shard of every worker. Each ends with the node, or
    /// because it has panicked.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.supervisor.get().is_none_or(Addr::connected) && self.shards().iter().all(|shard| shard.connected())
    }

    /// The supervisor, for the tests of what becomes of a node without it.
    #[cfg(test)]
    pub(super) fn supervisor(&self) -> Option<&Addr<Supervisor>> {
        self.0.supervisor.get()
    }

    pub(super) fn set_supervisor(&self, supervisor: Addr<Supervisor>) {
        // It is set once, when the node starts.
        let _ = self.0.supervisor.set(supervisor);
    }

    /// The room, started if it is not there.
    ///
    /// # Errors
    /// `unknown_room`, or `unavailable` if it cannot be started now.
    pub(super) async fn room(&self, room_id: RoomId) -> Result<Arc<Addr<Room>>, ErrorCode> {
        if let Some(room) = self.live_room(room_id) {
            return Ok(room);
        }
        let supervisor = self.0.supervisor.get().ok_or(ErrorCode::Unavailable)?;
        supervisor.send(StartRoom(room_id)).await.unwrap_or(Err(ErrorCode::Unavailable))
    }

    /// The room, if it runs.
    pub(super) fn live_room(&self, room_id: RoomId) -> Option<Arc<Addr<Room>>> {
        let room = self.0.rooms.get(&room_id)?;
        room.connected().then(|| Arc::clone(&room))
    }

    /// Whether a room was started and has not ended as it should: it has panicked.
    pub(super) fn is_fallen(&self, room_id: RoomId) -> bool {
        self.0.rooms.get(&room_id).is_some_and(|room| !room.connected())
    }

    /// Names a room that has just been started, in the place of one that has panicked.
    pub(super) fn add_room(&self, room_id: RoomId, room: Addr<Room>) -> Arc<Addr<Room>> {
        let room = Arc::new(room);
        self.0.rooms.insert(room_id, Arc::clone(&room));
        room
    }

    /// Forgets a room, unless another one stands in its place.
    pub(super) fn remove_room(&self, room_id: RoomId, room: &Addr<Room>) {
        self.0.rooms.remove_if(&room_id, |_, known| **known == *room);
    }

    /// Names the socket of a device. An older one of the same device is closed.
    pub(super) fn add_device(&self, address: DeviceAddress, device: Device) {
        if let Some(older) = self.0.devices.insert(address, device) {
            let _ = self.offer(&older.session, Close(CloseCode::Replaced));
        }
    }

    /// Forgets the socket of a device, unless a newer one stands in its place.
    pub(super) fn remove_device(&self, address: DeviceAddress, connection: ConnectionId) {
        self.0.devices.remove_if(&address, |_, known| known.connection == connection);
    }

    /// Tells a device of an envelope in its mailbox, if it has a socket.
    pub(super) fn tell_direct(&self, address: DeviceAddress, direct: Direct) {
        let Some(device) = self.0.devices.get(&address).map(|device| device.clone()) else { return };
        if self.offer(&device.session, direct).is_err() {
            device.has_missed.store(true, Ordering::Relaxed);
        }
    }

    /// Tells a device something that is not stored, if it has a socket.
    pub fn tell(&self, address: DeviceAddress, message: wire::Message) {
        if let Some(session) = self.0.devices.get(&address).map(|device| device.session.clone()) {
            let _ = self.offer(&session, Tell(message));
        }
    }

    pub(super) fn add_worker(&self, worker: Worker) {
        self.0.shards.write().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// The shard of every worker.
    pub(super) fn shards(&self) -> Vec<Arc<Addr<Shard>>> {
        let workers = self.0.shards.read().unwrap_or_else(PoisonError::into_inner);
        workers.iter().map(|worker| worker.shard.clone()).collect()
    }

    /// The worker that a room's id hashes to.
    pub(super) fn worker_of(&self, room_id: RoomId) -> Option<Worker> {
        let workers = self.0.shards.read().unwrap_or_else(PoisonError::into_inner);
        let mut hasher = self.0.rooms.hasher().build_hasher();
        hasher.write(room_id.as_bytes());
        let index = usize::try_from(hasher.finish() % workers.len().max(1) as u64).ok()?;
        workers.get(index).cloned()
    }

    /// The thread that a room's id hashes to. None before the first worker has started.
    #[must_use]
    pub fn arbiter_of(&self, room_id: RoomId) -> Option<ArbiterHandle> {
        self.worker_of(room_id).map(|worker| worker.arbiter)
    }

    /// Tells those who are in a room something that is not stored. A room that does not run has nobody in it.
    pub fn announce(&self, room_id: RoomId, message: wire::Message) {
        let Some(room) = self.live_room(room_id) else { return };
        if self.offer(&room, Announce(message.clone())).is_err() {
            // It waits for room in the mailbox. A room that ends meanwhile has nobody in it.
            actix::spawn(async move {
                let _ = room.send(Announce(message)).await;
            });
        }
    }

    /// Tells a room that runs what the store has changed. It waits for room in its mailbox: nobody who was removed is to
    /// hear another word. A room that has panicked is started again: those who had joined it are still there.
    pub async fn tell_room(&self, room_id: RoomId, change: Changed) {
        let room = if self.is_fallen(room_id) { self.room(room_id).await.ok() } else { self.live_room(room_id) };
        if let Some(room) = room {
            // A room that ends meanwhile is read from the store when it starts again.
            let _ = room.send(change).await;
        }
    }

    /// Tells every socket that the node stops, and closes it soon after.
    pub async fn drain(&self) {
        for shard in self.shards() {
            // A shard that has ended has no sockets.
            let _ = shard.send(DrainAll).await;
        }
    }

    /// Closes the socket of a session that was ended.
    pub fn end_session(&self, session_id: SessionId) {
        self.close(|_, device| device.session_id == session_id, CloseCode::Ended);
    }

    /// Closes the sockets of an account whose sessions were all ended.
    pub fn end_account(&self, account_id: AccountId) {
        self.close(|address, _| address.account_id == account_id, CloseCode::Ended);
    }

    fn close(&self, concerns: impl Fn(&DeviceAddress, &Device) -> bool, code: CloseCode) {
        // The map's guards are gone before anything is sent.
        let sessions: Vec<Arc<Addr<Session>>> = self
            .0
            .devices
            .iter()
            .filter(|entry| concerns(entry.key(), entry.value()))
            .map(|entry| entry.session.clone())
            .collect();
        for session in sessions {
            let _ = self.offer(&session, Close(code));
        }
    }
}
