//! The Double Ratchet, without header encryption.
//!
//! Each message has a key of its own. A symmetric chain steps forward with every message, so that an
//! older key cannot be computed from a newer state (forward secrecy); with every change of turns a
//! new X25519 agreement enters the root key, so that a stolen state is useless after one round trip
//! (healing).
//!
//! ```text
//! root:    RK', CK = HKDF-SHA-256(salt = RK, ikm = DH(own ratchet key, theirs), info = label)
//! chain:   CK' = HMAC-SHA-256(CK, label)      MK = HMAC-SHA-256(CK, another label)
//! message: key 32 ∥ nonce 12 = HKDF-SHA-256(salt = post-quantum key, ikm = MK, info = label)
//! ```
//!
//! The salt of the last line is the place of a post-quantum ratchet's key (Double Ratchet, revision
//! 4, section 7: the Triple Ratchet mixes its keys there); until there is one it is 32 zeros.
//!
//! Our own ratchet key is made when we answer, not when a message arrives: until then there is no
//! secret that a thief could take and use. Nothing changes if a message does not open.
//!
//! What an attacker can still do: learn from the clear header how many messages a chain has; with a
//! stolen state, read until one round trip has passed, and with an active hold on both directions,
//! stay in the middle.
//!
//! Source: The Double Ratchet Algorithm, revision 3, sections 3 and 5.2; for the place of the
//! post-quantum key alone, revision 4.

mod chain_key;
mod double_ratchet;
mod error;
mod header;
mod message_key;
mod receiving_chain;
mod root_key;
mod saved;
mod sending_chain;
#[cfg(test)]
pub(in crate::protocol) mod trace;

pub use chain_key::ChainKey;
pub use double_ratchet::DoubleRatchet;
pub(in crate::protocol) use double_ratchet::SendingStep;
pub use error::RatchetError;
pub use header::{Header, SealedMessage};
pub use message_key::MessageKey;
pub use root_key::RootKey;
