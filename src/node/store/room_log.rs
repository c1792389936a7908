//! The log of a room: envelopes in their order, numbered from 1 without holes.
//!
//! A number is given in the transaction that stores the envelope, so what has one is there. The same id
//! of the same device is stored once, whatever comes with it the second time.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::limits::PAGE_SCAN_MAX;
use super::log::{Outgoing, Size, entries, last_that_fits};
use super::sql::Sql;
use crate::ids::{DeviceAddress, LogEpoch, RoomId};
use crate::wire::{Destination, Envelope, LogPage, PageLimit, Position, Timestamp};

/// What came of an envelope for a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored.
    Stored(Position),
    /// It was stored before, at this position.
    Known(Position),
    /// Its sender is no member. Nothing is stored.
    NotMember,
    /// The room is closed. Nothing is stored.
    Closed,
}

impl Store {
    /// Stores envelopes of one room, in this order, and says of each in the same order what came of it.
    /// The answer comes when they are on the disk.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`], [`StoreError::Bug`] for an envelope of another room, or a failure of
    /// the store; none of the envelopes is stored then.
    pub async fn append(
        &self,
        room_id: RoomId,
        envelopes: Vec<Envelope>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, StoreError> {
        if envelopes.iter().any(|envelope| envelope.destination != Destination::Room(room_id)) {
            return Err(StoreError::Bug { what: "an envelope of another room" });
        }
        let envelopes: Vec<_> = envelopes.iter().map(Outgoing::new).collect();
        self.writer.write(move |db| append(db, room_id, &envelopes, now)).await
    }

    /// What is in a room's log past `after` for one device of a member: what is for the whole room, for it,
    /// or from it. The page is bounded by its entries, by [`PAGE_BYTES_MAX`](super::limits::PAGE_BYTES_MAX)
    /// and by [`PAGE_SCAN_MAX`], and may be empty where there is more.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`] also if the account is no member, [`StoreError::PositionAhead`],
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn room_page(
        &self,
        room_id: RoomId,
        reader: DeviceAddress,
        after: u64,
        limit: PageLimit,
    ) -> Result<LogPage, StoreError> {
        self.readers.read(move |db| page(db, room_id, reader, after, limit)).await
    }
}

fn append(
    db: &Connection,
    room_id: RoomId,
    envelopes: &[Outgoing],
    now: Timestamp,
) -> Result<Vec<Appended>, StoreError> {
    let row: Option<(Blob<8>, Integer, bool)> = db.first(
        "SELECT epoch, head, closed_at IS NOT NULL FROM rooms WHERE room_id = ?",
        params![Blob(*room_id.as_bytes())],
    )?;
    let Some((Blob(epoch), head, is_closed)) = row else { return Err(StoreError::UnknownRoom { room_id }) };
    let epoch = LogEpoch::from_bytes(epoch);
    let mut last = head.get();
    let mut answers = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        if !is_closed && insert(db, room_id, last + 1, envelope, now)? {
            last += 1;
            answers.push(Appended::Stored(Position { epoch, seq: last }));
            continue;
        }
        let refused = if is_closed { Appended::Closed } else { Appended::NotMember };
        let known = find(db, room_id, envelope)?;
        answers.push(known.map_or(refused, |seq| Appended::Known(Position { epoch, seq })));
    }
    if last > head.get() {
        let values = params![Integer::new(last, "number")?, Blob(*room_id.as_bytes())];
        db.run("UPDATE rooms SET head = ? WHERE room_id = ?", values)?;
    }
    Ok(answers)
}

