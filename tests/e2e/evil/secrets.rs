//! The secrets that a device keeps, as its store gets them: none may leave it, whatever the node says.

use std::sync::{Arc, Mutex};

use conclave::client::Store;
use conclave::client::store::{Batch, LocalStore, MessagePage, Records, StoredMessage, Work};

use crate::proxy::Secret;

/// Secrets of 32 bytes each, with the names of their records. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Arc<Mutex<Vec<Secret>>>);

impl Secrets {
    /// A store in memory, whose secrets are these.
    pub(super) fn store(&self) -> Store {
        self.around(Store::in_memory())
    }

    /// A store, whose secrets are these from now on.
    pub(crate) fn around(&self, store: Store) -> Store {
        Store::of(Watched { inner: store.into_inner(), secrets: self.clone() })
    }

    /// What has been kept until now.
    pub(crate) fn all(&self) -> Vec<Secret> {
        self.0.lock().unwrap().clone()
    }

    /// Takes the secrets of a record. Of one-time prekeys a few stand for the hundreds that there are.
    fn take(&self, name: &str, value: &[u8]) {
        let kind = name.trim_start_matches("machine/").split('/').next().unwrap();
        // Where they stand in the saved forms: behind the version, or at the end.
        let session_keys;
        let secrets = match kind {
            "identity" => &value[1..65],
            // Of a session that was answered, and in which it is our turn: root key, ratchet key and chain key.
            "session" if value[66] == 0 && value[99] == 2 => {
                session_keys = [&value[67..99], &value[100..132], &value[164..196]].concat();
                &session_keys
            }
            "signed-prekey" | "one-time-prekey" => &value[value.len() - 32..],
            "last-resort-kem-prekey" | "one-time-kem-prekey" => &value[value.len() - 64..],
            "account-secrets" => &value[1..],
            "room-key" => value,
            _ => return,
        };
        let mut all = self.0.lock().unwrap();
        if all.iter().filter(|(known, _)| known == kind).count() < OF_A_KIND_MAX {
            all.extend(secrets.chunks_exact(32).map(|secret| (kind.to_owned(), secret.to_vec())));
        }
    }
}

#[derive(Debug)]
struct Watched {
    inner: Box<dyn LocalStore>,
    secrets: Secrets,
}

impl LocalStore for Watched {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        self.inner.load()
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        for (name, value) in &batch.records {
            if let Some(value) = value {
                self.secrets.take(name, value);
            }
        }
        self.inner.commit(batch)
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

/// What is looked for of one kind of record.
const OF_A_KIND_MAX: usize = 12;
