-- Calls that were made once and are to be made no second time, by a key that the client drew (Idempotency-Key). The key and the
-- request are hashes; the answer is what the account was told: ids, a policy, public keys. No call whose answer has a token in
-- it is remembered here.

CREATE TABLE idempotency_keys (
    account_id   BLOB NOT NULL REFERENCES accounts ON DELETE CASCADE,
    key_hash     BLOB NOT NULL CHECK (length(key_hash) = 32),
    request_hash BLOB NOT NULL CHECK (length(request_hash) = 32),
    answer       TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (account_id, key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
