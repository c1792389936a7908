//! The accounts that this machine knows: their pinned root keys and newest device lists.

use core::cmp::Ordering;
use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::Machine;
use super::changes::{Changes, RecordKey};
use super::error::MachineError;
use super::io::Outputs;
use super::load::Malformed;
use super::prekeys::is_ahead;
use crate::ids::{AccountId, DeviceAddress, DeviceId};
use crate::protocol::public::{SigningPublicKey, VerifiedDevice, VerifiedDeviceList, limits, verify_device_list};
use crate::wire::limits::DEVICES_MAX;
use crate::wire::{DeviceList, Reader, Timestamp, WireError, Writer};

/// One account. Saved form: version 1, device list, new identity 1 and then its device list, number
/// of devices `u32` and for each its id 16 and a time `u64`.
#[derive(Debug)]
pub(super) struct Contact {
    /// The newest list under the pinned root key.
    pub(super) list: VerifiedDeviceList,
    /// A list under another root key, which waits to be accepted.
    pub(super) changed_to: Option<VerifiedDeviceList>,
    /// When the newest signed prekey that was seen of a device was made. None that is dated further
    /// ahead than [`PREKEY_AHEAD_MAX`](limits::PREKEY_AHEAD_MAX) counts.
    signed_prekeys: BTreeMap<DeviceId, Timestamp>,
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

    /// Whether a signed prekey is as new as the newest that was seen of its device: an older one could
    /// be of a state that was stolen since. What is remembered does not count while it is dated ahead:
    /// it would refuse every bundle until then.
    pub(super) fn check_signed_prekey(
        &self,
        device: DeviceAddress,
        made_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), MachineError> {
        let contact = self.get(device.account_id);
        match contact.and_then(|contact| contact.signed_prekeys.get(&device.device_id)) {
            Some(newest) if made_at < *newest && !is_ahead(*newest, now) => Err(MachineError::StalePrekeys { device }),
            _ => Ok(()),
        }
    }

    /// Remembers when a device's signed prekey was made, unless a wrong clock or a thief dated it ahead.
    pub(super) fn saw_signed_prekey(
        &mut self,
        device: DeviceAddress,
        made_at: Timestamp,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        if is_ahead(made_at, now) {
            return;
        }
        if let Some(contact) = self.by_account.get_mut(&device.account_id) {
            contact.signed_prekeys.insert(device.device_id, made_at);
            changes.put(RecordKey::Contact(device.account_id), contact.save());
        }
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
        let Self { list, changed_to, signed_prekeys } = self;
        let writer = list.list().write(Writer::default().u8(Self::SAVED_VERSION));
        let writer = match changed_to {
            None => writer.u8(0),
            Some(list) => list.list().write(writer.u8(1)),
        };
        let write = |writer: Writer, (device, made_at): (&DeviceId, &Timestamp)| {
            writer.bytes(device.as_bytes()).u64(made_at.as_millis())
        };
        writer.length(signed_prekeys.len()).each(signed_prekeys, write).finish_secret()
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
        let read = |reader: &mut Reader<'_>| Ok((reader.device_id()?, Timestamp::from_millis(reader.u64()?)));
        let signed_prekeys = reader.list::<_, WireError>("signed prekeys", DEVICES_MAX, read)?;
        reader.end()?;
        Ok(Self { list, changed_to, signed_prekeys: signed_prekeys.into_iter().collect() })
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
                if let Some(contact) = self.contacts.by_account.remove(&list.account_id()) {
                    self.contacts.put(Contact { changed_to: None, ..contact }, &mut outputs.changes);
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

    /// Puts a list in its place. Sessions with devices that are not on it, or stand on it with another
    /// certificate, are forgotten: whoever has the old keys is not written to any more. So are the dates
    /// of their prekeys, which the old keys have signed.
    fn adopt(&mut self, list: VerifiedDeviceList, changes: &mut Changes) {
        let known = self.contacts.by_account.remove(&list.account_id());
        let certificate = |list: &VerifiedDeviceList, device: DeviceAddress| {
            list.device(device.device_id).map(|device| device.certificate().clone())
        };
        let is_another = |device| {
            let before = known.as_ref().and_then(|contact| certificate(&contact.list, device));
            certificate(&list, device).is_none_or(|now| before.is_some_and(|before| before != now))
        };
        self.peers.remove_all(list.account_id(), is_another, changes);
        let is_same = |device_id: DeviceId| !is_another(DeviceAddress { account_id: list.account_id(), device_id });
        let mut signed_prekeys = known.as_ref().map(|contact| contact.signed_prekeys.clone()).unwrap_or_default();
        signed_prekeys.retain(|device, _| is_same(*device));
        self.contacts.put(Contact { list, changed_to: None, signed_prekeys }, changes);
    }
}
