//! Why a provider, or what it says of somebody, is refused.

use super::outbound::OutboundError;

/// Why a provider, or what it says of somebody, is refused. None holds anything of a code or a token.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It did not answer a moment ago, and is not asked again so soon.
    #[error("the provider did not answer a moment ago")]
    Waiting,
    /// The discovery document is of another issuer than the configured one.
    #[error("the discovery document names another issuer than the settings")]
    OtherIssuer,
    /// The discovery document has an address that cannot be used.
    #[error("the {field} of the discovery document is no https address")]
    Endpoint {
        /// Which.
        field: &'static str,
    },
    /// The issuer does not take PKCE by `S256`.
    #[error("the issuer offers no PKCE by S256")]
    NoPkce,
    /// The browser came back with the name of another provider, or with none where there should be one.
    #[error("the browser comes from another provider")]
    OtherResponder,
    /// The provider does not take the code, the verifier or the client.
    #[error("the provider refuses the exchange: {code}")]
    Refused {
        /// Its error code.
        code: String,
    },
    /// An answer is not what it should be.
    #[error("the provider's answer to the exchange is malformed")]
    Malformed,
    /// The ID token does not hold.
    #[error("the ID token is refused: {0}")]
    IdToken(#[from] IdTokenError),
}

impl ProviderError {
    /// Whether somebody's sign-in was refused, and not the provider's own affairs are out of order.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::OtherResponder | Self::Refused { .. } | Self::IdToken(_) => true,
            Self::Outbound(_)
            | Self::Waiting
            | Self::OtherIssuer
            | Self::Endpoint { .. }
            | Self::NoPkce
            | Self::Malformed => false,
        }
    }
}

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// It does not parse.
    #[error("it is malformed")]
    Malformed,
    /// It is signed by an algorithm that is not taken, or by none.
    #[error("its algorithm is not taken")]
    Algorithm,
    /// The issuer has no such key.
    #[error("its key is not known")]
    UnknownKey,
    /// The signature does not hold.
    #[error("its signature does not hold")]
    Signature,
    /// A claim is not what it should be.
    #[error("its {claim} is not as it should be")]
    Claim {
        /// Which.
        claim: &'static str,
    },
}