/// Stores an envelope under that number. False if it is there, or if its sender is no member.
fn insert(db: &Connection, room_id: RoomId, seq: u64, envelope: &Outgoing, now: Timestamp) -> Result<bool, StoreError> {
    let Outgoing { id, sender, recipient, bytes } = envelope;
    let inserted = db.run(
        "INSERT INTO room_log (room_id, seq, sender_account, sender_device, envelope_id, recipient_account,
             recipient_device, committed_at, envelope)
         SELECT ?1, ?2, account_id, ?4, ?5, ?6, ?7, ?8, ?9 FROM members WHERE room_id = ?1 AND account_id = ?3
         ON CONFLICT (room_id, sender_account, sender_device, envelope_id) DO NOTHING",
        params![
            Blob(*room_id.as_bytes()),
            Integer::new(seq, "number")?,
            Blob(*sender.account_id.as_bytes()),
            Blob(*sender.device_id.as_bytes()),
            Blob(*id.as_bytes()),
            recipient.map(|device| Blob(*device.account_id.as_bytes())),
            recipient.map(|device| Blob(*device.device_id.as_bytes())),
            Integer::time(now, "time")?,
            bytes,
        ],
    )?;
    Ok(inserted > 0)
}

/// Where the envelope was stored before.
fn find(db: &Connection, room_id: RoomId, envelope: &Outgoing) -> Result<Option<u64>, StoreError> {
    let seq: Option<(Integer,)> = db.first(
        "SELECT seq FROM room_log
         WHERE room_id = ? AND sender_account = ? AND sender_device = ? AND envelope_id = ?",
        params![
            Blob(*room_id.as_bytes()),
            Blob(*envelope.sender.account_id.as_bytes()),
            Blob(*envelope.sender.device_id.as_bytes()),
            Blob(*envelope.id.as_bytes()),
        ],
    )?;
    Ok(seq.map(|(seq,)| seq.get()))
}

fn page(
    db: &Connection,
    room_id: RoomId,
    reader: DeviceAddress,
    after: u64,
    limit: PageLimit,
) -> Result<LogPage, StoreError> {
    let room = Blob(*room_id.as_bytes());
    let [account, device] = [*reader.account_id.as_bytes(), *reader.device_id.as_bytes()].map(Blob);
    let row: Option<(Blob<8>, Integer)> = db.first(
        "SELECT epoch, head FROM rooms JOIN members USING (room_id) WHERE room_id = ? AND account_id = ?",
        params![room, account],
    )?;
    let Some((Blob(epoch), head)) = row else { return Err(StoreError::UnknownRoom { room_id }) };
    let head = head.get();
    if after > head {
        return Err(StoreError::PositionAhead { head });
    }
    let scan_end = Integer::new(head.min(after.saturating_add(PAGE_SCAN_MAX)), "number")?;
    let begin = Integer::new(after, "number")?;
    let sizes: Vec<Size> = db.all(SIZES, params![room, begin, scan_end, account, device, limit.get()])?;
    let last = last_that_fits(&sizes);
    let rows = match last {
        None => Vec::new(),
        Some(last) => db.all(ENTRIES, params![room, begin, last, account, device])?,
    };
    let is_cut = sizes.len() == usize::from(limit.get()) || last != sizes.last().map(|(seq, _)| *seq);
    let read_to = last.filter(|_| is_cut).unwrap_or(scan_end).get();
    Ok(LogPage { epoch: LogEpoch::from_bytes(epoch), entries: entries(rows)?, read_to, head })
}

/// What a page could hold.
const SIZES: &str = "SELECT seq, length(envelope) FROM room_log
    WHERE room_id = ?1 AND seq > ?2 AND seq <= ?3
    AND (recipient_account IS NULL OR (recipient_account = ?4 AND recipient_device = ?5)
        OR (sender_account = ?4 AND sender_device = ?5))
    ORDER BY seq LIMIT ?6";

/// What it does hold.
const ENTRIES: &str = "SELECT seq, envelope FROM room_log
    WHERE room_id = ?1 AND seq > ?2 AND seq <= ?3
    AND (recipient_account IS NULL OR (recipient_account = ?4 AND recipient_device = ?5)
        OR (sender_account = ?4 AND sender_device = ?5))
    ORDER BY seq";
