//! What the node sees: the rows of its own database, read back from the disk.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OpenFlags};

use crate::ids::{AccountId, DeviceId};
use crate::protocol::session::PairwiseMessage;
use crate::wire::Envelope;

/// The node's database, open for reading.
pub(super) struct NodeView {
    connection: Connection,
    /// The rows that were seen: the id of each, and its reader's device.
    seen: BTreeSet<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A row: what somebody with the whole database in their hands has of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// `room` or `mailbox`.
    pub(super) log: &'static str,
    pub(super) from: AccountId,
    pub(super) to: Option<AccountId>,
    pub(super) to_device: Option<DeviceId>,
    /// None once its reader has acknowledged it: the node has deleted it then.
    pub(super) envelope: Option<Vec<u8>>,
}

impl NodeView {
    pub(super) fn open(database: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Self { connection: Connection::open_with_flags(database, flags)?, seen: BTreeSet::new() })
    }

    /// The rows that have come since the last look.
    pub(super) fn look(&mut self) -> Result<Vec<Seen>, Box<dyn Error>> {
        let mut rows = Vec::new();
        for (log, select) in LOGS {
            let mut statement = self.connection.prepare_cached(select)?;
            let mut stored = statement.query([])?;
            while let Some(row) = stored.next()? {
                if !self.seen.insert((row.get(0)?, row.get(1)?)) {
                    continue;
                }
                let (device, from, to): (Option<&[u8]>, &[u8], Option<&[u8]>) = (
                    row.get_ref(1)?.as_blob_or_null()?,
                    row.get_ref(2)?.as_blob()?,
                    row.get_ref(3)?.as_blob_or_null()?,
                );
                let (from, to) = (from.try_into()?, to.map(AccountId::try_from).transpose()?);
                let to_device = device.map(DeviceId::try_from).transpose()?;
                rows.push(Seen { log, from, to, to_device, envelope: row.get(4)? });
            }
        }
        Ok(rows)
    }

    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.connection.close().map_err(|(_, error)| error)
    }
}

impl Seen {
    /// Whether it is there, and brings the keys of a new session.
    pub(super) fn begins_session(&self) -> bool {
        let envelope = self.envelope.as_deref().and_then(|bytes| Envelope::from_cbor(bytes).ok());
        let message = envelope.and_then(|envelope| PairwiseMessage::parse(envelope.payload.as_ref()).ok());
        message.is_some_and(|message| message.opening.is_some())
    }

    /// The row in words, with the first bytes of its payload.
    pub(super) fn words(&self, name: impl Fn(AccountId) -> String) -> Vec<String> {
        let Self { log, from, to, to_device: _, envelope } = self;
        let to = to.map_or_else(|| "all".to_owned(), &name);
        let Some(bytes) = envelope else {
            return vec![format!("{log} {} → {to}: read, and deleted", name(*from))];
        };
        // It was stored by the node, which has parsed it.
        let Ok(envelope) = Envelope::from_cbor(bytes) else { return vec![format!("{log}: no envelope")] };
        let payload: &[u8] = envelope.payload.as_ref();
        let first = payload.get(payload.len().saturating_sub(SHOWN_BYTES)..).unwrap_or(payload);
        let hex = HEXLOWER.encode(first);
        vec![format!("{log} {} → {to}: {} bytes", name(*from), bytes.len()), format!("  … {hex}")]
    }
}

/// The logs. Rows of a table stand in the order in which they were written.
const LOGS: [(&str, &str); 2] = [
    (
        "room",
        "SELECT envelope_id, recipient_device, sender_account, recipient_account, envelope FROM room_log ORDER BY rowid",
    ),
    (
        "mailbox",
        "SELECT envelope_id, device_id, sender_account, account_id, envelope FROM mailbox_log ORDER BY committed_at, rowid",
    ),
];

/// Bytes of a payload that are shown: its last, which are ciphertext and no header.
const SHOWN_BYTES: usize = 14;
