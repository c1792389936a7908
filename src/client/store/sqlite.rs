//! A store in a file: SQLite, every value sealed.
//!
//! ```text
//! store     version, keystore (protocol::keystore): the store key under the passphrase
//! records   name: a code 16 → sealed (name length u32 ∥ name ∥ value), its code bound in
//! messages  number → place: a code 16, id: a code 16, sealed value; number, place and id bound in
//! ```
//!
//! The write-ahead log is on, with `synchronous=FULL`: a commit that returned survives loss of power. Deleted values are
//! overwritten (`secure_delete`), and the log is emptied when the store is opened and closed; until then it keeps what was
//! deleted since, sealed.
//!
//! Each operation is one piece of work on a thread that may block. It is done to its end even if nobody waits for it any
//! more, and the next begins after it.
//!
//! What an attacker who reads the file learns: how many records and messages there are, how long, and which belong to one
//! conversation. One who writes it can delete records or put back the whole file as it was: the keys of
//! messages since are lost then, and those of messages before are used again.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row, TransactionBehavior};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::lock::Lock;
use super::{Batch, LocalStore, MessagePage, Records, StoreError, StoredMessage, Work};
use crate::client::entropy;
use crate::protocol::keystore::{Argon2Parameters, Passphrase, StoreKey, StoreKeyError, open_keystore, seal_keystore};
use crate::protocol::public::limits::STORE_RECORD_BYTES_MAX;
use crate::wire::{Reader, Writer};

/// The version of the tables.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, keystore BLOB NOT NULL) STRICT;
CREATE TABLE records (name BLOB PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY, place BLOB NOT NULL, id BLOB NOT NULL UNIQUE, sealed BLOB NOT NULL
) STRICT;
CREATE INDEX messages_of_place ON messages (place, number);
";

/// The log has fewer pages than is usual, so that what was deleted is sooner overwritten.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA wal_autocheckpoint = 250;
";

/// How long a statement waits for another program that looks into the file: the lock is between ours alone.
const BUSY: Duration = Duration::from_secs(5);

/// The open file; none once it is closed.
pub(super) struct SqliteStore(Arc<Mutex<Option<File>>>);

impl SqliteStore {
    pub(super) async fn create(path: &Path, passphrase: Passphrase) -> Result<Self, StoreError> {
        let path = path.to_owned();
        blocking(move || File::create(&path, &passphrase)).await.map(Self::of)
    }

    pub(super) async fn open(path: &Path, passphrase: Passphrase) -> Result<Self, StoreError> {
        let path = path.to_owned();
        blocking(move || File::open(&path, &passphrase)).await.map(Self::of)
    }

    pub(super) async fn is_at(path: &Path) -> Result<bool, StoreError> {
        let path = path.to_owned();
        blocking(move || File::is_at(&path)).await
    }

    fn of(file: File) -> Self {
        Self(Arc::new(Mutex::new(Some(file))))
    }

    /// The guard goes with the work: what comes next waits for it, also if the future of this was dropped.
    fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<File>) -> Result<T, StoreError> + Send + 'static,
    ) -> Work<'_, T> {
        Box::pin(async move {
            let mut file = Arc::clone(&self.0).lock_owned().await;
            blocking(move || work(&mut file)).await
        })
    }
}

impl LocalStore for SqliteStore {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        self.work(|file| open(file)?.read())
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        self.work(move |file| open(file)?.write(&batch))
    }

    fn message(&mut self, id: &str) -> Work<'_, Option<StoredMessage>> {
        let id = id.to_owned();
        self.work(move |file| open(file)?.find(&id))
    }

    fn messages(&mut self, page: MessagePage) -> Work<'_, Vec<StoredMessage>> {
        self.work(move |file| open(file)?.page(&page))
    }

    fn close(&mut self) -> Work<'_, ()> {
        self.work(|file| file.take().map_or(Ok(()), File::end))
    }
}

impl core::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SqliteStore(..)")
    }
}

/// The file, its key, and the right to write it.
struct File {
    connection: Connection,
    key: StoreKey,
    // After the connection, so that it is given back last.
    _lock: Lock,
}

