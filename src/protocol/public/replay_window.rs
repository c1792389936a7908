//! The replay window: which envelopes are fresh, and how long their nonces are remembered.
//!
//! This type holds the rule; the cache of nonces is the caller's. An envelope is admitted if its
//! timestamp is in the window and its [`ReplayKey`] is not remembered. The window is never longer
//! than the time for which a nonce is remembered, so a nonce cannot be forgotten while its envelope
//! is still fresh. What is lost with the cache (a restart) is covered by the store, where an
//! envelope's id is unique.

use core::time::Duration;

use crate::ids::DeviceAddress;
use crate::wire::{Bytes, Destination, Envelope, ErrorCode, Timestamp, limits};

/// What a nonce is remembered by: the same nonce of another sender, or elsewhere, is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayKey {
    /// Where the envelope goes.
    pub destination: Destination,
    /// Who sent it.
    pub sender: DeviceAddress,
    /// Its nonce.
    pub nonce: Bytes<12>,
}

impl From<&Envelope> for ReplayKey {
    fn from(envelope: &Envelope) -> Self {
        Self { destination: envelope.destination, sender: envelope.sender, nonce: envelope.nonce }
    }
}

/// Why a timestamp is outside the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaleError {
    /// Sent too long ago; the sender stamps it anew and sends it again.
    #[error("the envelope is {age_ms} ms old, over the limit of {limit_ms} ms")]
    TooOld {
        /// Its age in milliseconds.
        age_ms: u64,
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// Stamped too far in the future; the sender's clock is wrong.
    #[error("the envelope is {ahead_ms} ms ahead, over the limit of {limit_ms} ms")]
    TooFarAhead {
        /// How far ahead it is, in milliseconds.
        ahead_ms: u64,
        /// The limit in milliseconds.
        limit_ms: u64,
    },
}

impl StaleError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooOld { .. } => ErrorCode::TimestampTooOld,
            Self::TooFarAhead { .. } => ErrorCode::TimestampTooFarAhead,
        }
    }
}

/// The timestamp rule.
///
/// ```
/// use conclave::protocol::public::ReplayWindow;
/// use conclave::wire::Timestamp;
///
/// let (window, now) = (ReplayWindow::default(), Timestamp::from_millis(1_800_000_000_000));
/// let sent = Timestamp::from_millis(now.as_millis() - 270_000);
/// assert!(window.check(sent, now).is_ok());
/// assert!(window.check(Timestamp::from_millis(sent.as_millis() - 1), now).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayWindow {
    nonce_ttl: Duration,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new(limits::NONCE_TTL)
    }
}

impl ReplayWindow {
    /// The window for a cache that remembers a nonce for `nonce_ttl`. A longer memory than
    /// [`NONCE_TTL`](limits::NONCE_TTL) makes the window no longer.
    #[must_use]
    pub const fn new(nonce_ttl: Duration) -> Self {
        Self { nonce_ttl }
    }

    /// How long a nonce is to be remembered, from when its envelope is admitted: to the end of the
    /// last millisecond.
    #[must_use]
    pub const fn nonce_ttl(&self) -> Duration {
        self.nonce_ttl
    }

    /// How far ahead an envelope may be: [`TIMESTAMP_AHEAD_MAX`](limits::TIMESTAMP_AHEAD_MAX), or
    /// `nonce_ttl` if that is shorter.
    #[must_use]
    pub fn ahead_max(&self) -> Duration {
        limits::TIMESTAMP_AHEAD_MAX.min(self.nonce_ttl)
    }

    /// How old an envelope may be: what `ahead_max` leaves of `nonce_ttl`, and at most
    /// [`TIMESTAMP_AGE_MAX`](limits::TIMESTAMP_AGE_MAX).
    #[must_use]
    pub fn age_max(&self) -> Duration {
        self.nonce_ttl.saturating_sub(self.ahead_max()).min(limits::TIMESTAMP_AGE_MAX)
    }

    /// Whether an envelope stamped `timestamp` is fresh at `now`.
    ///
    /// # Errors
    /// [`StaleError`] outside the window; both ends are still inside.
    pub fn check(&self, timestamp: Timestamp, now: Timestamp) -> Result<(), StaleError> {
        let (age, ahead) = (now.since(timestamp), timestamp.since(now));
        if age > self.age_max() {
            return Err(StaleError::TooOld { age_ms: millis(age), limit_ms: millis(self.age_max()) });
        }
        if ahead > self.ahead_max() {
            return Err(StaleError::TooFarAhead { ahead_ms: millis(ahead), limit_ms: millis(self.ahead_max()) });
        }
        Ok(())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn both_ends_of_the_window_are_inside_and_one_more_is_not() {
        let window = ReplayWindow::default();
        let at = Timestamp::from_millis;
        assert_eq!(window.check(at(1_000_000 - 270_000), NOW), Ok(()));
        assert_eq!(window.check(at(1_000_000 + 30_000), NOW), Ok(()));
        assert_eq!(
            window.check(at(1_000_000 - 270_001), NOW),
            Err(StaleError::TooOld { age_ms: 270_001, limit_ms: 270_000 })
        );
        assert_eq!(
            window.check(at(1_000_000 + 30_001), NOW),
            Err(StaleError::TooFarAhead { ahead_ms: 30_001, limit_ms: 30_000 })
        );
    }

    #[test]
    fn a_nonce_outlives_the_freshness_of_its_envelope() {
        for ttl_s in [0, 10, 30, 31, 300, 3_600] {
            let window = ReplayWindow::new(Duration::from_secs(ttl_s));
            // Admitted as early as it can be, with the furthest timestamp that is taken.
            let timestamp = NOW.plus(window.ahead_max());
            assert_eq!(window.check(timestamp, NOW), Ok(()));
            let last_remembered = NOW.plus(window.nonce_ttl());
            let last_fresh = timestamp.plus(window.age_max());
            assert!(last_fresh <= last_remembered);
            assert!(window.check(timestamp, last_remembered.plus(Duration::from_millis(1))).is_err());
        }
    }

    #[test]
    fn a_shorter_memory_narrows_the_window_and_a_longer_one_does_not_widen_it() {
        let window = |ttl_s| {
            let window = ReplayWindow::new(Duration::from_secs(ttl_s));
            (window.age_max().as_secs(), window.ahead_max().as_secs())
        };
        assert_eq!([0, 10, 30, 31].map(window), [(0, 0), (0, 10), (0, 30), (1, 30)]);
        assert_eq!([299, 300, 301, 3_600].map(window), [(269, 30), (270, 30), (270, 30), (270, 30)]);
    }

    #[test]
    fn times_at_the_ends_of_the_range_do_not_overflow() {
        let window = ReplayWindow::default();
        let (first, last) = (Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX));
        assert!(window.check(first, last).is_err());
        assert!(window.check(last, first).is_err());
    }
}
