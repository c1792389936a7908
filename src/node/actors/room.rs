//! A room: admits envelopes, has them stored in order, and publishes what is stored.
//!
//! One batch is being stored at a time; what is admitted meanwhile goes into the next. So what is
//! published comes in the order of the log, and a room under load commits many envelopes at once.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture,
};
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::mailbox;
use super::owed::Owed;
use super::publication::{Entry, Publication};
use super::room_state::{AdmitError, RoomState};
use super::session::ConnectionId;
use super::shard::{Admitted, Audience, Eject, Level, Publish, Shard, Whisper, WhoIsHere};
use super::supervisor::{RoomParts, load, refusal};
use crate::ids::{AccountId, DeviceAddress, RoomId};
use crate::node::metrics::{Counter, Share};
use crate::node::store::{Appended, Member, StoreError};
use crate::node::ws::SharedMessage;
use crate::wire::{self, Envelope, ErrorCode, Position, Presence};

/// The actor of one room.
pub(super) struct Room {
    room_id: RoomId,
    state: RoomState,
    parts: RoomParts,
    /// Admitted, and not stored yet.
    waiting: VecDeque<Admit>,
    waiting_share: Share,
    stored: Counter,
    is_storing: bool,
    /// What was published last is not written everywhere yet.
    is_publishing: bool,
    /// A shard has missed a publication.
    owes_level: bool,
    /// Who is no member any more, until every shard knows.
    ejected: BTreeSet<AccountId>,
    owed: Owed,
}

impl Room {
    pub(super) fn new(room_id: RoomId, state: RoomState, parts: RoomParts) -> Self {
        let envelopes = &parts.metrics.envelopes;
        Self {
            room_id,
            state,
            waiting: VecDeque::new(),
            waiting_share: Share::of(envelopes.waiting.clone()),
            stored: envelopes.stored.of(["room"]),
            parts,
            is_storing: false,
            is_publishing: false,
            owes_level: false,
            ejected: BTreeSet::new(),
            owed: Owed::default(),
        }
    }

    /// Stores the next batch, if none is being stored or told. What comes while sockets are written to waits for that: it is
    /// told together then, by one write for each socket, and a large room takes no more than it can tell.
    fn store_next(&mut self, context: &mut Context<Self>) {
        if self.is_storing || self.is_publishing || self.waiting.is_empty() {
            return;
        }
        self.is_storing = true;
        let batch: Vec<Admit> = self.waiting.drain(..self.waiting.len().min(BATCH_MAX)).collect();
        self.waiting_share.set(self.waiting.len());
        self.parts.metrics.envelopes.batch.record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let (store, room_id, now) = (self.parts.store.clone(), self.room_id, self.parts.clock.now());
        let envelopes: Vec<Envelope> = batch.iter().map(|admit| admit.envelope.clone()).collect();
        let stored = async move { store.append(room_id, envelopes, now).await };
        context.spawn(stored.into_actor(self).map(|stored, room, context| {
            room.is_storing = false;
            room.answer(batch, stored, context);
            room.store_next(context);
        }));
    }

