//! Many envelopes of many rooms in few statements, where nothing speaks against any of them.
//!
//! Each statement, and each row that one answers, is a trip from the thread that SQLite runs on. So rows go together in parts,
//! each by one text that answers one row, and what begins and ends them is in the first text and the last; and parts are filled
//! up with NULL to few lengths, so that the texts stay prepared.
//!
//! What speaks against an envelope breaks a rule of the schema: a room that is closed or none gives it no number, an account
//! that is no member no sender. The statement fails then, what follows it in the text does not run, and all is taken back.
//!
//! An envelope that is known is left out: whoever repeats theirs must not have those of all others stored twice. It leaves a hole
//! in the numbers, and past a hole the ends of the logs do not move: that statement fails. What stands behind holes takes the
//! numbers that it should have, and the ends move then.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXUPPER;
use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::appends::{Batch, Outcome};
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::log::Outgoing;
use super::room_log::Appended;
use crate::ids::{LogEpoch, RoomId};
use crate::wire::{Position, Timestamp};

/// What envelopes are stored in.
#[derive(Clone, Copy)]
pub(super) enum Within {
    /// A transaction of their own, which is committed.
    Transaction,
    /// A savepoint of the transaction that is under way.
    Savepoint,
}

impl Within {
    const fn begin(self) -> &'static str {
        match self {
            Self::Transaction => "BEGIN IMMEDIATE; ",
            Self::Savepoint => "SAVEPOINT whole; ",
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Transaction => "; COMMIT",
            Self::Savepoint => "; RELEASE whole",
        }
    }

    const fn take_back(self) -> &'static str {
        match self {
            Self::Transaction => "ROLLBACK",
            Self::Savepoint => "ROLLBACK TO whole; RELEASE whole",
        }
    }
}

/// An envelope with its room.
#[derive(Clone, Copy)]
struct Row<'a> {
    room_id: RoomId,
    now: Timestamp,
    envelope: &'a Outgoing,
}

/// A row with its number among those of its room in the part.
type Numbered<'a> = (u64, Row<'a>);

