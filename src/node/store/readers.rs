//! The few connections that read.
//!
//! A read sees one snapshot: every write that was acknowledged before it began, and none that comes while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::StoreError;
use super::file::{BUSY_TIMEOUT, DatabaseFile};
use super::limits::READERS_MAX;
use super::sql::Sql;

/// Lends connections, on which reads run on threads that may wait for the disk.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    file: DatabaseFile,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(file: DatabaseFile) -> Self {
        Self { file, idle: Arc::default(), places: Arc::new(Semaphore::new(READERS_MAX as usize)) }
    }

    /// Runs `work` on a snapshot.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Closed`]; [`StoreError::Unavailable`] also if all connections are lent for too long.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = timeout(BUSY_TIMEOUT, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(StoreError::unavailable)?.map_err(|_| StoreError::Closed)?;
        let readers = self.clone();
        let read = spawn_blocking(move || {
            let outcome = readers.run(work);
            drop(place);
            outcome
        });
        read.await?
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let db = idle.map_or_else(|| self.file.open_to_read(), Ok)?;
        db.run("BEGIN", [])?;
        let outcome = work(&db);
        // One that does not end its transaction, or panics, is given up.
        if db.run("COMMIT", []).is_ok() {
            self.idle().push(db);
        }
        outcome
    }

    /// Refuses further reads, and returns once those under way are done and the connections are closed.
    pub(super) async fn close(&self) {
        // An error says that they are closed.
        let all = self.places.acquire_many(READERS_MAX).await;
        self.places.close();
        drop(all);
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
