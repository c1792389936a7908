//! Conclave: end-to-end encrypted rooms, direct messages and memories.
//!
//! The modules are layers, and imports point down only (`tests/architecture` reads every
//! `use crate::` and fails on any other edge):
//!
//! ```text
//! ids ← wire ← protocol::public ← protocol (holder)
//!              protocol::public ← node
//! ```
//!
//! - [`ids`]: the names of accounts, devices, rooms and envelopes.
//! - [`wire`]: what crosses a boundary, with no secret in it: envelopes, key bundles, limits, codes.
//! - [`protocol`]: the pure core. Its public part checks keys and signatures; the rest, which holds
//!   secret keys, is behind the feature `holder`.
//! - `node`: sign-in, directory and store, behind the feature of the same name.

pub mod ids;
#[cfg(feature = "node")]
pub mod node;
pub mod protocol;
pub mod wire;
