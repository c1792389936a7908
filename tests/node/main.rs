//! The node, part by part, as its callers use it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod store;
