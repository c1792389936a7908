//! Public keys of members, in rooms whose clients hold the keys: of each type the newest.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::rooms::standing;
use super::sql::Sql;
use crate::ids::{AccountId, KeyId, RoomId};
use crate::wire::{RoomKey, RoomKeyType, Timestamp};

/// Whether a key needs one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// It takes the place of one, if there is one.
    New,
    /// It takes the place of one that is still there.
    Successor,
}

impl Store {
    /// Publishes a member's key in place of the one of its type. Whether there was one where it has to be: if not,
    /// nothing has changed.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`] if its owner is no member, [`StoreError::RoomClosed`], [`StoreError::OutOfRange`] for a
    /// time past 2^63 - 1 ms, or a failure of the store.
    pub async fn put_room_key(&self, room_id: RoomId, key: RoomKey, place: KeyPlace) -> Result<bool, StoreError> {
        self.writer.write(move |db| put(db, room_id, key, place)).await
    }

    /// The keys of a member that have not expired, revoked ones too. None if the account is no member.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn room_keys(
        &self,
        room_id: RoomId,
        account_id: AccountId,
        now: Timestamp,
    ) -> Result<Vec<RoomKey>, StoreError> {
        let rows = self.readers.read(move |db| unexpired(db, room_id, account_id, now)).await?;
        rows.into_iter().map(|row| key(account_id, row)).collect()
    }

    /// Marks a member's own key as revoked. Whether there was such a key that was not.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn revoke_room_key(
        &self,
        room_id: RoomId,
        account_id: AccountId,
        key_id: KeyId,
    ) -> Result<bool, StoreError> {
        self.writer.write(move |db| revoke(db, room_id, account_id, key_id)).await
    }
}

type KeyRow = (String, Blob<8>, Blob<32>, Blob<32>, Integer, Integer, bool);

fn key(
    user_id: AccountId,
    (key_type, Blob(key_id), agreement_key, signing_key, created_at, expires_at, revoked): KeyRow,
) -> Result<RoomKey, StoreError> {
    let key_type = match key_type.as_str() {
        "ephemeral" => RoomKeyType::Ephemeral,
        "identity" => RoomKeyType::Identity,
        _ => return Err(StoreError::Corrupt { what: "type of a room's key" }),
    };
    Ok(RoomKey {
        user_id,
        key_id: KeyId::from_bytes(key_id),
        key_type,
        agreement_key: agreement_key.into(),
        signing_key: signing_key.into(),
        created_at: created_at.timestamp(),
        expires_at: expires_at.timestamp(),
        revoked,
    })
}

fn unexpired(
    db: &Connection,
    room_id: RoomId,
    account_id: AccountId,
    now: Timestamp,
) -> Result<Vec<KeyRow>, StoreError> {
    db.all(
        "SELECT key_type, key_id, agreement_key, signing_key, created_at, expires_at, revoked FROM room_keys
         WHERE room_id = ? AND account_id = ? AND expires_at > ? ORDER BY key_type DESC",
        params![Blob(*room_id.as_bytes()), Blob(*account_id.as_bytes()), Integer::time(now, "time")?],
    )
}

fn put(db: &Connection, room_id: RoomId, key: RoomKey, place: KeyPlace) -> Result<bool, StoreError> {
    let RoomKey { user_id, key_id, key_type, agreement_key, signing_key, created_at, expires_at, revoked } = key;
    if standing(db, room_id, user_id)?.is_closed {
        return Err(StoreError::RoomClosed { room_id });
    }
    if place == KeyPlace::Successor && !is_there(db, room_id, user_id, key_type, created_at)? {
        return Ok(false);
    }
    db.run(
        "INSERT OR REPLACE INTO room_keys
         (room_id, account_id, key_type, key_id, agreement_key, signing_key, created_at, expires_at, revoked)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Blob(*room_id.as_bytes()),
            Blob(*user_id.as_bytes()),
            key_type.as_str(),
            Blob(*key_id.as_bytes()),
            Blob(agreement_key.0),
            Blob(signing_key.0),
            Integer::time(created_at, "creation time")?,
            Integer::time(expires_at, "expiry")?,
            revoked
        ],
    )?;
    Ok(true)
}

/// Whether a member has a key of a type that has not expired.
fn is_there(
    db: &Connection,
    room_id: RoomId,
    account_id: AccountId,
    key_type: RoomKeyType,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let there: Option<(i64,)> = db.first(
        "SELECT 1 FROM room_keys WHERE room_id = ? AND account_id = ? AND key_type = ? AND expires_at > ?",
        params![
            Blob(*room_id.as_bytes()),
            Blob(*account_id.as_bytes()),
            key_type.as_str(),
            Integer::time(now, "time")?
        ],
    )?;
    Ok(there.is_some())
}

fn revoke(db: &Connection, room_id: RoomId, account_id: AccountId, key_id: KeyId) -> Result<bool, StoreError> {
    let revoked = db.run(
        "UPDATE room_keys SET revoked = 1 WHERE room_id = ? AND account_id = ? AND key_id = ? AND revoked = 0",
        params![Blob(*room_id.as_bytes()), Blob(*account_id.as_bytes()), Blob(*key_id.as_bytes())],
    )?;
    Ok(revoked > 0)
}
