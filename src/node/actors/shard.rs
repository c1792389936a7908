//! One worker's sessions, by room: a published event becomes one frame in each connection's queue.
//!
//! The shard and the sessions of a worker share a [`Hall`], on the worker's one thread: that is how an event
//! reaches a thousand sessions without a thousand messages.

use core::cell::{Cell, Ref, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, ActorFuture, Addr, Arbiter, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use super::cursor::{Cursor, Published};
use super::mailbox;
use super::meter::Meter;
use super::publication::{Entry, Publication};
use super::room::{Depart, IsHere, Room};
use super::routes::{Routes, Worker};
use super::session::{Beat, ConnectionId, Drain, Followed, Session};
use crate::ids::{AccountId, DeviceAddress, RoomId};
use crate::node::http::NodeState;
use crate::node::metrics::Counter;
use crate::node::ws::{Connection, SharedMessage, Turn, shared};
use crate::wire::{self, Encoding, Log, Outcome, Position, RoomPolicy};

/// The actor of one worker.
#[derive(Debug)]
pub struct Shard {
    hall: Rc<Hall>,
    routes: Routes,
    dropped: Counter,
}

impl Shard {
    /// Starts the shard of the calling thread's worker, and names it in the routes.
    pub(super) fn start_with(state: &NodeState) -> (Rc<Hall>, Arc<Addr<Self>>) {
        let NodeState { routes, metrics, clock, .. } = state;
        let hall = Rc::new(Hall {
            turn: Turn::new(),
            meter: Meter::new(clock.clone(), Arc::clone(metrics)),
            unwritten: RefCell::default(),
            rooms: RefCell::default(),
            joining: RefCell::default(),
            sessions: RefCell::default(),
            departed: RefCell::default(),
        });
        let dropped = metrics.sockets.dropped.of(["socket"]);
        let shard = Self { hall: Rc::clone(&hall), routes: routes.clone(), dropped };
        let shard = Arc::new(shard.start());
        routes.add_worker(Worker { arbiter: Arbiter::current(), shard: Arc::clone(&shard) });
        (hall, shard)
    }

    pub(super) const fn hall(&self) -> &Rc<Hall> {
        &self.hall
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(mailbox::CAPACITY);
        context.spawn(EndOfTurn);
        context.run_interval(BEAT_EVERY, |shard, _| {
            shard.hall.tell_departed(&shard.routes);
            for present in shard.hall.present().values().filter(|present| !present.can_wait()) {
                let _ = mailbox::offer(&present.session, Beat);
            }
        });
    }
}

/// Writes what the turn has queued.
struct EndOfTurn;

impl ActorFuture<Shard> for EndOfTurn {
    type Output = ();

    fn poll(
        self: core::pin::Pin<&mut Self>,
        shard: &mut Shard,
        _: &mut Context<Shard>,
        task: &mut core::task::Context<'_>,
    ) -> core::task::Poll<()> {
        shard.hall.turn.poll_write(task);
        shard.hall.meter.written();
        shard.hall.unwritten.borrow_mut().clear();
        core::task::Poll::Pending
    }
}

/// What the shard and the sessions of one worker share.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) turn: Rc<Turn>,
    pub(super) meter: Meter,
    /// Of what was published in this turn.
    unwritten: RefCell<Vec<Unwritten>>,
    rooms: RefCell<BTreeMap<RoomId, Followers>>,
    /// Sessions that have asked a room to follow it.
    joining: RefCell<BTreeMap<(RoomId, ConnectionId), Joining>>,
    sessions: RefCell<BTreeMap<ConnectionId, Present>>,
    /// Who follows a room no more that could not be told; each is here once.
    departed: RefCell<BTreeMap<(RoomId, ConnectionId), AccountId>>,
}

/// A session of the worker.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) session: Addr<Session>,
    pub(super) connection: Rc<Connection>,
    pub(super) followed: Rc<RefCell<Followed>>,
    pub(super) has_missed: Arc<AtomicBool>,
    /// Beats that the session can do without while nothing happens. To wake it costs more than to look here.
    pub(super) spare_beats: Rc<Cell<u32>>,
}

