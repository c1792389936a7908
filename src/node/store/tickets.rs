//! Tickets for sockets.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::sessions::{Session, session_by_id};
use super::sql::Sql;
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
        self.writer.write(move |db| save(db, ticket, session_id, expires_at, now)).await
    }

    /// Takes a ticket out of the store: a second call finds nothing. The session that it was made for; none if the ticket
    /// is unknown or has expired, or the session has ended or its access token expired.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn take_ticket(&self, ticket: TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.writer.write(move |db| take(db, ticket, now)).await
    }
}

fn save(
    db: &Connection,
    ticket: TokenHash,
    session_id: SessionId,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let session = Blob(*session_id.as_bytes());
    db.run(
        "DELETE FROM tickets WHERE expires_at <= ? OR session_id = ?",
        params![Integer::time(now, "time")?, session],
    )?;
    let inserted = db.run(
        "INSERT INTO tickets (ticket_hash, session_id, expires_at)
         SELECT ?, session_id, ? FROM sessions WHERE session_id = ?",
        params![Blob(*ticket.as_bytes()), Integer::time(expires_at, "expiry")?, session],
    )?;
    if inserted == 0 { Err(StoreError::UnknownSession { session_id }) } else { Ok(()) }
}

fn take(db: &Connection, ticket: TokenHash, now: Timestamp) -> Result<Option<Session>, StoreError> {
    let row: Option<(Blob<16>, Integer)> = db.first(
        "DELETE FROM tickets WHERE ticket_hash = ? RETURNING session_id, expires_at",
        params![Blob(*ticket.as_bytes())],
    )?;
    match row {
        Some((Blob(session), expires_at)) if expires_at.timestamp() > now => {
            session_by_id(db, SessionId::from_bytes(session), now)
        }
        _ => Ok(None),
    }
}
