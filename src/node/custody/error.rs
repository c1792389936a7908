//! Why a keeper refuses. What it holds is then as it was.

use crate::node::entropy::EntropyError;
use crate::protocol::identity::IdentityError;
use crate::protocol::machine::MachineError;
use crate::protocol::public::VerifyError;
use crate::protocol::session::SessionError;
use crate::wire::ErrorCode;

/// Why a keeper refuses.
#[derive(Debug, thiserror::Error)]
pub(super) enum CustodyError {
    /// Nothing is held of the account, or nothing of this device of it.
    #[error("no keys are held")]
    NoKeys,
    /// The asker has no such key.
    #[error("no such key")]
    UnknownKey,
    /// The key was revoked by its owner.
    #[error("the key was revoked")]
    Revoked,
    /// Another key is in its place.
    #[error("the key was rotated")]
    Replaced,
    /// The key has expired.
    #[error("the key has expired")]
    Expired,
    /// The room, the account or the node has as many as may be held.
    #[error("no more keys are held")]
    TooMany,
    /// One does not write to oneself.
    #[error("for oneself")]
    Oneself,
    /// The envelope is for another place, account or device.
    #[error("the envelope is for somebody else")]
    NotForYou,
    /// The envelope's nonce was used before.
    #[error("the nonce was used before")]
    Replayed,
    /// There is no session with the sender.
    #[error("no session with the sender")]
    NoSession,
    /// The message is over its limit.
    #[error("the message is too long")]
    TooLong,
    /// The envelope is not its sender's.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The session refuses.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Our own certificate does not hold, which is our bug.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A mistake of ours.
    #[error("{what}")]
    Internal {
        /// Which.
        what: &'static str,
    },
}

impl CustodyError {
    /// The code that stands for it where errors cross a boundary.
    pub(super) const fn code(&self) -> ErrorCode {
        match self {
            Self::NoKeys => ErrorCode::NoRoomKeys,
            Self::UnknownKey => ErrorCode::UnknownRoomKey,
            Self::Revoked => ErrorCode::RoomKeyRevoked,
            Self::Replaced => ErrorCode::RoomKeyReplaced,
            Self::Expired => ErrorCode::RoomKeyExpired,
            Self::TooMany => ErrorCode::TooManyRoomKeys,
            Self::Oneself => ErrorCode::OwnDevice,
            Self::NotForYou => ErrorCode::NotForThisDevice,
            Self::Replayed => ErrorCode::EnvelopeReplayed,
            Self::NoSession => ErrorCode::NoSession,
            Self::TooLong => ErrorCode::MessageTooLong,
            Self::Verify(error) => error.code(),
            Self::Session(error) => MachineError::Session(*error).code(),
            Self::Entropy(_) => ErrorCode::Unavailable,
            Self::Identity(_) | Self::Internal { .. } => ErrorCode::Internal,
        }
    }
}
