-- Accounts, sign-in, device lists and prekeys.
--
-- Ids and keys are BLOBs, times INTEGER milliseconds since 1970. No row here decrypts anything: keys are public,
-- tokens are stored as hashes. What can identify somebody is said at the column.

CREATE TABLE accounts (
    account_id BLOB PRIMARY KEY CHECK (length(account_id) = 16), -- random; others know the account by it
    issuer     TEXT NOT NULL, -- identifies: at which provider the person or agent signs in
    subject    TEXT NOT NULL, -- identifies: who they are there; never an e-mail address
    created_at INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;

-- A sign-in that has begun. The row lives for minutes and is deleted when it is taken.
CREATE TABLE flows (
    state_hash    BLOB PRIMARY KEY CHECK (length(state_hash) = 32),
    provider      TEXT NOT NULL,
    redirect_uri  TEXT NOT NULL,
    -- Secret: with the provider's code it completes this one sign-in.
    code_verifier BLOB NOT NULL CHECK (length(code_verifier) = 32),
    nonce         BLOB NOT NULL CHECK (length(nonce) = 32),
    expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX flows_by_expiry ON flows (expires_at);

-- An authorization code of the built-in development provider. Deleted when it is taken.
CREATE TABLE codes (
    code_hash      BLOB PRIMARY KEY CHECK (length(code_hash) = 32),
    subject        TEXT NOT NULL, -- identifies: the name that was typed at the development provider
    code_challenge BLOB NOT NULL CHECK (length(code_challenge) = 32),
    redirect_uri   TEXT NOT NULL,
    nonce          BLOB NOT NULL CHECK (length(nonce) = 32),
    expires_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_by_expiry ON codes (expires_at);

-- The newest device list of an account, as its root key signed it.
CREATE TABLE device_lists (
    account_id BLOB PRIMARY KEY REFERENCES accounts,
    root_key   BLOB NOT NULL CHECK (length(root_key) = 32), -- identifies: pinned with the first list, the same for good
    version    INTEGER NOT NULL,
    list       BLOB NOT NULL, -- binary form of the list, signature included
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The devices on that list.
CREATE TABLE devices (
    account_id    BLOB NOT NULL REFERENCES device_lists,
    device_id     BLOB NOT NULL CHECK (length(device_id) = 16), -- random; others know the device by it
    signing_key   BLOB NOT NULL CHECK (length(signing_key) = 32), -- identifies: the device's public identity
    agreement_key BLOB NOT NULL CHECK (length(agreement_key) = 32), -- identifies: the device's public identity
    PRIMARY KEY (account_id, device_id)
) STRICT, WITHOUT ROWID;

-- A sign-in that holds. Both tokens are known by hash alone.
CREATE TABLE sessions (
    session_id          BLOB PRIMARY KEY CHECK (length(session_id) = 16),
    account_id          BLOB NOT NULL REFERENCES accounts,
    device_id           BLOB, -- none until the session says which device it is
    access_hash         BLOB NOT NULL UNIQUE CHECK (length(access_hash) = 32),
    access_expires_at   INTEGER NOT NULL,
    refresh_hash        BLOB NOT NULL UNIQUE CHECK (length(refresh_hash) = 32),
    refresh_expires_at  INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    refreshed_at        INTEGER NOT NULL, -- says when somebody was last active
    refreshes           INTEGER NOT NULL,
    FOREIGN KEY (account_id, device_id) REFERENCES devices (account_id, device_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_device ON sessions (account_id, device_id);
CREATE INDEX sessions_by_expiry ON sessions (refresh_expires_at);

-- Refresh tokens that were used: seeing one again ends its session.
CREATE TABLE spent_refresh_tokens (
    refresh_hash BLOB PRIMARY KEY CHECK (length(refresh_hash) = 32),
    session_id   BLOB NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_refresh_tokens_by_session ON spent_refresh_tokens (session_id);
CREATE INDEX spent_refresh_tokens_by_expiry ON spent_refresh_tokens (expires_at);

CREATE TABLE signed_prekeys (
    account_id BLOB NOT NULL,
    device_id  BLOB NOT NULL,
    key_id     BLOB NOT NULL CHECK (length(key_id) = 8),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    created_at INTEGER NOT NULL,
    signature  BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (account_id, device_id),
    FOREIGN KEY (account_id, device_id) REFERENCES devices ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE last_resort_kem_prekeys (
    account_id BLOB NOT NULL,
    device_id  BLOB NOT NULL,
    key_id     BLOB NOT NULL CHECK (length(key_id) = 8),
    public_key BLOB NOT NULL CHECK (length(public_key) = 1568),
    created_at INTEGER NOT NULL,
    signature  BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (account_id, device_id),
    FOREIGN KEY (account_id, device_id) REFERENCES devices ON DELETE CASCADE
) STRICT;

-- Handed out in the order of their position, and deleted then.
CREATE TABLE one_time_prekeys (
    position   INTEGER PRIMARY KEY,
    account_id BLOB NOT NULL,
    device_id  BLOB NOT NULL,
    key_id     BLOB NOT NULL CHECK (length(key_id) = 8),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    UNIQUE (account_id, device_id, key_id),
    FOREIGN KEY (account_id, device_id) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX one_time_prekeys_by_device ON one_time_prekeys (account_id, device_id);

CREATE TABLE one_time_kem_prekeys (
    position   INTEGER PRIMARY KEY,
    account_id BLOB NOT NULL,
    device_id  BLOB NOT NULL,
    key_id     BLOB NOT NULL CHECK (length(key_id) = 8),
    public_key BLOB NOT NULL CHECK (length(public_key) = 1568),
    created_at INTEGER NOT NULL,
    signature  BLOB NOT NULL CHECK (length(signature) = 64),
    UNIQUE (account_id, device_id, key_id),
    FOREIGN KEY (account_id, device_id) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX one_time_kem_prekeys_by_device ON one_time_kem_prekeys (account_id, device_id);

-- Ids of one-time keys of both kinds that were handed out, so that a publication sent again brings none back.
CREATE TABLE claimed_prekeys (
    position   INTEGER PRIMARY KEY,
    account_id BLOB NOT NULL,
    device_id  BLOB NOT NULL,
    key_id     BLOB NOT NULL CHECK (length(key_id) = 8),
    UNIQUE (account_id, device_id, key_id),
    FOREIGN KEY (account_id, device_id) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX claimed_prekeys_by_device ON claimed_prekeys (account_id, device_id);
