//! Prekeys: published by their device, handed out to those who open a session with it.
//!
//! A one-time key is deleted in the transaction that hands it out, so it goes to one asker. If the
//! node fails after that commit and before its answer, the key is lost; it is never given twice.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer, is_over};
use super::error::StoreError;
use super::idempotency::{Acted, Once, recall, remember};
use super::limits::{CLAIMED_PREKEYS_KEPT_MAX, ONE_TIME_PREKEYS_STORED_MAX};
use super::publication::VerifiedPublication;
use super::sql::Sql;
use crate::ids::{DeviceAddress, KeyId};
use crate::wire::{KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyBundle, PrekeyPublication, SignedPrekey};

/// How many one-time keys of a device can still be handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrekeysLeft {
    /// One-time prekeys.
    pub one_time: usize,
    /// One-time KEM prekeys.
    pub one_time_kem: usize,
}

impl Store {
    /// Stores what a device publishes: signed prekey and last-resort key take the place of those
    /// before, one-time keys are added. Keys that are stored, or that were handed out, are passed
    /// over, so a publication can be sent again. Returns how many one-time keys there are then.
    ///
    /// # Errors
    /// [`StoreError::UnknownDevice`] if the device is not on its account's list with the key that
    /// the publication was verified against, [`StoreError::TooManyPrekeys`] past
    /// [`ONE_TIME_PREKEYS_STORED_MAX`] of a kind, [`StoreError::OutOfRange`] for a time past 2^63 -
    /// 1 ms, or a failure of the store.
    pub async fn publish_prekeys(&self, publication: &VerifiedPublication) -> Result<PrekeysLeft, StoreError> {
        let publication = publication.clone();
        self.writer.write(move |db| publish(db, &publication)).await
    }

    /// Hands out a bundle of a device: the oldest one-time keys, each once; when no one-time KEM
    /// key is left the last-resort key, when no one-time prekey is left none. None if there is no
    /// such device or it has published no signed prekey or no KEM key; nothing is used up then.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn claim_bundle(&self, device: DeviceAddress) -> Result<Option<PrekeyBundle>, StoreError> {
        self.writer.write(move |db| claim(db, device)).await
    }

    /// As [`claim_bundle`](Self::claim_bundle), once: the same call takes no second one-time key.
    ///
    /// # Errors
    /// [`StoreError::OtherRequest`], [`StoreError::TooManyKeys`], or a failure of the store.
    pub async fn claim_bundle_once(
        &self,
        device: DeviceAddress,
        once: Once,
    ) -> Result<Option<Acted<PrekeyBundle>>, StoreError> {
        self.writer.write(move |db| claim_once(db, device, once)).await
    }

    /// How many one-time keys of a device are left; zero too if there is no such device.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn prekeys_left(&self, device: DeviceAddress) -> Result<PrekeysLeft, StoreError> {
        let row = self.readers.read(move |db| db.one(COUNT, params![account(device), id(device)])).await?;
        Ok(left(row))
    }
}

const COUNT: &str = "SELECT
    (SELECT count(*) FROM one_time_prekeys WHERE account_id = ?1 AND device_id = ?2),
    (SELECT count(*) FROM one_time_kem_prekeys WHERE account_id = ?1 AND device_id = ?2)";

fn left((one_time, one_time_kem): (i64, i64)) -> PrekeysLeft {
    let count = |count| usize::try_from(count).unwrap_or(0);
    PrekeysLeft { one_time: count(one_time), one_time_kem: count(one_time_kem) }
}

const fn account(device: DeviceAddress) -> Blob<16> {
    Blob(*device.account_id.as_bytes())
}

const fn id(device: DeviceAddress) -> Blob<16> {
    Blob(*device.device_id.as_bytes())
}

