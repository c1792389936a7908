//! A node that speaks the protocol and lies: what the SDK refuses, what it tells, and that nothing leaves.
//!
//! It is a real node with a proxy in front, which keeps all that its client sends and changes what the client hears. Each
//! test has one lie; what was said before it is true.

mod attacker;
mod envelopes;
mod http;
mod keys;
mod logs;
mod node;
mod policies;
mod stores;

pub(crate) use node::{Liar, relay};
