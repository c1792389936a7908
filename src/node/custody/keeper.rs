//! The actor that holds the keys of one room. What it does with them stands in [`HeldRoom`].

use core::time::Duration;
use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message, MessageResult,
    WrapFuture,
};
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::Custody;
use super::error::CustodyError;
use super::held_room::{Answer, HeldRoom, Request, Times};
use super::limits::CALLS_WAITING_MAX;
use crate::ids::{AccountId, DeviceAddress, DeviceId, RoomId};
use crate::node::actors::{Routes, Signers};
use crate::node::audit::{self, Event};
use crate::node::clock::Clock;
use crate::node::entropy;
use crate::node::http::ApiError;
use crate::node::metrics::Metrics;
use crate::node::store::Store;
use crate::wire::{self, ErrorCode, RoomKey, RoomKeyType};

/// What every keeper is made with.
#[derive(Clone, Debug)]
pub struct KeeperParts {
    /// Where rooms are.
    pub routes: Routes,
    /// With which keys members sign.
    pub signers: Signers,
    /// Who is a member.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How long keys and nonces count.
    pub times: Times,
    /// How often a keeper looks whether it holds anything; with nothing held it ends.
    pub idle_check_every: Duration,
}

impl KeeperParts {
    /// How often it looks on a node, but in tests.
    pub const IDLE_CHECK_EVERY: Duration = Duration::from_secs(60);
}

/// The actor.
pub(super) struct Keeper {
    held: HeldRoom,
    parts: KeeperParts,
    custody: Custody,
}

impl Keeper {
    pub(super) fn start_on(
        arbiter: &ArbiterHandle,
        held: HeldRoom,
        parts: KeeperParts,
        custody: Custody,
    ) -> Addr<Self> {
        Self::start_in_arbiter(arbiter, move |_| Self { held, parts, custody })
    }

    fn carry_out(&mut self, asker: DeviceAddress, request: Request) -> Result<Answer, ErrorCode> {
        self.expire();
        self.answer(asker, request)
    }

    /// The same, with what has not expired.
    fn answer(&mut self, asker: DeviceAddress, request: Request) -> Result<Answer, ErrorCode> {
        let now = self.parts.clock.now();
        let rng = entropy::generator().map_err(CustodyError::from);
        let answer = rng.and_then(|mut rng| self.held.handle(asker, request, now, &mut rng));
        match answer {
            Ok(answer) => {
                if matches!(answer, Answer::Made { .. } | Answer::Rotated { .. } | Answer::Revoked(_)) {
                    self.publish_signer(asker.account_id);
                }
                self.tell(asker.account_id, &answer);
                Ok(answer)
            }
            Err(error) => Err(self.refused(&error)),
        }
    }

    fn refused(&self, error: &CustodyError) -> ErrorCode {
        let code = error.code();
        match code {
            ErrorCode::SignatureInvalid => self.parts.metrics.e2ee.signatures_failed.increment(1),
            // The ratchet knows what the memory of nonces has forgotten.
            ErrorCode::EnvelopeReplayed | ErrorCode::MessageKeyGone => {
                self.parts.metrics.e2ee.replays_refused.increment(1);
            }
            ErrorCode::Internal => {
                error!(target: "custody", room = %self.held.room_id(), %error, "a keeper made a mistake");
            }
            _ => {}
        }
        code
    }

    /// Writes down, counts and broadcasts what was done. Messages are counted alone.
    fn tell(&self, account: AccountId, answer: &Answer) {
        let (room, e2ee) = (self.held.room_id(), &self.parts.metrics.e2ee);
        match answer {
            Answer::Made { made, .. } => {
                for key in made {
                    self.count_generated(key);
                    audit::record(Event::RoomKeyGenerated { room, account, key: key.key_id, key_type: key.key_type });
                    self.parts.routes.announce(room, wire::Message::E2eeKeyExchange { room_id: room, key: *key });
                }
            }
            Answer::Rotated { made, .. } => {
                for key in made {
                    self.count_generated(key);
                    e2ee.key_rotations.increment(1);
                    audit::record(Event::RoomKeyRotated { room, account, key: key.key_id, key_type: key.key_type });
                    self.parts.routes.announce(room, wire::Message::E2eeKeyRotation { room_id: room, key: *key });
                }
            }
            Answer::Revoked(keys) => {
                for key in keys.iter().copied() {
                    e2ee.key_revocations.increment(1);
                    audit::record(Event::RoomKeyRevoked { room, account, key });
                    let message = wire::Message::E2eeKeyRevoke { room_id: room, user_id: account, key_id: key };
                    self.parts.routes.announce(room, message);
                }
            }
            Answer::Exchanged { is_new, .. } => self.count_exchange(account, *is_new),
            Answer::Encrypted { is_new, .. } => {
                self.count_exchange(account, *is_new);
                e2ee.encryptions.increment(1);
            }
            Answer::Decrypted(_) => e2ee.decryptions.increment(1),
            Answer::Keys(_) => {}
        }
    }

    fn count_generated(&self, key: &RoomKey) {
        self.parts.metrics.e2ee.keys_generated.of([key.key_type.as_str()]).increment(1);
    }

