//! A place in a log.

use serde::{Deserialize, Serialize};

use crate::ids::LogEpoch;

/// A place in the log of a room or mailbox. Places of one epoch can be compared by their number; one of
/// another epoch says nothing: that log is lost, or was another device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Which life of the log.
    pub epoch: LogEpoch,
    /// The number of the entry, from 1 and without holes; 0 is before the first.
    pub seq: u64,
}
