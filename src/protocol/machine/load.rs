//! Loading a machine from the records that its changes have saved.

use super::Machine;
use super::changes::RecordKey;
use super::contacts::Contacts;
use super::error::MachineError;
use super::peer_sessions::Peers;
use super::prekey_supply::PrekeySupply;
use super::used_openings::UsedOpenings;
use crate::protocol::identity::DeviceIdentity;

impl Machine {
    /// Loads a machine from its records, which may come in any order. `identity` is the record
    /// [`RecordKey::Identity`]; it may stand among `records` too.
    ///
    /// # Errors
    /// [`MachineError::Identity`] or [`MachineError::Saved`] for a malformed record, and whatever the check of a
    /// saved device list or session finds. A store that was altered is refused, not repaired.
    pub fn load<'a>(
        identity: &[u8],
        records: impl IntoIterator<Item = (RecordKey, &'a [u8])>,
    ) -> Result<Self, MachineError> {
        let identity = DeviceIdentity::load(identity)?;
        let mut machine = Self {
            supply: PrekeySupply::default(),
            contacts: Contacts::of_own(identity.device()),
            peers: Peers::default(),
            used_openings: UsedOpenings::default(),
            identity,
        };
        for (key, saved) in records {
            machine.load_record(key, saved)?;
        }
        Ok(machine)
    }

    fn load_record(&mut self, key: RecordKey, saved: &[u8]) -> Result<(), MachineError> {
        match key {
            RecordKey::Identity => Ok(()),
            RecordKey::SignedPrekey(_)
            | RecordKey::LastResortKemPrekey(_)
            | RecordKey::OneTimePrekey(_)
            | RecordKey::OneTimeKemPrekey(_) => Ok(self.supply.load(key, saved)?),
            RecordKey::UsedOpening(id) => Ok(self.used_openings.load(id, saved)?),
            RecordKey::Contact(account) => self.contacts.load(account, saved),
            RecordKey::Session(device, id) => self.peers.load(device, id, saved),
        }
    }
}