    /// Tells each sender what has become of the envelope, and everybody what is new.
    fn answer(&mut self, batch: Vec<Admit>, stored: Result<Vec<Appended>, StoreError>, context: &mut Context<Self>) {
        let outcomes = match stored {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let code = refusal(error);
                for Admit { envelope, reply, .. } in batch {
                    self.state.forget(&envelope);
                    let _ = reply.send(Err(code));
                }
                return;
            }
        };
        // Before anybody is told, so that whoever was finds it counted.
        let stored = outcomes.iter().filter(|outcome| matches!(outcome, Appended::Stored(_))).count();
        self.stored.increment(stored as u64);
        let mut entries = Vec::new();
        for (Admit { envelope, received_at, reply }, outcome) in batch.into_iter().zip(outcomes) {
            let answer = match outcome {
                Appended::Stored(position) => {
                    entries.push(Entry::new(position, envelope, received_at));
                    Ok(position)
                }
                Appended::Known(position) => {
                    // It may have been stored by a room that ended before it could tell anybody.
                    if position.seq > self.state.head().seq {
                        self.state.publish_to(position.seq);
                        self.owes_level = true;
                    }
                    Ok(position)
                }
                Appended::NotMember => Err(ErrorCode::UnknownRoom),
                Appended::Closed => Err(ErrorCode::RoomClosed),
            };
            let _ = reply.send(answer);
        }
        self.publish(entries, context);
    }

    fn refused(&self, error: AdmitError) -> ErrorCode {
        if error == AdmitError::Replayed {
            self.parts.metrics.e2ee.replays_refused.increment(1);
        }
        error.code()
    }

    fn publish(&mut self, entries: Vec<Entry>, context: &mut Context<Self>) {
        let Some(publication) = Publication::new(entries) else { return };
        self.state.publish_to(publication.range().1);
        let (unwritten, written) = oneshot::channel();
        let (publication, unwritten) = (Arc::new(publication), Arc::new(unwritten));
        let publish = Publish { room_id: self.room_id, publication, unwritten };
        for shard in self.parts.routes.shards() {
            self.owes_level |= self.parts.routes.offer(&shard, publish.clone()).is_err();
        }
        drop(publish);
        self.is_publishing = true;
        // Nothing is sent: the channel ends when the last shard drops its half.
        context.spawn(written.into_actor(self).map(|_, room, context| {
            room.is_publishing = false;
            room.store_next(context);
        }));
    }

    /// Tells the shards what one of them has missed: how far the room is, and who is no member any more.
    fn tell_owed(&mut self) {
        let (room_id, head, routes) = (self.room_id, self.state.head().seq, &self.parts.routes);
        let shards = routes.shards();
        let tell_all = |tell: &dyn Fn(&Addr<Shard>) -> bool| shards.iter().filter(|shard| !tell(shard)).count() == 0;
        if self.owes_level {
            self.owes_level = !tell_all(&|shard| routes.offer(shard, Level { room_id, head }).is_ok());
        }
        self.ejected.retain(|account_id| {
            let eject = Eject { room_id, account_id: *account_id };
            !tell_all(&|shard| routes.offer(shard, eject).is_ok())
        });
        self.owed.tell(routes, room_id);
    }

    /// Asks every shard who is here. Whom none names is gone when all have answered.
    fn ask_who_is_here(&mut self, context: &Context<Self>) {
        let mut shards = self.parts.routes.shards();
        shards.retain(|shard| shard.connected());
        let roll = self.state.begin_roll(shards.len());
        let ask = |shard| {
            let who_is_here = WhoIsHere { room_id: self.room_id, room: context.address(), roll };
            self.parts.routes.offer(shard, who_is_here).is_ok()
        };
        self.owed.question = shards.iter().filter(|shard| !ask(shard)).count() > 0;
    }

    /// Tells those who are here something that is not stored.
    fn whisper(&mut self, audience: Audience, message: wire::Message) {
        let whisper = Whisper { room_id: self.room_id, audience, message: Arc::new(SharedMessage::new(message)) };
        self.owed.whisper(&self.parts.routes, &whisper);
    }

    fn set_member(&mut self, account_id: AccountId, member: Option<Member>) {
        let room_id = self.room_id;
        if let Some(Member { membership, .. }) = member {
            self.state.add_member(account_id);
            self.ejected.remove(&account_id);
            // Of one who was a member before too: what is new then is the proof.
            let proof = membership.map(|membership| membership.proof);
            self.whisper(Audience::All, wire::Message::MemberJoined { room_id, account_id, proof });
        } else {
            // It may be known already, of a room that was started after the change; those who are here do not know it.
            self.state.remove_member(account_id);
            self.whisper(Audience::All, wire::Message::MemberLeft { room_id, account_id });
            self.ejected.insert(account_id);
            self.tell_owed();
        }
    }

    /// Who has a socket here, for tests.
    #[cfg(test)]
    pub(super) fn online(&self) -> Vec<AccountId> {
        self.state.online()
    }

    /// Ends the room because it cannot know what it has to. Those who are here are found again by the next one.
    fn fail(&self, error: &StoreError, context: &mut Context<Self>) {
        error!(target: "actors", room = %self.room_id, %error, "a room cannot read the store, and ends");
        self.parts.routes.remove_room(self.room_id, &context.address());
        context.stop();
    }

    fn tell_presence(&mut self, account_id: AccountId, change: Option<Presence>) {
        if let Some(state) = change {
            self.whisper(Audience::All, wire::Message::Presence { room_id: self.room_id, account_id, state });
        }
    }
}

