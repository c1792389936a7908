//! What has to be asked before an envelope opens: its writer's devices, a room's members.
//!
//! A call may take as long as its timeout, and hundreds of envelopes may need one each. So a node that fails at one is left
//! alone for a while, each time longer, and meanwhile everything else goes on.

use tokio::time::Instant;

use super::ClientError;
use super::link::BackOff;

/// Whether the node answers what it is asked about envelopes.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    back_off: BackOff,
    not_before: Option<Instant>,
    /// The number of the held envelope at which it failed: those behind it are next, so that none keeps others waiting.
    pub(super) failed_at: u64,
}

impl Lookups {
    pub(super) fn may_ask(&self) -> bool {
        self.not_before.is_none_or(|at| at <= Instant::now())
    }

    /// Takes note of an answer. One that is a lie is an answer too.
    pub(super) fn note<T>(&mut self, answer: &Result<T, ClientError>) {
        match answer {
            Ok(_) | Err(ClientError::Machine(_) | ClientError::OtherRootKey) => self.back_off.reset(),
            Err(_) => self.not_before = Some(Instant::now() + self.back_off.next()),
        }
    }
}
