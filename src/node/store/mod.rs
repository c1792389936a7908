//! What the node remembers, in one SQLite file: accounts, pending sign-ins, sessions, device lists,
//! prekeys, rooms with their logs, mailboxes, and vaults. The store is the truth: what it has acknowledged is committed and synced to disk.
//!
//! It holds public keys, routing data, sealed envelopes and items, and hashes of tokens. The one secret in it is the PKCE
//! verifier of a pending sign-in, which is deleted when that is completed or given up; deleted
//! values are overwritten in the file (`secure_delete`), though the write-ahead log keeps them
//! until it wraps.
//!
//! - Each method is one whole transaction. Writes go through one writer, a thread, which puts all that
//!   wait into one commit (`writer.rs`); reads use a small pool of their own and see every write
//!   that was acknowledged before they began.
//! - The write-ahead log is on, with `synchronous=FULL`: a commit that was acknowledged survives
//!   loss of power. What a start finds is synced before it counts.
//! - It reads no clock and draws nothing at random: times, ids and tokens are given to it. An
//!   expiry at `now` has passed.
//! - Migrations are only added. A database that a newer program has changed is refused.
//! - Everything that strangers can make grow has a limit in [`limits`].
//!
//! What an attacker who reads the file learns: who has an account and at which provider, which
//! devices, how many prekeys are left and when somebody was last active; who is in which room, and who
//! wrote to whom and when; how many items are in whose vault, how long they are and how often they change. They get no token and no key that opens anything. One who can write the file can give themselves
//! a session of anybody on this node, and keep back or swap lists and prekeys; clients refuse those
//! that the account's root or the device has not signed.

mod accounts;
mod columns;
mod commit_meter;
mod device_grants;
mod directory;
mod error;
mod file;
mod flows;
mod idempotency;
mod invitations;
pub mod limits;
mod log;
mod mailboxes;
mod members;
mod permissions;
mod prekeys;
mod publication;
mod readers;
mod room_keys;
mod room_log;
mod rooms;
mod sessions;
mod sql;
mod tickets;
mod vault;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

pub use accounts::{IdentityError, ProviderIdentity};
pub use commit_meter::CommitMeter;
pub use device_grants::{Decision, DeviceGrant, DeviceGrantAnswer};
pub use directory::DeviceListChange;
pub use error::StoreError;
pub use flows::{CodeGrant, DeviceFlow, Flow, PendingFlow};
pub use idempotency::{Acted, Once};
pub use invitations::{Invitation, NewInvitation};
pub use mailboxes::Delivered;
pub use members::Member;
pub use prekeys::PrekeysLeft;
pub use publication::VerifiedPublication;
pub use room_keys::KeyPlace;
pub use room_log::Appended;
pub use rooms::{NewRoom, Room};
pub use sessions::{EndedSession, NewSession, NewTokens, Rotation, Session, SessionInfo};
pub use vault::{VaultQuota, VaultWrite};
pub use writer::WriteCounts;

use file::DatabaseFile;
use readers::Readers;
use sql::Sql;
use writer::WriterHandle;

/// The store of a node. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Store {
    writer: WriterHandle,
    readers: Readers,
    vault_writes: Arc<Semaphore>,
    /// Commits that had failed when [`check`](Self::check) last saw one succeed.
    failures_mended: Arc<AtomicU64>,
}

/// How a store is opened.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Pages of 4,096 bytes that the database may have at most; past it writes are refused as
    /// [`StoreError::Full`], while there is still room for what the machine itself needs. None: as
    /// many as fit on the disk.
    pub pages_max: Option<u32>,
    /// What measures its commits. None: nothing does.
    pub meter: Option<CommitMeter>,
}

impl Store {
    /// The file in the data folder.
    pub const FILE_NAME: &str = "conclave.db";

    /// Opens the store in a data folder, which has to exist; makes the file if there is none, and
    /// brings its tables up to date.
    ///
    /// The folder is to be readable by the node alone: see above for what the file tells.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be opened, [`StoreError::Migration`] if it is
    /// another program's or a newer one's, [`StoreError::Full`].
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, StoreOptions::default()).await
    }

    /// As [`open`](Self::open), with other options than the usual.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let file = DatabaseFile { path: folder.join(Self::FILE_NAME), pages_max: options.pages_max };
        let to_write = file.clone();
        let connection = spawn_blocking(move || to_write.open()).await??;
        Ok(Self {
            writer: WriterHandle::start(connection, file.clone(), options.meter)?,
            readers: Readers::new(file),
            vault_writes: Arc::new(Semaphore::new(limits::VAULT_WRITES_AT_ONCE_MAX)),
            failures_mended: Arc::default(),
        })
    }

    /// Refuses what comes from now on with [`StoreError::Closed`], finishes the writes that wait,
    /// and closes the file. A store that is dropped without it loses nothing that was acknowledged.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Whether the database answers, and takes what is written: for the readiness of the node. Once a commit has failed it
    /// does not until one of this method's own is on the disk, which it tries each time that it is asked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`] or [`StoreError::Closed`] if it does not.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.readers.read(|db| db.one::<(i64,)>("SELECT 1", [])).await?;
        let failed = self.writer.counts().failed_commits;
        if self.failures_mended.load(Ordering::Relaxed) == failed {
            return self.writer.write(|_| Ok(())).await;
        }
        self.writer.write(write_first_page).await?;
        self.failures_mended.store(failed, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the writer is at work: it needs a processor soon, if it has none.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        self.writer.is_writing()
    }

    /// Whether there is a writer still. There is none after [`close`](Self::close), or if it has panicked: nothing is stored
    /// any more then until the node is started again.
    #[must_use]
    pub fn has_writer(&self) -> bool {
        self.writer.is_there()
    }

    /// Has the writer panic, for the tests of what becomes of a node then.
    #[cfg(test)]
    #[expect(clippy::panic, reason = "a test may panic")]
    pub(in crate::node) async fn fell_writer(&self) {
        let answer: Result<(), StoreError> = self.writer.write(|_| panic!("a test has asked for it")).await;
        assert!(matches!(answer, Err(StoreError::Closed)), "it has answered");
    }

    /// Writes that wait for the writer.
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        self.writer.waiting()
    }

    /// What the writer has done since the store was opened.
    #[must_use]
    pub fn write_counts(&self) -> WriteCounts {
        self.writer.counts()
    }
}