impl Actor for Room {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        debug!(target: "actors", room = %self.room_id, "started");
        context.set_mailbox_capacity(mailbox::CAPACITY);
        // It is in the routes, and told of changes; what has changed since it was loaded is read now, before anything else.
        let (store, room_id, nonce_ttl) = (self.parts.store.clone(), self.room_id, self.parts.nonce_ttl);
        let loaded = async move { load(&store, room_id, nonce_ttl).await };
        context.wait(loaded.into_actor(self).map(|loaded, room, context| match loaded {
            Ok(Some(state)) => {
                room.state = state;
                // After a panic, the sockets that had joined are still there.
                room.ask_who_is_here(context);
            }
            Ok(None) => context.stop(),
            Err(error) => room.fail(&error, context),
        }));
        // A room before it may have stored what it did not publish.
        self.owes_level = true;
        context.run_interval(OWED_EVERY, |room, context| {
            room.tell_owed();
            if room.owed.question {
                room.ask_who_is_here(context);
            }
        });
        context.run_interval(self.parts.idle_check_every, |room, context| {
            if room.state.is_idle() && room.waiting.is_empty() && !room.is_storing {
                // From here on, whoever asks for the room starts another one.
                room.parts.routes.remove_room(room.room_id, &context.address());
                context.stop();
            } else {
                // Somebody may have gone without a word that came here.
                room.ask_who_is_here(context);
            }
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        debug!(target: "actors", room = %self.room_id, "stopped");
    }
}

/// An envelope that the room is asked to take, and whose signature was checked. It is answered once it is on disk.
pub(super) struct Admit {
    pub(super) envelope: Envelope,
    /// When it arrived, on [`Clock::running`](crate::node::clock::Clock::running).
    pub(super) received_at: Duration,
    pub(super) reply: oneshot::Sender<Result<Position, ErrorCode>>,
}

/// Asks the room to take envelopes, in this order. Each is answered by itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AdmitAll(pub(super) Vec<Admit>);

impl Handler<AdmitAll> for Room {
    type Result = ();

    fn handle(&mut self, AdmitAll(admits): AdmitAll, context: &mut Self::Context) {
        let now = self.parts.clock.now();
        for admit in admits {
            let refused = if self.waiting.len() >= WAITING_MAX {
                Some(ErrorCode::Unavailable)
            } else {
                self.state.admit(&admit.envelope, now).err().map(|error| self.refused(error))
            };
            match refused {
                Some(code) => {
                    let _ = admit.reply.send(Err(code));
                }
                None => self.waiting.push_back(admit),
            }
        }
        self.waiting_share.set(self.waiting.len());
        self.store_next(context);
    }
}

/// A socket wants to follow the room. That it may is told to its shard.
#[derive(Message)]
#[rtype(result = "Result<(), ErrorCode>")]
pub(super) struct Join {
    pub(super) account_id: AccountId,
    pub(super) connection: ConnectionId,
    pub(super) shard: Arc<Addr<Shard>>,
}

impl Handler<Join> for Room {
    type Result = MessageResult<Join>;

