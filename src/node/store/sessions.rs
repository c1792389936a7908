//! Sessions: their tokens, their rotation, and how they end.
//!
//! A session has one access token and one refresh token at a time. A refresh token is used once;
//! used again, by a thief or after one, the whole session ends (RFC 9700, section 4.14.2). A
//! session expires when its refresh token does, which is the idle timeout, and at its absolute end,
//! which no refresh moves: no token outlives it.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::limits::{REFRESHES_MAX, SESSIONS_PER_ACCOUNT_MAX};
use super::mailboxes::forget_acknowledged;
use super::sql::Sql;
use crate::ids::{AccountId, DeviceAddress, DeviceId, SessionId};
use crate::node::tokens::TokenHash;
use crate::protocol::public::SigningPublicKey;
use crate::wire::Timestamp;

/// A session that begins.
#[derive(Clone, Copy, Debug)]
pub struct NewSession {
    /// Its id, drawn anew.
    pub session_id: SessionId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Its first tokens.
    pub tokens: NewTokens,
    /// When it ends at the latest.
    pub absolute_expires_at: Timestamp,
    /// When it begins.
    pub created_at: Timestamp,
}

/// A pair of tokens. Expiries past the session's absolute end are cut to that.
#[derive(Clone, Copy, Debug)]
pub struct NewTokens {
    /// The access token.
    pub access: TokenHash,
    /// When the access token expires.
    pub access_expires_at: Timestamp,
    /// The refresh token.
    pub refresh: TokenHash,
    /// When the refresh token expires: how long the session may be idle.
    pub refresh_expires_at: Timestamp,
}

/// A session, as a request shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Which device it is, once it has said so.
    pub device_id: Option<DeviceId>,
    /// When its access token expires.
    pub expires_at: Timestamp,
}

/// A session, as its owner sees it in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session.
    pub session_id: SessionId,
    /// Which device it is, once it has said so.
    pub device_id: Option<DeviceId>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last got new tokens.
    pub refreshed_at: Timestamp,
    /// When it ends if it is not refreshed.
    pub expires_at: Timestamp,
}

/// A session that is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// The session.
    pub session_id: SessionId,
    /// Whose it was.
    pub account_id: AccountId,
}

/// What came of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was good: the session has the new tokens.
    Rotated {
        /// The session.
        session: Session,
        /// When the new refresh token expires.
        refresh_expires_at: Timestamp,
    },
    /// It was used before: the session has ended.
    Reused(EndedSession),
    /// It, or the session, had expired, or was refreshed as often as one may be: the session has
    /// ended.
    Expired(EndedSession),
    /// No session has or had it.
    Unknown,
}

impl Store {
    /// Begins a session. Returns the sessions of the account that ended in its favour: none below
    /// [`SESSIONS_PER_ACCOUNT_MAX`], where expired ones do not count.
    ///
    /// # Errors
    /// [`StoreError::UnknownAccount`], [`StoreError::IdInUse`] for an id or token drawn twice, or a
    /// failure of the store.
    pub async fn open_session(&self, session: &NewSession) -> Result<Vec<SessionId>, StoreError> {
        let session = *session;
        self.writer.write(move |db| open(db, session)).await
    }

