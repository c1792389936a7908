//! The SDK, whole, against a node in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod devices;
mod direct;
mod evil;
mod front;
mod lost;
#[path = "../support/process.rs"]
mod process;
mod receipts;
mod rooms;
mod sign_in;
mod user;
