//! The node, part by part, as its callers use it; and whole, over real HTTP on a free port.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod autobahn;
mod banner;
mod client;
mod config;
#[cfg(feature = "custody")]
mod custody;
mod directory;
mod faults;
mod handshake;
mod hostile;
mod idempotency;
mod logs;
mod metrics;
#[path = "../support/process.rs"]
mod node_process;
mod openapi;
mod outsider;
mod preload;
#[cfg(target_os = "linux")]
mod process;
mod providers;
mod rooms;
mod schemathesis;
mod server;
mod sign_in;
mod socket;
mod sockets;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod turn;
mod vault;
mod ways;
mod zero_knowledge;