/// Stores all envelopes of all batches that are not known, and says of each where it stands. None if that cannot be: a room is
/// closed or none, or comes twice; a sender is no member; a batch is empty. Nothing is stored then.
///
/// # Errors
/// A failure of the store. A transaction of their own may still be under way then: the connection is not to be used again.
pub(super) async fn append(
    db: &mut SqliteConnection,
    batches: &[Batch],
    within: Within,
) -> Result<Option<Vec<Outcome>>, StoreError> {
    let rooms: BTreeSet<RoomId> = batches.iter().map(|batch| batch.room_id).collect();
    let rows: Vec<Row<'_>> = batches.iter().flat_map(rows).collect();
    let is_any_empty = batches.iter().any(|batch| batch.envelopes.is_empty());
    if rooms.len() < batches.len() || rows.is_empty() || is_any_empty {
        return Ok(None);
    }
    let mut answers = Vec::with_capacity(rows.len());
    let mut begin = within.begin();
    let mut parts = rows.chunks(PART_MAX).peekable();
    while let Some(part) = parts.next() {
        let end = if parts.peek().is_none() { within.end() } else { "" };
        match store(db, part, [begin, end]).await {
            Ok(of_part) => answers.extend(of_part),
            Err(StoreError::IdInUse | StoreError::Bug { .. }) => {
                sqlx::query(within.take_back()).execute(db).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        begin = "";
    }
    let mut answers = answers.into_iter();
    Ok(Some(batches.iter().map(|batch| Ok(answers.by_ref().take(batch.envelopes.len()).collect())).collect()))
}

fn rows(batch: &Batch) -> impl Iterator<Item = Row<'_>> {
    batch.envelopes.iter().map(|envelope| Row { room_id: batch.room_id, now: batch.now, envelope })
}

/// Stores envelopes between `begin` and `end`, and says of each where it stands.
///
/// # Errors
/// [`StoreError::IdInUse`] or [`StoreError::Bug`] if something speaks against one of them; a failure of the store.
async fn store(
    db: &mut SqliteConnection,
    part: &[Row<'_>],
    [begin, end]: [&str; 2],
) -> Result<Vec<Appended>, StoreError> {
    let mut counts = BTreeMap::new();
    let numbered: Vec<Numbered<'_>> = part
        .iter()
        .map(|row| {
            let count = counts.entry(row.room_id).or_insert(0);
            *count += 1;
            (*count, *row)
        })
        .collect();
    let mut sql = QueryBuilder::new(begin);
    push_rows(&mut sql, &numbered)?;
    push_ends(&mut sql, &counts, part.len(), part.len())?;
    sql.push("; SELECT json_group_object(hex(room_id), json_array(hex(epoch), head)) FROM rooms WHERE room_id IN ");
    sql.push_tuples(&filled(counts.keys(), part.len()), |mut values, room_id| {
        values.push_bind(room_id.map(|room_id| Blob(*room_id.as_bytes())));
    });
    sql.push(end);
    let ends: BTreeMap<String, (String, u64)> = match answer(db, sql).await {
        Err(StoreError::Bug { .. }) => return close_holes(db, &numbered, end).await,
        ends => ends?,
    };
    let place = |(number, row): &Numbered<'_>| {
        let end =
            ends.get(&HEXUPPER.encode(row.room_id.as_bytes())).ok_or(StoreError::Corrupt { what: "ends of logs" });
        let (epoch, head) = end?;
        let behind = counts.get(&row.room_id).map_or(0, |count| count - number);
        Ok(Appended::Stored(Position { epoch: log_epoch(epoch)?, seq: head.saturating_sub(behind) }))
    };
    numbered.iter().map(place).collect()
}

/// Closes the holes that known envelopes have left in the numbers of a part that is stored, up to `end`, and says of each
/// envelope where it stands.
///
/// # Errors
/// [`StoreError::Bug`] if one is not stored: something else speaks against the part. A failure of the store.
async fn close_holes(
    db: &mut SqliteConnection,
    numbered: &[Numbered<'_>],
    end: &str,
) -> Result<Vec<Appended>, StoreError> {
    let found: BTreeMap<usize, (String, u64, u64)> = answer(db, search(numbered)?).await?;
    if found.len() < numbered.len() {
        return Err(StoreError::Bug { what: "an envelope that is not stored" });
    }
    let mut counts = BTreeMap::new();
    let mut moves = BTreeMap::new();
    let mut answers = Vec::with_capacity(numbered.len());
    for ((number, Row { room_id, .. }), (epoch, head, seq)) in numbered.iter().zip(found.into_values()) {
        let count = counts.entry(*room_id).or_insert(0);
        let epoch = log_epoch(&epoch)?;
        if seq == head + number {
            *count += 1;
            moves.insert((*room_id, seq), head + *count);
            answers.push(Appended::Stored(Position { epoch, seq: head + *count }));
        } else {
            // Its first may be of this part.
            let seq = moves.get(&(*room_id, seq)).copied().unwrap_or(seq);
            answers.push(Appended::Known(Position { epoch, seq }));
        }
    }
    moves.retain(|(_, from), to| from != to);
    let mut sql = QueryBuilder::new("");
    push_moves(&mut sql, &moves, numbered.len())?;
    push_ends(&mut sql, &counts, moves.len(), numbered.len())?;
    sql.push(end);
    sql.build().execute(db).await?;
    Ok(answers)
}

/// Reads the one row of a text, which is JSON.
async fn answer<T: DeserializeOwned>(
    db: &mut SqliteConnection,
    mut sql: QueryBuilder<Sqlite>,
) -> Result<T, StoreError> {
    // To its end: what follows the row has to be done as well.
    let rows: Vec<(String,)> = sql.build_query_as().fetch_all(db).await?;
    let value = rows.first().and_then(|(json,)| serde_json::from_str(json).ok());
    value.ok_or(StoreError::Corrupt { what: "answer of a text" })
}

fn log_epoch(hex: &str) -> Result<LogEpoch, StoreError> {
    let bytes = HEXUPPER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(LogEpoch::from_bytes).ok_or(StoreError::Corrupt { what: "epoch" })
}

/// Stores envelopes of members of rooms that are open, under the numbers that follow the ends, but for those that are known.
fn push_rows(sql: &mut QueryBuilder<Sqlite>, numbered: &[Numbered<'_>]) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(numbered.len());
    for (number, row) in numbered {
        rows.push((row, Integer::new(*number, "number")?, Integer::time(row.now, "time")?));
    }
    sql.push(
        "INSERT INTO room_log (room_id, seq, sender_account, sender_device, envelope_id, recipient_account,
             recipient_device, committed_at, envelope)
         SELECT rooms.room_id, head + column2, account_id, column4, column5, column6, column7, column8, column9 FROM (",
    );
    sql.push_values(&filled(rows, numbered.len()), |mut values, row| {
        let envelope = row.map(|(row, ..)| row.envelope);
        let recipient = envelope.and_then(|envelope| envelope.recipient);
        values
            .push_bind(row.map(|(row, ..)| Blob(*row.room_id.as_bytes())))
            .push_bind(row.map(|(_, number, _)| number))
            .push_bind(envelope.map(|envelope| Blob(*envelope.sender.account_id.as_bytes())))
            .push_bind(envelope.map(|envelope| Blob(*envelope.sender.device_id.as_bytes())))
            .push_bind(envelope.map(|envelope| Blob(*envelope.id.as_bytes())))
            .push_bind(recipient.map(|device| Blob(*device.account_id.as_bytes())))
            .push_bind(recipient.map(|device| Blob(*device.device_id.as_bytes())))
            .push_bind(row.map(|(.., now)| now))
            .push_bind(envelope.map(|envelope| envelope.bytes.as_slice()));
    });
    sql.push(
        ") LEFT JOIN rooms ON rooms.room_id = column1 AND closed_at IS NULL
         LEFT JOIN members ON members.room_id = rooms.room_id AND account_id = column3
         WHERE column1 IS NOT NULL
         ON CONFLICT (room_id, sender_account, sender_device, envelope_id) DO NOTHING",
    );
    Ok(())
}

/// Moves the ends of logs by as many entries as are new in them. If the statement before it has not changed as many rows as
/// it should, they have no end then, which breaks a rule.
fn push_ends(
    sql: &mut QueryBuilder<Sqlite>,
    counts: &BTreeMap<RoomId, u64>,
    changed: usize,
    length: usize,
) -> Result<(), StoreError> {
    let mut ends = Vec::with_capacity(counts.len());
    for (room_id, count) in counts {
        ends.push((Blob(*room_id.as_bytes()), Integer::new(*count, "number")?));
    }
    sql.push("; UPDATE rooms SET head = CASE changes() WHEN ");
    sql.push_bind(Integer::new(changed as u64, "number")?);
    sql.push(" THEN head + column2 END FROM (");
    sql.push_values(&filled(ends, length), |mut values, end| {
        values.push_bind(end.map(|(room_id, _)| room_id)).push_bind(end.map(|(_, count)| count));
    });
    sql.push(") WHERE room_id = column1");
    Ok(())
}

/// Asks where envelopes stand, and where the logs of their rooms end: an object of those that are found, by their place in the
/// part.
fn search(numbered: &[Numbered<'_>]) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let mut rows = Vec::with_capacity(numbered.len());
    for (place, (_, row)) in (0..).zip(numbered) {
        rows.push((Integer::new(place, "number")?, row));
    }
    let mut sql = QueryBuilder::new("SELECT json_group_object(column1, json_array(hex(epoch), head, seq)) FROM (");
    sql.push_values(&filled(rows, numbered.len()), |mut values, row| {
        let sender = row.map(|(_, row)| row.envelope.sender);
        values
            .push_bind(row.map(|(place, _)| place))
            .push_bind(row.map(|(_, row)| Blob(*row.room_id.as_bytes())))
            .push_bind(sender.map(|sender| Blob(*sender.account_id.as_bytes())))
            .push_bind(sender.map(|sender| Blob(*sender.device_id.as_bytes())))
            .push_bind(row.map(|(_, row)| Blob(*row.envelope.id.as_bytes())));
    });
    // In this order, whatever SQLite takes the tables for.
    sql.push(
        ") CROSS JOIN rooms ON rooms.room_id = column2
         CROSS JOIN room_log ON room_log.room_id = column2 AND sender_account = column3 AND sender_device = column4
             AND envelope_id = column5",
    );
    Ok(sql)
}

/// Gives entries of logs other numbers, each a lower one that is free by then: entries are taken in the order in which they were
/// stored.
fn push_moves(
    sql: &mut QueryBuilder<Sqlite>,
    moves: &BTreeMap<(RoomId, u64), u64>,
    length: usize,
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(moves.len());
    for ((room_id, from), to) in moves {
        rows.push((Blob(*room_id.as_bytes()), Integer::new(*from, "number")?, Integer::new(*to, "number")?));
    }
    sql.push("UPDATE room_log SET seq = column3 FROM (");
    sql.push_values(&filled(rows, length), |mut values, row| {
        values
            .push_bind(row.map(|(room_id, ..)| room_id))
            .push_bind(row.map(|(_, from, _)| from))
            .push_bind(row.map(|(.., to)| to));
    });
    sql.push(") WHERE room_id = column1 AND seq = column2");
    Ok(())
}

/// Items of a part that has `length` rows, filled up with nothing to what such parts are filled up to.
fn filled<T>(items: impl IntoIterator<Item = T>, length: usize) -> Vec<Option<T>> {
    let length = LENGTHS.into_iter().find(|filled| *filled >= length).unwrap_or(PART_MAX);
    let mut filled = Vec::with_capacity(length);
    filled.extend(items.into_iter().map(Some));
    filled.resize_with(length, || None);
    filled
}

/// Rows that go together at most.
const PART_MAX: usize = 256;

/// What parts are filled up to.
const LENGTHS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, PART_MAX];

#[cfg(test)]
mod tests;
