//! What a session does with its client's commands.
//!
//! Commands are begun in the order in which they come and answered when they are done, so a client may send
//! many before the first is answered. Envelopes to one room keep their order.

use core::cell::Cell;
use core::future::Future;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;

use super::{Direct, Identified, Session, SessionParts, Stage};
use crate::ids::{DeviceAddress, LogEpoch, RoomId};
use crate::node::actors::cursor::Cursor;
use crate::node::actors::room::{Admit, AdmitAll, Join, Relay};
use crate::node::actors::shard::{Audience, Follower, Joining};
use crate::node::actors::supervisor::refusal;
use crate::node::entropy;
use crate::node::store::Delivered;
use crate::node::tokens::AccessToken;
use crate::node::ws::connection::COMMANDS_MAX;
use crate::node::ws::{CloseCode, SharedMessage};
use crate::protocol::public::{ReplayWindow, VerifiedDevice, verify_envelope};
use crate::wire::{
    Command, Custody, Delivery, Destination, Entry, Envelope, ErrorCode, Message, Outcome, PageLimit, Position,
    Protection, RoomPolicy, SecretText, Signatures,
};

/// How a command ends: with nothing to say, with something, or refused.
type Done = Result<Option<Outcome>, ErrorCode>;

impl Session {
    /// Parses one message of the client and begins what it asks.
    pub(super) fn take(&mut self, bytes: &[u8], context: &mut Context<Self>) {
        match Command::parse(bytes, self.encoding) {
            Ok(Command::Hello { id, credential, mailbox }) => self.hello(id, credential, mailbox, context),
            Ok(command) if self.who().is_some() => match self.spend(&command) {
                Ok(()) => self.begin(command, context),
                Err(wait) => {
                    self.count_refused(ErrorCode::RateLimited);
                    self.tell(&Message::Error {
                        id: command.id(),
                        code: ErrorCode::RateLimited,
                        retry_after_ms: u64::try_from(wait.as_millis()).ok(),
                    });
                }
            },
            Ok(command) => {
                self.tell(&Message::refused(command.id(), ErrorCode::HelloExpected));
                self.close(CloseCode::NotSignedIn);
            }
            Err(error) => {
                self.tell(&Message::refused(0, error.code()));
                self.close(CloseCode::Misused);
            }
        }
    }

    /// Counts a command against the limit of its account. How long to wait if that is reached.
    fn spend(&self, command: &Command) -> Result<(), Duration> {
        let Some(device) = self.device() else { return Ok(()) };
        let weight = match command {
            Command::Deliver { envelopes, .. } => u32::try_from(envelopes.len()).unwrap_or(u32::MAX),
            // Told to everybody in the room.
            Command::Join { .. } | Command::Leave { .. } | Command::Signal { .. } | Command::Typing { .. } => 4,
            _ => 1,
        };
        self.parts.state.limits.commands(device.account_id, weight)
    }

    fn begin(&mut self, command: Command, context: &mut Context<Self>) {
        let id = command.id();
        let done = match command {
            Command::Hello { .. } | Command::Ping { .. } => Ok(None),
            Command::Join { room_id, after, .. } => return self.join(id, room_id, after, context),
            Command::Leave { room_id, .. } => self.leave(room_id),
            Command::Send { envelope, .. } => return self.send(id, envelope, context),
            Command::Deliver { envelopes, .. } => return self.deliver(id, envelopes, context),
            Command::Ack { position, .. } => return self.ack(id, position, context),
            Command::History { room_id, after, limit, .. } => return self.history(id, room_id, after, limit, context),
            Command::Signal { room_id, to, kind, payload, .. } => {
                let Some(from) = self.device() else { return };
                let message = Message::Signal { room_id, from, kind, payload };
                return self.relay(id, room_id, Audience::Only(to), message, context);
            }
            Command::Typing { room_id, state, .. } => {
                let Some(device) = self.device() else { return };
                let message = Message::Typing { room_id, device, state };
                return self.relay(id, room_id, Audience::AllBut(device), message, context);
            }
            Command::Refresh { token, .. } => return self.refresh(id, &token, context),
        };
        self.answer(id, done);
    }

