-- Devices without a browser that wait until somebody signs them in (RFC 8628).

CREATE TABLE device_grants (
    device_code_hash BLOB PRIMARY KEY CHECK (length(device_code_hash) = 32),
    -- Of 34 bits: who reads it can find the code while it lasts, and could sign the device in to an account of their own.
    user_code_hash   BLOB NOT NULL UNIQUE CHECK (length(user_code_hash) = 32),
    provider         TEXT NOT NULL,
    account_id       BLOB REFERENCES accounts, -- who has signed in; nobody yet
    is_denied        INTEGER NOT NULL,
    entries          INTEGER NOT NULL, -- how often the user code was typed
    interval_ms      INTEGER NOT NULL, -- how long the device has to wait between two questions
    asked_at         INTEGER, -- when it asked last
    expires_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_grants_by_expiry ON device_grants (expires_at);

-- A sign-in for such a device: completed by the browser that began it, and by no other.
ALTER TABLE flows ADD COLUMN device_code_hash BLOB;
ALTER TABLE flows ADD COLUMN browser_hash BLOB;
