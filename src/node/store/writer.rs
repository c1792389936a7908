//! The one thread that writes, and its group commit.
//!
//! A commit with `synchronous=FULL` waits for the disk. So the writer takes all that waits in its
//! queue, runs it in one transaction, commits once, and answers each caller then. Each write has a
//! savepoint of its own: one that is refused is rolled back alone. If the disk or the database
//! fails, none of that commit is acknowledged and all of its callers are told; the connection is opened
//! anew for the next, and what it finds is synced first, as at a start.
//!
//! A caller that stops waiting does not stop its write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::commit_meter::CommitMeter;
use super::error::StoreError;
use super::file::DatabaseFile;
use super::limits::{WRITES_PER_COMMIT_MAX, WRITES_WAITING_MAX};
use super::sql::Sql;

/// How many of what the writer has done since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteCounts {
    /// Transactions that are committed and synced.
    pub commits: u64,
    /// Writes in them.
    pub writes: u64,
    /// Writes that were refused because the queue was full.
    pub refused: u64,
    /// Transactions that disk or database failed.
    pub failed_commits: u64,
}

#[derive(Debug, Default)]
struct Counters {
    is_writing: AtomicBool,
    commits: AtomicU64,
    writes: AtomicU64,
    refused: AtomicU64,
    failed_commits: AtomicU64,
}

/// Hands writes to the writer.
#[derive(Clone, Debug)]
pub(super) struct WriterHandle {
    queue: mpsc::Sender<Command>,
    counters: Arc<Counters>,
}

impl WriterHandle {
    /// Starts the writer. `connection` is one to `file`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the machine gives it no thread.
    #[expect(clippy::disallowed_methods, reason = "it waits for the disk, and nothing else may wait for it")]
    pub(super) fn start(
        connection: Connection,
        file: DatabaseFile,
        meter: Option<CommitMeter>,
    ) -> Result<Self, StoreError> {
        let (queue, commands) = mpsc::channel(WRITES_WAITING_MAX);
        let counters = Arc::new(Counters::default());
        let writer = Writer { connection: Some(connection), file, counters: Arc::clone(&counters), meter };
        std::thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || writer.run(commands))
            .map_err(StoreError::unavailable)?;
        Ok(Self { queue, counters })
    }

    /// Runs `work` in a transaction and returns once that is committed.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Write { work: Some(work), outcome: None, reply };
        self.queue.try_send(Command::Write(Box::new(job))).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            mpsc::error::TrySendError::Full(_) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                StoreError::Busy
            }
        })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Refuses further writes, and returns once those that wait are done and the connection is
    /// closed.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        // Either error means that the writer has ended.
        if self.queue.send(Command::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Whether a transaction is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.counters.is_writing.load(Ordering::Relaxed)
    }

    /// Whether the thread runs.
    pub(super) fn is_there(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Writes that wait for the writer.
    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    pub(super) fn counts(&self) -> WriteCounts {
        let Counters { is_writing: _, commits, writes, refused, failed_commits } = &*self.counters;
        WriteCounts {
            commits: commits.load(Ordering::Relaxed),
            writes: writes.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            failed_commits: failed_commits.load(Ordering::Relaxed),
        }
    }
}

enum Command {
    Write(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// A write of any type of answer.
trait Job: Send {
    /// Does it, on a savepoint that is kept on `Ok`.
    fn run(&mut self, db: &Connection) -> Result<(), StoreError>;

    /// Tells its caller, once it is known whether the transaction is stored.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Write<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, db: &Connection) -> Result<(), StoreError> {
        let work = self.work.take().ok_or(StoreError::Bug { what: "a write ran twice" })?;
        let outcome = work(db);
        let kept = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        kept
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let outcome = self.outcome.unwrap_or(Err(StoreError::Bug { what: "a write did not run" }));
        // A refusal does not stand either if the commit failed: it may rest on another write of
        // that commit.
        let answer = commit.and(outcome);
        // If nobody waits any more, the write stands all the same.
        let _ = self.reply.send(answer);
    }
}

struct Writer {
    /// None after a failure, until the next write.
    connection: Option<Connection>,
    file: DatabaseFile,
    counters: Arc<Counters>,
    meter: Option<CommitMeter>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut commands = Vec::new();
        let mut closing = Vec::new();
        // Zero once every handle is gone, or the queue is closed and empty.
        while queue.blocking_recv_many(&mut commands, WRITES_PER_COMMIT_MAX) > 0 {
            let mut jobs = Vec::new();
            for command in commands.drain(..) {
                match command {
                    Command::Write(job) => jobs.push(job),
                    Command::Close(reply) => {
                        queue.close();
                        closing.push(reply);
                    }
                }
            }
            if !jobs.is_empty() {
                self.commit(jobs);
            }
        }
        self.connection = None;
        for reply in closing {
            let _ = reply.send(());
        }
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let began = self.meter.as_ref().map(CommitMeter::begin);
        self.counters.is_writing.store(true, Ordering::Relaxed);
        let commit = self.try_commit(&mut jobs);
        self.counters.is_writing.store(false, Ordering::Relaxed);
        if let (Some(meter), Some(began), Ok(kept)) = (&self.meter, began, &commit) {
            meter.end(began, *kept);
        }
        let Counters { commits, writes, failed_commits, .. } = &*self.counters;
        if let Ok(kept) = &commit {
            commits.fetch_add(1, Ordering::Relaxed);
            writes.fetch_add(*kept, Ordering::Relaxed);
        } else {
            failed_commits.fetch_add(1, Ordering::Relaxed);
            // It may or may not be in a transaction still; a new connection is in none.
            self.connection = None;
        }
        let commit = commit.map(|_| ());
        for job in jobs {
            job.answer(commit.clone());
        }
    }

    /// Runs the jobs in one transaction. Returns how many were kept.
    fn try_commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<u64, StoreError> {
        let db = match &mut self.connection {
            Some(connection) => connection,
            // The commit that failed may be whole in the log: nobody who repeats it is told that it is stored before it is.
            none => none.insert(self.file.reopen()?),
        };
        let mut kept = 0;
        db.run("BEGIN IMMEDIATE", [])?;
        for job in jobs {
            db.run("SAVEPOINT job", [])?;
            match job.run(db) {
                Ok(()) => kept += 1,
                Err(error) if error.is_environment() => return Err(error),
                Err(_) => {
                    db.run("ROLLBACK TO job", [])?;
                }
            }
            db.run("RELEASE job", [])?;
        }
        db.run("COMMIT", [])?;
        Ok(kept)
    }
}

/// At most 15 bytes, or Linux cuts it off.
const THREAD_NAME: &str = "store-writer";
