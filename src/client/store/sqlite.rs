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
//! What an attacker who reads the file learns: how many records and messages there are, how long, and which belong to one
//! conversation. One who writes it can delete records or put back the whole file as it was: the keys of
//! messages since are lost then, and those of messages before are used again.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
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

pub(super) struct SqliteStore {
    connection: Option<SqliteConnection>,
    key: StoreKey,
    // After the connection, so that it is given back last.
    _lock: Lock,
}

impl SqliteStore {
    pub(super) async fn create(path: &Path, passphrase: Passphrase) -> Result<Self, StoreError> {
        let lock = Lock::take(path)?;
        make_file(path)?;
        let mut connection = connect(path).await?;
        if has_tables(&mut connection, path).await? {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        let (key, keystore) = spawn_blocking(move || {
            let rng = &mut entropy::generator().map_err(|error| StoreError::Unavailable(Box::new(error)))?;
            let key = StoreKey::generate(rng);
            let keystore = seal_keystore(&passphrase, Argon2Parameters::default(), &key.encode_secret(), rng)?;
            Ok::<_, StoreError>((key, keystore))
        })
        .await
        .map_err(|error| StoreError::Unavailable(Box::new(error)))??;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
        let insert = sqlx::query("INSERT INTO store (id, version, keystore) VALUES (1, ?, ?)");
        insert.bind(VERSION).bind(keystore).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Self { connection: Some(connection), key, _lock: lock })
    }

    pub(super) async fn open(path: &Path, passphrase: Passphrase) -> Result<Self, StoreError> {
        let missing = || StoreError::Missing { path: path.to_owned() };
        let is_there = path.try_exists()?;
        if !is_there {
            return Err(missing());
        }
        let lock = Lock::take(path)?;
        let mut connection = connect(path).await?;
        if !has_tables(&mut connection, path).await? {
            return Err(missing());
        }
        let (version, keystore): (i64, Vec<u8>) =
            sqlx::query_as("SELECT version, keystore FROM store").fetch_one(&mut connection).await?;
        if version != VERSION {
            return Err(StoreError::Newer { version, known: VERSION });
        }
        let opened = spawn_blocking(move || open_keystore(&passphrase, &keystore)).await;
        let secret = opened.map_err(|error| StoreError::Unavailable(Box::new(error)))??;
        let key = StoreKey::decode(&secret).map_err(|_| StoreError::Broken)?;
        empty_log(&mut connection).await?;
        Ok(Self { connection: Some(connection), key, _lock: lock })
    }

    pub(super) async fn is_at(path: &Path) -> Result<bool, StoreError> {
        let is_there = path.try_exists()?;
        if !is_there {
            return Ok(false);
        }
        let _lock = match Lock::take(path) {
            Err(StoreError::InUse { .. }) => return Ok(true),
            lock => lock?,
        };
        let mut connection = connect(path).await?;
        let is_made = has_tables(&mut connection, path).await?;
        connection.close().await?;
        Ok(is_made)
    }

    async fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        let Self { connection, key, _lock } = self;
        let mut transaction = open(connection)?.begin_with("BEGIN IMMEDIATE").await?;
        let rng = &mut entropy::generator().map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        for (name, value) in &batch.records {
            let code = key.code(name);
            let Some(value) = value else {
                let delete = sqlx::query("DELETE FROM records WHERE name = ?");
                delete.bind(&code[..]).execute(&mut *transaction).await?;
                continue;
            };
            let writer = Writer::with_capacity(4 + name.len() + value.len()).variable(name.as_bytes());
            let sealed = key.seal(&code, &writer.bytes(value).finish_secret(), rng)?;
            let put = sqlx::query("INSERT OR REPLACE INTO records (name, sealed) VALUES (?, ?)");
            put.bind(&code[..]).bind(sealed).execute(&mut *transaction).await?;
        }
        for message in &batch.messages {
            let codes = Codes::of(key, message);
            let sealed = key.seal(&codes.context(message.number), &seal_form(message), rng)?;
            let put = sqlx::query("INSERT OR REPLACE INTO messages (number, place, id, sealed) VALUES (?, ?, ?, ?)");
            let put = put.bind(number(message.number)).bind(&codes.place[..]).bind(&codes.id[..]).bind(sealed);
            put.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn read(&mut self) -> Result<(Records, u64), StoreError> {
        let Self { connection, key, _lock } = self;
        let connection = open(connection)?;
        let mut records = Records::new();
        for row in sqlx::query("SELECT name, sealed FROM records").fetch_all(&mut *connection).await? {
            let (code, sealed): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
            let opened = key.open(code, sealed)?;
            let mut reader = Reader::new(&opened);
            let name = reader.variable("name", STORE_RECORD_BYTES_MAX).map_err(|_| StoreError::Broken)?;
            let name = str::from_utf8(name).map_err(|_| StoreError::Broken)?.to_owned();
            records.insert(name, Zeroizing::new(reader.rest().to_vec()));
        }
        let last: Option<i64> = sqlx::query_scalar("SELECT max(number) FROM messages").fetch_one(connection).await?;
        Ok((records, last.map_or(0, i64::cast_unsigned)))
    }

    async fn find(&mut self, id: &str) -> Result<Option<StoredMessage>, StoreError> {
        let Self { connection, key, _lock } = self;
        let find = sqlx::query("SELECT number, place, id, sealed FROM messages WHERE id = ?");
        let row = find.bind(&key.code(id)[..]).fetch_optional(open(connection)?).await?;
        row.map(|row| message(key, &row)).transpose()
    }

    async fn page(&mut self, page: MessagePage) -> Result<Vec<StoredMessage>, StoreError> {
        let Self { connection, key, _lock } = self;
        let connection = open(connection)?;
        let rows = match page {
            MessagePage::After { number: after, limit } => {
                let after = number(after);
                let page = "SELECT number, place, id, sealed FROM messages WHERE number > ? ORDER BY number LIMIT ?";
                sqlx::query(page).bind(after).bind(limit).fetch_all(connection).await?
            }
            MessagePage::Before { place, number: before, limit } => {
                let page = "SELECT number, place, id, sealed FROM messages WHERE place = ? AND number < ?
                            ORDER BY number DESC LIMIT ?";
                let page = sqlx::query(page).bind(key.code(&place).to_vec()).bind(number(before)).bind(limit);
                let mut rows = page.fetch_all(connection).await?;
                rows.reverse();
                rows
            }
        };
        rows.iter().map(|row| message(key, row)).collect()
    }

    async fn end(&mut self) -> Result<(), StoreError> {
        if let Some(mut connection) = self.connection.take() {
            empty_log(&mut connection).await?;
            connection.close().await?;
        }
        Ok(())
    }
}

impl LocalStore for SqliteStore {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        Box::pin(self.read())
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        Box::pin(self.write(batch))
    }

