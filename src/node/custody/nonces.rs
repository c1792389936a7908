//! Nonces of what a member has opened, each remembered for a time.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use super::limits::NONCES_MAX;
use crate::ids::AccountId;
use crate::wire::{Bytes, Timestamp};

/// The sender, and what the envelope was recognised by.
type Nonce = (AccountId, Bytes<12>);

/// The nonces of one member.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    known: BTreeSet<Nonce>,
    /// The same, the oldest first, and until when each is remembered.
    by_age: VecDeque<(Timestamp, Nonce)>,
}

impl Nonces {
    pub(super) fn contains(&self, sender: AccountId, nonce: Bytes<12>) -> bool {
        self.known.contains(&(sender, nonce))
    }

    /// Remembers a nonce. A full memory forgets the oldest.
    pub(super) fn remember(&mut self, sender: AccountId, nonce: Bytes<12>, now: Timestamp, ttl: Duration) {
        if self.by_age.len() >= NONCES_MAX {
            self.forget_oldest();
        }
        if self.known.insert((sender, nonce)) {
            self.by_age.push_back((now.plus(ttl), (sender, nonce)));
        }
    }

    /// Forgets those whose time is over. A clock that was set back keeps them for longer.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while self.by_age.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, nonce)) = self.by_age.pop_front() {
            self.known.remove(&nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const TTL: Duration = Duration::from_secs(300);

    fn nonce(number: usize) -> Bytes<12> {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Bytes(bytes)
    }

    #[test]
    fn a_nonce_is_remembered_to_the_end_of_its_time() {
        let (mut nonces, sender) = (Nonces::default(), AccountId::from_bytes([1; 16]));
        nonces.remember(sender, nonce(1), NOW, TTL);

        nonces.expire(NOW.plus(TTL.saturating_sub(Duration::from_millis(1))));
        assert!(nonces.contains(sender, nonce(1)));
        assert!(!nonces.contains(AccountId::from_bytes([2; 16]), nonce(1)));
        nonces.expire(NOW.plus(TTL));
        assert!(!nonces.contains(sender, nonce(1)));
        assert!(nonces.by_age.is_empty());
    }

    #[test]
    fn a_flood_takes_the_place_of_the_oldest_and_no_more_room() {
        let (mut nonces, sender) = (Nonces::default(), AccountId::from_bytes([1; 16]));
        for number in 0..=NONCES_MAX {
            nonces.remember(sender, nonce(number), NOW, TTL);
        }

        assert!(!nonces.contains(sender, nonce(0)));
        assert!(nonces.contains(sender, nonce(1)) && nonces.contains(sender, nonce(NONCES_MAX)));
        assert_eq!((nonces.known.len(), nonces.by_age.len()), (NONCES_MAX, NONCES_MAX));
    }
}
