//! What processes cost: processor time and memory, as the system says, and what the node counts.

mod machine;
mod metrics;
mod process;
mod socket_owner;

pub(super) use machine::Machine;
pub(super) use metrics::{Counters, counters_in};
pub(super) use process::{Process, Usage};
pub(super) use socket_owner::listener_of;
