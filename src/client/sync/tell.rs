//! Telling the app: a bounded channel, and what waits for a place in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};

use crate::client::events::Event;

/// What the app is told, in order.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    told: Arc<Told>,
    /// The message that was handed out last.
    taken: Option<u64>,
}

/// How far the app has taken its messages.
#[derive(Debug, Default)]
pub(super) struct Told {
    number: AtomicU64,
    is_new: Notify,
}

impl Events {
    /// The next event; none when the client has ended. Whoever asks is done with the one before: a message is told
    /// again after a crash until then.
    pub async fn next(&mut self) -> Option<Event> {
        self.finish();
        let event = self.receiver.recv().await?;
        if let Event::Message(message) = &event {
            self.taken = Some(message.number);
        }
        Some(event)
    }

    /// Says that the app is done with the event that it was given last.
    pub fn finish(&mut self) {
        if let Some(number) = self.taken.take() {
            self.told.number.fetch_max(number, Ordering::AcqRel);
            self.told.is_new.notify_one();
        }
    }
}

/// The worker's end.
#[derive(Debug)]
pub(super) struct Tell {
    sender: mpsc::Sender<Event>,
    waiting: VecDeque<Event>,
    told: Arc<Told>,
    saved: u64,
}

impl Tell {
    /// `saved`: how far the app had taken its messages.
    pub(super) fn new(saved: u64) -> (Self, Events) {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        let told = Arc::new(Told { number: AtomicU64::new(saved), is_new: Notify::new() });
        let events = Events { receiver, told: Arc::clone(&told), taken: None };
        (Self { sender, waiting: VecDeque::new(), told, saved }, events)
    }

    /// Tells something, once there is a place for it.
    pub(super) fn push(&mut self, event: Event) {
        self.waiting.push_back(event);
    }

    /// Hands over what there are places for.
    pub(super) fn flush(&mut self) {
        while !self.waiting.is_empty() {
            match self.sender.try_reserve() {
                Ok(permit) => {
                    if let Some(event) = self.waiting.pop_front() {
                        permit.send(event);
                    }
                }
                Err(mpsc::error::TrySendError::Full(())) => return,
                // Nobody listens: what was not told is told at the next start.
                Err(mpsc::error::TrySendError::Closed(())) => self.waiting.clear(),
            }
        }
    }

    /// Whether everything is handed over: only then more is read from the node.
    pub(super) fn is_level(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for a place.
    pub(super) async fn has_place(&self) {
        // An error is that nobody listens, which `flush` sees.
        let _ = self.sender.reserve().await;
    }

    /// Waits until the app has taken a message.
    pub(super) async fn is_taken(&self) {
        self.told.is_new.notified().await;
    }

    /// How far the app has taken its messages, if that is further than was saved.
    pub(super) fn unsaved(&self) -> Option<u64> {
        let number = self.told.number.load(Ordering::Acquire);
        (number > self.saved).then_some(number)
    }

    pub(super) fn saved(&mut self, number: u64) {
        self.saved = number;
    }

    /// The last event. It is dropped if the app does not read.
    pub(super) fn end(&mut self, event: Event) {
        self.push(event);
        self.flush();
    }
}

/// Events that wait for the app.
const EVENTS_MAX: usize = 256;
