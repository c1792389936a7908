//! Why a call to the node failed.

use core::time::Duration;

use crate::wire::ErrorCode;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The node is not reached, or the connection broke. Whether it did what was asked is not known. The address is left out: a
    /// sign-in's is secret.
    #[error("the node is not reached: {0}")]
    Unreachable(#[source] reqwest::Error),
    /// The node refuses.
    #[error("the node refuses: {}", .code.as_str())]
    Refused {
        /// Why.
        code: ErrorCode,
        /// How long to wait before asking again.
        retry_after: Option<Duration>,
    },
    /// Somebody answers who is no node, or a node that is no more itself.
    #[error("no node answers, but an HTTP status of {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The answer is not of the form that was agreed: of a newer node, or of one that lies.
    #[error("the node's answer is malformed")]
    Malformed,
    /// The node answers about something else than it was asked.
    #[error("the node answers about something else")]
    Mismatch,
}

impl From<reqwest::Error> for ApiError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}

impl ApiError {
    /// The code of a refusal.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable(_) | Self::Status { .. } | Self::Malformed | Self::Mismatch => None,
        }
    }

    /// How long the node asks to wait before the same call.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::Status { .. } | Self::Malformed | Self::Mismatch => None,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            // What stands in front of a node answers for it while it is gone.
            Self::Unreachable(_) | Self::Status { .. } => true,
            Self::Refused { code, .. } => {
                matches!(code, ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::Internal)
            }
            Self::Malformed | Self::Mismatch => false,
        }
    }

    /// Whether the node does not take the access token any more.
    #[must_use]
    pub const fn is_signed_out(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::TokenRefused))
    }
}
