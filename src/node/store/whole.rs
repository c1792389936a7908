//! Many envelopes of many rooms in a few statements, where nothing speaks against any of them.
//!
//! Each statement is a trip to the thread that SQLite runs on and back. So rows are put into statements of 64, 32 and so on:
//! few forms, which stay prepared.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::appends::{Batch, Outcome};
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::log::Outgoing;
use super::room_log::Appended;
use crate::ids::{LogEpoch, RoomId};
use crate::wire::{Position, Timestamp};

/// An envelope with its place.
struct Row<'a> {
    room_id: RoomId,
    seq: u64,
    now: Timestamp,
    envelope: &'a Outgoing,
}

/// Stores all envelopes of all batches, and says of each where. None if that cannot be: a room is closed or none, or comes
/// twice; a sender is no member; an envelope is known. Nothing is stored then.
pub(super) async fn append(db: &mut SqliteConnection, batches: &[Batch]) -> Result<Option<Vec<Outcome>>, StoreError> {
    let rooms: BTreeSet<RoomId> = batches.iter().map(|batch| batch.room_id).collect();
    if rooms.len() < batches.len() {
        return Ok(None);
    }
    let before = advance(db, batches).await?;
    let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
    for Batch { room_id, envelopes, now } in batches {
        let Some((epoch, head)) = before.get(room_id) else { break };
        let numbered = || (head + 1..).zip(envelopes);
        rows.extend(numbered().map(|(seq, envelope)| Row { room_id: *room_id, seq, now: *now, envelope }));
        let stored = numbered().map(|(seq, _)| Appended::Stored(Position { epoch: *epoch, seq }));
        outcomes.push(Ok(stored.collect()));
    }
    let mut is_whole = outcomes.len() == batches.len();
    for rows in in_statements(&rows) {
        is_whole = is_whole && insert(db, rows).await? == rows.len() as u64;
    }
    if is_whole {
        return Ok(Some(outcomes));
    }
    take_back(db, &before).await?;
    Ok(None)
}

/// Moves the ends of the logs of rooms that are open by as many entries as there are envelopes. Where they were before.
async fn advance(
    db: &mut SqliteConnection,
    batches: &[Batch],
) -> Result<BTreeMap<RoomId, (LogEpoch, u64)>, StoreError> {
    let mut before = BTreeMap::new();
    for batches in in_statements(batches) {
        let mut counted = Vec::with_capacity(batches.len());
        for Batch { room_id, envelopes, .. } in batches {
            counted.push((Blob(*room_id.as_bytes()), Integer::new(envelopes.len() as u64, "number")?));
        }
        let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("UPDATE rooms SET head = head + column2 FROM (");
        sql.push_values(counted, |mut row, (room_id, count)| {
            row.push_bind(room_id).push_bind(count);
        });
        sql.push(") WHERE room_id = column1 AND closed_at IS NULL RETURNING room_id, epoch, head");
        let rows: Vec<(Blob<16>, Blob<8>, Integer)> = sql.build_query_as().fetch_all(&mut *db).await?;
        for (Blob(room_id), Blob(epoch), head) in rows {
            let room_id = RoomId::from_bytes(room_id);
            let count = batches.iter().find(|batch| batch.room_id == room_id).map_or(0, |batch| batch.envelopes.len());
            before.insert(room_id, (LogEpoch::from_bytes(epoch), head.get().saturating_sub(count as u64)));
        }
    }
    Ok(before)
}

/// Stores envelopes whose senders are members and which are not known. How many that were.
async fn insert(db: &mut SqliteConnection, rows: &[Row<'_>]) -> Result<u64, StoreError> {
    let mut checked = Vec::with_capacity(rows.len());
    for row in rows {
        checked.push((row, Integer::new(row.seq, "number")?, Integer::time(row.now, "time")?));
    }
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(
        "INSERT INTO room_log (room_id, seq, sender_account, sender_device, envelope_id, recipient_account,
             recipient_device, committed_at, envelope)
         SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9 FROM (",
    );
    sql.push_values(checked, |mut row, (Row { room_id, envelope, .. }, seq, now)| {
        let Outgoing { id, sender, recipient, bytes } = envelope;
        row.push_bind(Blob(*room_id.as_bytes()))
            .push_bind(seq)
            .push_bind(Blob(*sender.account_id.as_bytes()))
            .push_bind(Blob(*sender.device_id.as_bytes()))
            .push_bind(Blob(*id.as_bytes()))
            .push_bind(recipient.map(|device| Blob(*device.account_id.as_bytes())))
            .push_bind(recipient.map(|device| Blob(*device.device_id.as_bytes())))
            .push_bind(now)
            .push_bind(bytes.as_slice());
    });
    // A cross join is not turned around: members are looked up, not listed.
    sql.push(
        ") CROSS JOIN members WHERE members.room_id = column1 AND members.account_id = column3
         ON CONFLICT (room_id, sender_account, sender_device, envelope_id) DO NOTHING",
    );
    Ok(sql.build().execute(db).await?.rows_affected())
}

/// Puts the ends of logs back to where they were, and removes what is past them.
async fn take_back(db: &mut SqliteConnection, before: &BTreeMap<RoomId, (LogEpoch, u64)>) -> Result<(), StoreError> {
    for (room_id, (_, head)) in before {
        for sql in
            ["UPDATE rooms SET head = ?2 WHERE room_id = ?1", "DELETE FROM room_log WHERE room_id = ?1 AND seq > ?2"]
        {
            let (room_id, head) = (Blob(*room_id.as_bytes()), Integer::new(*head, "number")?);
            sqlx::query(sql).bind(room_id).bind(head).execute(&mut *db).await?;
        }
    }
    Ok(())
}

/// Cuts a list into parts of few lengths: powers of two, at most [`ROWS_MAX`].
fn in_statements<T>(mut list: &[T]) -> impl Iterator<Item = &[T]> {
    core::iter::from_fn(move || {
        let length = (list.len().min(ROWS_MAX) + 1).next_power_of_two() / 2;
        let (part, rest) = list.split_at_checked(length)?;
        list = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// Rows of one statement.
const ROWS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_into_powers_of_two_and_nothing_is_left_out() {
        for (length, expected) in [(0, &[][..]), (1, &[1]), (7, &[4, 2, 1]), (64, &[64]), (130, &[64, 64, 2])] {
            let list: Vec<usize> = (0..length).collect();
            let parts: Vec<&[usize]> = in_statements(&list).collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), expected, "{length}");
            assert_eq!(parts.concat(), list);
        }
    }
}