impl Present {
    /// Whether the session can do without this beat.
    fn can_wait(&self) -> bool {
        let spare = self.spare_beats.get();
        let can_wait = spare > 0 && self.connection.is_flushed() && !self.has_missed.load(Ordering::Relaxed);
        if can_wait {
            self.spare_beats.set(spare - 1);
        }
        can_wait
    }
}

/// A session that has asked a room to follow it.
#[derive(Debug)]
pub(super) struct Joining {
    /// Of the command.
    pub(super) id: u32,
    /// What the client has of the room's log.
    pub(super) after: Option<Position>,
    pub(super) follower: Follower,
}

/// Who follows a room.
#[derive(Debug, Default)]
struct Followers {
    /// The last entry that was published here.
    published: u64,
    sessions: BTreeMap<ConnectionId, Follower>,
}

/// A session that follows a room.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) device: DeviceAddress,
    pub(super) encoding: Encoding,
    pub(super) connection: Rc<Connection>,
    pub(super) cursor: Rc<Cell<Cursor>>,
    /// What the session follows.
    pub(super) followed: Rc<RefCell<Followed>>,
}

impl Hall {
    pub(super) fn enter(&self, connection: ConnectionId, present: Present) {
        self.sessions.borrow_mut().insert(connection, present);
    }

    /// Every session of the worker.
    pub(super) fn present(&self) -> Ref<'_, BTreeMap<ConnectionId, Present>> {
        self.sessions.borrow()
    }

    /// Forgets what a connection has asked rooms for.
    pub(super) fn forget(&self, connection: ConnectionId) {
        self.joining.borrow_mut().retain(|(_, joining), _| *joining != connection);
    }

    /// Whether no session follows a room or has asked to, for tests.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.borrow().is_empty() && self.joining.borrow().is_empty()
    }

    pub(super) fn exit(&self, connection: ConnectionId) {
        self.sessions.borrow_mut().remove(&connection);
    }

    /// Expects the room's answer to a session that wants to follow it.
    pub(super) fn expect(&self, room_id: RoomId, connection: ConnectionId, joining: Joining) {
        // What it left before is not to end what it begins.
        self.departed.borrow_mut().remove(&(room_id, connection));
        self.joining.borrow_mut().insert((room_id, connection), joining);
    }

    pub(super) fn is_joining(&self, room_id: RoomId, connection: ConnectionId) -> bool {
        self.joining.borrow().contains_key(&(room_id, connection))
    }

    pub(super) fn unfollow(&self, room_id: RoomId, connection: ConnectionId) {
        self.joining.borrow_mut().remove(&(room_id, connection));
        let mut rooms = self.rooms.borrow_mut();
        if let Some(followers) = rooms.get_mut(&room_id) {
            followers.sessions.remove(&connection);
            if followers.sessions.is_empty() {
                rooms.remove(&room_id);
            }
        }
    }

    /// Tells a room that a connection follows it no more: now, or with a later beat if its mailbox is full.
    pub(super) fn depart(&self, routes: &Routes, room_id: RoomId, depart: Depart) {
        // A room that does not run has nobody in it; one that starts again asks who is here.
        let Some(room) = routes.live_room(room_id) else { return };
        if routes.offer(&room, depart).is_err() {
            self.departed.borrow_mut().insert((room_id, depart.connection), depart.account_id);
        }
    }

    /// Tells what rooms were to hear before.
    pub(super) fn tell_departed(&self, routes: &Routes) {
        for ((room_id, connection), account_id) in self.departed.take() {
            self.depart(routes, room_id, Depart { account_id, connection });
        }
    }

    /// The last entry of a room that was published on this worker.
    pub(super) fn published(&self, room_id: RoomId) -> u64 {
        self.rooms.borrow().get(&room_id).map_or(0, |followers| followers.published)
    }
}

/// What a room has stored is published.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Publish {
    pub(super) room_id: RoomId,
    pub(super) publication: Arc<Publication>,
    /// Kept until it is written, and dropped then: the room waits for that.
    pub(super) unwritten: Unwritten,
}

/// Dropped by every shard when it has written what was published, or has lost it.
pub(super) type Unwritten = Arc<oneshot::Sender<()>>;

impl Handler<Publish> for Shard {
    type Result = ();