    /// The session whose access token this is. None if there is none, if it has ended or if the
    /// token has expired.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn session_by_access(&self, access: TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.readers.read(move |db| session_by_access(db, access, now)).await
    }

    /// Whether there is a session of that id.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn has_session(&self, session_id: SessionId) -> Result<bool, StoreError> {
        let id = Blob(*session_id.as_bytes());
        let found: Option<(i64,)> =
            self.readers.read(move |db| db.first("SELECT 1 FROM sessions WHERE session_id = ?", params![id])).await?;
        Ok(found.is_some())
    }

    /// Trades a refresh token for new tokens; both old ones are worth nothing from then on. Of
    /// several trades of one token one is good, and the next ends the session.
    ///
    /// # Errors
    /// [`StoreError::IdInUse`] for a token drawn twice, or a failure of the store.
    pub async fn rotate_session(
        &self,
        refresh: TokenHash,
        tokens: &NewTokens,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let tokens = *tokens;
        self.writer.write(move |db| rotate(db, refresh, tokens, now)).await
    }

    /// Ends a session of the account. False if the account has none of that id.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn end_session(&self, account_id: AccountId, session_id: SessionId) -> Result<bool, StoreError> {
        self.writer
            .write(move |db| {
                let ended = db.run(
                    "DELETE FROM sessions WHERE account_id = ? AND session_id = ?",
                    params![Blob(*account_id.as_bytes()), Blob(*session_id.as_bytes())],
                )?;
                Ok(ended > 0)
            })
            .await
    }

    /// Ends every session of the account. Returns how many there were.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn end_all_sessions(&self, account_id: AccountId) -> Result<u64, StoreError> {
        self.writer
            .write(move |db| {
                let account = Blob(*account_id.as_bytes());
                db.run("DELETE FROM sessions WHERE account_id = ?", params![account])
            })
            .await
    }

    /// The account's sessions that have not expired, oldest first.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn sessions(&self, account_id: AccountId, now: Timestamp) -> Result<Vec<SessionInfo>, StoreError> {
        self.readers.read(move |db| sessions(db, account_id, now)).await
    }

    /// Says which device a session is; from then on it ends with the device. Saying it again
    /// changes nothing. The device has to be listed with the signing key that its proof was
    /// verified with: its account may have replaced it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::UnknownSession`], [`StoreError::UnknownDevice`] if the device is not on the
    /// list of the session's account, or not with this key, [`StoreError::SessionBound`] if the
    /// session is another device's, or a failure of the store.
    pub async fn bind_device(
        &self,
        session_id: SessionId,
        device_id: DeviceId,
        signing_key: &SigningPublicKey,
    ) -> Result<(), StoreError> {
        let signing_key = Blob(*signing_key.as_bytes());
        self.writer.write(move |db| bind_device(db, session_id, device_id, signing_key)).await
    }

    /// Forgets sessions, used refresh tokens, pending sign-ins, codes and invitations that have expired,
    /// and the ids of envelopes that were acknowledged long ago. Returns how many there were.
    ///
    /// Nothing expired is valid without it; it makes room. To be called every few minutes.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn remove_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.writer.write(move |db| remove_expired(db, now)).await
    }
}

fn session_by_access(db: &Connection, access: TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
    let row: Option<SessionRow> = db.first(
        "SELECT session_id, account_id, device_id, access_expires_at FROM sessions
         WHERE access_hash = ? AND access_expires_at > ?",
        params![Blob(*access.as_bytes()), Integer::time(now, "time")?],
    )?;
    Ok(row.map(session))
}

/// The session of an id, if its access token has not expired.
pub(super) fn session_by_id(
    db: &Connection,
    session_id: SessionId,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let row: Option<SessionRow> = db.first(
        "SELECT session_id, account_id, device_id, access_expires_at FROM sessions
         WHERE session_id = ? AND access_expires_at > ?",
        params![Blob(*session_id.as_bytes()), Integer::time(now, "time")?],
    )?;
    Ok(row.map(session))
}

type SessionRow = (Blob<16>, Blob<16>, Option<Blob<16>>, Integer);

fn session((Blob(session_id), Blob(account_id), device_id, expires_at): SessionRow) -> Session {
    Session {
        session_id: SessionId::from_bytes(session_id),
        account_id: AccountId::from_bytes(account_id),
        device_id: device_id.map(|Blob(id)| DeviceId::from_bytes(id)),
        expires_at: expires_at.timestamp(),
    }
}

