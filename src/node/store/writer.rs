//! The one task that writes, and its group commit.
//!
//! A commit with `synchronous=FULL` waits for the disk. So the writer takes all that waits in its
//! queue, runs it in one transaction, commits once, and answers each caller then. Each write has a
//! savepoint of its own, if it is not the only one: one that is refused is rolled back alone. If the disk or the database
//! fails, none of that commit is acknowledged and all of its callers are told; the connection is opened
//! anew for the next, and what it finds is synced first, as at a start.
//!
//! SQLite runs on a thread of its own, and each step is a trip to it and back. So a write that is the only one may bring its own
//! transaction, in fewer steps.
//!
//! A caller that stops waiting does not stop its write.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::commit_meter::CommitMeter;
use super::error::StoreError;
use super::limits::{WRITES_PER_COMMIT_MAX, WRITES_WAITING_MAX};
use super::sync_what_is_there;

/// What a write does with the connection: the future that a closure makes.
pub(super) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

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
    commits: AtomicU64,
    writes: AtomicU64,
    refused: AtomicU64,
    failed_commits: AtomicU64,
}

/// Hands writes to the writer task.
#[derive(Clone, Debug)]
pub(super) struct WriterHandle {
    queue: mpsc::Sender<Command>,
    counters: Arc<Counters>,
}

impl WriterHandle {
    /// Starts the writer on the current runtime. `connection` was opened with `options`.
    pub(super) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        meter: Option<CommitMeter>,
    ) -> Self {
        let (queue, commands) = mpsc::channel(WRITES_WAITING_MAX);
        let counters = Arc::new(Counters::default());
        let writer = Writer { connection: Some(connection), options, counters: Arc::clone(&counters), meter };
        tokio::spawn(writer.run(commands));
        Self { queue, counters }
    }

    /// Runs `work` in a transaction and returns once that is committed.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue(Box::new(Write { work: Some(work), outcome: None, reply }))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Queues a write, which answers for itself.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Closed`]; it is neither run nor answered then.
    pub(super) fn queue(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.queue.try_send(Command::Write(job)).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            mpsc::error::TrySendError::Full(_) => self.refuse(),
        })
    }

    /// Counts a write that there is no room for.
    pub(super) fn refuse(&self) -> StoreError {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        StoreError::Busy
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

    /// Whether the task runs.
    pub(super) fn is_there(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Writes that wait for the writer.
    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    pub(super) fn counts(&self) -> WriteCounts {
        let Counters { commits, writes, refused, failed_commits } = &*self.counters;
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
pub(super) trait Job: Send {
    /// Does it, in a transaction or on a savepoint that is kept on `Ok`.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> Work<'c, ()>;

    /// Does it in a transaction of its own, which it commits, if it can do that in fewer steps than [`run`](Self::run) takes.
    /// False if not: nothing is changed then, and no transaction under way.
    fn commit<'c>(&'c mut self, _connection: &'c mut SqliteConnection) -> Work<'c, bool> {
        Box::pin(async { Ok(false) })
    }

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
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> Work<'c, ()> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return Err(StoreError::Bug { what: "a write ran twice" }) };
            let outcome = work(connection).await;
            let kept = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
            self.outcome = Some(outcome);
            kept
        })
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
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    counters: Arc<Counters>,
    meter: Option<CommitMeter>,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut commands = Vec::new();
        let mut closing = Vec::new();
        // Zero once every handle is gone, or the queue is closed and empty.
        while queue.recv_many(&mut commands, WRITES_PER_COMMIT_MAX).await > 0 {
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
                self.commit(jobs).await;
            }
        }
        self.disconnect().await;
        for reply in closing {
            let _ = reply.send(());
        }
    }

    async fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let began = self.meter.as_ref().map(CommitMeter::begin);
        let commit = self.try_commit(&mut jobs).await;
        if let (Some(meter), Some(began), Ok(kept)) = (&self.meter, began, &commit) {
            meter.end(began, *kept);
        }
        let Counters { commits, writes, refused: _, failed_commits } = &*self.counters;
        if let Ok(kept) = &commit {
            commits.fetch_add(1, Ordering::Relaxed);
            writes.fetch_add(*kept, Ordering::Relaxed);
        } else {
            failed_commits.fetch_add(1, Ordering::Relaxed);
            // It may or may not be in a transaction still; a new connection is in none.
            self.disconnect().await;
        }
        let commit = commit.map(|_| ());
        for job in jobs {
            job.answer(commit.clone());
        }
    }

    /// Runs the jobs in one transaction. Returns how many were kept.
    async fn try_commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<u64, StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let mut connection = self.options.connect().await?;
                // The commit that failed may be whole in the log: nobody who repeats it is told that it is stored before it is.
                sync_what_is_there(&mut connection).await?;
                none.insert(connection)
            }
        };
        if let [only] = jobs
            && only.commit(connection).await?
        {
            return Ok(1);
        }
        let mut kept = 0;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if let [only] = jobs {
            // It needs no savepoint: nothing else is in the transaction.
            return match only.run(&mut transaction).await {
                Ok(()) => transaction.commit().await.map(|()| 1).map_err(Into::into),
                Err(error) if error.is_environment() => Err(error),
                Err(_) => transaction.rollback().await.map(|()| 0).map_err(Into::into),
            };
        }
        for job in jobs {
            let mut savepoint = transaction.begin().await?;
            match job.run(&mut savepoint).await {
                Ok(()) => {
                    savepoint.commit().await?;
                    kept += 1;
                }
                Err(error) if error.is_environment() => return Err(error),
                Err(_) => savepoint.rollback().await?,
            }
        }
        transaction.commit().await?;
        Ok(kept)
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            // It is given up either way.
            let _ = connection.close().await;
        }
    }
}
