//! Many envelopes of many rooms in few statements, where nothing speaks against any of them.
//!
//! Each statement, and each row that one answers, is a trip from the thread that SQLite runs on. So rows go together in parts,
//! each by one text that answers one row; and parts are filled up with NULL to few lengths, so that the texts stay prepared.

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
pub(super) async fn append(db: &mut SqliteConnection, batches: &[Batch]) -> Result<Option<Vec<Outcome>>, StoreError> {
    let rooms: BTreeSet<RoomId> = batches.iter().map(|batch| batch.room_id).collect();
    let mut is_whole = rooms.len() == batches.len();
    let rows: Vec<Row<'_>> = batches.iter().flat_map(rows).collect();
    let mut before = BTreeMap::new();
    for part in rows.chunks(PART_MAX) {
        is_whole = is_whole && store(db, part, &mut before).await?;
    }
    let outcomes = |batch: &Batch| {
        let End { epoch, head } = *before.get(&batch.room_id)?;
        let positions = (head + 1..).map(|seq| Appended::Stored(Position { epoch, seq }));
        Some(Ok(positions.take(batch.envelopes.len()).collect()))
    };
    match batches.iter().map(outcomes).collect() {
        Some(outcomes) if is_whole => Ok(Some(outcomes)),
        _ => take_back(db, &before).await.map(|()| None),
    }
}

fn rows(batch: &Batch) -> impl Iterator<Item = Row<'_>> {
    batch.envelopes.iter().map(|envelope| Row { room_id: batch.room_id, now: batch.now, envelope })
}

/// Stores envelopes whose rooms are open, whose senders are members and which are not known. Whether that was all of them.
/// Notes where the logs ended `before`.
async fn store(
    db: &mut SqliteConnection,
    part: &[Row<'_>],
    before: &mut BTreeMap<RoomId, End>,
) -> Result<bool, StoreError> {
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
    let (stored, ends): (Integer, String) =
        statements(&counts, &numbered, length)?.build_query_as().fetch_one(db).await?;
    let ends: BTreeMap<String, (String, u64)> =
        serde_json::from_str(&ends).map_err(|_| StoreError::Corrupt { what: "ends of logs" })?;
    for (room_id, count) in counts {
        if let Some((epoch, head)) = ends.get(&HEXUPPER.encode(room_id.as_bytes())) {
            let epoch = HEXUPPER.decode(epoch.as_bytes()).ok().and_then(|epoch| epoch.try_into().ok());
            let epoch = epoch.map(LogEpoch::from_bytes).ok_or(StoreError::Corrupt { what: "epoch" })?;
            before.entry(room_id).or_insert(End { epoch, head: head.saturating_sub(count) });
        }
    }
    Ok(stored.get() == part.len() as u64)
}

/// Moves the ends of the logs of rooms that are open by as many entries as there are envelopes; stores these; and answers how
/// many it stored, and the ends.
fn statements(
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

    let mut sql = QueryBuilder::new("UPDATE rooms SET head = head + column2 FROM (");
    sql.push_values(&rooms, |mut values, (room_id, count)| {
        values.push_bind(*room_id).push_bind(*count);
    });
    // A cross join is not turned around: rooms and members are looked up, not listed.
    sql.push(
        ") WHERE room_id = column1 AND closed_at IS NULL;
         INSERT INTO room_log (room_id, seq, sender_account, sender_device, envelope_id, recipient_account,
             recipient_device, committed_at, envelope)
         SELECT column1, head - column2, column3, column4, column5, column6, column7, column8, column9 FROM (",
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
        ") CROSS JOIN rooms CROSS JOIN members
         WHERE rooms.room_id = column1 AND closed_at IS NULL
             AND members.room_id = column1 AND members.account_id = column3
         ON CONFLICT (room_id, sender_account, sender_device, envelope_id) DO NOTHING;
         SELECT changes(), json_group_object(hex(room_id), json_array(hex(epoch), head)) FROM rooms
         WHERE closed_at IS NULL AND room_id IN ",
    );
    sql.push_tuples(&rooms, |mut values, (room_id, _)| {
        values.push_bind(*room_id);
    });
    Ok(sql)
}

/// Puts the ends of logs back to where they were, and removes what is past them.
async fn take_back(db: &mut SqliteConnection, before: &BTreeMap<RoomId, End>) -> Result<(), StoreError> {
    for (room_id, End { head, .. }) in before {
        for sql in
            ["UPDATE rooms SET head = ?2 WHERE room_id = ?1", "DELETE FROM room_log WHERE room_id = ?1 AND seq > ?2"]
        {
            let (room_id, head) = (Blob(*room_id.as_bytes()), Integer::new(*head, "number")?);
            sqlx::query(sql).bind(room_id).bind(head).execute(&mut *db).await?;
        }
    }
    Ok(())
}

/// Rows that go together at most.
const PART_MAX: usize = 64;

/// What parts are filled up to.
const LENGTHS: [usize; 3] = [1, 8, PART_MAX];
