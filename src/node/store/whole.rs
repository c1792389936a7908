//! Many envelopes of many rooms in few statements, where nothing speaks against any of them.
//!
//! Each statement, and each row that one answers, is a trip from the thread that SQLite runs on. So rows go together in parts,
//! each by one text that answers one row, and what begins and ends them is in the first text and the last; and parts are filled
//! up with NULL to few lengths, so that the texts stay prepared.
//!
//! What speaks against an envelope breaks a rule of the schema: a room that is closed or none gives it no number, an account
//! that is no member no sender, and one that is known is not unique. The statement fails then, what follows it in the text does
//! not run, and all is taken back.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXUPPER;
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

/// The end of a log.
#[derive(Clone, Copy)]
struct End {
    epoch: LogEpoch,
    head: u64,
}

/// Stores all envelopes of all batches, and says of each where. None if that cannot be: a room is closed or none, or comes
/// twice; a sender is no member; an envelope is known. Nothing is stored then.
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
    if rooms.len() < batches.len() || rows.is_empty() {
        return Ok(None);
    }
    let mut before = BTreeMap::new();
    let mut begin = within.begin();
    let mut parts = rows.chunks(PART_MAX).peekable();
    while let Some(part) = parts.next() {
        let end = if parts.peek().is_none() { within.end() } else { "" };
        match store(db, part, [begin, end], &mut before).await {
            Ok(()) => begin = "",
            Err(StoreError::IdInUse | StoreError::Bug { .. }) => {
                sqlx::query(within.take_back()).execute(db).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    let outcome = |batch: &Batch| {
        let End { epoch, head } = *before.get(&batch.room_id).ok_or(StoreError::Corrupt { what: "ends of logs" })?;
        let positions = (head + 1..).map(|seq| Appended::Stored(Position { epoch, seq }));
        Ok(Ok(positions.take(batch.envelopes.len()).collect()))
    };
    batches.iter().map(outcome).collect::<Result<_, _>>().map(Some)
}

fn rows(batch: &Batch) -> impl Iterator<Item = Row<'_>> {
    batch.envelopes.iter().map(|envelope| Row { room_id: batch.room_id, now: batch.now, envelope })
}

/// Stores envelopes between `begin` and `end`. Notes where the logs ended `before`.
///
/// # Errors
/// [`StoreError::IdInUse`] or [`StoreError::Bug`] if something speaks against one of them; a failure of the store.
async fn store(
    db: &mut SqliteConnection,
    part: &[Row<'_>],
    [begin, end]: [&str; 2],
    before: &mut BTreeMap<RoomId, End>,
) -> Result<(), StoreError> {
    let mut counts = BTreeMap::new();
    let numbered: Vec<(u64, &Row<'_>)> = part
        .iter()
        .map(|row| {
            let count = counts.entry(row.room_id).or_insert(0);
            *count += 1;
            (*count, row)
        })
        .collect();
    let length = LENGTHS.into_iter().find(|length| *length >= part.len()).unwrap_or(PART_MAX);
    let mut sql = statements(begin, &counts, &numbered, length)?;
    sql.push(end);
    // To its end: what follows the row has to be done as well.
    let answers: Vec<(String,)> = sql.build_query_as().fetch_all(db).await?;
    let ends = answers.first().and_then(|(ends,)| serde_json::from_str(ends).ok());
    let ends: BTreeMap<String, (String, u64)> = ends.ok_or(StoreError::Corrupt { what: "ends of logs" })?;
    for (room_id, count) in counts {
        if let Some((epoch, head)) = ends.get(&HEXUPPER.encode(room_id.as_bytes())) {
            let epoch = HEXUPPER.decode(epoch.as_bytes()).ok().and_then(|epoch| epoch.try_into().ok());
            let epoch = epoch.map(LogEpoch::from_bytes).ok_or(StoreError::Corrupt { what: "epoch" })?;
            before.entry(room_id).or_insert(End { epoch, head: head.saturating_sub(count) });
        }
    }
    Ok(())
}

/// Moves the ends of the logs of rooms that are open by as many entries as there are envelopes; stores these; and answers the
/// ends.
fn statements(
    begin: &str,
    counts: &BTreeMap<RoomId, u64>,
    numbered: &[(u64, &Row<'_>)],
    length: usize,
) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let mut rooms = Vec::with_capacity(length);
    for (room_id, count) in counts {
        rooms.push((Some(Blob(*room_id.as_bytes())), Some(Integer::new(*count, "number")?)));
    }
    let mut rows = Vec::with_capacity(length);
    for (number, row) in numbered {
        let behind = counts.get(&row.room_id).map_or(0, |count| count - number);
        rows.push(Some((row, Integer::new(behind, "number")?, Integer::time(row.now, "time")?)));
    }
    rooms.resize_with(length, || (None, None));
    rows.resize_with(length, || None);

    let mut sql = QueryBuilder::new(begin);
    sql.push("UPDATE rooms SET head = head + column2 FROM (");
    sql.push_values(&rooms, |mut values, (room_id, count)| {
        values.push_bind(*room_id).push_bind(*count);
    });
    sql.push(
        ") WHERE room_id = column1 AND closed_at IS NULL;
         INSERT INTO room_log (room_id, seq, sender_account, sender_device, envelope_id, recipient_account,
             recipient_device, committed_at, envelope)
         SELECT column1, head - column2, account_id, column4, column5, column6, column7, column8, column9 FROM (",
    );
    sql.push_values(&rows, |mut values, row| {
        let envelope = row.map(|(row, ..)| row.envelope);
        let recipient = envelope.and_then(|envelope| envelope.recipient);
        values
            .push_bind(row.map(|(row, ..)| Blob(*row.room_id.as_bytes())))
            .push_bind(row.map(|(_, behind, _)| behind))
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
         WHERE column1 IS NOT NULL;
         SELECT json_group_object(hex(room_id), json_array(hex(epoch), head)) FROM rooms WHERE room_id IN ",
    );
    sql.push_tuples(&rooms, |mut values, (room_id, _)| {
        values.push_bind(*room_id);
    });
    Ok(sql)
}

/// Rows that go together at most.
const PART_MAX: usize = 256;

/// What parts are filled up to.
const LENGTHS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, PART_MAX];
