//! What a device is told to behave like. It keeps that in its store.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ClientError;
use super::handle::Client;
use super::sync::{SETTINGS, Worker, encode};

/// What a device is told to behave like.
///
/// What a store was not told stands there as by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Who hears of arrivals.
    pub receipts: Receipts,
    /// Milliseconds after which sessions with an account's devices are begun anew, before the next message to it.
    pub key_age_ms_max: u64,
    /// Envelopes of which it is remembered what they carried, so that it can be sent again if one does not open. About 500
    /// bytes each.
    pub envelopes_remembered: u32,
    /// Milliseconds that the node may take to answer a command. Past that the socket is given up, and what was under way is sent
    /// again on a new one.
    pub answer_ms_max: u64,
}

/// Who hears that a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipts {
    /// Writers of direct messages.
    Direct,
    /// Nobody; [`mark_read`](super::Client::mark_read) goes on telling whom it is told to.
    Off,
}

/// Receipts of direct messages, new sessions each day, 2,048 envelopes remembered, a minute for an answer.
impl Default for Settings {
    fn default() -> Self {
        Self {
            receipts: Receipts::Direct,
            key_age_ms_max: 86_400_000,
            envelopes_remembered: 2_048,
            answer_ms_max: 60_000,
        }
    }
}

impl Settings {
    /// How old sessions get.
    pub(super) const fn key_age_max(&self) -> Duration {
        Duration::from_millis(self.key_age_ms_max)
    }

    /// How long the node may take to answer a command.
    pub(super) const fn answer_max(&self) -> Duration {
        Duration::from_millis(self.answer_ms_max)
    }
}

impl Client {
    /// Tells the device what to behave like from now on.
    ///
    /// # Errors
    /// [`ClientError::Store`].
    pub async fn configure(&self, settings: Settings) -> Result<(), ClientError> {
        self.tell(move |worker| {
            worker.configure(settings);
            Ok(())
        })
        .await
    }
}

impl Worker {
    fn configure(&mut self, settings: Settings) {
        self.settings = settings;
        self.batch.put(SETTINGS, encode(&settings));
    }
}