fn open(db: &Connection, session: NewSession) -> Result<Vec<SessionId>, StoreError> {
    let NewSession { session_id, account_id, tokens, absolute_expires_at, created_at } = session;
    let account = Blob(*account_id.as_bytes());
    let known: Option<(i64,)> = db.first("SELECT 1 FROM accounts WHERE account_id = ?", params![account])?;
    if known.is_none() {
        return Err(StoreError::UnknownAccount { account_id });
    }
    db.run(
        "DELETE FROM sessions WHERE account_id = ? AND refresh_expires_at <= ?",
        params![account, Integer::time(created_at, "creation time")?],
    )?;
    let ended = end_past_limit(db, account)?;
    db.run(
        "INSERT INTO sessions (session_id, account_id, access_hash, access_expires_at, refresh_hash,
         refresh_expires_at, absolute_expires_at, created_at, refreshed_at, refreshes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        params![
            Blob(*session_id.as_bytes()),
            account,
            Blob(*tokens.access.as_bytes()),
            Integer::time(tokens.access_expires_at.min(absolute_expires_at), "expiry")?,
            Blob(*tokens.refresh.as_bytes()),
            Integer::time(tokens.refresh_expires_at.min(absolute_expires_at), "expiry")?,
            Integer::time(absolute_expires_at, "expiry")?,
            Integer::time(created_at, "creation time")?,
            Integer::time(created_at, "creation time")?,
        ],
    )?;
    Ok(ended)
}

/// Leaves room for one more session of the account.
fn end_past_limit(db: &Connection, account: Blob<16>) -> Result<Vec<SessionId>, StoreError> {
    let kept = i64::try_from(SESSIONS_PER_ACCOUNT_MAX - 1).unwrap_or(i64::MAX);
    let ended: Vec<(Blob<16>,)> = db.all(
        "DELETE FROM sessions WHERE session_id IN (
             SELECT session_id FROM sessions WHERE account_id = ?
             ORDER BY refreshed_at DESC, session_id LIMIT -1 OFFSET ?
         ) RETURNING session_id",
        params![account, kept],
    )?;
    Ok(ended.into_iter().map(|(Blob(id),)| SessionId::from_bytes(id)).collect())
}

fn rotate(db: &Connection, refresh: TokenHash, tokens: NewTokens, now: Timestamp) -> Result<Rotation, StoreError> {
    type Row = (Blob<16>, Blob<16>, Integer, Integer, Integer);
    let row: Option<Row> = db.first(
        "SELECT session_id, account_id, refresh_expires_at, absolute_expires_at, refreshes FROM sessions
         WHERE refresh_hash = ?",
        params![Blob(*refresh.as_bytes())],
    )?;
    let Some((session_id, account_id, expires_at, absolute_expires_at, refreshes)) = row else {
        return end_if_reused(db, refresh);
    };
    if expires_at.timestamp() <= now || refreshes.get() >= REFRESHES_MAX {
        return end(db, session_id, account_id).map(Rotation::Expired);
    }
    db.run(
        "INSERT INTO spent_refresh_tokens (refresh_hash, session_id, expires_at) VALUES (?, ?, ?)",
        params![Blob(*refresh.as_bytes()), session_id, expires_at],
    )?;
    let absolute_expires_at = absolute_expires_at.timestamp();
    let refresh_expires_at = tokens.refresh_expires_at.min(absolute_expires_at);
    let row: SessionRow = db.one(
        "UPDATE sessions SET access_hash = ?, access_expires_at = ?, refresh_hash = ?, refresh_expires_at = ?,
         refreshed_at = ?, refreshes = refreshes + 1 WHERE session_id = ?
         RETURNING session_id, account_id, device_id, access_expires_at",
        params![
            Blob(*tokens.access.as_bytes()),
            Integer::time(tokens.access_expires_at.min(absolute_expires_at), "expiry")?,
            Blob(*tokens.refresh.as_bytes()),
            Integer::time(refresh_expires_at, "expiry")?,
            Integer::time(now, "time")?,
            session_id,
        ],
    )?;
    Ok(Rotation::Rotated { session: session(row), refresh_expires_at })
}

