//! What the ledger has found.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts of what was sent and of what came of it. Those of several ledgers are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checks {
    /// Messages that the client took.
    pub(crate) sent: u64,
    /// Messages that the client did not take: nobody waits for them.
    pub(crate) refused: u64,
    /// Deliveries that are due: each message that was taken, to each other member of its room.
    pub(crate) due: u64,
    /// Deliveries that were made, repeats left out.
    pub(crate) delivered: u64,
    /// Deliveries that were made once more.
    pub(crate) repeated: u64,
    /// Deliveries that came after a later message of the same sender in the same room.
    pub(crate) misordered: u64,
    /// Envelopes that did not open.
    pub(crate) undecryptable: u64,
    /// What was received and never sent: of a stranger, to a stranger, with a number that was not given out, or altered.
    pub(crate) invented: u64,
}

impl Checks {
    /// Deliveries that are due and were not made: under way while the run lasts, lost when it is over.
    pub(crate) fn missing(&self) -> u64 {
        self.due.saturating_sub(self.delivered)
    }

    /// What must be nothing when the run is over, with the words for it.
    pub(crate) fn faults(&self) -> [(&'static str, u64); 5] {
        [
            ("lost", self.missing()),
            ("repeated", self.repeated),
            ("misordered", self.misordered),
            ("undecryptable", self.undecryptable),
            ("invented", self.invented),
        ]
    }

    /// Whether all is well, of a run that is over.
    pub(crate) fn are_clean(&self) -> bool {
        self.faults().iter().all(|(_, count)| *count == 0)
    }
}

impl AddAssign for Checks {
    fn add_assign(&mut self, other: Self) {
        let Self { sent, refused, due, delivered, repeated, misordered, undecryptable, invented } = other;
        self.sent += sent;
        self.refused += refused;
        self.due += due;
        self.delivered += delivered;
        self.repeated += repeated;
        self.misordered += misordered;
        self.undecryptable += undecryptable;
        self.invented += invented;
    }
}
