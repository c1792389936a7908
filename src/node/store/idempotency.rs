//! Calls that act once, however often they are made with the same key.
//!
//! What a call does and the memory of it are one transaction: a node that is killed has done both or neither. There is one
//! writer, so of calls at the same time one acts and the others find its answer. Only what was done is remembered; a call
//! that was refused may be made again with its key.

use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::columns::{Blob, Integer, is_over};
use super::error::StoreError;
use super::limits::{IDEMPOTENCY_KEPT, IDEMPOTENCY_KEYS_MAX};
use super::sql::Sql;
use crate::ids::AccountId;
use crate::wire::Timestamp;

/// A call that is to act once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Who calls. Keys of others are others.
    pub account_id: AccountId,
    /// A hash of the client's key.
    pub key_hash: [u8; 32],
    /// A hash of what is asked.
    pub request_hash: [u8; 32],
    /// When it is asked.
    pub now: Timestamp,
}

/// What has become of a call that is to act once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted<T> {
    /// It has acted.
    Now(T),
    /// It had before, and was answered so.
    Before(T),
}

/// What the call was answered when it acted, if it has.
///
/// # Errors
/// [`StoreError::OtherRequest`] if the key was used for something else.
pub(super) fn recall<T: DeserializeOwned>(db: &Connection, once: &Once) -> Result<Option<T>, StoreError> {
    let row: Option<(Blob<32>, String)> = db.first(
        "SELECT request_hash, answer FROM idempotency_keys WHERE account_id = ? AND key_hash = ? AND expires_at > ?",
        params![Blob(*once.account_id.as_bytes()), Blob(once.key_hash), Integer::time(once.now, "time")?],
    )?;
    match row {
        Some((Blob(request), _)) if request != once.request_hash => Err(StoreError::OtherRequest),
        Some((_, answer)) => {
            let answer = serde_json::from_str(&answer).map_err(|_| StoreError::Corrupt { what: "answer" })?;
            Ok(Some(answer))
        }
        None => Ok(None),
    }
}

/// Remembers that the call has acted, in the transaction in which it does.
///
/// # Errors
/// [`StoreError::TooManyKeys`] past [`IDEMPOTENCY_KEYS_MAX`]; nothing was done then.
pub(super) fn remember(db: &Connection, once: &Once, answer: &impl Serialize) -> Result<(), StoreError> {
    let answer = serde_json::to_string(answer).map_err(|_| StoreError::Bug { what: "an answer has no JSON form" })?;
    let account = Blob(*once.account_id.as_bytes());
    db.run(
        "DELETE FROM idempotency_keys WHERE account_id = ? AND expires_at <= ?",
        params![account, Integer::time(once.now, "time")?],
    )?;
    db.run(
        "INSERT INTO idempotency_keys (account_id, key_hash, request_hash, answer, expires_at) VALUES (?, ?, ?, ?, ?)",
        params![
            account,
            Blob(once.key_hash),
            Blob(once.request_hash),
            answer,
            Integer::time(once.now.plus(IDEMPOTENCY_KEPT), "expiry")?
        ],
    )?;
    let (keys,): (i64,) = db.one("SELECT count(*) FROM idempotency_keys WHERE account_id = ?", params![account])?;
    if is_over(keys, IDEMPOTENCY_KEYS_MAX) {
        return Err(StoreError::TooManyKeys { limit: IDEMPOTENCY_KEYS_MAX });
    }
    Ok(())
}
