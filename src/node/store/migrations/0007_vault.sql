-- Vaults: items that clients have sealed, in collections. What the node can read of them: whose they are, the names that the
-- client gave to the collection and to the kind of item, how often each was written, when, and how long it is.

CREATE TABLE vault_collections (
    account_id BLOB NOT NULL REFERENCES accounts ON DELETE CASCADE, -- identifies: whose
    collection TEXT NOT NULL,
    revision   INTEGER NOT NULL, -- counts the writes
    head       BLOB NOT NULL, -- sealed by the last writer
    items      INTEGER NOT NULL, -- with the deleted ones; for the quota
    bytes      INTEGER NOT NULL, -- of all sealed items; for the quota
    PRIMARY KEY (account_id, collection)
) STRICT, WITHOUT ROWID;

-- A row stays when its item is deleted: with its version, and without content. The content stands last, so that whoever lists
-- items does not read it; and such long rows are better kept by row id.
CREATE TABLE vault_items (
    account_id BLOB NOT NULL,
    collection TEXT NOT NULL,
    item_id    BLOB NOT NULL CHECK (length(item_id) = 16),
    item_type  TEXT NOT NULL,
    version    INTEGER NOT NULL,
    revision   INTEGER NOT NULL, -- of the collection, with the item's last write
    updated_at INTEGER NOT NULL,
    bytes      INTEGER,
    digest     BLOB CHECK (length(digest) = 32), -- SHA-256 of the ciphertext
    sealed     BLOB CHECK (length(sealed) = bytes), -- ciphertext
    PRIMARY KEY (account_id, collection, item_id),
    FOREIGN KEY (account_id, collection) REFERENCES vault_collections (account_id, collection) ON DELETE CASCADE,
    CHECK ((sealed IS NULL) = (bytes IS NULL) AND (sealed IS NULL) = (digest IS NULL))
) STRICT;
CREATE UNIQUE INDEX vault_items_by_revision ON vault_items (account_id, collection, revision);
