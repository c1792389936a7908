//! Why keys and a certificate make no identity.

use crate::protocol::public::VerifyError;
use crate::wire::{ErrorCode, WireError};

/// Why keys and a certificate make no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate does not hold.
    #[error(transparent)]
    Certificate(#[from] VerifyError),
    /// The certificate is for other keys than these.
    #[error("the certificate is for other keys")]
    OtherKeys,
    /// The saved form is malformed.
    #[error("the saved identity is malformed: {0}")]
    Saved(#[from] WireError),
}

impl IdentityError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Certificate(error) => error.code(),
            Self::OtherKeys => ErrorCode::IdentityKeysMismatch,
            Self::Saved(_) => ErrorCode::SavedStateMalformed,
        }
    }
}
