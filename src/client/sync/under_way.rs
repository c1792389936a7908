//! Commands that the node has not answered, and how long it may take.
//!
//! A node, or what stands before it, can lose an answer and keep the socket open. What was sent would wait for good then: past
//! its time the socket is given up, and all of it goes again on the next one.

use core::time::Duration;
use std::collections::BTreeMap;

use tokio::time::Instant;

use super::answers::Pending;

/// Commands that the node has not answered.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    sent: BTreeMap<u32, (Pending, Instant)>,
    /// Since when everything that comes is read at once. Before, an answer may have stood behind what was not read.
    reading_since: Option<Instant>,
}

impl UnderWay {
    pub(super) fn insert(&mut self, id: u32, pending: Pending) {
        self.sent.insert(id, (pending, Instant::now()));
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Pending> {
        self.sent.remove(&id).map(|(pending, _)| pending)
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Pending> {
        self.sent.values().map(|(pending, _)| pending)
    }

    pub(super) fn clear(&mut self) {
        self.sent.clear();
    }

    /// More has come than was read.
    pub(super) fn is_behind(&mut self) {
        self.reading_since = Some(Instant::now());
    }

    /// When no answer is waited for any more, if the node may take so long.
    pub(super) fn given_up_at(&self, answer_max: Duration) -> Option<Instant> {
        let oldest = self.sent.values().map(|(_, sent_at)| *sent_at).min()?;
        Some(self.reading_since.map_or(oldest, |since| since.max(oldest)) + answer_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    #[test]
    fn the_oldest_command_is_waited_for_from_when_everything_is_read() {
        let mut under_way = UnderWay::default();
        assert_eq!(under_way.given_up_at(MAX), None);
        let before = Instant::now();
        under_way.insert(1, Pending::Hello);
        let after = Instant::now();
        under_way.insert(2, Pending::Ack);
        let first = under_way.given_up_at(MAX);
        assert!(first >= Some(before + MAX) && first <= Some(after + MAX));

        under_way.is_behind();
        let read = under_way.given_up_at(MAX);
        assert!(read >= Some(after + MAX) && read <= Some(Instant::now() + MAX));
        under_way.insert(3, Pending::Notice);
        assert_eq!(under_way.given_up_at(MAX), read);

        assert_eq!(under_way.remove(1), Some(Pending::Hello));
        assert_eq!(under_way.len(), 2);
        under_way.clear();
        assert_eq!(under_way.given_up_at(MAX), None);
    }
}