    fn handle(&mut self, Join { account_id, connection, shard }: Join, _: &mut Self::Context) -> Self::Result {
        if !self.state.is_member(account_id) {
            return MessageResult(Err(ErrorCode::UnknownRoom));
        }
        let (policy, head, online) = (self.state.policy(), self.state.head(), self.state.online());
        let admitted = Admitted { room_id: self.room_id, account_id, connection, policy, head, online };
        if self.parts.routes.offer(&shard, admitted).is_err() {
            return MessageResult(Err(ErrorCode::Unavailable));
        }
        let change = self.state.arrive(account_id, connection);
        self.tell_presence(account_id, change);
        MessageResult(Ok(()))
    }
}

/// The sockets of one worker that follow the room, and to which question that is the answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct IsHere {
    pub(super) roll: u64,
    pub(super) connections: Vec<(AccountId, ConnectionId)>,
}

impl Handler<IsHere> for Room {
    type Result = ();

    fn handle(&mut self, IsHere { roll, connections }: IsHere, _: &mut Self::Context) {
        for (account, connection) in connections {
            if self.state.is_member(account) {
                self.state.arrive(account, connection);
            } else {
                self.ejected.insert(account);
            }
        }
        for account in self.state.end_answer(roll) {
            self.tell_presence(account, Some(Presence::Offline));
        }
        self.tell_owed();
    }
}

/// A socket follows the room no more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Depart {
    pub(super) account_id: AccountId,
    pub(super) connection: ConnectionId,
}

impl Handler<Depart> for Room {
    type Result = ();

    fn handle(&mut self, Depart { account_id, connection }: Depart, _: &mut Self::Context) {
        let change = self.state.depart(account_id, connection);
        self.tell_presence(account_id, change);
    }
}

/// Something to tell those who are here: typing, a signal.
#[derive(Message)]
#[rtype(result = "Result<(), ErrorCode>")]
pub(super) struct Relay {
    pub(super) from: DeviceAddress,
    pub(super) audience: Audience,
    pub(super) message: wire::Message,
}

impl Handler<Relay> for Room {
    type Result = MessageResult<Relay>;

    fn handle(&mut self, Relay { from, audience, message }: Relay, _: &mut Self::Context) -> Self::Result {
        if !self.state.is_member(from.account_id) {
            return MessageResult(Err(ErrorCode::UnknownRoom));
        }
        self.whisper(audience, message);
        MessageResult(Ok(()))
    }
}

/// Something of the node's own to tell those who are here.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Announce(pub(super) wire::Message);

impl Handler<Announce> for Room {
    type Result = ();

    fn handle(&mut self, Announce(message): Announce, _: &mut Self::Context) {
        self.whisper(Audience::All, message);
    }
}

/// The store has changed who is in the room, or closed it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub enum Changed {
    /// An account has become a member, or is none any more. Which, the room reads: changes may overtake each other.
    Member(AccountId),
    /// A member has published another device list.
    Devices(AccountId, u64),
    /// The room takes no more envelopes.
    Closed,
}

impl Handler<Changed> for Room {
    type Result = ();

    fn handle(&mut self, change: Changed, context: &mut Self::Context) {
        let room_id = self.room_id;
        match change {
            Changed::Member(account_id) => {
                let store = self.parts.store.clone();
                let member = async move { store.member(room_id, account_id).await };
                // Nothing else is looked at meanwhile.
                context.wait(member.into_actor(self).map(move |member, room, context| match member {
                    Ok(member) => room.set_member(account_id, member),
                    // A room that does not know its members ends; the next one reads them.
                    Err(error) => room.fail(&error, context),
                }));
            }
            Changed::Devices(account_id, version) if self.state.is_member(account_id) => {
                self.whisper(Audience::All, wire::Message::DevicesChanged { account_id, version });
            }
            Changed::Devices(..) => {}
            Changed::Closed => {
                self.state.close();
                self.whisper(Audience::All, wire::Message::RoomClosed { room_id });
            }
        }
    }
}

/// Envelopes in one transaction.
const BATCH_MAX: usize = 256;

/// Envelopes that are admitted and wait for the store.
const WAITING_MAX: usize = 4_096;

/// How long a shard that has missed a publication may be behind.
const OWED_EVERY: Duration = Duration::from_secs(1);

/// How often a room looks whether anybody is there, but in tests.
pub(super) const IDLE_CHECK_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
