//! What one worker counts of deliveries, without a lookup or a lock for each.

use core::cell::RefCell;
use core::time::Duration;
use std::sync::Arc;

use crate::node::clock::Clock;
use crate::node::metrics::{Counter, Metrics};
use crate::wire::Log;

/// Counts deliveries of one worker.
#[derive(Debug)]
pub(super) struct Meter {
    clock: Clock,
    metrics: Arc<Metrics>,
    live: PerLog,
    read: PerLog,
    /// When what was queued in this turn had arrived, an item for each envelope.
    unwritten: RefCell<Vec<Duration>>,
}

#[derive(Debug)]
struct PerLog {
    room: Counter,
    mailbox: Counter,
}

impl PerLog {
    fn of(&self, log: Log) -> &Counter {
        match log {
            Log::Room(_) => &self.room,
            Log::Mailbox => &self.mailbox,
        }
    }
}

impl Meter {
    pub(super) fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        let delivered = &metrics.envelopes.delivered;
        let per_log = |way| PerLog { room: delivered.of(["room", way]), mailbox: delivered.of(["mailbox", way]) };
        Self { clock, live: per_log("live"), read: per_log("read"), metrics, unwritten: RefCell::default() }
    }

    /// An envelope that arrived at `received_at` was queued for so many sockets of the worker.
    pub(super) fn queued_live(&self, log: Log, sockets: usize, received_at: Duration) {
        if sockets > 0 {
            self.live.of(log).increment(sockets as u64);
            self.unwritten.borrow_mut().push(received_at);
        }
    }

    /// So many envelopes were read from a log and queued for one socket.
    pub(super) fn queued_read(&self, log: Log, envelopes: u64) {
        self.read.of(log).increment(envelopes);
    }

    /// What was queued in this turn is written.
    pub(super) fn written(&self) {
        let mut unwritten = self.unwritten.borrow_mut();
        if unwritten.is_empty() {
            return;
        }
        let now = self.clock.running();
        for received_at in unwritten.drain(..) {
            self.metrics.envelopes.delivery.record(now.saturating_sub(received_at));
        }
    }
}