impl File {
    fn create(path: &Path, passphrase: &Passphrase) -> Result<Self, StoreError> {
        let lock = Lock::take(path)?;
        make_file(path)?;
        let mut connection = connect(path)?;
        if has_tables(&connection, path)? {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        let rng = &mut entropy::generator().map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let key = StoreKey::generate(rng);
        let keystore = seal_keystore(passphrase, Argon2Parameters::default(), &key.encode_secret(), rng)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.execute("INSERT INTO store (id, version, keystore) VALUES (1, ?, ?)", (VERSION, keystore))?;
        transaction.commit()?;
        Ok(Self { connection, key, _lock: lock })
    }

    fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, StoreError> {
        let missing = || StoreError::Missing { path: path.to_owned() };
        let is_there = path.try_exists()?;
        if !is_there {
            return Err(missing());
        }
        let lock = Lock::take(path)?;
        let connection = connect(path)?;
        if !has_tables(&connection, path)? {
            return Err(missing());
        }
        let (version, keystore): (i64, Vec<u8>) =
            connection.query_row("SELECT version, keystore FROM store", [], |row| row.try_into())?;
        if version != VERSION {
            return Err(StoreError::Newer { version, known: VERSION });
        }
        let secret = open_keystore(passphrase, &keystore)?;
        let key = StoreKey::decode(&secret).map_err(|_| StoreError::Broken)?;
        empty_log(&connection)?;
        Ok(Self { connection, key, _lock: lock })
    }

    fn is_at(path: &Path) -> Result<bool, StoreError> {
        let is_there = path.try_exists()?;
        if !is_there {
            return Ok(false);
        }
        let _lock = match Lock::take(path) {
            Err(StoreError::InUse { .. }) => return Ok(true),
            lock => lock?,
        };
        let connection = connect(path)?;
        let is_made = has_tables(&connection, path)?;
        close(connection)?;
        Ok(is_made)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Self { connection, key, _lock } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rng = &mut entropy::generator().map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        for (name, value) in &batch.records {
            let code = key.code(name);
            let Some(value) = value else {
                transaction.prepare_cached("DELETE FROM records WHERE name = ?")?.execute([code])?;
                continue;
            };
            let writer = Writer::with_capacity(4 + name.len() + value.len()).variable(name.as_bytes());
            let sealed = key.seal(&code, &writer.bytes(value).finish_secret(), rng)?;
            let put = "INSERT OR REPLACE INTO records (name, sealed) VALUES (?, ?)";
            transaction.prepare_cached(put)?.execute((code, sealed))?;
        }
        for message in &batch.messages {
            let codes = Codes::of(key, message);
            let sealed = key.seal(&codes.context(message.number), &seal_form(message), rng)?;
            let put = "INSERT OR REPLACE INTO messages (number, place, id, sealed) VALUES (?, ?, ?, ?)";
            let values = (number(message.number), codes.place, codes.id, sealed);
            transaction.prepare_cached(put)?.execute(values)?;
        }
        Ok(transaction.commit()?)
    }

    fn read(&self) -> Result<(Records, u64), StoreError> {
        let Self { connection, key, _lock } = self;
        let mut select = connection.prepare_cached("SELECT name, sealed FROM records")?;
        let records = select.query_and_then([], |row| record(key, row))?.collect::<Result<_, _>>()?;
        let last = "SELECT max(number) FROM messages";
        let last: Option<i64> = connection.prepare_cached(last)?.query_row([], |row| row.get(0))?;
        Ok((records, last.map_or(0, i64::cast_unsigned)))
    }

    fn find(&self, id: &str) -> Result<Option<StoredMessage>, StoreError> {
        let find = "SELECT number, place, id, sealed FROM messages WHERE id = ?";
        Ok(self.messages(find, [self.key.code(id)])?.pop())
    }

    fn page(&self, page: &MessagePage) -> Result<Vec<StoredMessage>, StoreError> {
        match page {
            MessagePage::After { number: after, limit } => {
                let page = "SELECT number, place, id, sealed FROM messages WHERE number > ? ORDER BY number LIMIT ?";
                self.messages(page, (number(*after), limit))
            }
            MessagePage::Before { place, number: before, limit } => {
                let page = "SELECT number, place, id, sealed FROM messages WHERE place = ? AND number < ?
                            ORDER BY number DESC LIMIT ?";
                let mut messages = self.messages(page, (self.key.code(place), number(*before), limit))?;
                messages.reverse();
                Ok(messages)
            }
        }
    }

    fn messages(&self, select: &str, values: impl Params) -> Result<Vec<StoredMessage>, StoreError> {
        let Self { connection, key, _lock } = self;
        let mut select = connection.prepare_cached(select)?;
        select.query_and_then(values, |row| message(key, row))?.collect()
    }

    fn end(self) -> Result<(), StoreError> {
        empty_log(&self.connection)?;
        close(self.connection)
    }
}

/// What stands for a message's names in the file.
struct Codes {
    place: [u8; 16],
    id: [u8; 16],
}

impl Codes {
    fn of(key: &StoreKey, message: &StoredMessage) -> Self {
        Self { place: key.code(&message.place), id: key.code(&message.id) }
    }

