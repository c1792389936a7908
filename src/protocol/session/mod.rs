//! A pairwise session: an agreement and the ratchet that runs from it, between two devices.
//!
//! A message of a session is the payload of an envelope:
//!
//! ```text
//! kind 1    1: message, 2: opening message
//! opening   1,617 or 1,625 bytes, in an opening message alone
//! header    40 bytes
//! sealed    padded plaintext, tag 16
//! ```
//!
//! So a message has 57 bytes more than its padded plaintext. The initiator repeats the opening until
//! the responder has answered, so that any of its first messages makes the session.
//!
//! Associated data, 118 bytes: label 25, version 1, [`SessionBinding`](super::agreement::SessionBinding)
//! 32, policy 3, destination 17, header 40. A message therefore opens only between these two devices with these
//! identity keys, in this place, under this policy.

mod context;
mod error;
mod message;
mod pairwise_session;

pub use context::MessageContext;
pub use error::SessionError;
pub use message::PairwiseMessage;
pub use pairwise_session::PairwiseSession;
pub(in crate::protocol) use pairwise_session::SessionStep;
