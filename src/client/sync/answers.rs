//! Commands that are under way on the socket, and what their answers mean.

use core::time::Duration;

use super::{ClientError, Worker};
use crate::ids::RoomId;
use crate::protocol::machine::Input;
use crate::wire::{Answer, Command, Delivery, ErrorCode, Outcome};

/// What a command was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Hello,
    Join(RoomId),
    /// An envelope of the outbox, by its number.
    Send(u64),
    /// Several for mailboxes, in their order.
    Deliver(Vec<u64>),
    Ack,
    Refresh,
    /// Nothing follows from its answer.
    Notice,
}

impl Worker {
    /// Sends a command on a socket that is welcome. Whether it was sent.
    pub(super) fn command(&mut self, pending: Pending, command: impl FnOnce(u32) -> Command) -> bool {
        self.link.socket().is_some() && self.begin(pending, command)
    }

    /// Sends a command on whatever socket there is.
    pub(super) fn begin(&mut self, pending: Pending, command: impl FnOnce(u32) -> Command) -> bool {
        let super::Link::Up { socket, .. } = &self.link else { return false };
        let id = self.next_command;
        if !socket.send(&command(id)) {
            return false;
        }
        // 0 stands for a command that could not be read.
        self.next_command = self.next_command.checked_add(1).unwrap_or(1);
        self.under_way.insert(id, pending);
        true
    }

    /// Places for commands that carry envelopes.
    pub(super) fn free_places(&self) -> usize {
        let places = self.link.socket().map_or(0, super::Socket::room);
        places.saturating_sub(PLACES_KEPT).min(UNDER_WAY_MAX.saturating_sub(self.under_way.len()))
    }

    pub(super) async fn answered(&mut self, answer: Answer) -> Result<(), ClientError> {
        let Some(pending) = self.under_way.remove(answer.id) else { return Ok(()) };
        match (pending, answer.result) {
            (Pending::Hello, _) => self.welcomed().await?,
            (Pending::Join(room), Some(Outcome::Joined { policy, head: _, online })) => {
                self.joined(room, policy, online);
            }
            (Pending::Send(number), Some(Outcome::Sent(_))) => self.accepted(number).await?,
            (Pending::Deliver(numbers), Some(Outcome::Delivered(deliveries))) => {
                let mut deliveries = deliveries.into_iter();
                for number in numbers {
                    match deliveries.next() {
                        Some(Delivery::Stored(_)) => self.accepted(number).await?,
                        Some(Delivery::Refused(code)) => self.envelope_refused(number, code, None).await?,
                        None => self.outbox.hold(number, RETRY_AFTER),
                    }
                }
            }
            // An answer to something else: the node is confused, and a new socket is in order.
            (Pending::Join(_) | Pending::Send(_) | Pending::Deliver(_), _) => self.disconnect(Some(RETRY_AFTER)),
            (Pending::Ack | Pending::Refresh | Pending::Notice, _) => {}
        }
        Ok(())
    }

    pub(super) async fn refused(
        &mut self,
        id: u32,
        code: ErrorCode,
        retry_after: Option<Duration>,
    ) -> Result<(), ClientError> {
        let Some(pending) = self.under_way.remove(id) else { return Ok(()) };
        match pending {
            Pending::Hello if matches!(code, ErrorCode::DeviceNotBound | ErrorCode::UnknownDevice) => {
                // The close that follows has us sign in.
                self.is_registered = false;
            }
            Pending::Join(room) => self.join_refused(room, code),
            Pending::Send(number) => self.envelope_refused(number, code, retry_after).await?,
            Pending::Deliver(numbers) => {
                for number in numbers {
                    self.envelope_refused(number, code, retry_after).await?;
                }
            }
            Pending::Hello | Pending::Ack | Pending::Refresh | Pending::Notice => {}
        }
        Ok(())
    }

    /// The node has an envelope.
    async fn accepted(&mut self, number: u64) -> Result<(), ClientError> {
        let Some(waiting) = self.outbox.remove(number) else { return Ok(()) };
        self.save_waiting(number);
        match waiting.message {
            Some(id) => self.is_done(waiting.conversation, id).await,
            None => Ok(()),
        }
    }

