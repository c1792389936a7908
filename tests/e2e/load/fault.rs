//! What a node does wrong, once: an envelope on its way to a reader is lost, given twice, swapped with the next of the same
//! sender, altered, or comes after an altered copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conclave::ids::DeviceAddress;
use conclave::wire::{Entry, Message};

use crate::proxy::Proxy;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Drop,
    Repeat,
    Swap,
    Alter,
    AlterCopy,
}

/// Envelopes that pass before the fault: sessions are under way then, both ways.
const PASS: usize = 150;

impl Fault {
    /// Has it happen to what a proxy tells. Whether it has is shown by what is returned.
    pub(super) fn happens_on(self, proxy: &Proxy) -> Arc<AtomicBool> {
        let is_done = Arc::new(AtomicBool::new(false));
        let mut wrong = Wrong { fault: self, passed: 0, is_done: Arc::clone(&is_done), held: None };
        proxy.tells(move |to, message| match message {
            // A node shows a device its own envelopes too.
            Message::Envelope(entry) if entry.envelope.recipient == to => {
                wrong.tell(entry).into_iter().map(Message::Envelope).collect()
            }
            other => vec![other],
        });
        is_done
    }
}

/// A fault that is to happen, or has.
struct Wrong {
    fault: Fault,
    passed: usize,
    is_done: Arc<AtomicBool>,
    /// What waits for the next of the same sender and reader.
    held: Option<Entry>,
}

impl Wrong {
    /// What is told in the place of an envelope.
    fn tell(&mut self, mut entry: Entry) -> Vec<Entry> {
        self.passed += 1;
        if let Some(held) = self.held.take_if(|held| ends(held) == ends(&entry)) {
            return vec![entry, held];
        }
        if self.passed <= PASS || self.is_done.swap(true, Ordering::SeqCst) {
            return vec![entry];
        }
        match self.fault {
            Fault::Drop => Vec::new(),
            Fault::Repeat => vec![entry.clone(), entry],
            Fault::Swap => {
                self.held = Some(entry);
                Vec::new()
            }
            Fault::Alter => {
                alter(&mut entry);
                vec![entry]
            }
            Fault::AlterCopy => {
                let mut copy = entry.clone();
                alter(&mut copy);
                vec![copy, entry]
            }
        }
    }
}

fn alter(entry: &mut Entry) {
    *entry.envelope.payload.0.last_mut().unwrap() ^= 1;
}

/// From whom an envelope is, and for whom.
fn ends(entry: &Entry) -> (DeviceAddress, Option<DeviceAddress>) {
    (entry.envelope.sender, entry.envelope.recipient)
}
