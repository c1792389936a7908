//! What was fetched from a provider and is kept for a while.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::node::clock::Clock;

/// How long it is used without asking again. A key that its issuer withdrew is good here for that long.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// How long to wait before asking again: neither a provider that fails nor a token with an unknown key makes
/// the node ask more often.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// What is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// What is kept, while it is kept.
    Kept,
    /// Something newer than what is kept, if it was not just asked for.
    Newer,
}

/// One value that a provider has. While one call asks for it, others wait for what it brings.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    slot: Mutex<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<Arc<T>>,
    fetched_at: Duration,
    asked_at: Option<Duration>,
}

impl<T> Default for Fetched<T> {
    fn default() -> Self {
        Self { slot: Mutex::new(Slot { value: None, fetched_at: Duration::ZERO, asked_at: None }) }
    }
}

impl<T> Fetched<T> {
    /// The value; `fetch` brings it where that is needed. If that fails, what was fetched before is used on.
    ///
    /// # Errors
    /// None inside of `Err` if it failed a moment ago and was not tried again; else the error of `fetch`.
    pub(super) async fn get<E>(
        &self,
        clock: &Clock,
        want: Want,
        fetch: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, Option<E>> {
        let mut slot = self.slot.lock().await;
        let now = clock.running();
        let is_due = |since: Duration, span: Duration| now.saturating_sub(since) >= span;
        let kept = slot.value.clone();
        let is_wanted = kept.is_none() || want == Want::Newer || is_due(slot.fetched_at, KEPT_FOR);
        let is_allowed = slot.asked_at.is_none_or(|asked_at| is_due(asked_at, ASKED_EVERY));
        if !(is_wanted && is_allowed) {
            return kept.ok_or(None);
        }
        slot.asked_at = Some(now);
        match (fetch().await, kept) {
            (Ok(value), _) => {
                let value = Arc::new(value);
                slot.value = Some(value.clone());
                slot.fetched_at = now;
                Ok(value)
            }
            (Err(_), Some(kept)) => Ok(kept),
            (Err(error), None) => Err(Some(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::node::clock::ManualClock;
    use crate::wire::Timestamp;

    fn clock() -> ManualClock {
        ManualClock::at(Timestamp::from_millis(1_800_000_000_000))
    }

    #[tokio::test]
    async fn value_is_kept_for_its_time_and_then_fetched_anew() {
        let (clock, fetched) = (clock(), Fetched::default());
        let get = async |value: u32| {
            *fetched.get(&clock.clone().into(), Want::Kept, async || Ok::<_, ()>(value)).await.unwrap()
        };

        assert_eq!(get(1).await, 1);
        clock.advance(Duration::from_secs(599));
        assert_eq!(get(2).await, 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(get(3).await, 3);
    }

    #[tokio::test]
    async fn newer_value_is_asked_for_now_and_then_only() {
        let (clock, fetched) = (clock(), Fetched::default());
        let get = async |value: u32| {
            *fetched.get(&clock.clone().into(), Want::Newer, async || Ok::<_, ()>(value)).await.unwrap()
        };

        assert_eq!(get(1).await, 1);
        assert_eq!(get(2).await, 1);
        clock.advance(ASKED_EVERY);
        assert_eq!(get(3).await, 3);
    }

    #[tokio::test]
    async fn failure_is_not_tried_again_at_once_and_loses_nothing() {
        let (clock, fetched) = (clock(), Fetched::default());
        let get = async |result: Result<u32, &'static str>| {
            fetched.get(&clock.clone().into(), Want::Kept, async || result).await.map(|value| *value)
        };

        assert_eq!(get(Err("down")).await, Err(Some("down")));
        assert_eq!(get(Ok(1)).await, Err(None));
        clock.advance(ASKED_EVERY);
        assert_eq!(get(Ok(1)).await, Ok(1));
        clock.advance(KEPT_FOR);
        assert_eq!(get(Err("down")).await, Ok(1));
    }
}