    /// The node does not take an envelope, now or for good.
    async fn envelope_refused(
        &mut self,
        number: u64,
        code: ErrorCode,
        retry_after: Option<Duration>,
    ) -> Result<(), ClientError> {
        match code {
            ErrorCode::TimestampTooOld | ErrorCode::TimestampTooFarAhead => {
                let message = self.outbox.get(number).and_then(|waiting| waiting.message);
                self.is_delayed(message, code);
                // The next welcome says how far the clocks are apart, and what waits is stamped anew by that.
                if self.link.socket().is_some() && self.node_time.wants_comparison(&self.clock) {
                    self.disconnect_for_a_while();
                } else {
                    self.restamp(number)?;
                    self.outbox.hold(number, retry_after.unwrap_or(CLOCK_WAIT));
                }
            }
            ErrorCode::EnvelopeReplayed => {
                self.restamp(number)?;
                self.outbox.hold(number, retry_after.unwrap_or(Duration::from_millis(100)));
            }
            ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::MailboxFull | ErrorCode::Internal => {
                let message = self.outbox.get(number).and_then(|waiting| waiting.message);
                self.is_delayed(message, code);
                self.outbox.hold(number, retry_after.unwrap_or(RETRY_AFTER));
            }
            ErrorCode::NotJoined => {
                if let Some(waiting) = self.outbox.get(number)
                    && let crate::wire::Destination::Room(room) = waiting.envelope.destination
                {
                    self.follow_again(room);
                }
                self.outbox.hold(number, retry_after.unwrap_or(RETRY_AFTER));
            }
            ErrorCode::UnknownDevice => self.device_unknown(number),
            code => self.give_up(number, code).await?,
        }
        Ok(())
    }

    /// An envelope will not be taken.
    async fn give_up(&mut self, number: u64, code: ErrorCode) -> Result<(), ClientError> {
        let Some(waiting) = self.outbox.remove(number) else { return Ok(()) };
        self.save_waiting(number);
        self.not_sent(waiting.conversation, waiting.message, code).await
    }

    /// The node knows no device of that name: it was removed, or this node has not heard of it. A message waits until the
    /// list says which; anything else went with the device.
    fn device_unknown(&mut self, number: u64) {
        let Some(waiting) = self.outbox.get(number) else { return };
        if let (Some(_), Some(recipient)) = (waiting.message, waiting.envelope.recipient) {
            let account = recipient.account_id;
            let waits_for_user = self.machine.identity_change(account).is_some();
            if !waits_for_user {
                self.moved.insert(account);
            }
            self.outbox.hold(number, if waits_for_user { USER_WAIT } else { RETRY_AFTER });
        } else {
            self.outbox.remove(number);
            self.save_waiting(number);
        }
    }

    /// Gives an envelope that waited too long a new time, by the node's clock. Its id stays: it still counts once.
    pub(super) fn restamp(&mut self, number: u64) -> Result<(), ClientError> {
        let Some(waiting) = self.outbox.get(number).cloned() else { return Ok(()) };
        let input = Input::Restamp { envelope: &waiting.envelope, policy: waiting.policy };
        let now = self.node_now();
        let outputs = self.machine.handle(input, now, &mut super::entropy::generator()?)?;
        if let Some(envelope) = outputs.send.into_iter().next() {
            self.outbox.put(number, super::outbox::Waiting { envelope, ..waiting });
            self.save_waiting(number);
        }
        Ok(())
    }
}

/// Commands that are sent before the first is answered: half of what the node begins at once.
const UNDER_WAY_MAX: usize = 32;

/// Places that commands without envelopes always find.
const PLACES_KEPT: usize = 32;

/// Between two tries of what a node refuses as too old or too new, although the clocks have just been compared.
const CLOCK_WAIT: Duration = Duration::from_secs(30);

/// Between two tries of what goes once the user has accepted an identity; that ends the wait.
const USER_WAIT: Duration = Duration::from_secs(300);

/// Between two tries of what the node cannot do now.
const RETRY_AFTER: Duration = Duration::from_secs(2);
