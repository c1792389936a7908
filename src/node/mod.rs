//! The node: people sign in to it, devices publish their keys on it, and what they seal for each other goes
//! through its rooms and mailboxes.
//!
//! It owns accounts, sessions, the directory, logs and who hears of them. It sees public keys, signed lists, sealed envelopes
//! and tokens; but for `custody`, which a build may leave out, it has no way to name a private key, and what it could learn
//! is in the README's table.
//!
//! - [`actors`]: rooms and sessions. [`ws`]: their sockets.
//! - [`config`]: every setting; [`clock`] and [`entropy`]: the only places that read either.
//! - `custody`, behind the feature of that name: rooms whose keys the node holds. [`no_custody`]: what stands there without it.
//! - [`metrics`]: what is counted. `nonces`: which are remembered.
//! - [`store`]: what is kept; [`tokens`]: its secrets. [`auth`]: who somebody is. [`http`]: REST. [`tls`]: TLS. [`turn`]: credentials for calls. [`audit`]: what is written
//!   down of it. [`lifecycle`]: start, readiness and stop.

pub mod actors;
pub mod audit;
pub mod auth;
pub mod clock;
pub mod config;
pub mod connections;
#[cfg(feature = "custody")]
pub mod custody;
pub mod entropy;
pub mod http;
pub mod lifecycle;
pub mod log;
pub mod metrics;
pub mod no_custody;
mod nonces;
pub mod store;
pub mod tls;
pub mod tokens;
pub mod turn;
pub mod ws;
