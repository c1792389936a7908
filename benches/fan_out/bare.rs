//! SQLite alone: the store's schema and settings, the same rows, and a transaction for each batch. What a commit costs that
//! no node can be without.

use std::fs;
use std::path::{Path, PathBuf};

use actix_web::rt::System;
use conclave::ids::{DeviceAddress, RoomId};
use conclave::node::store::Store;
use conclave::wire::Envelope;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rusqlite::{Connection, params};

use crate::author::POLICY;

/// A database with rooms whose logs grow.
pub(crate) struct Bare {
    db: Connection,
    folder: PathBuf,
    rooms: Vec<RoomId>,
    sender: DeviceAddress,
    row: Vec<u8>,
    rows: usize,
    rng: ChaCha20Rng,
}

impl Bare {
    /// Makes one in a folder of its own below `target`, with these rooms; its rows are as long as that of this envelope.
    pub(crate) fn make(folder: PathBuf, rooms: &[RoomId], envelope: &Envelope) -> Self {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let db = open(&folder);
        for room_id in rooms {
            add_room(&db, *room_id);
        }
        let rng = ChaCha20Rng::seed_from_u64(1);
        Self { db, folder, rooms: rooms.to_vec(), sender: envelope.sender, row: envelope.to_cbor(), rows: 0, rng }
    }

    /// Adds so many rows in one transaction, to one room after the other: a batch as the node has it, of senders who each
    /// write in a room of their own.
    pub(crate) fn commit(&mut self, rows: usize) {
        let transaction = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        for _ in 0..rows {
            let (room, seq) = (self.rooms[self.rows % self.rooms.len()], self.rows / self.rooms.len() + 1);
            self.rows += 1;
            let mut id = [0; 16];
            self.rng.fill_bytes(&mut id);
            add_row(&transaction, room, seq as u64, self.sender, &id, &self.row);
        }
        transaction.commit().unwrap();
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A data folder that holds a million messages, in rooms of ten thousand. It takes a while to make, so it is kept.
pub(crate) fn million(target: &Path, envelope: &Envelope) -> PathBuf {
    let (folder, unfinished) = (target.join("million"), target.join("million.unfinished"));
    if folder.exists() {
        return folder;
    }
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished).unwrap();
    let db = open(&unfinished);
    // What is made here can be made again.
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000").unwrap();
    let (mut rng, row) = (ChaCha20Rng::seed_from_u64(2), envelope.to_cbor());
    for _ in 0..100 {
        let room_id = RoomId::generate(&mut rng);
        db.execute_batch("BEGIN").unwrap();
        add_room(&db, room_id);
        for seq in 1..=10_000 {
            let mut id = [0; 16];
            rng.fill_bytes(&mut id);
            add_row(&db, room_id, seq, envelope.sender, &id, &row);
        }
        db.execute("UPDATE rooms SET head = 10000 WHERE room_id = ?", [room_id.as_bytes()]).unwrap();
        db.execute_batch("COMMIT").unwrap();
    }
    db.close().unwrap();
    fs::rename(unfinished, &folder).unwrap();
    folder
}

/// Opens a new database with the store's schema, set as the store sets it.
fn open(folder: &Path) -> Connection {
    System::new().block_on(async { Store::open(folder).await.unwrap().close().await });
    let db = Connection::open(folder.join(Store::FILE_NAME)).unwrap();
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
                    PRAGMA secure_delete = ON";
    db.execute_batch(settings).unwrap();
    db
}

fn add_room(db: &Connection, room_id: RoomId) {
    let sql = "INSERT INTO rooms (room_id, policy, epoch, head, created_at) VALUES (?, ?, ?, 0, 0)";
    db.execute(sql, params![room_id.as_bytes(), POLICY.to_bytes(), [7_u8; 8]]).unwrap();
}

fn add_row(db: &Connection, room_id: RoomId, seq: u64, sender: DeviceAddress, id: &[u8; 16], envelope: &[u8]) {
    let sql = "INSERT INTO room_log (room_id, seq, sender_account, sender_device, envelope_id, committed_at, envelope)
               VALUES (?, ?, ?, ?, ?, 0, ?)";
    let mut statement = db.prepare_cached(sql).unwrap();
    let (account, device) = (sender.account_id.as_bytes(), sender.device_id.as_bytes());
    let seq = i64::try_from(seq).unwrap();
    statement.execute(params![room_id.as_bytes(), seq, account, device, id, envelope]).unwrap();
}