    fn handle(&mut self, Publish { room_id, publication, unwritten }: Publish, _: &mut Self::Context) {
        let mut rooms = self.hall.rooms.borrow_mut();
        let Some(Followers { published, sessions }) = rooms.get_mut(&room_id) else { return };
        *published = publication.range().1.max(*published);
        let mut queued = vec![0; publication.entries().len()];
        let mut queued_whole = 0;
        for follower in sessions.values() {
            if deliver_whole(follower, &publication) {
                queued_whole += 1;
            } else {
                let each = publication.entries().iter().zip(&mut queued);
                each.for_each(|(entry, queued)| *queued += usize::from(deliver(follower, entry)));
            }
        }
        for (entry, queued) in publication.entries().iter().zip(queued) {
            self.hall.meter.queued_live(Log::Room(room_id), queued + queued_whole, entry.received_at);
        }
        self.hall.unwritten.borrow_mut().push(unwritten);
    }
}

/// Queues all entries for a session at once, if it is to get all and is where they begin. Whether it did.
fn deliver_whole(follower: &Follower, publication: &Publication) -> bool {
    let (first, last) = publication.range();
    let mut cursor = follower.cursor.get();
    let is_next = cursor.publish_whole(first, last) && publication.is_whole_for(follower.device);
    let is_queued = is_next && follower.connection.offer(publication.frames(follower.encoding)).is_ok();
    if is_queued {
        follower.cursor.set(cursor);
    }
    is_queued
}

/// Queues an entry for a session, and says whether it did. One that has missed something is woken to read the log.
fn deliver(follower: &Follower, entry: &Entry) -> bool {
    let mut cursor = follower.cursor.get();
    let seq = entry.position.seq;
    let mut is_queued = false;
    match cursor.publish(seq) {
        Published::Skip => return false,
        Published::Next if !entry.is_for(follower.device) => {}
        Published::Next => {
            is_queued = follower.connection.offer(entry.frame(follower.encoding)).is_ok();
            if !is_queued {
                cursor.fall_behind(seq);
                follower.connection.wake();
            }
        }
        Published::Missed => follower.connection.wake(),
    }
    follower.cursor.set(cursor);
    is_queued
}

/// How far a room has published, after a publication was refused.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Level {
    pub(super) room_id: RoomId,
    pub(super) head: u64,
}

impl Handler<Level> for Shard {
    type Result = ();

    fn handle(&mut self, Level { room_id, head }: Level, _: &mut Self::Context) {
        let mut rooms = self.hall.rooms.borrow_mut();
        let Some(Followers { published, sessions }) = rooms.get_mut(&room_id) else { return };
        *published = head.max(*published);
        for follower in sessions.values() {
            let mut cursor = follower.cursor.get();
            if cursor.level(head) == Published::Missed {
                follower.cursor.set(cursor);
                follower.connection.wake();
            }
        }
    }
}

/// Who hears a whisper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody who is here.
    All,
    /// Everybody but a device.
    AllBut(DeviceAddress),
    /// One device.
    Only(DeviceAddress),
}

impl Audience {
    fn includes(self, device: DeviceAddress) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(other) => device != other,
            Self::Only(one) => device == one,
        }
    }
}

/// An event of a room that is not stored. A connection that has no room for it does not get it; if it
/// [lasts](Self::is_lasting), that connection is cut off.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Whisper {
    pub(super) room_id: RoomId,
    pub(super) audience: Audience,
    pub(super) message: Arc<SharedMessage>,
}

impl Whisper {
    /// Whether it changes what a client must know, and does not pass by itself.
    pub(super) fn is_lasting(&self) -> bool {
        self.message.is_lasting()
    }

    /// Of whom it says whether they are there, if it says that.
    pub(super) fn presence_of(&self) -> Option<AccountId> {
        match *self.message.message() {
            wire::Message::Presence { account_id, .. } => Some(account_id),
            _ => None,
        }
    }
}

impl Handler<Whisper> for Shard {
    type Result = ();

    fn handle(&mut self, whisper: Whisper, _: &mut Self::Context) {
        let is_lasting = whisper.is_lasting();
        let Whisper { room_id, audience, message } = whisper;
        let rooms = self.hall.rooms.borrow();
        let followers = rooms.get(&room_id).into_iter().flat_map(|followers| followers.sessions.values());
        for follower in followers.filter(|follower| audience.includes(follower.device)) {
            let (connection, frame) = (&follower.connection, message.frame(follower.encoding));
            let queued = if is_lasting { connection.insist(frame) } else { connection.offer(frame) };
            if queued.is_err() {
                self.dropped.increment(1);
            }
        }
    }
}