fn publish(db: &Connection, verified: &VerifiedPublication) -> Result<PrekeysLeft, StoreError> {
    let device = verified.device();
    let signing_key: Option<(Blob<32>,)> = db.first(
        "SELECT signing_key FROM devices WHERE account_id = ? AND device_id = ?",
        params![account(device), id(device)],
    )?;
    if signing_key != Some((Blob(*verified.signing_key().as_bytes()),)) {
        return Err(StoreError::UnknownDevice { device });
    }
    let PrekeyPublication { signed_prekey, last_resort_kem_prekey, one_time_prekeys, one_time_kem_prekeys } =
        verified.publication();
    if let Some(prekey) = signed_prekey {
        put_signed(db, device, prekey)?;
    }
    if let Some(prekey) = last_resort_kem_prekey {
        put_last_resort(db, device, prekey)?;
    }
    for prekey in one_time_prekeys {
        add_one_time(db, device, prekey)?;
    }
    for prekey in one_time_kem_prekeys {
        add_one_time_kem(db, device, prekey)?;
    }
    forget_old_claims(db, device)?;
    let counts: (i64, i64) = db.one(COUNT, params![account(device), id(device)])?;
    let limit = ONE_TIME_PREKEYS_STORED_MAX;
    if is_over(counts.0, limit) || is_over(counts.1, limit) {
        // The keys just added go again with the savepoint.
        return Err(StoreError::TooManyPrekeys { limit });
    }
    Ok(left(counts))
}

fn put_signed(db: &Connection, device: DeviceAddress, prekey: &SignedPrekey) -> Result<(), StoreError> {
    let SignedPrekey { key_id, public_key, created_at, signature } = prekey;
    db.run(
        "INSERT OR REPLACE INTO signed_prekeys (account_id, device_id, key_id, public_key, created_at, signature)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            account(device),
            id(device),
            Blob(*key_id.as_bytes()),
            Blob(public_key.0),
            Integer::time(*created_at, "creation time")?,
            Blob(signature.0)
        ],
    )?;
    Ok(())
}

fn put_last_resort(db: &Connection, device: DeviceAddress, prekey: &KemPrekey) -> Result<(), StoreError> {
    let KemPrekey { key_id, usage: _, public_key, created_at, signature } = prekey;
    db.run(
        "INSERT OR REPLACE INTO last_resort_kem_prekeys
         (account_id, device_id, key_id, public_key, created_at, signature) VALUES (?, ?, ?, ?, ?, ?)",
        params![
            account(device),
            id(device),
            Blob(*key_id.as_bytes()),
            Blob(public_key.0),
            Integer::time(*created_at, "creation time")?,
            Blob(signature.0)
        ],
    )?;
    Ok(())
}

fn add_one_time(db: &Connection, device: DeviceAddress, prekey: &OneTimePrekey) -> Result<(), StoreError> {
    let OneTimePrekey { key_id, public_key } = prekey;
    db.run(
        "INSERT INTO one_time_prekeys (account_id, device_id, key_id, public_key) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (
             SELECT 1 FROM claimed_prekeys WHERE account_id = ?1 AND device_id = ?2 AND key_id = ?3
         ) ON CONFLICT DO NOTHING",
        params![account(device), id(device), Blob(*key_id.as_bytes()), Blob(public_key.0)],
    )?;
    Ok(())
}

fn add_one_time_kem(db: &Connection, device: DeviceAddress, prekey: &KemPrekey) -> Result<(), StoreError> {
    let KemPrekey { key_id, usage: _, public_key, created_at, signature } = prekey;
    db.run(
        "INSERT INTO one_time_kem_prekeys (account_id, device_id, key_id, public_key, created_at, signature)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (
             SELECT 1 FROM claimed_prekeys WHERE account_id = ?1 AND device_id = ?2 AND key_id = ?3
         ) ON CONFLICT DO NOTHING",
        params![
            account(device),
            id(device),
            Blob(*key_id.as_bytes()),
            Blob(public_key.0),
            Integer::time(*created_at, "creation time")?,
            Blob(signature.0)
        ],
    )?;
    Ok(())
}

fn claim_once(db: &Connection, device: DeviceAddress, once: Once) -> Result<Option<Acted<PrekeyBundle>>, StoreError> {
    if let Some(before) = recall(db, &once)? {
        return Ok(Some(Acted::Before(before)));
    }
    let Some(bundle) = claim(db, device)? else { return Ok(None) };
    remember(db, &once, &bundle)?;
    Ok(Some(Acted::Now(bundle)))
}

