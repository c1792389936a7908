//! Sessions: their tokens, their rotation, and how they end.
//!
//! A session has one access token and one refresh token at a time. A refresh token is used once;
//! used again, by a thief or after one, the whole session ends (RFC 9700, section 4.14.2). A
//! session expires when its refresh token does, which is the idle timeout, and at its absolute end,
//! which no refresh moves: no token outlives it.

use sqlx::SqliteConnection;

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::limits::{REFRESHES_MAX, SESSIONS_PER_ACCOUNT_MAX};
use super::mailboxes::forget_acknowledged;
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
        self.writer.write(move |db| Box::pin(open(db, session))).await
    }

    /// The session whose access token this is. None if there is none, if it has ended or if the
    /// token has expired.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn session_by_access(&self, access: TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT session_id, account_id, device_id, access_expires_at FROM sessions
             WHERE access_hash = ? AND access_expires_at > ?",
        )
        .bind(Blob(*access.as_bytes()))
        .bind(Integer::time(now, "time")?)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(session))
    }

    /// Whether there is a session of that id.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn has_session(&self, session_id: SessionId) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sessions WHERE session_id = ?")
            .bind(Blob(*session_id.as_bytes()))
            .fetch_optional(&self.readers)
            .await?;
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
        self.writer.write(move |db| Box::pin(rotate(db, refresh, tokens, now))).await
    }

    /// Ends a session of the account. False if the account has none of that id.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn end_session(&self, account_id: AccountId, session_id: SessionId) -> Result<bool, StoreError> {
        self.writer
            .write(move |db| {
                Box::pin(async move {
                    let ended = sqlx::query("DELETE FROM sessions WHERE account_id = ? AND session_id = ?")
                        .bind(Blob(*account_id.as_bytes()))
                        .bind(Blob(*session_id.as_bytes()))
                        .execute(db)
                        .await?;
                    Ok(ended.rows_affected() > 0)
                })
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
                Box::pin(async move {
                    let ended = sqlx::query("DELETE FROM sessions WHERE account_id = ?")
                        .bind(Blob(*account_id.as_bytes()))
                        .execute(db)
                        .await?;
                    Ok(ended.rows_affected())
                })
            })
            .await
    }

    /// The account's sessions that have not expired, oldest first.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn sessions(&self, account_id: AccountId, now: Timestamp) -> Result<Vec<SessionInfo>, StoreError> {
        type Row = (Blob<16>, Option<Blob<16>>, Integer, Integer, Integer);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT session_id, device_id, created_at, refreshed_at, refresh_expires_at FROM sessions
             WHERE account_id = ? AND refresh_expires_at > ? ORDER BY created_at, session_id",
        )
        .bind(Blob(*account_id.as_bytes()))
        .bind(Integer::time(now, "time")?)
        .fetch_all(&self.readers)
        .await?;
        let info = |(Blob(session_id), device_id, created_at, refreshed_at, expires_at): Row| SessionInfo {
            session_id: SessionId::from_bytes(session_id),
            device_id: device_id.map(|Blob(id)| DeviceId::from_bytes(id)),
            created_at: created_at.timestamp(),
            refreshed_at: refreshed_at.timestamp(),
            expires_at: expires_at.timestamp(),
        };
        Ok(rows.into_iter().map(info).collect())
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
        self.writer.write(move |db| Box::pin(bind_device(db, session_id, device_id, signing_key))).await
    }

    /// Forgets sessions, used refresh tokens, pending sign-ins, codes and invitations that have expired,
    /// and the ids of envelopes that were acknowledged long ago. Returns how many there were.
    ///
    /// Nothing expired is valid without it; it makes room. To be called every few minutes.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn remove_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.writer.write(move |db| Box::pin(remove_expired(db, now))).await
    }
}

