//! What is written in one transaction, and what is asked for.

use core::fmt;
use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::protocol::machine::Changes;

/// Records and messages to write, all or nothing. Values are secret and wiped when dropped.
#[derive(Default)]
pub struct Batch {
    /// Each record's name, and its new value; none if it is deleted.
    pub records: BTreeMap<String, Option<Zeroizing<Vec<u8>>>>,
    /// Messages, each in place of the one that has its number.
    pub messages: Vec<StoredMessage>,
}

/// A message as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Grows with each message that this device keeps.
    pub number: u64,
    /// Names it among all messages: no two have the same.
    pub id: String,
    /// Names the conversation.
    pub place: String,
    /// Its content and what is known of it.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Some messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessagePage {
    /// The first after a number, of all places: at most `limit`, in ascending order.
    After {
        /// The number.
        number: u64,
        /// How many.
        limit: u32,
    },
    /// The last of a place before a number: at most `limit`, in ascending order.
    Before {
        /// Which place.
        place: String,
        /// The number.
        number: u64,
        /// How many.
        limit: u32,
    },
}

impl Batch {
    /// What a machine says is to be saved.
    #[must_use]
    pub fn of(changes: Changes) -> Self {
        let mut batch = Self::default();
        batch.add(changes);
        batch
    }

    /// Adds what a machine says is to be saved.
    pub fn add(&mut self, changes: Changes) {
        let records = changes.into_iter().map(|(key, value)| (format!("{MACHINE}{key}"), value));
        self.records.extend(records);
    }

    /// Writes a record.
    pub fn put(&mut self, name: impl Into<String>, value: impl Into<Zeroizing<Vec<u8>>>) {
        self.records.insert(name.into(), Some(value.into()));
    }

    /// Deletes a record.
    pub fn delete(&mut self, name: impl Into<String>) {
        self.records.insert(name.into(), None);
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.messages.is_empty()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, messages } = self;
        write!(f, "Batch({} records, {} messages)", records.len(), messages.len())
    }
}

impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredMessage({}, ..)", self.number)
    }
}

/// What the names of a machine's records begin with.
pub(in crate::client) const MACHINE: &str = "machine/";
