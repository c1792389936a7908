//! Devices without a browser that wait until somebody signs them in.

use core::time::Duration;

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer, check_text};
use super::error::StoreError;
use super::flows::refuse_over_limit;
use super::limits::{PROVIDER_BYTES_MAX, USER_CODE_ENTRIES_MAX};
use super::sql::Sql;
use crate::ids::AccountId;
use crate::node::tokens::TokenHash;
use crate::wire::Timestamp;

/// A device that begins to wait.
#[derive(Clone, Debug)]
pub struct DeviceGrant {
    /// What the device asks by.
    pub device_code: TokenHash,
    /// What somebody types.
    pub user_code: TokenHash,
    /// Where they sign in.
    pub provider: String,
    /// How long the device waits between two questions.
    pub interval: Duration,
    /// When it is given up.
    pub expires_at: Timestamp,
}

/// What became of a device's sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Somebody signed in.
    SignedIn(AccountId),
    /// Somebody refused.
    Denied,
}

/// What a device hears that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceGrantAnswer {
    /// Nobody has signed in yet.
    Pending,
    /// It asks too often: from now on it has to wait longer.
    TooSoon,
    /// It was decided. The device is forgotten.
    Decided {
        /// What.
        decision: Decision,
        /// By which provider.
        provider: String,
    },
    /// Nobody of that code waits: unknown, decided before, or expired.
    Unknown,
}

impl Store {
    /// Remembers a device that waits, and forgets those that have expired.
    ///
    /// # Errors
    /// [`StoreError::TooManyFlows`] at the limit, [`StoreError::OutOfRange`] for a name that is too long,
    /// [`StoreError::IdInUse`] for a code that was drawn twice, or a failure of the store.
    pub async fn save_device_grant(&self, grant: DeviceGrant, now: Timestamp) -> Result<(), StoreError> {
        check_text(&grant.provider, PROVIDER_BYTES_MAX, "provider")?;
        self.writer.write(move |db| save(db, grant, now)).await
    }

    /// Somebody typed a user code: the device that waits, and the provider. None for a code that nobody waits
    /// with, or that was typed [`USER_CODE_ENTRIES_MAX`] times.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn enter_user_code(
        &self,
        user_code: TokenHash,
        now: Timestamp,
    ) -> Result<Option<(TokenHash, String)>, StoreError> {
        self.writer.write(move |db| enter(db, user_code, now)).await
    }

    /// Decides a device's sign-in, once. False if it was decided, is not known, or has expired.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn decide_device_grant(
        &self,
        device_code: TokenHash,
        decision: Decision,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer.write(move |db| decide(db, device_code, decision, now)).await
    }

    /// The device asks. What was decided is told once. A device that asks before its interval has passed
    /// has to wait `longer` from then on.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn ask_device_grant(
        &self,
        device_code: TokenHash,
        longer: Duration,
        now: Timestamp,
    ) -> Result<DeviceGrantAnswer, StoreError> {
        self.writer.write(move |db| ask(db, device_code, longer, now)).await
    }
}

fn save(db: &Connection, grant: DeviceGrant, now: Timestamp) -> Result<(), StoreError> {
    let DeviceGrant { device_code, user_code, provider, interval, expires_at } = grant;
    db.run("DELETE FROM device_grants WHERE expires_at <= ?", params![Integer::time(now, "time")?])?;
    db.run(
        "INSERT INTO device_grants (device_code_hash, user_code_hash, provider, is_denied, entries, interval_ms,
         expires_at) VALUES (?, ?, ?, 0, 0, ?, ?)",
        params![
            Blob(*device_code.as_bytes()),
            Blob(*user_code.as_bytes()),
            provider,
            millis(interval)?,
            Integer::time(expires_at, "expiry")?,
        ],
    )?;
    let (count,): (i64,) = db.one("SELECT count(*) FROM device_grants", [])?;
    refuse_over_limit(count)
}

fn enter(db: &Connection, user_code: TokenHash, now: Timestamp) -> Result<Option<(TokenHash, String)>, StoreError> {
    let row: Option<(Blob<32>, String)> = db.first(
        "UPDATE device_grants SET entries = entries + 1
         WHERE user_code_hash = ? AND expires_at > ? AND entries < ? AND account_id IS NULL AND is_denied = 0
         RETURNING device_code_hash, provider",
        params![
            Blob(*user_code.as_bytes()),
            Integer::time(now, "time")?,
            Integer::new(USER_CODE_ENTRIES_MAX, "limit")?,
        ],
    )?;
    Ok(row.map(|(Blob(device_code), provider)| (TokenHash::from_bytes(device_code), provider)))
}

fn decide(db: &Connection, device_code: TokenHash, decision: Decision, now: Timestamp) -> Result<bool, StoreError> {
    let (account, is_denied) = match decision {
        Decision::SignedIn(account) => (Some(Blob(*account.as_bytes())), 0),
        Decision::Denied => (None, 1),
    };
    let decided = db.run(
        "UPDATE device_grants SET account_id = ?, is_denied = ?
         WHERE device_code_hash = ? AND expires_at > ? AND account_id IS NULL AND is_denied = 0",
        params![account, is_denied, Blob(*device_code.as_bytes()), Integer::time(now, "time")?],
    )?;
    Ok(decided > 0)
}

fn ask(
    db: &Connection,
    device_code: TokenHash,
    longer: Duration,
    now: Timestamp,
) -> Result<DeviceGrantAnswer, StoreError> {
    type Row = (String, Option<Blob<16>>, bool, Integer, Option<Integer>);
    let device_code = Blob(*device_code.as_bytes());
    let row: Option<Row> = db.first(
        "SELECT provider, account_id, is_denied, interval_ms, asked_at FROM device_grants
         WHERE device_code_hash = ? AND expires_at > ?",
        params![device_code, Integer::time(now, "time")?],
    )?;
    let Some((provider, account, is_denied, interval, asked_at)) = row else { return Ok(DeviceGrantAnswer::Unknown) };
    let decision = match account {
        Some(Blob(account)) => Some(Decision::SignedIn(AccountId::from_bytes(account))),
        None => is_denied.then_some(Decision::Denied),
    };
    if let Some(decision) = decision {
        db.run("DELETE FROM device_grants WHERE device_code_hash = ?", params![device_code])?;
        return Ok(DeviceGrantAnswer::Decided { decision, provider });
    }
    let interval = Duration::from_millis(interval.get());
    let is_too_soon = asked_at.is_some_and(|asked_at| asked_at.timestamp().plus(interval) > now);
    let interval = if is_too_soon { interval + longer } else { interval };
    db.run(
        "UPDATE device_grants SET asked_at = ?, interval_ms = ? WHERE device_code_hash = ?",
        params![Integer::time(now, "time")?, millis(interval)?, device_code],
    )?;
    Ok(if is_too_soon { DeviceGrantAnswer::TooSoon } else { DeviceGrantAnswer::Pending })
}

fn millis(span: Duration) -> Result<Integer, StoreError> {
    Integer::new(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), "interval")
}
