//! What is done whenever there is time: sealing what waits, sending it, acknowledging, keys kept supplied.

use core::time::Duration;

use super::answers::Pending;
use super::{ClientError, Worker, survive};
use crate::protocol::machine::{Input, Outputs};
use crate::wire::limits::{COMMAND_BYTES_MAX, COMMAND_ENVELOPES_MAX, TIMESTAMP_AGE_MAX, TIMESTAMP_AHEAD_MAX};
use crate::wire::{Command, Destination, Envelope, PrekeyPublication, Timestamp};

impl Worker {
    /// Gives the node what it is due, as far as there are places.
    pub(super) async fn pump(&mut self) -> Result<(), ClientError> {
        if self.link.socket().is_none() {
            return Ok(());
        }
        self.send_ack();
        if !self.is_synced && self.retry_at.is_none() {
            let synced = self.sync_rooms().await;
            survive(synced)?;
        }
        self.follow_rooms();
        self.level_rooms().await?;
        self.send_receipts().await?;
        self.follow_devices().await?;
        self.try_seal_drafts().await?;
        self.restamp_old()?;
        // What is sealed or stamped anew is saved before it goes.
        self.commit().await?;
        self.send_waiting();
        Ok(())
    }

    /// Says how far the mailbox is saved, once for many.
    fn send_ack(&mut self) {
        let is_under_way = self.under_way.values().any(|pending| *pending == Pending::Ack);
        if let Some(position) = self.mailbox
            && self.ack_due
            && !is_under_way
            && self.command(Pending::Ack, |id| Command::Ack { id, position })
        {
            self.ack_due = false;
        }
    }

    /// Sends what waits in the outbox.
    fn send_waiting(&mut self) {
        let mut places = self.free_places();
        let mut direct: Vec<(u64, Envelope)> = Vec::new();
        let mut direct_bytes = 0;
        let mut commands = Vec::new();
        for (number, waiting) in self.outbox.ready() {
            if places == 0 {
                break;
            }
            let envelope = waiting.envelope.clone();
            match envelope.destination {
                Destination::Room(room) => {
                    if self.rooms.get(&room).is_some_and(super::Room::is_followed) {
                        commands.push((number, envelope));
                        places -= 1;
                    }
                }
                Destination::Mailbox(_) => {
                    let bytes = envelope.payload.0.len() + ENVELOPE_OVERHEAD_BYTES;
                    if direct.len() == COMMAND_ENVELOPES_MAX || direct_bytes + bytes > COMMAND_BYTES_MAX {
                        // The rest goes with the next command, when this one is answered.
                        break;
                    }
                    direct_bytes += bytes;
                    direct.push((number, envelope));
                }
            }
        }
        for (number, envelope) in commands {
            if self.command(Pending::Send(number), |id| Command::Send { id, envelope }) {
                self.outbox.sent(number);
            }
        }
        if !direct.is_empty() {
            let (numbers, envelopes): (Vec<_>, Vec<_>) = direct.into_iter().unzip();
            if self.command(Pending::Deliver(numbers.clone()), |id| Command::Deliver { id, envelopes }) {
                for number in numbers {
                    self.outbox.sent(number);
                }
            }
        }
    }

    /// Stamps anew what the node would refuse as too old or too new.
    fn restamp_old(&mut self) -> Result<(), ClientError> {
        let now = self.node_now();
        let is_off = |stamp: Timestamp| {
            now.since(stamp) + STAMP_MARGIN > TIMESTAMP_AGE_MAX || stamp.since(now) + STAMP_MARGIN > TIMESTAMP_AHEAD_MAX
        };
        let off = self.outbox.ready().filter(|(_, waiting)| is_off(waiting.envelope.timestamp));
        let off: Vec<u64> = off.map(|(number, _)| number).collect();
        off.into_iter().try_for_each(|number| self.restamp(number))
    }

    /// What time it is on the node, as far as is known.
    pub(super) fn node_now(&self) -> Timestamp {
        self.node_time.now(&self.clock)
    }

    /// Makes, rotates and publishes keys.
    pub(super) async fn maintain(&mut self) -> Result<(), ClientError> {
        let outputs = self.handle(Input::Maintain)?;
        let maintain_at = outputs.maintain_at;
        let published = self.publish(outputs).await;
        let is_published = survive(published)?.is_some();
        let later = self.clock.now().plus(PUBLISH_RETRY);
        self.maintain_at = if is_published { maintain_at.unwrap_or(later).max(later) } else { later };
        Ok(())
    }

    /// Makes one-time keys if the node has few left.
    pub(super) async fn refill(&mut self, one_time: u32, one_time_kem: u32) -> Result<(), ClientError> {
        let outputs = self.handle(Input::PrekeysLeft { one_time, one_time_kem })?;
        let published = self.publish(outputs).await;
        survive(published).map(|_| ())
    }

    /// Uploads keys; their secret halves are saved first.
    async fn publish(&mut self, outputs: Outputs) -> Result<(), ClientError> {
        let Some(publication) = outputs.publish else { return Ok(()) };
        self.commit().await?;
        self.rest(|api| publish(api, publication.clone())).await?;
        self.handle(Input::Published(&publication))?;
        Ok(())
    }

    /// For a device that has just been set up: others can write to it from now on.
    ///
    /// # Errors
    /// Those of the call.
    pub(in crate::client) async fn publish_first_keys(&mut self) -> Result<(), ClientError> {
        let outputs = self.handle(Input::Maintain)?;
        let maintain_at = outputs.maintain_at;
        self.publish(outputs).await?;
        self.maintain_at = maintain_at.unwrap_or(self.maintain_at);
        self.is_registered = true;
        self.commit().await
    }
}

async fn publish(api: super::Api, publication: PrekeyPublication) -> Result<(), super::ApiError> {
    api.publish_prekeys(&publication).await.map(|_| ())
}

/// The fields of an envelope beside its payload, in CBOR.
const ENVELOPE_OVERHEAD_BYTES: usize = 512;

/// Before the node refuses a stamp.
const STAMP_MARGIN: Duration = Duration::from_secs(15);

/// Between two tries to publish keys.
const PUBLISH_RETRY: Duration = Duration::from_secs(10);
