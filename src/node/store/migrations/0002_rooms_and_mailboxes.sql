-- Rooms, their members, invitations and logs; the mailboxes of devices.
--
-- The rows of logs tell who wrote to whom, where and when; what was written is sealed. Tokens of invitations are stored
-- as hashes.

CREATE TABLE rooms (
    room_id    BLOB PRIMARY KEY CHECK (length(room_id) = 16),
    policy     BLOB NOT NULL CHECK (length(policy) = 3),
    epoch      BLOB NOT NULL CHECK (length(epoch) = 8), -- random: which life of the log
    head       INTEGER NOT NULL, -- the last number of the log
    created_at INTEGER NOT NULL,
    closed_at  INTEGER -- none while the room is open
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    room_id    BLOB NOT NULL REFERENCES rooms,
    account_id BLOB NOT NULL REFERENCES accounts, -- identifies: who is in which room
    role       TEXT NOT NULL CHECK (role IN ('member', 'moderator', 'owner')),
    joined_at  INTEGER NOT NULL,
    PRIMARY KEY (room_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_account ON members (account_id, room_id);

CREATE TABLE invitations (
    invitation_id BLOB PRIMARY KEY CHECK (length(invitation_id) = 16),
    token_hash    BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    room_id       BLOB NOT NULL,
    created_by    BLOB NOT NULL, -- identifies: who invites
    for_account   BLOB CHECK (length(for_account) = 16), -- identifies: who is invited; none for whoever has the token
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    uses_left     INTEGER NOT NULL CHECK (uses_left > 0), -- the row goes with the last use
    -- Who is in the room no more invites nobody.
    FOREIGN KEY (room_id, created_by) REFERENCES members (room_id, account_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_by_member ON invitations (room_id, created_by);
CREATE INDEX invitations_by_expiry ON invitations (expires_at);

-- The log of a room: numbers from 1, without holes. Rows are added and never changed.
CREATE TABLE room_log (
    room_id           BLOB NOT NULL REFERENCES rooms,
    seq               INTEGER NOT NULL,
    sender_account    BLOB NOT NULL CHECK (length(sender_account) = 16), -- identifies: who wrote
    sender_device     BLOB NOT NULL CHECK (length(sender_device) = 16), -- identifies: on which device
    envelope_id       BLOB NOT NULL CHECK (length(envelope_id) = 16),
    recipient_account BLOB CHECK (length(recipient_account) = 16), -- identifies: to whom; none for the whole room
    recipient_device  BLOB CHECK (length(recipient_device) = 16), -- identifies: to which device
    committed_at      INTEGER NOT NULL,
    envelope          BLOB NOT NULL, -- CBOR; its payload is sealed
    PRIMARY KEY (room_id, seq),
    UNIQUE (room_id, sender_account, sender_device, envelope_id)
) STRICT;

-- The mailbox of a device. It goes with the device.
CREATE TABLE mailboxes (
    account_id   BLOB NOT NULL,
    device_id    BLOB NOT NULL,
    epoch        BLOB NOT NULL CHECK (length(epoch) = 8), -- random: which life of the log
    head         INTEGER NOT NULL, -- the last number of the log
    acknowledged INTEGER NOT NULL, -- up to here the device has saved what was in it
    PRIMARY KEY (account_id, device_id),
    FOREIGN KEY (account_id, device_id) REFERENCES devices ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The log of a mailbox: numbers from 1, without holes. Of what is acknowledged the id stays for minutes, so that the same
-- envelope again is known; then the row goes.
CREATE TABLE mailbox_log (
    account_id     BLOB NOT NULL, -- identifies: to whom
    device_id      BLOB NOT NULL, -- identifies: to which device
    seq            INTEGER NOT NULL,
    sender_account BLOB NOT NULL CHECK (length(sender_account) = 16), -- identifies: who wrote
    sender_device  BLOB NOT NULL CHECK (length(sender_device) = 16), -- identifies: on which device
    envelope_id    BLOB NOT NULL CHECK (length(envelope_id) = 16),
    committed_at   INTEGER NOT NULL,
    envelope       BLOB, -- CBOR; its payload is sealed. None once it is acknowledged
    PRIMARY KEY (account_id, device_id, seq),
    UNIQUE (account_id, device_id, sender_account, sender_device, envelope_id),
    FOREIGN KEY (account_id, device_id) REFERENCES mailboxes ON DELETE CASCADE
) STRICT;
CREATE INDEX mailbox_log_acknowledged ON mailbox_log (committed_at) WHERE envelope IS NULL;
