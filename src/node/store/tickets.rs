//! Tickets for sockets.

use sqlx::SqliteConnection;

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::sessions::{Session, session_by_id};
use crate::ids::SessionId;
use crate::node::tokens::TokenHash;
use crate::wire::Timestamp;

impl Store {
    /// Remembers a ticket of a session, and forgets those that have expired. A session has one: a new one takes the place
    /// of the last.
    ///
    /// # Errors
    /// [`StoreError::UnknownSession`], or a failure of the store.
    pub async fn save_ticket(
        &self,
        ticket: TokenHash,
        session_id: SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer.write(move |db| Box::pin(save(db, ticket, session_id, expires_at, now))).await
    }

    /// Takes a ticket out of the store: a second call finds nothing. The session that it was made for; none if the ticket
    /// is unknown or has expired, or the session has ended or its access token expired.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn take_ticket(&self, ticket: TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.writer.write(move |db| Box::pin(take(db, ticket, now))).await
    }
}

async fn save(
    db: &mut SqliteConnection,
    ticket: TokenHash,
    session_id: SessionId,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let session = Blob(*session_id.as_bytes());
    sqlx::query("DELETE FROM tickets WHERE expires_at <= ? OR session_id = ?")
        .bind(Integer::time(now, "time")?)
        .bind(session)
        .execute(&mut *db)
        .await?;
    let inserted = sqlx::query(
        "INSERT INTO tickets (ticket_hash, session_id, expires_at)
         SELECT ?, session_id, ? FROM sessions WHERE session_id = ?",
    )
    .bind(Blob(*ticket.as_bytes()))
    .bind(Integer::time(expires_at, "expiry")?)
    .bind(session)
    .execute(db)
    .await?;
    if inserted.rows_affected() == 0 { Err(StoreError::UnknownSession { session_id }) } else { Ok(()) }
}

async fn take(db: &mut SqliteConnection, ticket: TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
    let row: Option<(Blob<16>, Integer)> =
        sqlx::query_as("DELETE FROM tickets WHERE ticket_hash = ? RETURNING session_id, expires_at")
            .bind(Blob(*ticket.as_bytes()))
            .fetch_optional(&mut *db)
            .await?;
    match row {
        Some((Blob(session), expires_at)) if expires_at.timestamp() > now => {
            session_by_id(db, SessionId::from_bytes(session), now).await
        }
        _ => Ok(None),
    }
}
