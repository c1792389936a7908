-- How much waits in a mailbox, and of whom: each account that sends has a share of it.

ALTER TABLE mailboxes ADD COLUMN waiting_bytes INTEGER NOT NULL DEFAULT 0; -- of envelopes that are not acknowledged

-- Only of those of whom something waits. It goes with the mailbox.
CREATE TABLE mailbox_shares (
    account_id     BLOB NOT NULL, -- identifies: to whom
    device_id      BLOB NOT NULL, -- identifies: to which device
    sender_account BLOB NOT NULL CHECK (length(sender_account) = 16), -- identifies: who wrote
    envelopes      INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    PRIMARY KEY (account_id, device_id, sender_account),
    FOREIGN KEY (account_id, device_id) REFERENCES mailboxes ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

INSERT INTO mailbox_shares (account_id, device_id, sender_account, envelopes, bytes)
SELECT account_id, device_id, sender_account, count(*), sum(length(envelope)) FROM mailbox_log
WHERE envelope IS NOT NULL GROUP BY account_id, device_id, sender_account;

UPDATE mailboxes SET waiting_bytes = coalesce((
    SELECT sum(bytes) FROM mailbox_shares
    WHERE mailbox_shares.account_id = mailboxes.account_id AND mailbox_shares.device_id = mailboxes.device_id
), 0);
