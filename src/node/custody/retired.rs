//! Keys that count no more, and why: public halves alone. So that whoever shows one is told what has become of it.

use std::collections::{BTreeMap, VecDeque};

use super::error::CustodyError;
use super::limits::{RETIRED_ACCOUNTS_MAX, RETIRED_KEYS_MAX};
use crate::ids::{AccountId, KeyId};
use crate::wire::{RoomKey, Timestamp};

/// Why a key counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its owner has revoked it.
    Revoked,
    /// Another one is in its place.
    Replaced,
    /// Its time was over.
    Expired,
}

/// The keys of a room that count no more. A full memory forgets the oldest of an account, and takes no further account.
#[derive(Debug, Default)]
pub(super) struct Retired(BTreeMap<AccountId, VecDeque<(RoomKey, Reason)>>);

impl Retired {
    pub(super) fn remember(&mut self, key: RoomKey, reason: Reason) {
        if self.0.len() >= RETIRED_ACCOUNTS_MAX && !self.0.contains_key(&key.user_id) {
            return;
        }
        let keys = self.0.entry(key.user_id).or_default();
        if keys.len() >= RETIRED_KEYS_MAX {
            keys.pop_front();
        }
        keys.push_back((RoomKey { revoked: reason == Reason::Revoked, ..key }, reason));
    }

    /// What to answer to whoever shows a key that does not count.
    pub(super) fn refusal(&self, account: AccountId, key_id: KeyId) -> Option<CustodyError> {
        let (_, reason) = self.0.get(&account)?.iter().rev().find(|(key, _)| key.key_id == key_id)?;
        Some(match reason {
            Reason::Revoked => CustodyError::Revoked,
            Reason::Replaced => CustodyError::Replaced,
            Reason::Expired => CustodyError::Expired,
        })
    }

    /// Keys of an account that were revoked, and whose time is not over.
    pub(super) fn revoked(&self, account: AccountId, now: Timestamp) -> impl Iterator<Item = RoomKey> + '_ {
        let keys = self.0.get(&account).into_iter().flatten();
        keys.filter(move |(key, reason)| *reason == Reason::Revoked && now < key.expires_at).map(|(key, _)| *key)
    }

    pub(super) fn forget(&mut self, account: AccountId) {
        self.0.remove(&account);
    }
}
