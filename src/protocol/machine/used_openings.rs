//! First messages that have opened a session: each opens one session, once.
//!
//! An opening is remembered as long as the signed prekey that it used is kept; without that key it
//! opens nothing anyway.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::changes::{Changes, RecordKey};
use super::error::MachineError;
use crate::ids::{AccountId, KeyId, OpeningId};
use crate::protocol::agreement::Opening;
use crate::protocol::public::limits;
use crate::wire::{Reader, WireError, Writer};

/// The openings.
#[derive(Debug, Default)]
pub(super) struct UsedOpenings(BTreeMap<OpeningId, UsedOpening>);

/// Who used which signed prekey. Saved form: version 1, id of the signed prekey 8, account id 16.
#[derive(Debug)]
struct UsedOpening {
    signed_prekey: KeyId,
    account: AccountId,
}

impl UsedOpenings {
    /// Whether this opening may open a session for `account`.
    pub(super) fn check(&self, opening: &Opening, account: AccountId) -> Result<(), MachineError> {
        if self.0.contains_key(&opening.id()) {
            return Err(MachineError::OpeningReplayed);
        }
        let of_account = self.0.values().filter(|used| used.account == account).count();
        let is_full = self.0.len() >= limits::USED_OPENINGS_MAX;
        let room = if is_full { limits::USED_OPENINGS_RESERVED } else { limits::USED_OPENINGS_PER_ACCOUNT_MAX };
        if of_account >= room {
            return Err(MachineError::TooManyOpenings { account });
        }
        Ok(())
    }

    pub(super) fn remember(&mut self, opening: &Opening, account: AccountId, changes: &mut Changes) {
        let used = UsedOpening { signed_prekey: opening.signed_prekey_id, account };
        changes.put(RecordKey::UsedOpening(opening.id()), used.save());
        self.0.insert(opening.id(), used);
    }

    /// Forgets the openings of signed prekeys that are gone.
    pub(super) fn forget(&mut self, signed_prekeys: &[KeyId], changes: &mut Changes) {
        self.0.retain(|id, used| {
            let is_kept = !signed_prekeys.contains(&used.signed_prekey);
            if !is_kept {
                changes.delete(RecordKey::UsedOpening(*id));
            }
            is_kept
        });
    }

    pub(super) fn save(&self, changes: &mut Changes) {
        for (id, used) in &self.0 {
            changes.put(RecordKey::UsedOpening(*id), used.save());
        }
    }

    pub(super) fn load(&mut self, id: OpeningId, saved: &[u8]) -> Result<(), WireError> {
        self.0.insert(id, UsedOpening::load(saved)?);
        Ok(())
    }
}

impl UsedOpening {
    const SAVED_VERSION: u8 = 1;

    fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { signed_prekey, account } = self;
        let writer = Writer::default().u8(Self::SAVED_VERSION).bytes(signed_prekey.as_bytes());
        writer.bytes(account.as_bytes()).finish_secret()
    }

    fn load(saved: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let used = Self { signed_prekey: reader.key_id()?, account: reader.account_id()? };
        reader.end()?;
        Ok(used)
    }
}
