//! The node: who may sign in, which devices an account has, and the keys that others open sessions with.
//!
//! It holds public keys, ciphertext and routing data. It cannot name a private key: of `protocol` it
//! may use the public part alone.

pub mod store;
pub mod tokens;