    fn answer(&self, id: u32, done: Done) {
        if self.who().is_none() {
            return; // Nothing comes after a close.
        }
        self.tell(&match done {
            Ok(None) => Message::done(id),
            Ok(Some(outcome)) => Message::answer(id, outcome),
            Err(code) => {
                self.count_refused(code);
                Message::refused(id, code)
            }
        });
    }

    fn count_refused(&self, code: ErrorCode) {
        self.parts.state.metrics.sockets.commands_refused.of([code.as_str()]).increment(1);
    }

    /// Runs what a command asks beside others, and answers it then.
    fn run(&self, id: u32, context: &mut Context<Self>, work: impl Future<Output = Done> + 'static) {
        self.run_then(id, 1, context, work, |_, done, _| done);
    }

    /// The same, with something to do in the session before the answer.
    fn run_then<T: 'static>(
        &self,
        id: u32,
        weight: usize,
        context: &mut Context<Self>,
        work: impl Future<Output = Result<T, ErrorCode>> + 'static,
        then: impl FnOnce(&mut Self, Result<T, ErrorCode>, &mut Context<Self>) -> Done + 'static,
    ) {
        self.connection.begin_command(weight);
        context.spawn(work.into_actor(self).map(move |result, session, context| {
            session.connection.end_command(weight);
            if session.who().is_some() {
                let done = then(session, result, context);
                session.answer(id, done);
                session.read_feeds(context);
            }
        }));
    }

    fn has_joined(&self, room_id: RoomId) -> bool {
        self.followed.borrow().policy(room_id).is_some()
    }

    fn device(&self) -> Option<DeviceAddress> {
        self.who().map(|who| who.device)
    }

    /// Asks a room to be followed. The shard answers, when the room says so.
    fn join(&mut self, id: u32, room_id: RoomId, after: Option<Position>, context: &mut Context<Self>) {
        let Some(device) = self.device() else { return };
        let (hall, connection) = (&self.parts.hall, self.id);
        if self.followed.borrow().policy(room_id).is_some() || hall.is_joining(room_id, connection) {
            return self.answer(id, Err(ErrorCode::AlreadyJoined));
        }
        if self.followed.borrow().rooms().count() >= ROOMS_JOINED_MAX {
            return self.answer(id, Err(ErrorCode::TooManyRooms));
        }
        let follower = Follower {
            device,
            encoding: self.encoding,
            connection: Rc::clone(&self.connection),
            cursor: Rc::new(Cell::new(Cursor::behind(0))),
            followed: Rc::clone(&self.followed),
        };
        hall.expect(room_id, connection, Joining { id, after, follower });
        let (routes, shard) = (self.parts.routes.clone(), self.parts.shard.clone());
        self.connection.begin_command(1);
        let asked = async move {
            let room = routes.room(room_id).await?;
            let join = Join { account_id: device.account_id, connection, shard };
            room.send(join).await.unwrap_or(Err(ErrorCode::Unavailable))
        };
        context.spawn(asked.into_actor(self).map(move |asked, session, _| {
            session.connection.end_command(1);
            if let Err(code) = asked {
                // It may have been there before, and left since without a word.
                session.depart(device.account_id, room_id);
                session.answer(id, Err(code));
            }
        }));
    }

    fn leave(&mut self, room_id: RoomId) -> Done {
        let Some(device) = self.device() else { return Ok(None) };
        if !self.followed.borrow_mut().leave(room_id) {
            return Err(ErrorCode::NotJoined);
        }
        self.depart(device.account_id, room_id);
        Ok(None)
    }

    fn send(&mut self, id: u32, envelope: Envelope, context: &mut Context<Self>) {
        let room_id = match self.checked(&envelope) {
            Ok(room_id) => room_id,
            Err(code) => return self.answer(id, Err(code)),
        };
        let (reply, stored) = oneshot::channel();
        // In the order of the commands, and not in the future below: futures of a session are polled in any order.
        self.gathered.push((room_id, Admit { envelope, received_at: self.parts.clock.running(), reply }));
        self.run(id, context, async move {
            let position = stored.await.unwrap_or(Err(ErrorCode::Unavailable))?;
            Ok(Some(Outcome::Sent(position)))
        });
    }

    /// Hands rooms the envelopes that one read has brought, together: they are stored together then, and told together.
    pub(super) fn admit_gathered(&mut self, context: &mut Context<Self>) {
        if self.gathered.is_empty() {
            return;
        }
        let mut by_room: BTreeMap<RoomId, Vec<Admit>> = BTreeMap::new();
        for (room_id, admit) in core::mem::take(&mut self.gathered) {
            by_room.entry(room_id).or_default().push(admit);
        }
        for (room_id, admits) in by_room {
            let routes = self.parts.routes.clone();
            if let Some(room) = routes.live_room(room_id) {
                // Those of a message that is refused are told, by the end of their `reply`.
                let _ = routes.offer(&room, AdmitAll(admits));
                continue;
            }
            let admitted = async move {
                match routes.room(room_id).await {
                    Ok(room) => drop(routes.offer(&room, AdmitAll(admits))),
                    Err(code) => {
                        for admit in admits {
                            let _ = admit.reply.send(Err(code));
                        }
                    }
                }
            };
            context.spawn(admitted.into_actor(self));
        }
    }

    /// Whether an envelope is this device's own and its signature is as the room asks. Returns the room.
    fn checked(&self, envelope: &Envelope) -> Result<RoomId, ErrorCode> {
        let Some(who) = self.who() else { return Err(ErrorCode::HelloExpected) };
        let Destination::Room(room_id) = envelope.destination else { return Err(ErrorCode::EnvelopeMalformed) };
        let policy = self.followed.borrow().policy(room_id).ok_or(ErrorCode::NotJoined)?;
        match policy.custody {
            Custody::Client => self.parts.verify(envelope, policy, &who.verified)?,
            Custody::Node => {
                let signer = self.parts.state.signers.of(room_id, who.device, self.parts.clock.now());
                self.parts.verify(envelope, policy, &*signer.ok_or(ErrorCode::NoRoomKeys)?)?;
            }
        }
        Ok(room_id)
    }

    /// Sends envelopes to mailboxes. Each has an outcome of its own.
    fn deliver(&mut self, id: u32, envelopes: Vec<Envelope>, context: &mut Context<Self>) {
        let Some(who) = self.who() else { return };
        let now = self.parts.clock.now();
        let window = ReplayWindow::new(self.parts.nonce_ttl);
        let checks: Vec<Result<(), ErrorCode>> = envelopes
            .iter()
            .map(|envelope| {
                is_direct(envelope, who, &self.parts)?;
                window.check(envelope.timestamp, now).map_err(|error| error.code())
            })
            .collect();
        let good = envelopes.into_iter().zip(&checks).filter(|(_, check)| check.is_ok()).map(|(one, _)| one).collect();
        let (parts, received_at) = (self.parts.clone(), self.parts.clock.running());
        // Begun here, because the context begins its futures in any order. It goes on if the session ends: what is stored is
        // told.
        let delivered = actix::spawn(async move { parts.deliver(good, received_at).await });
        self.run(id, context, async move {
            let mut outcomes = delivered.await.unwrap_or(Err(ErrorCode::Unavailable))?.into_iter();
            let deliveries = checks.into_iter().map(|check| match check {
                Ok(()) => outcomes.next().unwrap_or(Delivery::Refused(ErrorCode::Internal)),
                Err(code) => Delivery::Refused(code),
            });
            Ok(Some(Outcome::Delivered(deliveries.collect())))
        });
    }

    fn ack(&mut self, id: u32, position: Position, context: &mut Context<Self>) {
        let Some(device) = self.device() else { return };
        let (store, now) = (self.parts.store.clone(), self.parts.clock.now());
        self.run(id, context, async move {
            store.acknowledge(device, position, now).await.map_err(refusal)?;
            Ok(None)
        });
    }

    fn history(&mut self, id: u32, room_id: RoomId, after: u64, limit: PageLimit, context: &mut Context<Self>) {
        let Some(device) = self.device() else { return };
        if !self.has_joined(room_id) {
            return self.answer(id, Err(ErrorCode::NotJoined));
        }
        let store = self.parts.store.clone();
        // A page may be large: two are read at a time.
        let weight = COMMANDS_MAX / 2;
        let page = async move {
            let page = store.room_page(room_id, device, after, limit).await.map_err(refusal)?;
            Ok(Some(Outcome::Page(page)))
        };
        self.run_then(id, weight, context, page, |_, done, _| done);
    }

    fn relay(&mut self, id: u32, room_id: RoomId, audience: Audience, message: Message, context: &mut Context<Self>) {
        let Some(from) = self.device() else { return };
        if !self.has_joined(room_id) {
            return self.answer(id, Err(ErrorCode::NotJoined));
        }
        // Here and not in the future below, as with `send`.
        let Some(room) = self.parts.routes.live_room(room_id) else {
            return self.answer(id, Err(ErrorCode::Unavailable));
        };
        let relayed = room.send(Relay { from, audience, message });
        self.run(id, context, async move {
            relayed.await.unwrap_or(Err(ErrorCode::Unavailable))?;
            Ok(None)
        });
    }

    /// Takes the session's next access token.
    fn refresh(&mut self, id: u32, token: &SecretText, context: &mut Context<Self>) {
        let parts = self.parts.clone();
        let Ok(token) = token.expose().parse::<AccessToken>() else {
            return self.answer(id, Err(ErrorCode::TokenRefused));
        };
        let session = async move { parts.session_of(token.hash()).await };
        self.run_then(id, 1, context, session, |session, renewed, _| {
            let (renewed, Stage::Open(who)) = (renewed?, &mut session.stage) else { return Ok(None) };
            if renewed.session_id != who.session_id {
                return Err(ErrorCode::TokenRefused);
            }
            who.expires_at = renewed.expires_at;
            who.was_warned = false;
            Ok(None)
        });
    }
}

