//! How many members' keys the node holds: of each account, and at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use super::limits::{PARTICIPANTS_MAX, PARTICIPANTS_PER_ACCOUNT_MAX};
use crate::ids::AccountId;

/// The places that there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: AtomicUsize,
    by_account: DashMap<AccountId, usize>,
}

/// A place for one member's keys in one room, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    account: AccountId,
}

impl Seats {
    /// Takes a place. None if there is none for the account, or at all.
    pub(super) fn take(&self, account: AccountId) -> Option<Seat> {
        let mut of_account = self.0.by_account.entry(account).or_insert(0);
        if *of_account >= PARTICIPANTS_PER_ACCOUNT_MAX {
            return None;
        }
        if self.0.all.fetch_add(1, Ordering::Relaxed) >= PARTICIPANTS_MAX {
            self.0.all.fetch_sub(1, Ordering::Relaxed);
            let is_unused = *of_account == 0;
            drop(of_account);
            if is_unused {
                self.0.by_account.remove_if(&account, |_, count| *count == 0);
            }
            return None;
        }
        *of_account += 1;
        Some(Seat { seats: self.clone(), account })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Taken { all, by_account } = &*self.seats.0;
        all.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut count) = by_account.get_mut(&self.account) {
            *count = count.saturating_sub(1);
        }
        by_account.remove_if(&self.account, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_places_and_gets_them_back() {
        let (seats, account) = (Seats::default(), AccountId::from_bytes([1; 16]));
        let mut taken: Vec<Seat> = (0..PARTICIPANTS_PER_ACCOUNT_MAX).filter_map(|_| seats.take(account)).collect();
        assert_eq!(taken.len(), PARTICIPANTS_PER_ACCOUNT_MAX);

        assert!(seats.take(account).is_none());
        assert!(seats.take(AccountId::from_bytes([2; 16])).is_some());
        taken.pop();
        assert!(seats.take(account).is_some());
        taken.clear();
        assert!(seats.0.by_account.is_empty());
        assert_eq!(seats.0.all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_node_has_so_many_places() {
        let seats = Seats::default();
        let account = |number: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            AccountId::from_bytes(bytes)
        };
        let taken: Vec<Seat> = (0..PARTICIPANTS_MAX).filter_map(|number| seats.take(account(number))).collect();
        assert_eq!(taken.len(), PARTICIPANTS_MAX);

        assert!(seats.take(account(PARTICIPANTS_MAX)).is_none());
        assert_eq!(seats.0.by_account.len(), PARTICIPANTS_MAX);
        drop(taken);
        assert!(seats.take(account(PARTICIPANTS_MAX)).is_some());
    }
}
