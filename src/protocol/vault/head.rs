//! The head of a collection: what its last writer says of all its items.

use core::fmt;
use std::collections::BTreeMap;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ids::WriterId;
use crate::protocol::public::limits::VAULT_WRITERS_MAX;
use crate::wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;

/// A collection's head. Whoever has the newest that they have seen knows an older or another one when they see it.
///
/// Its saved form, which also is what is sealed: version 1, revision u64 BE, sum 32, number of writers u32 BE, and for each, in
/// ascending order, writer 16 and revision u64 BE.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Head {
    revision: u64,
    sum: Sum,
    /// The revision that each writer's last write made.
    writers: BTreeMap<WriterId, u64>,
}

impl Head {
    /// Length of the longest saved form in bytes.
    pub const ENCODED_LENGTH_MAX: usize = 1 + 8 + Sum::LENGTH + 4 + VAULT_WRITERS_MAX * WRITER_LENGTH;

    /// How often the collection was written; 0 of one that never was.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// What the entries add up to.
    pub(super) const fn sum(&self) -> &Sum {
        &self.sum
    }

    /// Whether it is one with a write of `writer` that made that revision, or with a later one of theirs.
    #[must_use]
    pub fn has_write(&self, writer: WriterId, revision: u64) -> bool {
        self.writers.get(&writer).is_some_and(|last| *last >= revision)
    }

    /// The head that a write of `writer` makes of it. Of too many writers the one is forgotten that has not written for longest.
    pub(super) fn after_write(&self, writer: WriterId, sum: Sum) -> Self {
        // Nobody writes 2^64 times.
        let revision = self.revision.saturating_add(1);
        let mut writers = self.writers.clone();
        writers.insert(writer, revision);
        if writers.len() > VAULT_WRITERS_MAX
            && let Some(oldest) = writers.iter().min_by_key(|(_, revision)| **revision).map(|(writer, _)| *writer)
        {
            writers.remove(&oldest);
        }
        Self { revision, sum, writers }
    }

    /// Whether this head is `older`, or can have come of it: every write that `older` knows of is in it, and none of them is
    /// somebody else's now.
    pub(super) fn follows(&self, older: &Self) -> bool {
        if self.revision <= older.revision {
            return self == older;
        }
        let has_maker =
            |made: u64| self.writers.iter().find(|(_, revision)| **revision == made).map(|(writer, _)| *writer);
        older.writers.iter().all(|(writer, revision)| match self.writers.get(writer) {
            Some(last) => last >= revision && has_maker(*revision).is_none_or(|maker| maker == *writer),
            None => self.has_forgotten(*revision),
        })
    }

    /// Whether a writer whose last write made that revision can have been forgotten.
    fn has_forgotten(&self, revision: u64) -> bool {
        self.writers.len() == VAULT_WRITERS_MAX && self.writers.values().all(|last| *last > revision)
    }

    /// The saved form. It is no secret, but tells how the collection was written.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let Self { revision, sum, writers } = self;
        Writer::with_capacity(Self::ENCODED_LENGTH_MAX)
            .u8(VERSION)
            .u64(*revision)
            .bytes(&sum.0)
            .length(writers.len())
            .each(writers, |bytes, (writer, revision)| bytes.bytes(writer.as_bytes()).u64(*revision))
            .finish()
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`WireError`], for each byte that it would not have written.
    pub fn load(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let (revision, sum) = (reader.u64()?, Sum(*reader.array()?));
        let list = reader
            .list("writers", VAULT_WRITERS_MAX, |reader| Ok((WriterId::from_bytes(*reader.array()?), reader.u64()?)))?;
        reader.end()?;
        let is_ordered = list.is_sorted_by(|(one, _): &(WriterId, u64), (next, _)| one < next);
        // The newest of them has made the revision.
        if !is_ordered || list.iter().map(|(_, last)| *last).max().unwrap_or(0) != revision {
            return Err(WireError::Invalid { field: "writers" });
        }
        Ok(Self { revision, sum, writers: list.into_iter().collect() })
    }
}

const WRITER_LENGTH: usize = WriterId::LENGTH + 8;

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, sum: _, writers } = self;
        write!(f, "Head({revision}, {} writers, ..)", writers.len())
    }
}

/// What the entries of a collection add up to: the exclusive or of their codes.
#[derive(Clone, Default)]
pub(super) struct Sum([u8; Self::LENGTH]);

impl Sum {
    const LENGTH: usize = 32;

    /// Adds an entry's code, or takes one away that was added.
    pub(super) fn toggle(&mut self, code: &[u8; 32]) {
        for (byte, other) in self.0.iter_mut().zip(code) {
            *byte ^= other;
        }
    }
}

impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Sum {}

impl Drop for Sum {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Sum {}
