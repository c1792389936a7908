//! A store that kills its process.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conclave::client::Store;
use conclave::client::store::{Batch, LocalStore, MessagePage, Records, StoredMessage, Work};
use serde::{Deserialize, Serialize};

/// When the process dies: before or after its so manieth commit is on disk.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Death {
    Before(u32),
    After(u32),
}

#[derive(Debug)]
pub(super) struct DyingStore {
    inner: Box<dyn LocalStore>,
    death: Option<Death>,
    /// What comes after the flow that is looked at kills nobody.
    is_over: Arc<AtomicBool>,
    commits: u32,
}

impl DyingStore {
    pub(super) fn around(store: Store, death: Option<Death>, is_over: &Arc<AtomicBool>) -> Store {
        Store::of(Self { inner: store.into_inner(), death, is_over: Arc::clone(is_over), commits: 0 })
    }
}

impl LocalStore for DyingStore {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        self.inner.load()
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        self.commits += 1;
        let (commits, death) = (self.commits, self.death.filter(|_| !self.is_over.load(Ordering::Relaxed)));
        let committed = self.inner.commit(batch);
        Box::pin(async move {
            if matches!(death, Some(Death::Before(at)) if at == commits) {
                die();
            }
            committed.await?;
            if matches!(death, Some(Death::After(at)) if at == commits) {
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
