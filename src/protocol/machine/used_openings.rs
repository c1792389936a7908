//! First messages that have opened a session: each opens one session, once.
//!
//! An opening is remembered as long as the signed prekey that it used is kept; without that key it
//! opens nothing anyway.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::changes::{Changes, RecordKey};
use super::error::MachineError;
use crate::ids::{KeyId, OpeningId};
use crate::protocol::agreement::Opening;
use crate::protocol::public::limits;
use crate::wire::{Reader, WireError, Writer};

/// The openings, each with its signed prekey.
#[derive(Debug, Default)]
pub(super) struct UsedOpenings(BTreeMap<OpeningId, KeyId>);

const SAVED_VERSION: u8 = 1;

impl UsedOpenings {
    /// Whether this opening may open a session.
    pub(super) fn check(&self, opening: &Opening) -> Result<(), MachineError> {
        if self.0.contains_key(&opening.id()) {
            return Err(MachineError::OpeningReplayed);
        }
        if self.0.len() >= limits::USED_OPENINGS_MAX {
            return Err(MachineError::TooManyOpenings);
        }
        Ok(())
    }

    pub(super) fn remember(&mut self, opening: &Opening, changes: &mut Changes) {
        put(opening.id(), opening.signed_prekey_id, changes);
        self.0.insert(opening.id(), opening.signed_prekey_id);
    }

    /// Forgets the openings of signed prekeys that are gone.
    pub(super) fn forget(&mut self, signed_prekeys: &[KeyId], changes: &mut Changes) {
        self.0.retain(|id, signed_prekey| {
            let is_kept = !signed_prekeys.contains(signed_prekey);
            if !is_kept {
                changes.delete(RecordKey::UsedOpening(*id));
            }
            is_kept
        });
    }

    pub(super) fn save(&self, changes: &mut Changes) {
        for (id, signed_prekey) in &self.0 {
            put(*id, *signed_prekey, changes);
        }
    }

    pub(super) fn load(&mut self, id: OpeningId, saved: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(saved);
        reader.version(SAVED_VERSION)?;
        let signed_prekey = reader.key_id()?;
        reader.end()?;
        self.0.insert(id, signed_prekey);
        Ok(())
    }
}

/// Saved form: version 1, id of the signed prekey 8.
fn put(id: OpeningId, signed_prekey: KeyId, changes: &mut Changes) {
    let saved = Writer::default().u8(SAVED_VERSION).bytes(signed_prekey.as_bytes()).finish();
    changes.put(RecordKey::UsedOpening(id), Zeroizing::new(saved));
}