    fn context(&self, number: u64) -> Vec<u8> {
        Writer::default().u64(number).bytes(&self.place).bytes(&self.id).finish()
    }
}

/// What is sealed of a message: its id and place, each with its length, then its bytes.
fn seal_form(message: &StoredMessage) -> Zeroizing<Vec<u8>> {
    let StoredMessage { number: _, id, place, bytes } = message;
    let capacity = 8 + id.len() + place.len() + bytes.len();
    Writer::with_capacity(capacity).variable(id.as_bytes()).variable(place.as_bytes()).bytes(bytes).finish_secret()
}

fn record(key: &StoreKey, row: &Row<'_>) -> Result<(String, Zeroizing<Vec<u8>>), StoreError> {
    let opened = key.open(blob(row, 0)?, blob(row, 1)?)?;
    let mut reader = Reader::new(&opened);
    let name = reader.variable("name", STORE_RECORD_BYTES_MAX).map_err(|_| StoreError::Broken)?;
    let name = str::from_utf8(name).map_err(|_| StoreError::Broken)?.to_owned();
    Ok((name, Zeroizing::new(reader.rest().to_vec())))
}

fn message(key: &StoreKey, row: &Row<'_>) -> Result<StoredMessage, StoreError> {
    let number = row.get::<_, i64>(0)?.cast_unsigned();
    let code = |at| blob(row, at)?.try_into().map_err(|_| StoreError::Broken);
    let codes = Codes { place: code(1)?, id: code(2)? };
    let opened = key.open(&codes.context(number), blob(row, 3)?)?;
    let mut reader = Reader::new(&opened);
    let mut text = || {
        let text = reader.variable("name", STORE_RECORD_BYTES_MAX).map_err(|_| StoreError::Broken)?;
        Ok::<_, StoreError>(str::from_utf8(text).map_err(|_| StoreError::Broken)?.to_owned())
    };
    let (id, place) = (text()?, text()?);
    Ok(StoredMessage { number, id, place, bytes: Zeroizing::new(reader.rest().to_vec()) })
}

fn blob<'r>(row: &'r Row<'_>, at: usize) -> Result<&'r [u8], StoreError> {
    row.get_ref(at)?.as_blob().map_err(|_| StoreError::Broken)
}

/// Does work on a thread that may block, to its end even if nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(Box::new(error)))?
}

/// Readable by its owner alone from its first moment; the files that SQLite makes beside it have its permissions.
#[expect(clippy::disallowed_methods, reason = "a store is a file")]
fn make_file(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.create(true).truncate(false).write(true).open(path)?;
    Ok(())
}

/// A connection to a file that is there.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(SETTINGS).map_err(|error| not_a_store(error, path))?;
    Ok(connection)
}

/// Whether a store was made here. A file that was begun and not finished is empty: its tables come in one transaction.
fn has_tables(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let tables = tables(connection).map_err(|error| not_a_store(error, path))?;
    match tables.iter().any(|name| name == "store") {
        true => Ok(true),
        false if tables.is_empty() => Ok(false),
        false => Err(StoreError::NotAStore { path: path.to_owned() }),
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    select.query_map([], |row| row.get(0))?.collect()
}

/// SQLite has its own word for a file that is none of its own.
fn not_a_store(error: rusqlite::Error, path: &Path) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotAStore { path: path.to_owned() },
        _ => error.into(),
    }
}

/// Moves the write-ahead log into the database and cuts it to nothing.
fn empty_log(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
}

fn close(connection: Connection) -> Result<(), StoreError> {
    connection.close().map_err(|(_, error)| error.into())
}

fn open(file: &mut Option<File>) -> Result<&mut File, StoreError> {
    file.as_mut().ok_or_else(|| StoreError::Unavailable("the store is closed".into()))
}

/// SQLite's numbers are signed; none of ours gets that far.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl From<StoreKeyError> for StoreError {
    fn from(error: StoreKeyError) -> Self {
        match error {
            StoreKeyError::TooLong => Self::TooLong,
            StoreKeyError::Open | StoreKeyError::Malformed => Self::Broken,
        }
    }
}
