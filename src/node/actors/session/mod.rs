//! A session: one device's socket, from `hello` to the close.
//!
//! It owns its connection. What it does with a command stands in [`commands`]; how it follows logs, live and from
//! the store, in [`feeds`]; how a socket shows who it is of, in [`hello`].

mod commands;
mod feeds;
mod hello;

pub(super) use feeds::Followed;

use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context as Task, Poll};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, ActorContext, ActorFuture, Addr, AsyncContext, Context, Handler, Message, Running, StreamHandler};
use actix_web::web::Data;
use tokio::sync::oneshot;

use super::room::{Admit, Depart};
use super::routes::Routes;
use super::shard::{Hall, Present, Shard};
use crate::ids::{AccountId, DeviceAddress, RoomId, SessionId};
use crate::node::clock::Clock;
use crate::node::http::NodeState;
use crate::node::store::{self, Store};
use crate::node::ws::{Arrival, CloseCode, Connection, ConnectionError, Incomings, SharedMessage, frame, shared};
use crate::protocol::public::VerifiedDevice;
use crate::wire::{self, Encoding, Log, Position, Timestamp};

/// A connection's number on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// What every session of a worker is made with.
#[derive(Clone, Debug)]
pub(super) struct SessionParts {
    pub(super) routes: Routes,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) nonce_ttl: Duration,
    pub(super) state: Data<NodeState>,
    pub(super) hall: Rc<Hall>,
    pub(super) shard: Arc<Addr<Shard>>,
}

/// The actor of one socket.
pub(super) struct Session {
    id: ConnectionId,
    encoding: Encoding,
    connection: Rc<Connection>,
    parts: Rc<SessionParts>,
    stage: Stage,
    /// What it follows; the shard of its worker knows it too.
    followed: Rc<RefCell<Followed>>,
    /// Envelopes for rooms that came with the last read: rooms get them together.
    gathered: Vec<(RoomId, Admit)>,
    /// The log that was read last.
    last_read: Option<Log>,
    /// The last envelope of the mailbox that the session was told of.
    mailbox_head: u64,
    /// Set by whoever had to tell of one and could not.
    has_missed: Arc<AtomicBool>,
    pulse: Pulse,
    /// Beats that the shard need not tell while the session rests.
    spare_beats: Rc<Cell<u32>>,
    /// Tells the connection's task that the session is over.
    _over: oneshot::Sender<()>,
}

/// How far a session is.
enum Stage {
    /// It has not said who it is; the token that the request for the socket had, if it had one.
    Unknown { session: Option<store::Session> },
    /// It has.
    Open(Box<Identified>),
    /// It was closed, and what is queued is written before the connection goes.
    Closing { beats: u32 },
}

/// Who a session is of.
pub(super) struct Identified {
    device: DeviceAddress,
    /// The device's keys, as the account's list has them.
    verified: VerifiedDevice,
    session_id: SessionId,
    expires_at: Timestamp,
    was_warned: bool,
}

/// Signs of life.
#[derive(Default)]
struct Pulse {
    received: u64,
    sent: u64,
    silent_beats: u32,
    stalled_beats: u32,
    beats: u32,
    /// Beats that were given up when the session last looked.
    spared: u32,
}

impl Session {
    pub(super) fn new(
        id: ConnectionId,
        encoding: Encoding,
        connection: Rc<Connection>,
        parts: Rc<SessionParts>,
        session: Option<store::Session>,
        over: oneshot::Sender<()>,
    ) -> Self {
        Self {
            id,
            encoding,
            connection,
            parts,
            stage: Stage::Unknown { session },
            followed: Rc::default(),
            gathered: Vec::new(),
            last_read: None,
            mailbox_head: 0,
            has_missed: Arc::default(),
            pulse: Pulse::default(),
            spare_beats: Rc::default(),
            _over: over,
        }
    }

    /// Queues a message that must not be lost: an answer, or the state of a feed.
    fn tell(&self, message: &wire::Message) {
        self.connection.push(shared::of(message, self.encoding));
    }

    /// Closes the socket: nothing that comes after is looked at, and what is queued is written first.
    fn close(&mut self, code: CloseCode) {
        if matches!(self.stage, Stage::Closing { .. }) {
            return;
        }
        self.end();
        self.count_close(code);
        self.connection.close(code);
    }

    fn count_close(&self, code: CloseCode) {
        self.parts.state.metrics.sockets.closed.of([code.as_u16().to_string()]).increment(1);
    }

    /// The session is over; its connection goes when what is queued is written.
    fn end(&mut self) {
        self.leave_everything();
        self.stage = Stage::Closing { beats: 0 };
        // From here on each beat counts.
        self.spare_beats.set(0);
    }

    /// Others see it gone at once, whatever the connection still does.
    fn leave_everything(&mut self) {
        let Stage::Open(who) = &self.stage else { return };
        self.parts.routes.remove_device(who.device, self.id);
        let followed = core::mem::take(&mut *self.followed.borrow_mut());
        for room_id in followed.rooms() {
            self.depart(who.device.account_id, room_id);
        }
        self.parts.hall.forget(self.id);
    }