fn end_if_reused(db: &Connection, refresh: TokenHash) -> Result<Rotation, StoreError> {
    let row: Option<(Blob<16>, Blob<16>)> = db.first(
        "SELECT session_id, account_id FROM spent_refresh_tokens JOIN sessions USING (session_id)
         WHERE spent_refresh_tokens.refresh_hash = ?",
        params![Blob(*refresh.as_bytes())],
    )?;
    match row {
        None => Ok(Rotation::Unknown),
        Some((session_id, account_id)) => end(db, session_id, account_id).map(Rotation::Reused),
    }
}

fn end(db: &Connection, session_id: Blob<16>, account_id: Blob<16>) -> Result<EndedSession, StoreError> {
    db.run("DELETE FROM sessions WHERE session_id = ?", params![session_id])?;
    Ok(EndedSession {
        session_id: SessionId::from_bytes(session_id.0),
        account_id: AccountId::from_bytes(account_id.0),
    })
}

fn sessions(db: &Connection, account_id: AccountId, now: Timestamp) -> Result<Vec<SessionInfo>, StoreError> {
    type Row = (Blob<16>, Option<Blob<16>>, Integer, Integer, Integer);
    let rows: Vec<Row> = db.all(
        "SELECT session_id, device_id, created_at, refreshed_at, refresh_expires_at FROM sessions
         WHERE account_id = ? AND refresh_expires_at > ? ORDER BY created_at, session_id",
        params![Blob(*account_id.as_bytes()), Integer::time(now, "time")?],
    )?;
    let info = |(Blob(session_id), device_id, created_at, refreshed_at, expires_at): Row| SessionInfo {
        session_id: SessionId::from_bytes(session_id),
        device_id: device_id.map(|Blob(id)| DeviceId::from_bytes(id)),
        created_at: created_at.timestamp(),
        refreshed_at: refreshed_at.timestamp(),
        expires_at: expires_at.timestamp(),
    };
    Ok(rows.into_iter().map(info).collect())
}

fn bind_device(
    db: &Connection,
    session_id: SessionId,
    device_id: DeviceId,
    signing_key: Blob<32>,
) -> Result<(), StoreError> {
    let row: Option<(Blob<16>, Option<Blob<16>>)> = db.first(
        "SELECT account_id, device_id FROM sessions WHERE session_id = ?",
        params![Blob(*session_id.as_bytes())],
    )?;
    let Some((account, bound)) = row else { return Err(StoreError::UnknownSession { session_id }) };
    let device = Blob(*device_id.as_bytes());
    match bound {
        Some(bound) if bound == device => return Ok(()),
        Some(_) => return Err(StoreError::SessionBound { session_id }),
        None => {}
    }
    let bound = db.run(
        "UPDATE sessions SET device_id = ?1 WHERE session_id = ?2
         AND EXISTS (SELECT 1 FROM devices WHERE account_id = ?3 AND device_id = ?1 AND signing_key = ?4)",
        params![device, Blob(*session_id.as_bytes()), account, signing_key],
    )?;
    if bound == 0 {
        let device = DeviceAddress { account_id: AccountId::from_bytes(account.0), device_id };
        return Err(StoreError::UnknownDevice { device });
    }
    Ok(())
}

fn remove_expired(db: &Connection, now: Timestamp) -> Result<u64, StoreError> {
    let expired = Integer::time(now, "time")?;
    let mut removed = 0;
    for statement in [
        "DELETE FROM sessions WHERE refresh_expires_at <= ?",
        "DELETE FROM spent_refresh_tokens WHERE expires_at <= ?",
        "DELETE FROM flows WHERE expires_at <= ?",
        "DELETE FROM codes WHERE expires_at <= ?",
        "DELETE FROM invitations WHERE expires_at <= ?",
        "DELETE FROM device_grants WHERE expires_at <= ?",
        "DELETE FROM room_keys WHERE expires_at <= ?",
        "DELETE FROM idempotency_keys WHERE expires_at <= ?",
    ] {
        removed += db.run(statement, params![expired])?;
    }
    Ok(removed + forget_acknowledged(db, now)?)
}
