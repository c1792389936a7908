//! Mailboxes: what is for one device waits here until the device has saved it.
//!
//! A mailbox is a log of its own, numbered from 1 without holes. It is made when something is first
//! delivered into it, and goes with its device. What a device has acknowledged is deleted; its id stays
//! for [`MAILBOX_IDS_KEPT`], so that the same envelope, sent again, is known.
//!
//! It is bounded in envelopes and in bytes, and so is the share of it that one account's may take.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::limits::{
    MAILBOX_BYTES_MAX, MAILBOX_ENVELOPES_MAX, MAILBOX_IDS_KEPT, MAILBOX_SHARE_BYTES_MAX, MAILBOX_SHARE_ENVELOPES_MAX,
};
use super::log::{Outgoing, Size, entries, last_that_fits};
use super::sql::Sql;
use crate::ids::{DeviceAddress, LogEpoch};
use crate::wire::{Envelope, LogPage, PageLimit, Position, Timestamp};

/// What came of an envelope for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is stored.
    Stored(Position),
    /// It was stored before, at this position.
    Known(Position),
    /// The device is not on its account's list. Nothing is stored.
    UnknownDevice,
    /// Too much waits in the mailbox, or too much of this sender's account. Nothing is stored.
    Full,
}

impl Store {
    /// Stores envelopes in the mailboxes of their recipients, in this order, and says of each in the same
    /// order what came of it. A mailbox that is not there yet is made with `epoch`, drawn anew for each
    /// call. The answer comes when they are on the disk.
    ///
    /// # Errors
    /// [`StoreError::Bug`] for an envelope without a recipient, or a failure of the store; none of the
    /// envelopes is stored then.
    pub async fn deliver(
        &self,
        envelopes: Vec<Envelope>,
        epoch: LogEpoch,
        now: Timestamp,
    ) -> Result<Vec<Delivered>, StoreError> {
        let addressed = |envelope: &Envelope| {
            let recipient = envelope.recipient.ok_or(StoreError::Bug { what: "an envelope without a recipient" })?;
            Ok((recipient, Outgoing::new(envelope)))
        };
        let envelopes: Vec<_> = envelopes.iter().map(addressed).collect::<Result<_, StoreError>>()?;
        self.writer.write(move |db| deliver(db, &envelopes, epoch, now)).await
    }

    /// What waits in a device's mailbox past `after`. What was acknowledged is not there any more. The page
    /// is bounded by its entries and by [`PAGE_BYTES_MAX`](super::limits::PAGE_BYTES_MAX). None if nothing
    /// was ever delivered.
    ///
    /// # Errors
    /// [`StoreError::PositionAhead`], [`StoreError::Corrupt`], or a failure of the store.
    pub async fn mailbox_page(
        &self,
        device: DeviceAddress,
        after: u64,
        limit: PageLimit,
    ) -> Result<Option<LogPage>, StoreError> {
        self.readers.read(move |db| page(db, device, after, limit)).await
    }

