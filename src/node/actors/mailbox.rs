//! Sending to an actor within the capacity of its mailbox. `Addr::do_send` would go past it.

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};

/// Messages that an actor's mailbox holds.
pub(super) const CAPACITY: usize = 4_096;

/// The actor's mailbox is full, or the actor has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// Puts a message into an actor's mailbox.
///
/// # Errors
/// [`Refused`]; the message is gone then, and whoever waits for its answer is told so.
pub(super) fn offer<A, M>(actor: &Addr<A>, message: M) -> Result<(), Refused>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result = ()> + Send + 'static,
{
    actor.try_send(message).map_err(|_| Refused)
}
