//! Rotation: sessions are begun anew by a schedule, by hand, and when a member has rotated or revoked keys in a room.
//!
//! Each turn of a ratchet heals by itself; a new session brings a fresh KEM secret too, and an end to whatever somebody has
//! who copied the old one. Sessions are with devices, so what is rotated for one room is new in every other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ClientError, Worker, state, survive};
use crate::ids::{AccountId, RoomId};
use crate::protocol::public::VerifiedDevice;
use crate::wire::Timestamp;

/// When sessions with an account's devices were begun anew: a record for each.
pub(super) const RENEWED: &str = "renewed/";

/// What members have said of their keys: a record for each.
pub(super) const ROTATED: &str = "rotated/";

impl Worker {
    /// Begins new sessions with all who read a room.
    pub(in crate::client) async fn rotate_keys(&mut self, room: RoomId) -> Result<(), ClientError> {
        self.usable(room)?;
        for account in self.readers(room).await? {
            if self.learn_member(room, account).await? {
                self.renew(account).await?;
            }
        }
        Ok(())
    }

    /// Begins new sessions with accounts where the last ones are old. What the node does not let through is for next time:
    /// the sessions that there are go on.
    pub(super) async fn renew_old(&mut self, accounts: &[AccountId]) -> Result<(), ClientError> {
        let (now, age_max) = (self.now(), self.settings.key_age_max());
        for account in accounts {
            let is_due = self.rotated.get(account).is_some_and(|rotated| rotated.is_due(now));
            match self.renewed.get(account) {
                // The first message begins the first session.
                None if !is_due => self.is_renewed(*account),
                Some(at) if !is_due && now.since(*at) < age_max => {}
                _ => {
                    let renewed = self.renew(*account).await;
                    survive(renewed)?;
                }
            }
        }
        Ok(())
    }

    /// A member has rotated or revoked keys in a room: the next message to them begins new sessions. What the node says of
    /// somebody who is no member counts for nothing. Whether it does.
    pub(super) fn renew_later(&mut self, room: RoomId, account: AccountId) -> bool {
        let is_theirs = self.is_member(room, account);
        if is_theirs {
            self.rotated.entry(account).or_default().is_due = true;
            self.save_rotated(account);
        }
        is_theirs
    }

    async fn renew(&mut self, account: AccountId) -> Result<(), ClientError> {
        let own = self.machine.device().address();
        let devices = self.machine.device_list(account).map(|list| list.devices().to_vec()).unwrap_or_default();
        for device in devices.iter().map(VerifiedDevice::address).filter(|device| *device != own) {
            self.meet(device).await?;
        }
        self.is_renewed(account);
        Ok(())
    }

    fn is_renewed(&mut self, account: AccountId) {
        let now = self.now();
        self.renewed.insert(account, now);
        self.batch.put(format!("{RENEWED}{account}"), state::encode(&now));
        if let Some(rotated) = self.rotated.get_mut(&account)
            && rotated.is_due
        {
            *rotated = Rotated { is_due: false, answered_at: now };
            self.save_rotated(account);
        }
    }

    fn save_rotated(&mut self, account: AccountId) {
        if let Some(rotated) = self.rotated.get(&account) {
            self.batch.put(format!("{ROTATED}{account}"), state::encode(rotated));
        }
    }
}

/// What a member has said of their keys.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Rotated {
    /// They have said so, and no new session was begun since.
    is_due: bool,
    /// When one was begun for that reason.
    answered_at: Timestamp,
}

impl Default for Rotated {
    fn default() -> Self {
        Self { is_due: false, answered_at: Timestamp::from_millis(0) }
    }
}

impl Rotated {
    /// Whether a new session is to be begun now: at most once in an hour, because the node can say at will that somebody has
    /// rotated. What is said meanwhile is answered after it.
    fn is_due(&self, now: Timestamp) -> bool {
        self.is_due && now.since(self.answered_at) >= ANSWERED_AGAIN_AFTER
    }
}

/// What a worker knows of renewals.
pub(super) type Renewed = BTreeMap<AccountId, Timestamp>;

/// Between two renewals that others have brought about.
const ANSWERED_AGAIN_AFTER: core::time::Duration = core::time::Duration::from_secs(3_600);
