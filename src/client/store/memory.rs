//! A store that ends with the program.

use std::collections::BTreeMap;

use super::{Batch, LocalStore, MessagePage, Records, StoredMessage, Work};

/// Records and the last messages in memory; what is deleted or dropped is wiped.
#[derive(Default)]
pub(super) struct MemoryStore {
    records: Records,
    messages: BTreeMap<u64, StoredMessage>,
    numbers: BTreeMap<String, u64>,
}

impl LocalStore for MemoryStore {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        let last = self.messages.last_key_value().map_or(0, |(number, _)| *number);
        let loaded = (self.records.clone(), last);
        Box::pin(async { Ok(loaded) })
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        for (name, value) in batch.records {
            match value {
                Some(value) => drop(self.records.insert(name, value)),
                None => drop(self.records.remove(&name)),
            }
        }
        for message in batch.messages {
            self.numbers.insert(message.id.clone(), message.number);
            self.messages.insert(message.number, message);
        }
        while self.messages.len() > MESSAGES_MAX
            && let Some((_, oldest)) = self.messages.pop_first()
        {
            self.numbers.remove(&oldest.id);
        }
        Box::pin(async { Ok(()) })
    }

    fn message(&mut self, id: &str) -> Work<'_, Option<StoredMessage>> {
        let message = self.numbers.get(id).and_then(|number| self.messages.get(number)).cloned();
        Box::pin(async { Ok(message) })
    }

    fn messages(&mut self, page: MessagePage) -> Work<'_, Vec<StoredMessage>> {
        let messages = match page {
            MessagePage::After { number, limit } => {
                let after = self.messages.range(number.saturating_add(1)..).map(|(_, message)| message.clone());
                after.take(limit as usize).collect()
            }
            MessagePage::Before { place, number, limit } => {
                let before = self.messages.range(..number).rev().map(|(_, message)| message);
                let mut page: Vec<_> =
                    before.filter(|message| message.place == place).take(limit as usize).cloned().collect();
                page.reverse();
                page
            }
        };
        Box::pin(async { Ok(messages) })
    }

    fn close(&mut self) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Messages that are kept: an agent that runs for months does not grow without end. What is forgotten is not told
/// again, since its session has moved past it.
const MESSAGES_MAX: usize = 10_000;

impl core::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "MemoryStore({} records, {} messages)", self.records.len(), self.messages.len())
    }
}
