//! Conclave: end-to-end encrypted rooms, direct messages and memories.
//!
//! The modules are layers, and imports point down only (`tests/architecture` reads every
//! `use crate::` and fails on any other edge):
//!
//! ```text
//! ids ← wire ← protocol::public ← protocol (holder) ← client ← cli
//!              protocol::public ← node ← cli
//! ```
//!
//! - [`ids`]: the names of accounts, devices, rooms and envelopes.
//! - [`wire`]: what crosses a boundary, with no secret in it: envelopes, key bundles, limits, codes.
//! - [`protocol`]: the pure core. Its public part checks keys and signatures; the rest, which holds
//!   secret keys, is behind the feature `holder`.
//! - `node`, behind the feature of that name: the server. It has no way to name a private key, but for `node::custody`,
//!   behind the feature `custody`: rooms whose keys the node holds.
//! - `client`, behind the feature of that name: the SDK. It holds a device's keys, and talks to a node.
//! - `cli`, behind the feature of that name: the commands.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
pub mod ids;
#[cfg(feature = "node")]
pub mod node;
pub mod protocol;
pub mod wire;
