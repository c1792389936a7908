//! What is measured.

pub(crate) mod cold_start;
pub(crate) mod commits;
pub(crate) mod dues;
pub(crate) mod fan_out;
pub(crate) mod idle;
pub(crate) mod latency;