    /// Whom an account agrees with is not written down.
    fn count_exchange(&self, account: AccountId, is_new: bool) {
        if is_new {
            self.parts.metrics.e2ee.key_exchanges.increment(1);
            audit::record(Event::RoomKeysExchanged { room: self.held.room_id(), account });
        }
    }

    /// Wipes keys whose time is over, and tells everybody.
    fn expire(&mut self) {
        let room = self.held.room_id();
        for key in self.held.expire(self.parts.clock.now()) {
            self.publish_signer(key.user_id);
            self.parts.metrics.e2ee.key_revocations.increment(1);
            audit::record(Event::RoomKeyExpired { room, account: key.user_id, key: key.key_id });
            let message = wire::Message::E2eeKeyRevoke { room_id: room, user_id: key.user_id, key_id: key.key_id };
            self.parts.routes.announce(room, message);
        }
    }

    /// Makes session keys anew that are so old, as if their members had asked.
    fn rotate(&mut self) {
        for member in self.held.due(self.parts.clock.now()) {
            // What cannot be made now is still due when it is looked next.
            let _ = self.answer(member, Request::Rotate(RoomKeyType::Ephemeral));
        }
    }

    /// Says with which key a member's envelopes are signed from now on.
    fn publish_signer(&self, account: AccountId) {
        let signer = self.held.signer(account).map(|(device, expires_at)| (device.clone(), expires_at));
        self.parts.signers.set(self.held.room_id(), account, signer);
    }
}

/// Also after a panic: nobody signs with keys that are gone.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.parts.signers.remove_room(self.held.room_id());
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        debug!(target: "custody", room = %self.held.room_id(), "started");
        context.set_mailbox_capacity(CALLS_WAITING_MAX);
        context.run_interval(AGE_CHECK_EVERY, |keeper, _| {
            keeper.expire();
            keeper.rotate();
        });
        context.run_interval(self.parts.idle_check_every, |keeper, context| {
            if keeper.held.is_empty() {
                // From here on, whoever asks for keys starts another one.
                keeper.custody.remove(keeper.held.room_id(), &context.address());
                context.stop();
            }
        });
    }
}

/// One of the seven calls.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ask {
    pub(super) asker: DeviceAddress,
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Answer, ErrorCode>>,
}

impl Handler<Ask> for Keeper {
    type Result = ();

    fn handle(&mut self, Ask { asker, request, reply }: Ask, context: &mut Self::Context) {
        if !matches!(request, Request::Generate(_)) {
            // Whoever has gone meanwhile does not wait any more.
            let _ = reply.send(self.carry_out(asker, request));
            return;
        }
        // Nothing else is looked at meanwhile: who leaves after this is wiped after it.
        let (store, room_id) = (self.parts.store.clone(), self.held.room_id());
        let allowed = async move { may_hold(&store, room_id, asker.account_id).await };
        context.wait(allowed.into_actor(self).map(move |allowed, keeper, _| {
            let _ = reply.send(allowed.and_then(|()| keeper.carry_out(asker, request)));
        }));
    }
}

/// Whether an account may have keys in a room: it is a member, and the room is open.
async fn may_hold(store: &Store, room_id: RoomId, account: AccountId) -> Result<(), ErrorCode> {
    let refusal = |error| ApiError::from(error).code();
    store.member(room_id, account).await.map_err(refusal)?.ok_or(ErrorCode::UnknownRoom)?;
    let room = store.room(room_id).await.map_err(refusal)?.ok_or(ErrorCode::UnknownRoom)?;
    if room.closed_at.is_some() { Err(ErrorCode::RoomClosed) } else { Ok(()) }
}

/// An account is no member any more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Forget(pub(super) AccountId);

impl Handler<Forget> for Keeper {
    type Result = MessageResult<Forget>;

    fn handle(&mut self, Forget(account): Forget, _: &mut Self::Context) -> Self::Result {
        self.held.forget(account);
        self.publish_signer(account);
        MessageResult(())
    }
}

/// An account has a new device list.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct ForgetUnlisted {
    pub(super) account: AccountId,
    pub(super) listed: Vec<DeviceId>,
}

impl Handler<ForgetUnlisted> for Keeper {
    type Result = MessageResult<ForgetUnlisted>;

    fn handle(&mut self, ForgetUnlisted { account, listed }: ForgetUnlisted, _: &mut Self::Context) -> Self::Result {
        let revoked = self.held.forget_unlisted(account, &listed);
        self.publish_signer(account);
        self.tell(account, &Answer::Revoked(revoked));
        MessageResult(())
    }
}

/// The room is closed, or the node stops.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Close;

impl Handler<Close> for Keeper {
    type Result = MessageResult<Close>;

    fn handle(&mut self, _: Close, context: &mut Self::Context) -> Self::Result {
        // Here, so that it has happened when this is answered.
        self.held.wipe();
        self.parts.signers.remove_room(self.held.room_id());
        self.custody.remove(self.held.room_id(), &context.address());
        context.stop();
        MessageResult(())
    }
}

/// How often keys are looked at whether their time is over, in a room that nobody uses, and whether they are to be rotated.
const AGE_CHECK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