    /// Tells a room that the socket follows it no more.
    fn depart(&self, account_id: AccountId, room_id: RoomId) {
        let (hall, connection) = (&self.parts.hall, self.id);
        hall.unfollow(room_id, connection);
        hall.depart(&self.parts.routes, room_id, Depart { account_id, connection });
    }

    /// Who the session is of, while it is open.
    fn who(&self) -> Option<&Identified> {
        match &self.stage {
            Stage::Open(who) => Some(who),
            Stage::Unknown { .. } | Stage::Closing { .. } => None,
        }
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_CAPACITY);
        let present = Present {
            session: context.address(),
            connection: Rc::clone(&self.connection),
            followed: Rc::clone(&self.followed),
            has_missed: Arc::clone(&self.has_missed),
            spare_beats: Rc::clone(&self.spare_beats),
        };
        self.parts.hall.enter(self.id, present);
        context.add_stream(Incomings::of(Rc::clone(&self.connection)));
        context.spawn(Writer);
        if self.parts.state.readiness.is_stopping() {
            // It came too late to be told with the others.
            context.notify(Drain);
        }
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.leave_everything();
        self.parts.hall.exit(self.id);
        Running::Stop
    }
}

impl StreamHandler<Result<Arrival, ConnectionError>> for Session {
    fn handle(&mut self, arrival: Result<Arrival, ConnectionError>, context: &mut Self::Context) {
        let is_closing = matches!(self.stage, Stage::Closing { .. });
        if !matches!(arrival, Ok(Arrival::Text(_) | Arrival::Binary(_))) {
            self.admit_gathered(context);
        }
        match arrival {
            // The client's answer to the node's close.
            Err(ConnectionError::Closed) if is_closing => context.stop(),
            Err(ConnectionError::Gone) => context.stop(),
            _ if is_closing => {}
            Err(ConnectionError::Closed) => self.end(),
            // The connection has closed with its code.
            Err(ConnectionError::Frame(error)) => {
                self.count_close(error.close_code());
                self.end();
            }
            Ok(Arrival::Text(bytes)) if self.encoding == Encoding::Json => self.take(&bytes, context),
            Ok(Arrival::Binary(bytes)) if self.encoding == Encoding::Cbor => self.take(&bytes, context),
            Ok(Arrival::Text(_) | Arrival::Binary(_)) => self.close(CloseCode::Misused),
            Ok(Arrival::Rest) => {}
        }
    }

    // A protocol error ends the stream; the close is still written.
    fn finished(&mut self, context: &mut Self::Context) {
        if !matches!(self.stage, Stage::Closing { .. }) {
            context.stop();
        }
    }
}

/// Writes what the socket takes, reads logs while there is room, and ends the session when its close is written.
struct Writer;

impl ActorFuture<Session> for Writer {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut Session,
        context: &mut Context<Session>,
        task: &mut Task<'_>,
    ) -> Poll<()> {
        if session.connection.poll_write(task).is_err() {
            context.stop();
            return Poll::Ready(());
        }
        if matches!(session.stage, Stage::Closing { .. }) && session.connection.is_flushed() {
            if session.connection.poll_shutdown(task).is_ready() {
                // The client's own close, or its end, comes next; a second is enough for it.
                return Poll::Ready(());
            }
        } else {
            if session.connection.is_cut_off() {
                session.close(CloseCode::Stalled);
            }
            session.read_feeds(context);
        }
        Poll::Pending
    }
}

/// The session looks after itself, once a second.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Beat;

impl Handler<Beat> for Session {
    type Result = ();

    fn handle(&mut self, _: Beat, context: &mut Self::Context) {
        if let Stage::Closing { beats } = &mut self.stage {
            *beats += 1;
            if *beats >= CLOSING_BEATS_MAX {
                context.stop();
            }
            return;
        }
        let before = self.pulse.beats;
        let elapsed = 1 + self.pulse.spared - self.spare_beats.take();
        if self.has_missed.swap(false, Ordering::Relaxed) {
            self.missed_direct();
        }
        match self.beat(elapsed) {
            Some(code) => self.close(code),
            None => self.read_feeds(context),
        }
        if before / RECHECK_BEATS < self.pulse.beats / RECHECK_BEATS {
            self.recheck(context);
        }
        self.pulse.spared = if self.rests() { SPARE_BEATS } else { 0 };
        self.spare_beats.set(self.pulse.spared);
    }
}

impl Session {
    /// Whether there is nothing that the next beats would do.
    fn rests(&self) -> bool {
        self.who().is_some() && self.followed.borrow().is_level()
    }

