//! What time it is on the node: each welcome says it, and it is compared with the device's clock.

use core::time::Duration;

use tokio::time::Instant;

use crate::client::clock::Clock;
use crate::wire::Timestamp;

/// How the node's clock stands to the device's.
#[derive(Debug, Default)]
pub(super) struct NodeTime {
    /// The node's less the device's, in milliseconds.
    ahead_ms: i64,
    /// When they were compared, by the device's.
    compared_at: Option<(Timestamp, Instant)>,
    /// When a socket was last left to compare them anew.
    left_at: Option<Instant>,
}

impl NodeTime {
    /// Notes what time it is on the node.
    pub(super) fn compare(&mut self, clock: &Clock, theirs: Timestamp) {
        let ours = clock.now();
        let ahead_ms = i128::from(theirs.as_millis()) - i128::from(ours.as_millis());
        self.ahead_ms = i64::try_from(ahead_ms).unwrap_or(0);
        self.compared_at = Some((ours, Instant::now()));
    }

    /// What time it is there, as far as is known.
    pub(super) fn now(&self, clock: &Clock) -> Timestamp {
        Timestamp::from_millis(clock.now().as_millis().saturating_add_signed(self.ahead_ms))
    }

    /// Whether to leave a socket to compare the clocks anew: the device's was set since, or this was not tried for long. It counts
    /// as tried then.
    pub(super) fn wants_comparison(&mut self, clock: &Clock) -> bool {
        let was_set = self.compared_at.is_some_and(|(ours, at)| {
            let (shown, due) = (clock.now(), ours.plus(at.elapsed()));
            shown.since(due).max(due.since(shown)) > SET_MIN
        });
        let wants = was_set || self.left_at.is_none_or(|at| at.elapsed() > TRY_AGAIN_AFTER);
        if wants {
            self.left_at = Some(Instant::now());
        }
        wants
    }
}

/// How far a clock is off that was set, and not only corrected.
const SET_MIN: Duration = Duration::from_secs(2);

/// Between two sockets that are left for it.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(300);
