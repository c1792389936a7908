//! Why a sign-in failed.

use crate::client::api::ApiError;

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The node is not reached, or refuses.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The provider sent the browser back without a code, or with another state: somebody else's sign-in.
    #[error("the sign-in was refused, or is another one's")]
    Refused,
    /// A name that the development provider does not take.
    #[error("a name has lowercase letters, digits, hyphens, underscores and dots")]
    Name,
    /// The sign-in took too long.
    #[error("the sign-in took too long")]
    Expired,
    /// No port to listen on, or the browser's request broke off.
    #[error("the browser is not heard: {0}")]
    Loopback(#[from] std::io::Error),
}
