//! Why a message was not sealed or not opened. The ratchet is then as it was.

use crate::protocol::public::KeyError;
use crate::protocol::public::limits;
use crate::wire::WireError;

/// Why the ratchet refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatchetError {
    /// The message is not authentic here: altered, or of another session, place or policy.
    #[error("the message does not open")]
    Open,
    /// The message was opened before.
    #[error("the message's key is gone")]
    KeyGone,
    /// The message's key was given up for its age or for want of room; or the message was opened before,
    /// and the key of a later one of its chain was given up.
    #[error("the message's key was given up")]
    KeyGivenUp,
    /// The message belongs to a chain that is not known any more.
    #[error("the message's chain is gone")]
    ChainGone,
    /// The message runs too far ahead of those that arrived.
    #[error("the message is more than {} ahead", limits::SKIP_MAX)]
    TooFarAhead,
    /// The message's ratchet key is not acceptable.
    #[error("bad ratchet key: {0}")]
    RatchetKey(KeyError),
    /// A chain is at its end; the next message of the other side begins a new one.
    #[error("the chain is exhausted")]
    ChainExhausted,
    /// More plaintext than a message holds.
    #[error("a message holds at most {} bytes", limits::MESSAGE_BYTES_MAX)]
    TooLong,
    /// The saved form is malformed.
    #[error("the saved ratchet is malformed: {0}")]
    Saved(#[from] WireError),
}