fn forget_old_claims(db: &Connection, device: DeviceAddress) -> Result<(), StoreError> {
    db.run(
        "DELETE FROM claimed_prekeys WHERE position IN (
             SELECT position FROM claimed_prekeys WHERE account_id = ? AND device_id = ?
             ORDER BY position DESC LIMIT -1 OFFSET ?
         )",
        params![account(device), id(device), i64::try_from(CLAIMED_PREKEYS_KEPT_MAX).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

fn claim(db: &Connection, device: DeviceAddress) -> Result<Option<PrekeyBundle>, StoreError> {
    let Some(signed_prekey) = signed_prekey(db, device)? else { return Ok(None) };
    let kem_prekey = match take_one_time_kem(db, device)? {
        Some(prekey) => prekey,
        None => match last_resort(db, device)? {
            Some(prekey) => prekey,
            None => return Ok(None),
        },
    };
    let one_time_prekey = take_one_time(db, device)?;
    Ok(Some(PrekeyBundle { device, signed_prekey, kem_prekey, one_time_prekey }))
}

fn signed_prekey(db: &Connection, device: DeviceAddress) -> Result<Option<SignedPrekey>, StoreError> {
    let row: Option<(Blob<8>, Blob<32>, Integer, Blob<64>)> = db.first(
        "SELECT key_id, public_key, created_at, signature FROM signed_prekeys WHERE account_id = ? AND device_id = ?",
        params![account(device), id(device)],
    )?;
    Ok(row.map(|(Blob(key_id), public_key, created_at, signature)| SignedPrekey {
        key_id: KeyId::from_bytes(key_id),
        public_key: public_key.into(),
        created_at: created_at.timestamp(),
        signature: signature.into(),
    }))
}

type KemRow = (Blob<8>, Blob<1568>, Integer, Blob<64>);

fn kem_prekey(usage: KemPrekeyUse, (Blob(key_id), public_key, created_at, signature): KemRow) -> KemPrekey {
    KemPrekey {
        key_id: KeyId::from_bytes(key_id),
        usage,
        public_key: Box::new(public_key.into()),
        created_at: created_at.timestamp(),
        signature: signature.into(),
    }
}

fn last_resort(db: &Connection, device: DeviceAddress) -> Result<Option<KemPrekey>, StoreError> {
    let row: Option<KemRow> = db.first(
        "SELECT key_id, public_key, created_at, signature FROM last_resort_kem_prekeys
         WHERE account_id = ? AND device_id = ?",
        params![account(device), id(device)],
    )?;
    Ok(row.map(|row| kem_prekey(KemPrekeyUse::LastResort, row)))
}

fn take_one_time_kem(db: &Connection, device: DeviceAddress) -> Result<Option<KemPrekey>, StoreError> {
    let row: Option<KemRow> = db.first(
        "DELETE FROM one_time_kem_prekeys WHERE position = (
             SELECT min(position) FROM one_time_kem_prekeys WHERE account_id = ? AND device_id = ?
         ) RETURNING key_id, public_key, created_at, signature",
        params![account(device), id(device)],
    )?;
    let Some(row) = row else { return Ok(None) };
    remember_claim(db, device, row.0)?;
    Ok(Some(kem_prekey(KemPrekeyUse::OneTime, row)))
}

fn take_one_time(db: &Connection, device: DeviceAddress) -> Result<Option<OneTimePrekey>, StoreError> {
    let row: Option<(Blob<8>, Blob<32>)> = db.first(
        "DELETE FROM one_time_prekeys WHERE position = (
             SELECT min(position) FROM one_time_prekeys WHERE account_id = ? AND device_id = ?
         ) RETURNING key_id, public_key",
        params![account(device), id(device)],
    )?;
    let Some((key_id, public_key)) = row else { return Ok(None) };
    remember_claim(db, device, key_id)?;
    Ok(Some(OneTimePrekey { key_id: KeyId::from_bytes(key_id.0), public_key: public_key.into() }))
}

fn remember_claim(db: &Connection, device: DeviceAddress, key_id: Blob<8>) -> Result<(), StoreError> {
    db.run(
        "INSERT INTO claimed_prekeys (account_id, device_id, key_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        params![account(device), id(device), key_id],
    )?;
    Ok(())
}
