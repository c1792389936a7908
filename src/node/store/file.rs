//! The file of the database: how it is opened, and which tables it has.

use core::time::Duration;
use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, ffi};
use rusqlite_migration::{M, Migrations};

use super::error::StoreError;
use super::sql::Sql;

/// A database, and the room that it has.
#[derive(Clone, Debug)]
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    /// Pages of 4,096 bytes. None: as many as fit on the disk.
    pub(super) pages_max: Option<u32>,
}

impl DatabaseFile {
    /// Opens it to write, as a node does when it starts: makes it if it is not there, brings its tables up to date, and syncs
    /// what it finds.
    ///
    /// # Errors
    /// [`StoreError::Migration`], [`StoreError::Full`], [`StoreError::Unavailable`].
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        let mut connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        self.set_up_to_write(&connection)?;
        take_over_version(&mut connection)?;
        Migrations::from_slice(MIGRATIONS).to_latest(&mut connection)?;
        sync_what_is_there(&connection)?;
        Ok(connection)
    }

    /// Opens it to write, after a failure, and syncs what it finds.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    pub(super) fn reopen(&self) -> Result<Connection, StoreError> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.set_up_to_write(&connection)?;
        sync_what_is_there(&connection)?;
        Ok(connection)
    }

    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) fn open_to_read(&self) -> Result<Connection, StoreError> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "cache_size", -READ_CACHE_KIB)?;
        Ok(connection)
    }

    fn connect(&self, mode: OpenFlags) -> Result<Connection, StoreError> {
        let connection = Connection::open_with_flags(&self.path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(connection)
    }

    fn set_up_to_write(&self, connection: &Connection) -> Result<(), StoreError> {
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        // What a statement or a savepoint may have to take back waits in memory: in a file it costs more than the rows.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        if let Some(pages_max) = self.pages_max {
            connection.pragma_update(None, "max_page_count", pages_max)?;
        }
        Ok(())
    }
}

/// Syncs what an earlier process or connection has committed. A commit whose sync failed, or that the process did not live to sync, is
/// found whole in the write-ahead log; without this it would be read, and told to whoever repeats it, before it is
/// on the disk.
fn sync_what_is_there(db: &Connection) -> Result<(), StoreError> {
    // A checkpoint syncs the log first.
    let (is_busy, _, _): (bool, i64, i64) = db.one("PRAGMA wal_checkpoint(FULL)", [])?;
    if is_busy {
        let what = "another program reads the database and keeps it from being synced".to_owned();
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), Some(what)).into());
    }
    Ok(())
}

/// The version of the tables, which SQLite keeps in the head of the file, once stood in a table. A program of then that opens
/// the file makes an empty one again.
fn take_over_version(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.table_exists(None, "_sqlx_migrations")? {
        let (version,): (i64,) = transaction.one(
            "SELECT max(user_version, coalesce((SELECT max(version) FROM _sqlx_migrations), 0)) FROM pragma_user_version",
            [],
        )?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.execute_batch("DROP TABLE _sqlx_migrations")?;
    }
    Ok(transaction.commit()?)
}

/// Each makes the next version of the tables, from 1. They are only added.
const MIGRATIONS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001_accounts_and_directory.sql")),
    M::up(include_str!("migrations/0002_rooms_and_mailboxes.sql")),
    M::up(include_str!("migrations/0003_device_flow.sql")),
    M::up(include_str!("migrations/0004_tickets.sql")),
    M::up(include_str!("migrations/0005_room_keys.sql")),
    M::up(include_str!("migrations/0006_idempotency.sql")),
    M::up(include_str!("migrations/0007_vault.sql")),
    M::up(include_str!("migrations/0008_memberships.sql")),
    M::up(include_str!("migrations/0009_mailbox_shares.sql")),
    M::up(include_str!("migrations/0010_vault_writes.sql")),
];

/// How long a connection waits for another program's lock, and a read for a connection.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that stay prepared on a connection: more than there are.
const STATEMENTS_KEPT: usize = 256;

/// What a connection keeps of the file that only reads: each would have a copy of what the system has in memory anyway.
const READ_CACHE_KIB: i32 = 256;

/// SQLite's usual size of a page, named because [`DatabaseFile::pages_max`] counts in it.
const PAGE_BYTES: u32 = 4_096;