/// Whoever follows a room has missed what lasts: it is to come again, and read everything.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct CutOff {
    pub(super) room_id: RoomId,
}

impl Handler<CutOff> for Shard {
    type Result = ();

    fn handle(&mut self, CutOff { room_id }: CutOff, _: &mut Self::Context) {
        let rooms = self.hall.rooms.borrow();
        let followers = rooms.get(&room_id).into_iter().flat_map(|followers| followers.sessions.values());
        followers.for_each(|follower| follower.connection.cut_off());
    }
}

/// A room lets a session follow it. This comes by the way of the room's events, so that the session hears of
/// all that happens after what it is told here, and of nothing before.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Admitted {
    pub(super) room_id: RoomId,
    pub(super) account_id: AccountId,
    pub(super) connection: ConnectionId,
    pub(super) policy: RoomPolicy,
    pub(super) head: Position,
    pub(super) online: Vec<AccountId>,
}

impl Handler<Admitted> for Shard {
    type Result = ();

    fn handle(&mut self, admitted: Admitted, _: &mut Self::Context) {
        let Admitted { room_id, account_id, connection, policy, head, online } = admitted;
        let Some(joining) = self.hall.joining.borrow_mut().remove(&(room_id, connection)) else {
            // It has gone before the room's answer came: the room is to know.
            self.hall.depart(&self.routes, room_id, Depart { account_id, connection });
            return;
        };
        let Joining { id, after, follower } = joining;
        let online = online.into_iter().filter(|other| *other != account_id).collect();
        let answer = wire::Message::answer(id, Outcome::Joined { policy, head, online });
        follower.connection.push(shared::of(&answer, follower.encoding));
        follower.followed.borrow_mut().join(room_id, policy, &follower.cursor, after.unwrap_or(head));
        follower.connection.wake();
        self.hall.rooms.borrow_mut().entry(room_id).or_default().sessions.insert(connection, follower);
    }
}

/// Ends the following of an account that is no member any more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Eject {
    pub(super) room_id: RoomId,
    pub(super) account_id: AccountId,
}

impl Handler<Eject> for Shard {
    type Result = ();

    fn handle(&mut self, Eject { room_id, account_id }: Eject, _: &mut Self::Context) {
        let mut rooms = self.hall.rooms.borrow_mut();
        let Some(followers) = rooms.get_mut(&room_id) else { return };
        let gone: Vec<ConnectionId> = followers
            .sessions
            .iter()
            .filter(|(_, follower)| follower.device.account_id == account_id)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in gone {
            if let Some(follower) = followers.sessions.remove(&connection) {
                follower.followed.borrow_mut().leave(room_id);
            }
        }
        if followers.sessions.is_empty() {
            rooms.remove(&room_id);
        }
    }
}

/// The node stops.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct DrainAll;

impl Handler<DrainAll> for Shard {
    type Result = ();

    fn handle(&mut self, _: DrainAll, _: &mut Self::Context) {
        for present in self.hall.present().values() {
            // One that does not hear it is cut off with the node.
            let _ = self.routes.offer(&present.session, Drain);
        }
    }
}

/// A room asks who follows it: when it has just started, and now and then.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WhoIsHere {
    pub(super) room_id: RoomId,
    pub(super) room: Addr<Room>,
    pub(super) roll: u64,
}

impl Handler<WhoIsHere> for Shard {
    type Result = ();

    fn handle(&mut self, WhoIsHere { room_id, room, roll }: WhoIsHere, _: &mut Self::Context) {
        let rooms = self.hall.rooms.borrow();
        let followers = rooms.get(&room_id).into_iter().flat_map(|followers| &followers.sessions);
        let here = followers.map(|(connection, follower)| (follower.device.account_id, *connection));
        // An answer that is lost is asked for again.
        let _ = self.routes.offer(&room, IsHere { roll, connections: here.collect() });
    }
}

/// How often every session looks after itself: pings, expiry, a reader that does not read. One that rests spares some.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(1);
