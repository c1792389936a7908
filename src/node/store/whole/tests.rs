#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sqlx::Connection;
use sqlx::sqlite::SqliteOperation;

use super::*;
use crate::ids::{AccountId, DeviceAddress, DeviceId, EnvelopeId};
use crate::node::store::migrations;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What was done to rows of logs: how many were inserted, and how many were updated.
type Done = Arc<Mutex<(u64, u64)>>;

/// A database with one account, which is a member of as many rooms, that counts what is done to the rows of logs.
async fn database(rooms: u64) -> (SqliteConnection, Done) {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    migrations().run(&mut db).await.unwrap();
    let member = member();
    sqlx::query("INSERT INTO accounts VALUES (?, 'issuer', 'subject', 0)")
        .bind(Blob(*member.account_id.as_bytes()))
        .execute(&mut db)
        .await
        .unwrap();
    for number in 0..rooms {
        let sql = "INSERT INTO rooms VALUES (?1, x'000000', x'0101010101010101', 0, 0, NULL);
            INSERT INTO members (room_id, account_id, role, joined_at) VALUES (?1, ?2, 'member', 0)";
        sqlx::query(sql)
            .bind(Blob(*room(number).as_bytes()))
            .bind(Blob(*member.account_id.as_bytes()))
            .execute(&mut db)
            .await
            .unwrap();
    }
    let done = Done::default();
    let counted = Arc::clone(&done);
    db.lock_handle().await.unwrap().set_update_hook(move |change| {
        let (inserted, updated) = &mut *counted.lock().unwrap();
        match change.operation {
            SqliteOperation::Insert if change.table == "room_log" => *inserted += 1,
            SqliteOperation::Update if change.table == "room_log" => *updated += 1,
            _ => {}
        }
    });
    (db, done)
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn member() -> DeviceAddress {
    DeviceAddress { account_id: AccountId::generate(&mut rng(1)), device_id: DeviceId::generate(&mut rng(2)) }
}

fn room(number: u64) -> RoomId {
    RoomId::generate(&mut rng(number + 1_000))
}

/// Envelopes of these numbers for a room. Another number, another id.
fn batch(room_number: u64, numbers: impl IntoIterator<Item = u64>) -> Batch {
    let envelope = |number: u64| Outgoing {
        id: EnvelopeId::generate(&mut rng(number)),
        sender: member(),
        recipient: None,
        bytes: number.to_be_bytes().to_vec(),
    };
    Batch { room_id: room(room_number), envelopes: numbers.into_iter().map(envelope).collect(), now: NOW }
}

fn at(seq: u64) -> Position {
    Position { epoch: LogEpoch::from_bytes([1; 8]), seq }
}

/// Stores batches together. None if that cannot be.
async fn together(db: &mut SqliteConnection, batches: &[Batch], within: Within) -> Option<Vec<Vec<Appended>>> {
    let outcomes = append(db, batches, within).await.unwrap()?;
    Some(outcomes.into_iter().map(Result::unwrap).collect())
}

/// The log of a room: numbers, and which envelopes have them.
async fn log(db: &mut SqliteConnection, room_number: u64) -> Vec<(u64, u64)> {
    let rows: Vec<(Integer, Blob<8>)> =
        sqlx::query_as("SELECT seq, envelope FROM room_log WHERE room_id = ? ORDER BY seq")
            .bind(Blob(*room(room_number).as_bytes()))
            .fetch_all(&mut *db)
            .await
            .unwrap();
    let head: Integer = sqlx::query_scalar("SELECT head FROM rooms WHERE room_id = ?")
        .bind(Blob(*room(room_number).as_bytes()))
        .fetch_one(db)
        .await
        .unwrap();
    assert_eq!(head.get(), rows.len() as u64, "where the log ends");
    rows.into_iter().map(|(seq, Blob(bytes))| (seq.get(), u64::from_be_bytes(bytes))).collect()
}

#[tokio::test]
async fn a_repeat_has_no_envelope_stored_twice_and_moves_those_behind_it_alone() {
    for (begin, within, end) in
        [("SELECT 1", Within::Transaction, "SELECT 1"), ("BEGIN IMMEDIATE", Within::Savepoint, "COMMIT")]
    {
        let (mut db, done) = database(60).await;
        together(&mut db, &[batch(7, 1..=2)], Within::Transaction).await.unwrap();
        *done.lock().unwrap() = (0, 0);
        // More than one part. Room 7 is sent the first of its envelopes again, and one of the same batch.
        let numbers = |room| if room == 7 { vec![3, 1, 4, 4, 5] } else { (0..10).collect() };
        let batches: Vec<_> = (0..60).map(|room| batch(room, numbers(room))).collect();

        sqlx::query(begin).execute(&mut db).await.unwrap();
        let answers = together(&mut db, &batches, within).await.unwrap();
        sqlx::query(end).execute(&mut db).await.unwrap();

        assert_eq!(*done.lock().unwrap(), (59 * 10 + 3, 2), "rows that were inserted, and updated");
        let (stored, known) = (Appended::Stored, Appended::Known);
        for (room, answers) in (0..).zip(answers) {
            if room == 7 {
                let expected = [stored(at(3)), known(at(1)), stored(at(4)), known(at(4)), stored(at(5))];
                assert_eq!((answers, log(&mut db, 7).await), (expected.into(), (1..=5).zip(1..=5).collect()));
            } else {
                let expected = (1..=10).map(|seq| stored(at(seq))).collect();
                assert_eq!((answers, log(&mut db, room).await), (expected, (1..=10).zip(0..10).collect()));
            }
        }
    }
}

#[tokio::test]
async fn what_is_known_already_is_answered_and_changes_nothing() {
    let (mut db, done) = database(2).await;
    let batches = [batch(0, 1..=300), batch(1, 1..=3)];
    let stored = together(&mut db, &batches, Within::Transaction).await.unwrap();
    *done.lock().unwrap() = (0, 0);

    let again = together(&mut db, &batches, Within::Transaction).await.unwrap();

    let as_known = |answer: &Appended| match answer {
        Appended::Stored(position) => Appended::Known(*position),
        other => *other,
    };
    assert_eq!(again, stored.iter().map(|answers| answers.iter().map(as_known).collect()).collect::<Vec<Vec<_>>>());
    assert_eq!(*done.lock().unwrap(), (0, 0));
    assert_eq!(log(&mut db, 0).await, (1..=300).zip(1..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_repeat_beside_what_may_not_be_stored_has_all_taken_back() {
    let (mut db, _) = database(3).await;
    together(&mut db, &[batch(0, 1..=2)], Within::Transaction).await.unwrap();
    let sql = "DELETE FROM members WHERE room_id = ?";
    sqlx::query(sql).bind(Blob(*room(2).as_bytes())).execute(&mut db).await.unwrap();

    // Whose sender is no member, and whose room is none.
    for room in [2, 3] {
        let batches = [batch(0, 2..=300), batch(1, 1..=2), batch(room, 1..=2)];
        assert_eq!(together(&mut db, &batches, Within::Transaction).await, None);
    }

    assert_eq!((log(&mut db, 0).await, log(&mut db, 1).await), (vec![(1, 1), (2, 2)], vec![]));
}
