//! Batches of many rooms as one write.
//!
//! Rooms store at the same time, and a statement costs more than a row. So batches that wait for the writer are joined: the
//! write that the first of them has queued takes all that have come until it runs.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::error::StoreError;
use super::limits::WRITES_WAITING_MAX;
use super::log::Outgoing;
use super::room_log::{Appended, append_each};
use super::whole::{self, Within};
use super::writer::{Job, Work, WriterHandle};
use crate::ids::RoomId;
use crate::wire::Timestamp;

/// Envelopes of one room, in order.
pub(super) struct Batch {
    pub(super) room_id: RoomId,
    pub(super) envelopes: Vec<Outgoing>,
    pub(super) now: Timestamp,
}

/// What came of a batch.
pub(super) type Outcome = Result<Vec<Appended>, StoreError>;

/// Batches that wait, with those who wait for them. While there are any, a write is queued that will take them.
#[derive(Clone, Default)]
pub(super) struct Appends(Arc<Mutex<Vec<Waiting>>>);

struct Waiting {
    batch: Batch,
    reply: oneshot::Sender<Outcome>,
}

impl core::fmt::Debug for Appends {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Appends(..)")
    }
}

impl Appends {
    /// Stores a batch, and returns once it is committed.
    pub(super) async fn write(&self, writer: &WriterHandle, batch: Batch) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let waiting_before = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = waiting.len();
            if before < WRITES_WAITING_MAX {
                waiting.push(Waiting { batch, reply });
            }
            before
        };
        if waiting_before >= WRITES_WAITING_MAX {
            return Err(writer.refuse());
        }
        if waiting_before == 0
            && let Err(error) = writer.queue(Box::new(Write::of(self.clone())))
        {
            // Whoever has come meanwhile has relied on it.
            self.take().into_iter().for_each(|waiting| waiting.tell(Err(error.clone())));
            return Err(error);
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Batches that wait for a write that is queued.
    fn take(&self) -> Vec<Waiting> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Waiting {
    fn tell(self, outcome: Outcome) {
        // If nobody waits any more, the write stands all the same.
        let _ = self.reply.send(outcome);
    }
}

/// The write of all batches that wait.
struct Write {
    appends: Appends,
    /// What it has taken, and who waits for it.
    batches: Vec<Batch>,
    replies: Vec<oneshot::Sender<Outcome>>,
    /// Whether something is known to speak against one of them.
    is_mixed: bool,
    /// Once it has run.
    outcomes: Option<Vec<Outcome>>,
}

impl Write {
    const fn of(appends: Appends) -> Self {
        Self { appends, batches: Vec::new(), replies: Vec::new(), is_mixed: false, outcomes: None }
    }

    /// Takes what waits, once: for what comes later another write is queued.
    fn take(&mut self) {
        if self.replies.is_empty() {
            (self.batches, self.replies) = self.appends.take().into_iter().map(|one| (one.batch, one.reply)).unzip();
        }
    }
}

impl Job for Write {
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> Work<'c, ()> {
        Box::pin(async move {
            self.take();
            if !self.is_mixed {
                self.outcomes = whole::append(connection, &self.batches, Within::Savepoint).await?;
            }
            if self.outcomes.is_none() {
                let batches = core::mem::take(&mut self.batches);
                self.outcomes = Some(append_each(connection, batches).await?);
            }
            Ok(())
        })
    }

    fn commit<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> Work<'c, bool> {
        Box::pin(async move {
            self.take();
            self.outcomes = whole::append(connection, &self.batches, Within::Transaction).await?;
            self.is_mixed = self.outcomes.is_none();
            Ok(!self.is_mixed)
        })
    }

    fn answer(mut self: Box<Self>, commit: Result<(), StoreError>) {
        self.take();
        let mut outcomes = self.outcomes.unwrap_or_default().into_iter();
        for reply in self.replies {
            let outcome = outcomes.next().unwrap_or(Err(StoreError::Bug { what: "a batch without an outcome" }));
            // If nobody waits any more, the write stands all the same.
            let _ = reply.send(commit.clone().and(outcome));
        }
    }
}