    /// Deletes what stands in a device's mailbox up to this position. Acknowledging less than before
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError::OtherLogEpoch`] also if there is no mailbox, [`StoreError::PositionAhead`], or a
    /// failure of the store.
    pub async fn acknowledge(
        &self,
        device: DeviceAddress,
        position: Position,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer.write(move |db| acknowledge(db, device, position, now)).await
    }
}

const fn account(device: DeviceAddress) -> Blob<16> {
    Blob(*device.account_id.as_bytes())
}

const fn id(device: DeviceAddress) -> Blob<16> {
    Blob(*device.device_id.as_bytes())
}

fn deliver(
    db: &Connection,
    envelopes: &[(DeviceAddress, Outgoing)],
    epoch: LogEpoch,
    now: Timestamp,
) -> Result<Vec<Delivered>, StoreError> {
    envelopes.iter().map(|(device, envelope)| deliver_one(db, *device, envelope, epoch, now)).collect()
}

fn deliver_one(
    db: &Connection,
    device: DeviceAddress,
    envelope: &Outgoing,
    epoch: LogEpoch,
    now: Timestamp,
) -> Result<Delivered, StoreError> {
    let mut next = take_number(db, device, envelope)?;
    if next.is_none() && make_mailbox(db, device, epoch)? {
        next = take_number(db, device, envelope)?;
    }
    match next {
        None => why_refused(db, device, envelope),
        Some(position) => {
            insert(db, device, position.seq, envelope, now)?;
            Ok(Delivered::Stored(position))
        }
    }
}

/// The next number of a mailbox that has room for an envelope, and for one of its sender, and that it is not in.
fn take_number(db: &Connection, device: DeviceAddress, envelope: &Outgoing) -> Result<Option<Position>, StoreError> {
    // Numbers have no holes, and what is acknowledged is a beginning of them: the difference is how many
    // envelopes wait.
    let row: Option<(Blob<8>, Integer)> = db.first(
        "UPDATE mailboxes SET head = head + 1, waiting_bytes = waiting_bytes + ?6
         WHERE account_id = ?1 AND device_id = ?2 AND head - acknowledged < ?7 AND waiting_bytes + ?6 <= ?8
         AND NOT EXISTS (
             SELECT 1 FROM mailbox_shares WHERE account_id = ?1 AND device_id = ?2
             AND sender_account = ?3 AND (envelopes >= ?9 OR bytes + ?6 > ?10)
         ) AND NOT EXISTS (
             SELECT 1 FROM mailbox_log WHERE account_id = ?1 AND device_id = ?2
             AND sender_account = ?3 AND sender_device = ?4 AND envelope_id = ?5
         ) RETURNING epoch, head",
        params![
            account(device),
            id(device),
            account(envelope.sender),
            id(envelope.sender),
            Blob(*envelope.id.as_bytes()),
            length(envelope)?,
            Integer::new(MAILBOX_ENVELOPES_MAX, "limit")?,
            Integer::new(MAILBOX_BYTES_MAX, "limit")?,
            Integer::new(MAILBOX_SHARE_ENVELOPES_MAX, "limit")?,
            Integer::new(MAILBOX_SHARE_BYTES_MAX, "limit")?,
        ],
    )?;
    Ok(row.map(|(Blob(epoch), head)| Position { epoch: LogEpoch::from_bytes(epoch), seq: head.get() }))
}

fn length(envelope: &Outgoing) -> Result<Integer, StoreError> {
    Integer::new(envelope.bytes.len() as u64, "envelope")
}

/// Makes the mailbox of a listed device that has none. False if there is one, or no such device.
fn make_mailbox(db: &Connection, device: DeviceAddress, epoch: LogEpoch) -> Result<bool, StoreError> {
    let made = db.run(
        "INSERT INTO mailboxes (account_id, device_id, epoch, head, acknowledged)
         SELECT account_id, device_id, ?3, 0, 0 FROM devices WHERE account_id = ?1 AND device_id = ?2
         ON CONFLICT DO NOTHING",
        params![account(device), id(device), Blob(*epoch.as_bytes())],
    )?;
    Ok(made > 0)
}

/// Stores an envelope under that number, and counts it in its sender's share.
fn insert(
    db: &Connection,
    device: DeviceAddress,
    seq: u64,
    envelope: &Outgoing,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.run(
        "INSERT INTO mailbox_log (account_id, device_id, seq, sender_account, sender_device, envelope_id,
             committed_at, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            account(device),
            id(device),
            Integer::new(seq, "number")?,
            account(envelope.sender),
            id(envelope.sender),
            Blob(*envelope.id.as_bytes()),
            Integer::time(now, "time")?,
            envelope.bytes,
        ],
    )?;
    db.run(
        "INSERT INTO mailbox_shares (account_id, device_id, sender_account, envelopes, bytes) VALUES (?, ?, ?, 1, ?)
         ON CONFLICT DO UPDATE SET envelopes = envelopes + 1, bytes = bytes + excluded.bytes",
        params![account(device), id(device), account(envelope.sender), length(envelope)?],
    )?;
    Ok(())
}

/// Why a mailbox gives no number to an envelope.
fn why_refused(db: &Connection, device: DeviceAddress, envelope: &Outgoing) -> Result<Delivered, StoreError> {
    let row: Option<(Blob<8>, Option<Integer>)> = db.first(
        "SELECT epoch, (
             SELECT seq FROM mailbox_log WHERE account_id = ?1 AND device_id = ?2
             AND sender_account = ?3 AND sender_device = ?4 AND envelope_id = ?5
         ) FROM mailboxes WHERE account_id = ?1 AND device_id = ?2",
        params![
            account(device),
            id(device),
            account(envelope.sender),
            id(envelope.sender),
            Blob(*envelope.id.as_bytes()),
        ],
    )?;
    Ok(match row {
        None => Delivered::UnknownDevice,
        Some((_, None)) => Delivered::Full,
        Some((Blob(epoch), Some(seq))) => {
            Delivered::Known(Position { epoch: LogEpoch::from_bytes(epoch), seq: seq.get() })
        }
    })
}

fn page(db: &Connection, device: DeviceAddress, after: u64, limit: PageLimit) -> Result<Option<LogPage>, StoreError> {
    let row: Option<(Blob<8>, Integer, Integer)> = db.first(ENDS, params![account(device), id(device)])?;
    let Some((Blob(epoch), head, acknowledged)) = row else { return Ok(None) };
    if after > head.get() {
        return Err(StoreError::PositionAhead { head: head.get() });
    }
    let begin = Integer::new(after, "number")?.max(acknowledged);
    let sizes: Vec<Size> = db.all(
        "SELECT seq, length(envelope) FROM mailbox_log WHERE account_id = ? AND device_id = ? AND seq > ?
         AND envelope IS NOT NULL ORDER BY seq LIMIT ?",
        params![account(device), id(device), begin, limit.get()],
    )?;
    let last = last_that_fits(&sizes).unwrap_or(head);
    let rows: Vec<(Integer, Vec<u8>)> = db.all(
        "SELECT seq, envelope FROM mailbox_log WHERE account_id = ? AND device_id = ? AND seq > ? AND seq <= ?
         AND envelope IS NOT NULL ORDER BY seq",
        params![account(device), id(device), begin, last],
    )?;
    let epoch = LogEpoch::from_bytes(epoch);
    Ok(Some(LogPage { epoch, entries: entries(rows)?, read_to: last.get(), head: head.get() }))
}

/// Which life of the log it is, where it ends, and up to where it is acknowledged.
const ENDS: &str = "SELECT epoch, head, acknowledged FROM mailboxes WHERE account_id = ? AND device_id = ?";

fn acknowledge(db: &Connection, device: DeviceAddress, position: Position, now: Timestamp) -> Result<(), StoreError> {
    let row: Option<(Blob<8>, Integer, Integer)> = db.first(ENDS, params![account(device), id(device)])?;
    let Some((epoch, head, acknowledged)) = row else { return Err(StoreError::OtherLogEpoch) };
    if epoch.0 != *position.epoch.as_bytes() {
        return Err(StoreError::OtherLogEpoch);
    }
    if position.seq > head.get() {
        return Err(StoreError::PositionAhead { head: head.get() });
    }
    if position.seq <= acknowledged.get() {
        return Ok(());
    }
    let seq = Integer::new(position.seq, "number")?;
    free_shares(db, device, [acknowledged, seq])?;
    delete_read(db, device, seq, now)
}

/// Counts what waits up to the second of these numbers, past the first, as acknowledged.
fn free_shares(db: &Connection, device: DeviceAddress, [acknowledged, seq]: [Integer; 2]) -> Result<(), StoreError> {
    let read = params![account(device), id(device), acknowledged, seq];
    db.run(
        "UPDATE mailbox_shares SET envelopes = envelopes - read, bytes = bytes - read_bytes FROM (
             SELECT sender_account AS sender, count(*) AS read, sum(length(envelope)) AS read_bytes FROM mailbox_log
             WHERE account_id = ?1 AND device_id = ?2 AND seq > ?3 AND seq <= ?4 GROUP BY sender_account
         ) WHERE account_id = ?1 AND device_id = ?2 AND sender_account = sender",
        read,
    )?;
    db.run(
        "DELETE FROM mailbox_shares WHERE account_id = ? AND device_id = ? AND envelopes = 0",
        params![account(device), id(device)],
    )?;
    db.run(
        "UPDATE mailboxes SET acknowledged = ?4, waiting_bytes = waiting_bytes - (
             SELECT coalesce(sum(length(envelope)), 0) FROM mailbox_log
             WHERE account_id = ?1 AND device_id = ?2 AND seq > ?3 AND seq <= ?4
         ) WHERE account_id = ?1 AND device_id = ?2",
        read,
    )?;
    Ok(())
}

/// Deletes what is acknowledged: old entries whole, of newer ones the envelope.
fn delete_read(db: &Connection, device: DeviceAddress, seq: Integer, now: Timestamp) -> Result<(), StoreError> {
    db.run(
        "DELETE FROM mailbox_log WHERE account_id = ? AND device_id = ? AND seq <= ? AND committed_at <= ?",
        params![account(device), id(device), seq, forgotten_at(now)?],
    )?;
    db.run(
        "UPDATE mailbox_log SET envelope = NULL WHERE account_id = ? AND device_id = ? AND seq <= ?
         AND envelope IS NOT NULL",
        params![account(device), id(device), seq],
    )?;
    Ok(())
}

/// Forgets the ids of envelopes that were acknowledged and stored long ago. Returns how many.
pub(super) fn forget_acknowledged(db: &Connection, now: Timestamp) -> Result<u64, StoreError> {
    db.run("DELETE FROM mailbox_log WHERE envelope IS NULL AND committed_at <= ?", params![forgotten_at(now)?])
}

/// Ids of envelopes that were stored by then need not be known any more.
fn forgotten_at(now: Timestamp) -> Result<Integer, StoreError> {
    let kept = u64::try_from(MAILBOX_IDS_KEPT.as_millis()).unwrap_or(u64::MAX);
    Integer::new(now.as_millis().saturating_sub(kept), "time")
}