/// The session of an id, if its access token has not expired.
pub(super) async fn session_by_id(
    db: &mut SqliteConnection,
    session_id: SessionId,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let row: Option<SessionRow> = sqlx::query_as(
        "SELECT session_id, account_id, device_id, access_expires_at FROM sessions
         WHERE session_id = ? AND access_expires_at > ?",
    )
    .bind(Blob(*session_id.as_bytes()))
    .bind(Integer::time(now, "time")?)
    .fetch_optional(db)
    .await?;
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

async fn open(db: &mut SqliteConnection, session: NewSession) -> Result<Vec<SessionId>, StoreError> {
    let NewSession { session_id, account_id, tokens, absolute_expires_at, created_at } = session;
    let account = Blob(*account_id.as_bytes());
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM accounts WHERE account_id = ?")
        .bind(account)
        .fetch_optional(&mut *db)
        .await?;
    if known.is_none() {
        return Err(StoreError::UnknownAccount { account_id });
    }
    sqlx::query("DELETE FROM sessions WHERE account_id = ? AND refresh_expires_at <= ?")
        .bind(account)
        .bind(Integer::time(created_at, "creation time")?)
        .execute(&mut *db)
        .await?;
    let ended = end_past_limit(db, account).await?;
    sqlx::query(
        "INSERT INTO sessions (session_id, account_id, access_hash, access_expires_at, refresh_hash,
         refresh_expires_at, absolute_expires_at, created_at, refreshed_at, refreshes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
    )
    .bind(Blob(*session_id.as_bytes()))
    .bind(account)
    .bind(Blob(*tokens.access.as_bytes()))
    .bind(Integer::time(tokens.access_expires_at.min(absolute_expires_at), "expiry")?)
    .bind(Blob(*tokens.refresh.as_bytes()))
    .bind(Integer::time(tokens.refresh_expires_at.min(absolute_expires_at), "expiry")?)
    .bind(Integer::time(absolute_expires_at, "expiry")?)
    .bind(Integer::time(created_at, "creation time")?)
    .bind(Integer::time(created_at, "creation time")?)
    .execute(db)
    .await?;
    Ok(ended)
}

/// Leaves room for one more session of the account.
async fn end_past_limit(db: &mut SqliteConnection, account: Blob<16>) -> Result<Vec<SessionId>, StoreError> {
    let kept = i64::try_from(SESSIONS_PER_ACCOUNT_MAX - 1).unwrap_or(i64::MAX);
    let ended: Vec<Blob<16>> = sqlx::query_scalar(
        "DELETE FROM sessions WHERE session_id IN (
             SELECT session_id FROM sessions WHERE account_id = ?
             ORDER BY refreshed_at DESC, session_id LIMIT -1 OFFSET ?
         ) RETURNING session_id",
    )
    .bind(account)
    .bind(kept)
    .fetch_all(db)
    .await?;
    Ok(ended.into_iter().map(|Blob(id)| SessionId::from_bytes(id)).collect())
}

async fn rotate(
    db: &mut SqliteConnection,
    refresh: TokenHash,
    tokens: NewTokens,
    now: Timestamp,
) -> Result<Rotation, StoreError> {
    type Row = (Blob<16>, Blob<16>, Integer, Integer, Integer);
    let row: Option<Row> = sqlx::query_as(
        "SELECT session_id, account_id, refresh_expires_at, absolute_expires_at, refreshes FROM sessions
         WHERE refresh_hash = ?",
    )
    .bind(Blob(*refresh.as_bytes()))
    .fetch_optional(&mut *db)
    .await?;
    let Some((session_id, account_id, expires_at, absolute_expires_at, refreshes)) = row else {
        return end_if_reused(db, refresh).await;
    };
    if expires_at.timestamp() <= now || refreshes.get() >= REFRESHES_MAX {
        return end(db, session_id, account_id).await.map(Rotation::Expired);
    }
    sqlx::query("INSERT INTO spent_refresh_tokens (refresh_hash, session_id, expires_at) VALUES (?, ?, ?)")
        .bind(Blob(*refresh.as_bytes()))
        .bind(session_id)
        .bind(expires_at)
        .execute(&mut *db)
        .await?;
    let absolute_expires_at = absolute_expires_at.timestamp();
    let refresh_expires_at = tokens.refresh_expires_at.min(absolute_expires_at);
    let row: SessionRow = sqlx::query_as(
        "UPDATE sessions SET access_hash = ?, access_expires_at = ?, refresh_hash = ?, refresh_expires_at = ?,
         refreshed_at = ?, refreshes = refreshes + 1 WHERE session_id = ? RETURNING session_id, account_id, device_id, access_expires_at",
    )
    .bind(Blob(*tokens.access.as_bytes()))
    .bind(Integer::time(tokens.access_expires_at.min(absolute_expires_at), "expiry")?)
    .bind(Blob(*tokens.refresh.as_bytes()))
    .bind(Integer::time(refresh_expires_at, "expiry")?)
    .bind(Integer::time(now, "time")?)
    .bind(session_id)
    .fetch_one(db)
    .await?;
    Ok(Rotation::Rotated { session: session(row), refresh_expires_at })
}

