//! The SDK, whole, against a node in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod cli;
mod clocks;
mod cuts;
mod devices;
mod direct;
mod evil;
mod killed;
mod load;
mod lost;
mod prekeys;
#[path = "../support/process.rs"]
mod process;
mod proxy;
mod receipts;
mod reconnect;
mod rooms;
mod rotation;
mod sessions;
mod sign_in;
mod stores;
mod user;
mod vault;
mod vault_lies;
