//! What processes of a run say to each other, as lines of JSON: the parent first what is to be done and later its orders, a child
//! the rest.

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::tally::{Footprint, Tick};

/// What a process has to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Share {
    /// Of the run; names of accounts and messages have it, so that runs do not meet.
    pub(super) run: u64,
    /// The whole plan.
    pub(super) plan: Plan,
    /// Which of its processes this is.
    pub(super) process: usize,
}

/// What a process is told to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Connect, and wait.
    Wait,
    /// Send what is due.
    Send,
    /// Send no more; what is under way may arrive.
    Stop,
}

/// What a process says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// So many of its clients are connected.
    Connected(usize),
    /// All of them are in their rooms, and wait.
    Ready(Footprint),
    /// Another second is over.
    Second(Box<Tick>),
    /// It can not go on.
    Failed(String),
    /// It has finished.
    Over,
}
