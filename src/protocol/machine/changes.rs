//! What is to be saved, as one value.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::ids::{AccountId, DeviceAddress, KeyId, OpeningId};

/// Names one saved record. Its text form (`Display`, `FromStr`) is a path such as
/// `session/ACCOUNT/DEVICE/ID`, for stores that are keyed by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// This device's secret identity keys and its certificate.
    Identity,
    /// The secret half of a prekey.
    Prekey(PrekeyKind, KeyId),
    /// A first message that was used.
    UsedOpening(OpeningId),
    /// An account: its device list, and a new identity that waits to be accepted.
    Contact(AccountId),
    /// One session with one device.
    Session(DeviceAddress, OpeningId),
}

/// The kinds of prekey that a device keeps the secret halves of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrekeyKind {
    /// X25519, signed; its secret half is saved.
    Signed,
    /// ML-KEM-1024, handed out when no one-time key is left; its seed is saved.
    LastResortKem,
    /// X25519, handed out once.
    OneTime,
    /// ML-KEM-1024, handed out once.
    OneTimeKem,
}

impl PrekeyKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed-prekey",
            Self::LastResortKem => "last-resort-kem-prekey",
            Self::OneTime => "one-time-prekey",
            Self::OneTimeKem => "one-time-kem-prekey",
        }
    }
}

/// A text that names no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a record")]
pub struct RecordKeyError;

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Prekey(kind, id) => write!(f, "{}/{id}", kind.as_str()),
            Self::UsedOpening(id) => write!(f, "used-opening/{id}"),
            Self::Contact(account) => write!(f, "contact/{account}"),
            Self::Session(device, id) => write!(f, "session/{device}/{id}"),
        }
    }
}

impl FromStr for RecordKey {
    type Err = RecordKeyError;

    fn from_str(text: &str) -> Result<Self, RecordKeyError> {
        fn id<T: FromStr>(text: &str) -> Result<T, RecordKeyError> {
            text.parse().map_err(|_| RecordKeyError)
        }
        let parts: Vec<&str> = text.split('/').collect();
        Ok(match parts[..] {
            ["identity"] => Self::Identity,
            ["signed-prekey", key] => Self::Prekey(PrekeyKind::Signed, id(key)?),
            ["last-resort-kem-prekey", key] => Self::Prekey(PrekeyKind::LastResortKem, id(key)?),
            ["one-time-prekey", key] => Self::Prekey(PrekeyKind::OneTime, id(key)?),
            ["one-time-kem-prekey", key] => Self::Prekey(PrekeyKind::OneTimeKem, id(key)?),
            ["used-opening", opening] => Self::UsedOpening(id(opening)?),
            ["contact", account] => Self::Contact(id(account)?),
            ["session", account, device, opening] => {
                Self::Session(DeviceAddress { account_id: id(account)?, device_id: id(device)? }, id(opening)?)
            }
            _ => return Err(RecordKeyError),
        })
    }
}

/// Records to write and to delete, in one transaction. Its values are secret and wiped when dropped.
#[derive(Default)]
pub struct Changes(BTreeMap<RecordKey, Option<Zeroizing<Vec<u8>>>>);

impl Changes {
    /// Whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each record's name and what becomes of it: its new value, or `None` if it is deleted.
    pub fn iter(&self) -> impl Iterator<Item = (&RecordKey, Option<&Zeroizing<Vec<u8>>>)> {
        self.0.iter().map(|(key, value)| (key, value.as_ref()))
    }

    pub(super) fn put(&mut self, key: RecordKey, value: Zeroizing<Vec<u8>>) {
        self.0.insert(key, Some(value));
    }

    pub(super) fn delete(&mut self, key: RecordKey) {
        self.0.insert(key, None);
    }
}

impl IntoIterator for Changes {
    type Item = (RecordKey, Option<Zeroizing<Vec<u8>>>);
    type IntoIter = std::collections::btree_map::IntoIter<RecordKey, Option<Zeroizing<Vec<u8>>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(key, value)| (key, if value.is_some() { "put" } else { "delete" })))
            .finish()
    }
}
