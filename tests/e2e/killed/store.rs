//! A store that kills its process.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conclave::client::Store;
use conclave::client::store::{Batch, LocalStore, MessagePage, Records, StoredMessage, Work};
use serde::{Deserialize, Serialize};

use super::Orders;

/// When the process dies: before or after a commit is on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Death {
    Before(At),
    After(At),
}

/// Which commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum At {
    /// The so manieth.
    Number(u32),
    /// The first with such a record: with what its name begins.
    Kind(String),
}

impl At {
    fn is(&self, number: u32, batch: &Batch) -> bool {
        match self {
            Self::Number(at) => *at == number,
            Self::Kind(kind) => batch.records.keys().any(|name| name.starts_with(kind)),
        }
    }
}

#[derive(Debug)]
pub(super) struct DyingStore {
    inner: Box<dyn LocalStore>,
    forgets: bool,
    death: Option<Death>,
    /// What comes after the flow that is looked at kills nobody.
    is_over: Arc<AtomicBool>,
    commits: u32,
}

impl DyingStore {
    pub(super) fn around(store: Store, orders: &Orders, is_over: &Arc<AtomicBool>) -> Store {
        let Orders { forgets, death, .. } = orders.clone();
        Store::of(Self { inner: store.into_inner(), forgets, death, is_over: Arc::clone(is_over), commits: 0 })
    }
}

impl LocalStore for DyingStore {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        Box::pin(async {
            let (mut records, last_message) = self.inner.load().await?;
            if self.forgets {
                let mut lost = Batch::default();
                for (name, _) in records.extract_if(.., |name, _| name.starts_with("machine/session/")) {
                    lost.delete(name);
                }
                self.inner.commit(lost).await?;
            }
            Ok((records, last_message))
        })
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        self.commits += 1;
        let is_due = |at: &At| !self.is_over.load(Ordering::Relaxed) && at.is(self.commits, &batch);
        let dies_before = matches!(&self.death, Some(Death::Before(at)) if is_due(at));
        let dies_after = matches!(&self.death, Some(Death::After(at)) if is_due(at));
        let committed = self.inner.commit(batch);
        Box::pin(async move {
            if dies_before {
                die();
            }
            committed.await?;
            if dies_after {
                die();
            }
            Ok(())
        })
    }

    fn message(&mut self, id: &str) -> Work<'_, Option<StoredMessage>> {
        self.inner.message(id)
    }

    fn messages(&mut self, page: MessagePage) -> Work<'_, Vec<StoredMessage>> {
        self.inner.messages(page)
    }

    fn close(&mut self) -> Work<'_, ()> {
        self.inner.close()
    }
}

/// SIGKILL: nothing in the process runs after it.
fn die() {
    let id = std::process::id().to_string();
    Command::new("kill").args(["-9", &id]).status().unwrap();
    std::thread::park();
}
