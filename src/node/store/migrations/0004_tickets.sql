-- Tickets for sockets: a page shows one instead of its access token. A row lives for seconds and is deleted when it is taken.

CREATE TABLE tickets (
    ticket_hash BLOB PRIMARY KEY CHECK (length(ticket_hash) = 32),
    session_id  BLOB NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_by_session ON tickets (session_id);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);
