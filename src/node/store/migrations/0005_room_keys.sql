-- Public keys of members in rooms whose clients hold the keys: one of each type, the newest. They go with the membership.
-- Of rooms whose keys the node holds nothing is here.

CREATE TABLE room_keys (
    room_id       BLOB NOT NULL,
    account_id    BLOB NOT NULL, -- identifies: whose
    key_type      TEXT NOT NULL CHECK (key_type IN ('ephemeral', 'identity')),
    key_id        BLOB NOT NULL CHECK (length(key_id) = 8),
    agreement_key BLOB NOT NULL CHECK (length(agreement_key) = 32), -- X25519, public
    signing_key   BLOB NOT NULL CHECK (length(signing_key) = 32), -- Ed25519, public
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    revoked       INTEGER NOT NULL CHECK (revoked IN (0, 1)),
    PRIMARY KEY (room_id, account_id, key_type),
    FOREIGN KEY (room_id, account_id) REFERENCES members (room_id, account_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX room_keys_by_expiry ON room_keys (expires_at);
