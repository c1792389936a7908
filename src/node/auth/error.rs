//! Why a sign-in or a refresh is refused.

use super::provider_error::ProviderError;
use crate::node::entropy::EntropyError;
use crate::node::store::StoreError;

/// Why a sign-in or a refresh is refused. None says more than whoever asks may know: an unknown, a used
/// and an expired token look the same, but for a refresh token used twice, whose session has ended.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such provider is configured.
    #[error("there is no such sign-in provider")]
    UnknownProvider,
    /// The browser may not be sent to this address.
    #[error("the browser may not be sent to this address")]
    RedirectRefused,
    /// The authorization request is not one that the node makes.
    #[error("the authorization request is malformed: {part}")]
    Malformed {
        /// Which part of it.
        part: &'static str,
    },
    /// No sign-in with this state is under way.
    #[error("no sign-in with this state is under way")]
    FlowRefused,
    /// The code is unknown, used, expired, or of another sign-in.
    #[error("the authorization code is not accepted")]
    CodeRefused,
    /// Nobody has signed the device in yet.
    #[error("nobody has signed the device in yet")]
    DevicePending,
    /// The device asks too often.
    #[error("the device asks too often")]
    DeviceTooSoon,
    /// Nobody waits with this device code or user code.
    #[error("nobody waits with this code")]
    DeviceUnknown,
    /// Whoever was asked to sign the device in refused.
    #[error("the sign-in of the device was refused")]
    DeviceDenied,
    /// The provider, or what it says of somebody, is refused.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The refresh token is unknown or expired, or its session has ended.
    #[error("the refresh token is not accepted")]
    RefreshRefused,
    /// The refresh token was used before; its session is ended.
    #[error("the refresh token was used before")]
    RefreshReused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl SignInError {
    /// Whether whoever signs in is refused; anything else is no fault of theirs.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::CodeRefused => true,
            Self::Provider(error) => error.is_refusal(),
            _ => false,
        }
    }
}
