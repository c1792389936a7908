//! Rotation: sessions are begun anew by a schedule, by hand, and when a member has rotated.
//!
//! Each turn of a ratchet heals by itself; a new session brings a fresh KEM secret too, and an end to whatever somebody has
//! who copied the old one. Sessions are with devices, so what is rotated for one room is new in every other.

use std::collections::BTreeMap;

use super::{ClientError, Worker, state, survive};
use crate::ids::{AccountId, RoomId};
use crate::protocol::public::VerifiedDevice;
use crate::wire::Timestamp;

/// When sessions with an account's devices were begun anew: a record for each.
pub(super) const RENEWED: &str = "renewed/";

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
            match self.renewed.get(account) {
                // The first message begins the first session.
                None => self.is_renewed(*account),
                Some(at) if now.since(*at) < age_max => {}
                Some(_) => {
                    let renewed = self.renew(*account).await;
                    survive(renewed)?;
                }
            }
        }
        Ok(())
    }

    /// Has the next message to an account begin new sessions, at most once in an hour: the node can say at will that
    /// somebody has rotated.
    pub(super) fn renew_later(&mut self, account: AccountId) {
        let now = self.now();
        if let Some(at) = self.renewed.get_mut(&account)
            && now.since(*at) >= RENEWED_AGAIN_AFTER
        {
            *at = Timestamp::from_millis(0);
        }
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
    }
}

/// What a worker knows of renewals.
pub(super) type Renewed = BTreeMap<AccountId, Timestamp>;

/// Between two renewals that others have brought about.
const RENEWED_AGAIN_AFTER: core::time::Duration = core::time::Duration::from_secs(3_600);
