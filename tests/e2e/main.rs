//! The SDK, whole, against a node in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod direct;
mod load;
#[path = "../support/process.rs"]
mod process;
mod rooms;
mod user;
