//! How long commits take, and how many writes are in one.

use core::time::Duration;
use std::sync::Arc;

use crate::node::clock::Clock;
use crate::node::metrics::Metrics;

/// Measures the commits of a store. The store itself reads no clock.
#[derive(Clone, Debug)]
pub struct CommitMeter {
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl CommitMeter {
    /// Measures by that clock.
    #[must_use]
    pub const fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { clock, metrics }
    }

    /// A transaction begins. Returns when.
    pub(super) fn begin(&self) -> Duration {
        self.clock.running()
    }

    /// It was committed with so many writes.
    pub(super) fn end(&self, began: Duration, writes: u64) {
        self.metrics.writes.commit.record(self.clock.running().saturating_sub(began));
        self.metrics.writes.batch.record(u32::try_from(writes).unwrap_or(u32::MAX));
    }
}