    fn message(&mut self, id: &str) -> Work<'_, Option<StoredMessage>> {
        let id = id.to_owned();
        Box::pin(async move { self.find(&id).await })
    }

    fn messages(&mut self, page: MessagePage) -> Work<'_, Vec<StoredMessage>> {
        Box::pin(self.page(page))
    }

    fn close(&mut self) -> Work<'_, ()> {
        Box::pin(self.end())
    }
}

impl core::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SqliteStore(..)")
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

fn message(key: &StoreKey, row: &SqliteRow) -> Result<StoredMessage, StoreError> {
    let number = row.try_get::<i64, _>(0)?.cast_unsigned();
    let code = |at: usize| row.try_get::<&[u8], _>(at)?.try_into().map_err(|_| StoreError::Broken);
    let codes = Codes { place: code(1)?, id: code(2)? };
    let opened = key.open(&codes.context(number), row.try_get(3)?)?;
    let mut reader = Reader::new(&opened);
    let mut text = || {
        let text = reader.variable("name", STORE_RECORD_BYTES_MAX).map_err(|_| StoreError::Broken)?;
        Ok::<_, StoreError>(str::from_utf8(text).map_err(|_| StoreError::Broken)?.to_owned())
    };
    let (id, place) = (text()?, text()?);
    Ok(StoredMessage { number, id, place, bytes: Zeroizing::new(reader.rest().to_vec()) })
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

async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        // Fewer pages in the log, so that what was deleted is sooner overwritten.
        .pragma("wal_autocheckpoint", "250")
        .disable_statement_logging();
    options.connect().await.map_err(|error| not_a_store(error.into(), path))
}

/// Whether a store was made here. A file that was begun and not finished is empty: its tables come in one transaction.
async fn has_tables(connection: &mut SqliteConnection, path: &Path) -> Result<bool, StoreError> {
    let tables: Result<Vec<String>, _> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'").fetch_all(connection).await;
    let tables = tables.map_err(|error| not_a_store(error.into(), path))?;
    match tables.iter().any(|name| name == "store") {
        true => Ok(true),
        false if tables.is_empty() => Ok(false),
        false => Err(StoreError::NotAStore { path: path.to_owned() }),
    }
}

/// SQLite's word for a file that is none of its own.
fn not_a_store(error: StoreError, path: &Path) -> StoreError {
    const NOT_A_DATABASE: &str = "26";
    let is_other = match &error {
        StoreError::Unavailable(source) => source.downcast_ref::<sqlx::Error>().is_some_and(|error| {
            error.as_database_error().and_then(|error| error.code().map(|code| code == NOT_A_DATABASE)) == Some(true)
        }),
        _ => false,
    };
    if is_other { StoreError::NotAStore { path: PathBuf::from(path) } } else { error }
}

/// Moves the write-ahead log into the database and cuts it to nothing.
async fn empty_log(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await?;
    Ok(())
}

fn open(connection: &mut Option<SqliteConnection>) -> Result<&mut SqliteConnection, StoreError> {
    connection.as_mut().ok_or_else(|| StoreError::Unavailable("the store is closed".into()))
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