impl SessionParts {
    /// Stores envelopes in mailboxes, and tells the devices that have a socket.
    async fn deliver(&self, envelopes: Vec<Envelope>, received_at: Duration) -> Result<Vec<Delivery>, ErrorCode> {
        let epoch = LogEpoch::generate(&mut entropy::generator().map_err(|_| ErrorCode::Unavailable)?);
        let now = self.clock.now();
        let delivered = self.store.deliver(envelopes.clone(), epoch, now).await.map_err(refusal)?;
        let stored = delivered.iter().filter(|delivered| matches!(delivered, Delivered::Stored(_))).count();
        self.state.metrics.envelopes.stored.of(["mailbox"]).increment(stored as u64);
        let outcomes = envelopes.into_iter().zip(delivered).map(|(envelope, delivered)| match delivered {
            // One that was known may be one that nobody was told of.
            Delivered::Stored(position) | Delivered::Known(position) => {
                if let Some(recipient) = envelope.recipient {
                    let message = SharedMessage::new(Message::Direct(Entry { position, envelope }));
                    self.routes.tell_direct(recipient, Direct { position, received_at, message: message.into() });
                }
                Delivery::Stored(position)
            }
            Delivered::UnknownDevice => Delivery::Refused(ErrorCode::UnknownDevice),
            Delivered::Full => Delivery::Refused(ErrorCode::MailboxFull),
        });
        Ok(outcomes.collect())
    }

