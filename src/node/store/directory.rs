//! Device lists: the newest one of each account, and which devices stand on it.
//!
//! The root key of an account is pinned with its first list. Versions grow, so nobody who gets hold
//! of an older list can put it back.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::sql::Sql;
use crate::ids::{AccountId, DeviceAddress, DeviceId, SessionId};
use crate::protocol::public::{SigningPublicKey, VerifiedDeviceList};
use crate::wire::{DeviceList, Reader, Timestamp, WireError, Writer};

/// What a new device list changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceListChange {
    /// Devices that were not there before, in ascending order.
    pub added: Vec<DeviceId>,
    /// Devices that are there no more, in ascending order. A device with new identity keys is in
    /// both.
    pub removed: Vec<DeviceId>,
    /// Sessions that ended with them.
    pub ended_sessions: Vec<SessionId>,
}

impl Store {
    /// Stores an account's device list in place of the one before. Devices that are not on it any
    /// more, or with other identity keys, lose their prekeys, and their sessions end. The same list
    /// again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::OwnerMismatch`] if it is another account's, [`StoreError::UnknownAccount`],
    /// [`StoreError::RootKeyChanged`], [`StoreError::StaleVersion`], [`StoreError::ForkedVersion`],
    /// [`StoreError::OutOfRange`] for a version past 2^63 - 1, or a failure of the store.
    pub async fn put_device_list(
        &self,
        account_id: AccountId,
        list: &VerifiedDeviceList,
        now: Timestamp,
    ) -> Result<DeviceListChange, StoreError> {
        if list.account_id() != account_id {
            return Err(StoreError::OwnerMismatch { account_id });
        }
        let list = list.clone();
        self.writer.write(move |db| put(db, &list, now)).await
    }

    /// The account's newest device list. None if it never published one, or if there is no such
    /// account.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn device_list(&self, account_id: AccountId) -> Result<Option<DeviceList>, StoreError> {
        let account = Blob(*account_id.as_bytes());
        let select = "SELECT list FROM device_lists WHERE account_id = ?";
        let row: Option<(Vec<u8>,)> = self.readers.read(move |db| db.first(select, params![account])).await?;
        row.map(|(bytes,)| parse(&bytes).map_err(|_| StoreError::Corrupt { what: "device list" })).transpose()
    }

    /// The signing key of a device on its account's list. None if it is not on it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn signing_key(&self, device: DeviceAddress) -> Result<Option<SigningPublicKey>, StoreError> {
        let (account, id) = (Blob(*device.account_id.as_bytes()), Blob(*device.device_id.as_bytes()));
        let select = "SELECT signing_key FROM devices WHERE account_id = ? AND device_id = ?";
        let row: Option<(Blob<32>,)> = self.readers.read(move |db| db.first(select, params![account, id])).await?;
        let parse =
            |(Blob(key),)| SigningPublicKey::parse(&key).map_err(|_| StoreError::Corrupt { what: "signing key" });
        row.map(parse).transpose()
    }
}

fn parse(bytes: &[u8]) -> Result<DeviceList, WireError> {
    let mut reader = Reader::new(bytes);
    let list = DeviceList::read(&mut reader)?;
    reader.end()?;
    Ok(list)
}

fn put(db: &Connection, list: &VerifiedDeviceList, now: Timestamp) -> Result<DeviceListChange, StoreError> {
    let account = Blob(*list.account_id().as_bytes());
    let bytes = list.list().write(Writer::default()).finish();
    if !supersedes_stored(db, list, &bytes)? {
        return Ok(DeviceListChange::default());
    }
    db.run(
        "INSERT INTO device_lists (account_id, root_key, version, list, updated_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (account_id) DO UPDATE
         SET version = excluded.version, list = excluded.list, updated_at = excluded.updated_at",
        params![
            account,
            Blob(*list.root_key().as_bytes()),
            Integer::new(list.version(), "version")?,
            bytes,
            Integer::time(now, "time")?
        ],
    )?;
    replace_devices(db, account, list)
}

/// Whether the list is newer than the stored one, if there is one; not if it is that very list.
fn supersedes_stored(db: &Connection, list: &VerifiedDeviceList, bytes: &[u8]) -> Result<bool, StoreError> {
    type Row = (Option<Blob<32>>, Option<Integer>, Option<Vec<u8>>);
    let account_id = list.account_id();
    let row: Option<Row> = db.first(
        "SELECT root_key, version, list FROM accounts LEFT JOIN device_lists USING (account_id)
         WHERE account_id = ?",
        params![Blob(*account_id.as_bytes())],
    )?;
    match row {
        None => Err(StoreError::UnknownAccount { account_id }),
        Some((Some(Blob(root_key)), Some(version), Some(stored_bytes))) => {
            let (stored, given) = (version.get(), list.version());
            if root_key != *list.root_key().as_bytes() {
                Err(StoreError::RootKeyChanged { account_id })
            } else if given < stored {
                Err(StoreError::StaleVersion { stored, given })
            } else if given == stored && stored_bytes != bytes {
                Err(StoreError::ForkedVersion { version: given })
            } else {
                Ok(given > stored)
            }
        }
        Some(_) => Ok(true),
    }
}

/// Makes the rows of the account's devices those of the list.
fn replace_devices(
    db: &Connection,
    account: Blob<16>,
    list: &VerifiedDeviceList,
) -> Result<DeviceListChange, StoreError> {
    let stored: Vec<(Blob<16>, Blob<32>, Blob<32>)> = db.all(
        "SELECT device_id, signing_key, agreement_key FROM devices WHERE account_id = ? ORDER BY device_id",
        params![account],
    )?;
    let listed: Vec<(Blob<16>, Blob<32>, Blob<32>)> = list
        .devices()
        .iter()
        .map(|device| {
            (
                Blob(*device.address().device_id.as_bytes()),
                Blob(*device.signing_key().as_bytes()),
                Blob(*device.agreement_key().as_bytes()),
            )
        })
        .collect();
    let mut change = DeviceListChange::default();
    for row in stored.iter().filter(|row| !listed.contains(row)) {
        change.removed.push(DeviceId::from_bytes(row.0.0));
        change.ended_sessions.extend(remove_device(db, account, row.0)?);
    }
    for row in listed.iter().filter(|row| !stored.contains(row)) {
        change.added.push(DeviceId::from_bytes(row.0.0));
        db.run(
            "INSERT INTO devices (account_id, device_id, signing_key, agreement_key) VALUES (?, ?, ?, ?)",
            params![account, row.0, row.1, row.2],
        )?;
    }
    Ok(change)
}

/// Removes a device with all that hangs on it. Returns its sessions.
fn remove_device(db: &Connection, account: Blob<16>, device: Blob<16>) -> Result<Vec<SessionId>, StoreError> {
    let sessions: Vec<(Blob<16>,)> = db.all(
        "DELETE FROM sessions WHERE account_id = ? AND device_id = ? RETURNING session_id",
        params![account, device],
    )?;
    // Its prekeys go with it by the schema's cascade.
    db.run("DELETE FROM devices WHERE account_id = ? AND device_id = ?", params![account, device])?;
    Ok(sessions.into_iter().map(|(Blob(id),)| SessionId::from_bytes(id)).collect())
}
