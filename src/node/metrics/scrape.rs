//! How things stand when somebody asks, and the text of it all.

use super::Metrics;
use super::instrument::as_f64;
use crate::node::actors::Census;
use crate::node::http::{NodeState, takes_traffic};
use crate::node::store::WriteCounts;
use crate::wire::Timestamp;

impl Metrics {
    /// Notes when the node started, and what it is.
    pub(in crate::node) fn start(&self, now: Timestamp) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this era are exact in 53 bits")]
        let seconds = now.as_millis() as f64 / 1_000.0;
        self.process.started.set(seconds);
        self.process.build.of([env!("CARGO_PKG_VERSION")]).set(1.0);
    }

    /// Every number, as Prometheus reads it. Each worker is asked how things stand with it.
    pub(super) async fn scrape(&self, state: &NodeState) -> String {
        self.process.ready.set(if takes_traffic(state).await.is_ok() { 1.0 } else { 0.0 });
        self.note_writes(state.store.write_counts(), state.store.writes_waiting());
        self.note_census(&state.routes.census().await);
        self.sockets.sessions.set(as_f64(state.routes.devices()));
        self.sockets.rooms.set(as_f64(state.routes.rooms()));
        self.sockets.dropped.of(["actor"]).absolute(state.routes.refused());
        self.registry.0.handle().render()
    }

    fn note_writes(&self, counts: WriteCounts, waiting: usize) {
        let WriteCounts { commits, writes, refused, failed_commits } = counts;
        self.writes.commits.absolute(commits);
        self.writes.commits_failed.absolute(failed_commits);
        self.writes.writes.absolute(writes);
        self.writes.refused.absolute(refused);
        self.writes.waiting.set(as_f64(waiting));
    }

    fn note_census(&self, census: &Census) {
        let Census { sockets, queued_bytes, queued_bytes_max, feeds, feeds_behind, feed_lag_max } = *census;
        self.sockets.open.set(as_f64(sockets));
        self.sockets.queued_bytes.set(as_f64(queued_bytes));
        self.sockets.queued_bytes_max.set(as_f64(queued_bytes_max));
        self.sockets.feeds.set(as_f64(feeds));
        self.sockets.feeds_behind.set(as_f64(feeds_behind));
        self.sockets.feed_lag_max.set(as_f64(usize::try_from(feed_lag_max).unwrap_or(usize::MAX)));
    }
}