    /// Whether an envelope is as the policy asks, and signed by that device. A signature that does not hold is counted.
    fn verify(&self, envelope: &Envelope, policy: RoomPolicy, signer: &VerifiedDevice) -> Result<(), ErrorCode> {
        let verified = verify_envelope(envelope, policy, signer).map(drop).map_err(|error| error.code());
        if verified == Err(ErrorCode::SignatureInvalid) {
            self.state.metrics.e2ee.signatures_failed.increment(1);
        }
        // A check takes long. The disk may have woken the writer, which is not to wait for the next check too.
        if self.store.is_writing() {
            std::thread::yield_now();
        }
        verified
    }
}

/// Whether an envelope may go to a mailbox: it is this device's own, names the device that the mailbox is of, and is
/// signed as direct messages are, or not at all.
fn is_direct(envelope: &Envelope, who: &Identified, parts: &SessionParts) -> Result<(), ErrorCode> {
    let Destination::Mailbox(mailbox) = envelope.destination else { return Err(ErrorCode::EnvelopeMalformed) };
    if envelope.recipient.is_none_or(|recipient| recipient.device_id != mailbox) || envelope.epoch.is_some() {
        return Err(ErrorCode::EnvelopeMalformed);
    }
    let signatures = if envelope.signature.is_some() { Signatures::On } else { Signatures::Off };
    let policy = RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures };
    parts.verify(envelope, policy, &who.verified)
}

/// Rooms that one socket follows.
const ROOMS_JOINED_MAX: usize = 1_000;