    /// Pings a silent client, warns one whose token expires. Why the socket is to be closed, if it is.
    fn beat(&mut self, elapsed: u32) -> Option<CloseCode> {
        let (received, sent) = self.connection.traffic();
        let pulse = &mut self.pulse;
        let is_blocked = !self.connection.is_flushed();
        let silent_before = pulse.silent_beats;
        pulse.beats = pulse.beats.saturating_add(elapsed);
        pulse.silent_beats = if pulse.received == received { silent_before + elapsed } else { 0 };
        pulse.received = received;
        if !is_blocked || sent - pulse.sent >= STALLED_BYTES {
            (pulse.sent, pulse.stalled_beats) = (sent, 0);
        } else {
            pulse.stalled_beats += 1;
        }
        if pulse.stalled_beats >= STALLED_BEATS_MAX {
            return Some(CloseCode::Stalled);
        }
        if pulse.silent_beats >= SILENT_BEATS_MAX {
            return Some(CloseCode::Silent);
        }
        if silent_before < PING_AFTER_BEATS && pulse.silent_beats >= PING_AFTER_BEATS {
            self.connection.push(frame::ping());
        }
        match &mut self.stage {
            Stage::Unknown { .. } if pulse.beats > HELLO_BEATS_MAX => Some(CloseCode::NotSignedIn),
            Stage::Unknown { .. } | Stage::Closing { .. } => None,
            Stage::Open(who) => {
                let now = self.parts.clock.now();
                if now >= who.expires_at {
                    return Some(CloseCode::Expired);
                }
                if who.expires_at.since(now) < WARN_BEFORE && !core::mem::replace(&mut who.was_warned, true) {
                    let warning = wire::Message::SessionExpiring { expires_at: who.expires_at };
                    self.tell(&warning);
                }
                None
            }
        }
    }
}

/// The socket is to be closed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Close(pub(super) CloseCode);

impl Handler<Close> for Session {
    type Result = ();

    fn handle(&mut self, Close(code): Close, _: &mut Self::Context) {
        self.close(code);
    }
}

/// The node stops: the client is to come again, to it or to another.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Drain;

impl Handler<Drain> for Session {
    type Result = ();

    /// What is under way is still answered. Clients come again at different times, by their numbers.
    fn handle(&mut self, _: Drain, context: &mut Self::Context) {
        if matches!(self.stage, Stage::Closing { .. }) {
            return;
        }
        let after_ms = self.id.0.wrapping_mul(JITTER_STEP_MS) % RECONNECT_AFTER_MS_MAX;
        let within_ms = u64::try_from(DRAIN_WITHIN.as_millis()).unwrap_or(u64::MAX);
        self.tell(&wire::Message::Reconnect { after_ms, within_ms });
        context.run_later(DRAIN_WITHIN, |session, _| session.close(CloseCode::Restart));
    }
}

/// Something that this device alone is told, and that is not stored.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Tell(pub(super) wire::Message);

impl Handler<Tell> for Session {
    type Result = ();

    fn handle(&mut self, Tell(message): Tell, _: &mut Self::Context) {
        if self.who().is_some() && self.connection.offer(shared::of(&message, self.encoding)).is_err() {
            self.parts.state.metrics.sockets.dropped.of(["socket"]).increment(1);
        }
    }
}

/// An envelope has come to the device's mailbox.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Direct {
    pub(super) position: Position,
    /// When it arrived, on [`Clock::running`].
    pub(super) received_at: Duration,
    pub(super) message: Arc<SharedMessage>,
}

impl Handler<Direct> for Session {
    type Result = ();

    fn handle(&mut self, direct: Direct, context: &mut Self::Context) {
        self.direct(&direct);
        self.read_feeds(context);
    }
}

/// Messages that a session's mailbox holds.
const MAILBOX_CAPACITY: usize = 256;

/// Beats, of one second, until `hello`.
const HELLO_BEATS_MAX: u32 = 10;

/// Beats without a sign of the client before it is pinged, and before it is given up.
const PING_AFTER_BEATS: u32 = 30;
const SILENT_BEATS_MAX: u32 = 60;

/// Beats in which a client takes less than so many bytes of what is queued: it reads nothing, or drop by drop.
const STALLED_BEATS_MAX: u32 = 30;
const STALLED_BYTES: u64 = 16 * 1024;

/// Beats that a session gives up when nothing is under way: it looks every five seconds then.
const SPARE_BEATS: u32 = 4;

/// Beats that the end of a socket may take.
const CLOSING_BEATS_MAX: u32 = 2;

/// How long a socket stays open after the node was told to stop.
const DRAIN_WITHIN: Duration = Duration::from_millis(500);

/// Over what time clients come again, and how far one is from the next; the two have no divisor in common.
const RECONNECT_AFTER_MS_MAX: u64 = 5_000;
const JITTER_STEP_MS: u64 = 1_237;

/// Beats after which a session looks whether it was ended: the last resort, for ends that no message tells.
const RECHECK_BEATS: u32 = 30;

/// How long before the token expires the client is told.
const WARN_BEFORE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