async fn end_if_reused(db: &mut SqliteConnection, refresh: TokenHash) -> Result<Rotation, StoreError> {
    let row: Option<(Blob<16>, Blob<16>)> = sqlx::query_as(
        "SELECT session_id, account_id FROM spent_refresh_tokens JOIN sessions USING (session_id)
         WHERE spent_refresh_tokens.refresh_hash = ?",
    )
    .bind(Blob(*refresh.as_bytes()))
    .fetch_optional(&mut *db)
    .await?;
    match row {
        None => Ok(Rotation::Unknown),
        Some((session_id, account_id)) => end(db, session_id, account_id).await.map(Rotation::Reused),
    }
}

async fn end(
    db: &mut SqliteConnection,
    session_id: Blob<16>,
    account_id: Blob<16>,
) -> Result<EndedSession, StoreError> {
    sqlx::query("DELETE FROM sessions WHERE session_id = ?").bind(session_id).execute(db).await?;
    Ok(EndedSession {
        session_id: SessionId::from_bytes(session_id.0),
        account_id: AccountId::from_bytes(account_id.0),
    })
}

async fn bind_device(
    db: &mut SqliteConnection,
    session_id: SessionId,
    device_id: DeviceId,
    signing_key: Blob<32>,
) -> Result<(), StoreError> {
    let row: Option<(Blob<16>, Option<Blob<16>>)> =
        sqlx::query_as("SELECT account_id, device_id FROM sessions WHERE session_id = ?")
            .bind(Blob(*session_id.as_bytes()))
            .fetch_optional(&mut *db)
            .await?;
    let Some((account, bound)) = row else { return Err(StoreError::UnknownSession { session_id }) };
    let device = Blob(*device_id.as_bytes());
    match bound {
        Some(bound) if bound == device => return Ok(()),
        Some(_) => return Err(StoreError::SessionBound { session_id }),
        None => {}
    }
    let bound = sqlx::query(
        "UPDATE sessions SET device_id = ?1 WHERE session_id = ?2
         AND EXISTS (SELECT 1 FROM devices WHERE account_id = ?3 AND device_id = ?1 AND signing_key = ?4)",
    )
    .bind(device)
    .bind(Blob(*session_id.as_bytes()))
    .bind(account)
    .bind(signing_key)
    .execute(db)
    .await?;
    if bound.rows_affected() == 0 {
        let device = DeviceAddress { account_id: AccountId::from_bytes(account.0), device_id };
        return Err(StoreError::UnknownDevice { device });
    }
    Ok(())
}

async fn remove_expired(db: &mut SqliteConnection, now: Timestamp) -> Result<u64, StoreError> {
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
        removed += sqlx::query(statement).bind(expired).execute(&mut *db).await?.rows_affected();
    }
    Ok(removed + forget_acknowledged(db, now).await?)
}