/// An empty transaction would neither need room nor sync a file. This one writes the first page, as it is.
fn write_first_page(db: &Connection) -> Result<(), StoreError> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(db.pragma_update(None, "user_version", version)?)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::panic,
        clippy::disallowed_methods,
        reason = "a test may panic, and makes a folder"
    )]

    use super::*;

    /// Settings of the connection, which nobody outside can see.
    #[tokio::test]
    async fn the_writer_syncs_each_commit_and_overwrites_what_is_deleted() {
        let folder = std::env::temp_dir().join(format!("conclave-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&folder).await.unwrap();

        let settings: (String, i64, i64, i64) = store
            .writer
            .write(|db| {
                let sql =
                    "SELECT * FROM pragma_journal_mode, pragma_synchronous, pragma_foreign_keys, pragma_secure_delete";
                db.one(sql, [])
            })
            .await
            .unwrap();
        let written = store.readers.read(|db| db.run("DELETE FROM accounts", [])).await;
        std::fs::remove_dir_all(&folder).unwrap();

        // 2 is FULL.
        assert_eq!(settings, ("wal".into(), 2, 1, 1));
        assert!(written.is_err(), "a reader has written");
    }

    #[tokio::test]
    async fn a_store_says_whether_its_writer_is_at_work() {
        let folder = std::env::temp_dir().join(format!("conclave-at-work-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&folder).await.unwrap();

        let before = store.is_writing();
        let while_it_writes = store.clone();
        let meanwhile = store.writer.write(move |_| Ok(while_it_writes.is_writing())).await.unwrap();
        let after = store.is_writing();
        std::fs::remove_dir_all(&folder).unwrap();

        assert_eq!([before, meanwhile, after], [false, true, false]);
    }

    #[tokio::test]
    async fn a_read_that_panics_harms_no_other() {
        let folder = std::env::temp_dir().join(format!("conclave-read-panics-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&folder).await.unwrap();

        for _ in 0..=limits::READERS_MAX {
            let panicked = store.readers.read::<(), _>(|_| panic!("a test has asked for it")).await;
            assert!(matches!(panicked, Err(StoreError::Bug { .. })), "{panicked:?}");
        }
        let read = store.readers.read(|db| db.one::<(i64,)>("SELECT 7", [])).await;
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();

        assert_eq!(read.unwrap(), (7,));
    }

    /// Where nobody reads, SQLite makes out anew what is in the log when the writer comes back: also what failed.
    #[tokio::test]
    async fn a_writer_that_comes_back_syncs_what_it_finds() {
        let folder = std::env::temp_dir().join(format!("conclave-comes-back-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [file, log] = ["", "-wal"].map(|end| folder.join(format!("{}{end}", Store::FILE_NAME)));
        let store = Store::open(&folder).await.unwrap();
        store.readers.close().await;
        let failed = store.writer.write::<(), _>(|_| Err(StoreError::Full)).await;
        // What a commit leaves whose sync failed: whole, and in the log alone.
        let lost = Connection::open(&file).unwrap();
        lost.execute_batch("PRAGMA synchronous = OFF; PRAGMA application_id = 7").unwrap();
        let left = [&file, &log].map(|path| std::fs::read(path).unwrap());
        drop(lost);
        std::fs::write(&file, &left[0]).unwrap();
        std::fs::write(&log, &left[1]).unwrap();

        store.writer.write(|_| Ok(())).await.unwrap();
        let synced = std::fs::read(&file).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();

        assert!(matches!(failed, Err(StoreError::Full)));
        // In the file's header. A checkpoint takes nothing there that it has not synced in the log.
        let application = |bytes: &[u8]| u32::from_be_bytes(bytes[68..72].try_into().unwrap());
        assert_eq!((application(&left[0]), application(&synced)), (0, 7));
    }
}
