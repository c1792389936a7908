//! Loading a machine from the records that its changes have saved.

use super::Machine;
use super::changes::RecordKey;
use super::contacts::Contacts;
use super::error::MachineError;
use super::peer_sessions::Peers;
use super::prekey_supply::PrekeySupply;
use super::used_openings::UsedOpenings;
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::VerifyError;
use crate::protocol::session::SessionError;
use crate::wire::WireError;

impl Machine {
    /// Loads a machine from its records, which may come in any order.
    ///
    /// Forms are checked, and that each record stands under its own name; a store that an attacker
    /// could write to is for the store's own sealing to detect.
    ///
    /// # Errors
    /// [`MachineError::Saved`] for the first record that is malformed or not of its name, and for
    /// [`RecordKey::Identity`] if it is missing.
    pub fn load<'a>(
        records: impl IntoIterator<Item = (RecordKey, &'a [u8]), IntoIter: Clone>,
    ) -> Result<Self, MachineError> {
        let records = records.into_iter();
        let no_identity = MachineError::Saved { record: RecordKey::Identity };
        let (_, saved) = records.clone().find(|(record, _)| *record == RecordKey::Identity).ok_or(no_identity)?;
        let identity = DeviceIdentity::load(saved).map_err(|_| no_identity)?;
        let mut machine = Self {
            supply: PrekeySupply::default(),
            contacts: Contacts::of_own(identity.device()),
            peers: Peers::default(),
            used_openings: UsedOpenings::default(),
            identity,
        };
        for (record, saved) in records {
            machine.load_record(record, saved).map_err(|Malformed| MachineError::Saved { record })?;
        }
        Ok(machine)
    }

    fn load_record(&mut self, record: RecordKey, saved: &[u8]) -> Result<(), Malformed> {
        match record {
            RecordKey::Identity => Ok(()),
            RecordKey::Prekey(kind, id) => Ok(self.supply.load(kind, id, saved)?),
            RecordKey::UsedOpening(id) => Ok(self.used_openings.load(id, saved)?),
            RecordKey::Contact(account) => self.contacts.load(account, saved),
            RecordKey::Session(device, id) => self.peers.load(device, id, saved),
        }
    }
}

/// A saved record is malformed; which one, its reader's caller knows.
pub(super) struct Malformed;

impl From<WireError> for Malformed {
    fn from(_: WireError) -> Self {
        Self
    }
}

impl From<VerifyError> for Malformed {
    fn from(_: VerifyError) -> Self {
        Self
    }
}

impl From<SessionError> for Malformed {
    fn from(_: SessionError) -> Self {
        Self
    }
}
