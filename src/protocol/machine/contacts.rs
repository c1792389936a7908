//! The accounts that this machine knows: their pinned root keys and newest device lists.

use core::cmp::Ordering;
use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::Machine;
use super::changes::{Changes, RecordKey};
use super::error::MachineError;
use super::io::Outputs;
use super::load::Malformed;
use crate::ids::{AccountId, DeviceAddress};
use crate::protocol::public::{SigningPublicKey, VerifiedDevice, VerifiedDeviceList, limits, verify_device_list};
use crate::wire::{DeviceList, Reader, Writer};

/// One account. Saved form: version 1, device list, new identity 1 and then its device list.
#[derive(Debug)]
pub(super) struct Contact {
    /// The newest list under the pinned root key.
    pub(super) list: VerifiedDeviceList,
    /// A list under another root key, which waits to be accepted.
    pub(super) changed_to: Option<VerifiedDeviceList>,
}

/// All accounts, and this device's own.
#[derive(Debug)]
pub(super) struct Contacts {
    own_account: AccountId,
    own_root_key: SigningPublicKey,
    by_account: BTreeMap<AccountId, Contact>,
}

impl Contacts {
    pub(super) fn of_own(device: &VerifiedDevice) -> Self {
        Self {
            own_account: device.address().account_id,
            own_root_key: device.root_key().clone(),
            by_account: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, account: AccountId) -> Option<&Contact> {
        self.by_account.get(&account)
    }

    /// The account, if nothing stands against writing to it.
    pub(super) fn writable(&self, account: AccountId) -> Result<&Contact, MachineError> {
        let contact = self.get(account).ok_or(MachineError::UnknownAccount { account })?;
        if contact.changed_to.is_some() { Err(MachineError::IdentityChanged { account }) } else { Ok(contact) }
    }

    /// A device that stands on its account's list.
    pub(super) fn device(&self, address: DeviceAddress) -> Result<&VerifiedDevice, MachineError> {
        let DeviceAddress { account_id: account, device_id } = address;
        let contact = self.get(account).ok_or(MachineError::UnknownAccount { account })?;
        let is_changed = contact.changed_to.is_some();
        contact.list.device(device_id).ok_or(if is_changed {
            MachineError::IdentityChanged { account }
        } else {
            MachineError::UnknownDevice { device: address }
        })
    }

    /// What a list is to those that are known. Changes nothing.
    fn weigh(&self, list: &VerifiedDeviceList) -> Result<Weight, MachineError> {
        let account = list.account_id();
        if account == self.own_account && *list.root_key() != self.own_root_key {
            return Err(MachineError::OwnRootChanged);
        }
        let Some(contact) = self.get(account) else {
            return if self.by_account.len() < limits::KNOWN_ACCOUNTS_MAX {
                Ok(Weight::Newer)
            } else {
                Err(MachineError::TooManyAccounts)
            };
        };
        if *list.root_key() == *contact.list.root_key() {
            return Ok(if compare(list, &contact.list)?.is_gt() { Weight::Newer } else { Weight::Same });
        }
        match &contact.changed_to {
            Some(waiting) if *list.root_key() == *waiting.root_key() => compare(list, waiting)?,
            _ => Ordering::Greater,
        };
        Ok(Weight::OtherIdentity)
    }

    fn put(&mut self, contact: Contact, changes: &mut Changes) {
        let account = contact.list.account_id();
        changes.put(RecordKey::Contact(account), contact.save());
        self.by_account.insert(account, contact);
    }

    pub(super) fn save(&self, changes: &mut Changes) {
        for (account, contact) in &self.by_account {
            changes.put(RecordKey::Contact(*account), contact.save());
        }
    }

    pub(super) fn load(&mut self, account: AccountId, saved: &[u8]) -> Result<(), Malformed> {
        let contact = Contact::load(saved)?;
        if contact.list.account_id() != account {
            return Err(Malformed);
        }
        self.by_account.insert(account, contact);
        Ok(())
    }
}

/// How a list stands to a known one under the same root key: `Greater` if it is newer, `Equal` if it
/// is the same.
fn compare(given: &VerifiedDeviceList, known: &VerifiedDeviceList) -> Result<Ordering, MachineError> {
    match given.version().cmp(&known.version()) {
        Ordering::Less => Err(MachineError::StaleDeviceList { known: known.version(), given: given.version() }),
        Ordering::Equal if given.list() != known.list() => Err(MachineError::ForkedDeviceList),
        order => Ok(order),
    }
}

/// What a list is to the one that is known.
enum Weight {
    Newer,
    Same,
    OtherIdentity,
}

impl Contact {
    const SAVED_VERSION: u8 = 1;

    fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { list, changed_to } = self;
        let writer = list.list().write(Writer::default().u8(Self::SAVED_VERSION));
        match changed_to {
            None => writer.u8(0),
            Some(list) => list.list().write(writer.u8(1)),
        }
        .finish_secret()
    }

    fn load(saved: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let list = verify_device_list(&DeviceList::read(&mut reader)?)?;
        let changed_to = if reader.flag("new identity")? {
            Some(verify_device_list(&DeviceList::read(&mut reader)?)?)
        } else {
            None
        };
        reader.end()?;
        Ok(Self { list, changed_to })
    }
}

impl Machine {
    /// Takes a device list: pins the root key of a new account, or replaces an older list; a list
    /// under another root key waits until the user accepts it.
    pub(super) fn learn_devices(&mut self, list: &DeviceList) -> Result<Outputs, MachineError> {
        let list = verify_device_list(list)?;
        let mut outputs = Outputs::default();
        match self.contacts.weigh(&list)? {
            Weight::Newer => self.adopt(list, &mut outputs.changes),
            Weight::Same => {
                // The pinned identity is shown again: what waited to be accepted is not the account's.
                if self.contacts.get(list.account_id()).is_some_and(|contact| contact.changed_to.is_some()) {
                    self.contacts.put(Contact { list, changed_to: None }, &mut outputs.changes);
                }
            }
            Weight::OtherIdentity => {
                outputs.identity_changed = Some(list.account_id());
                if let Some(contact) = self.contacts.by_account.remove(&list.account_id()) {
                    self.contacts.put(Contact { changed_to: Some(list), ..contact }, &mut outputs.changes);
                }
            }
        }
        Ok(outputs)
    }

    /// Takes the new identity that the user has accepted, and forgets every session with the old one.
    pub(super) fn accept_identity(
        &mut self,
        account: AccountId,
        root_key: &SigningPublicKey,
    ) -> Result<Outputs, MachineError> {
        let changed_to = self.contacts.get(account).and_then(|contact| contact.changed_to.clone());
        match changed_to {
            Some(list) if list.root_key() == root_key => {
                let mut outputs = Outputs::default();
                self.peers.remove_all(account, |_| true, &mut outputs.changes);
                self.adopt(list, &mut outputs.changes);
                Ok(outputs)
            }
            _ => Err(MachineError::NoSuchIdentity { account }),
        }
    }

    /// Forgets what is known of an account. Its used openings stay: they guard against replays.
    pub(super) fn forget_account(&mut self, account: AccountId) -> Outputs {
        let mut outputs = Outputs::default();
        self.peers.remove_all(account, |_| true, &mut outputs.changes);
        if self.contacts.by_account.remove(&account).is_some() {
            outputs.changes.delete(RecordKey::Contact(account));
        }
        outputs
    }

    /// Puts a list in its place. Sessions with devices that are not on it are forgotten.
    fn adopt(&mut self, list: VerifiedDeviceList, changes: &mut Changes) {
        self.peers.remove_all(list.account_id(), |device| list.device(device.device_id).is_none(), changes);
        self.contacts.put(Contact { list, changed_to: None }, changes);
    }
}
