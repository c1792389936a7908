//! Who somebody is: sign-in by a provider, and the sessions that follow.
//!
//! A sign-in is two calls. The first makes a flow: a random state, a PKCE verifier (RFC 7636, always
//! `S256`) and a nonce, which stay on the node for some minutes, and an authorization URL. The browser
//! comes back from the provider with a code and the state. The second call brings both; the flow is
//! taken, once, the code is exchanged against the verifier, and the nonce has to be the flow's. The
//! account is the provider's issuer and subject, never an e-mail address.
//!
//! What an attacker can still do: who reads state and code on their way back, before they are used, can
//! complete that sign-in. Clients compare the state with the one they were given, so that nobody is
//! signed in to somebody else's account unawares.
//!
//! Source: RFC 6749, section 4.1; RFC 7636; RFC 9700; OpenID Connect Core 1.0, section 3.1.

mod development;
mod error;
mod flow;
mod redirect;
mod session;

pub use development::{AUTHORIZE_PATH, AuthorizationQuery, DevelopmentProvider, Name, NameError};
pub use error::SignInError;
pub use redirect::{CALLBACK_PATH, Redirects};

use crate::node::clock::Clock;
use crate::node::config;
use crate::node::config::WebAddress;
use crate::node::store::Store;
use crate::node::tokens::{CodeChallenge, CodeVerifier, Nonce};
use crate::wire::SecretText;

/// A provider that people sign in at.
#[derive(Clone, Debug)]
pub enum Provider {
    /// The built-in one.
    Development(DevelopmentProvider),
}

/// What a provider is asked with.
struct AuthorizationRequest<'a> {
    redirect_uri: &'a WebAddress,
    state: &'a SecretText,
    nonce: Nonce,
    code_challenge: CodeChallenge,
}

/// What a provider says of somebody who has signed in.
struct Claims {
    issuer: String,
    subject: String,
    nonce: Nonce,
}

impl Provider {
    /// What the API calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Development(_) => development::NAME,
        }
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> SecretText {
        match self {
            Self::Development(provider) => provider.authorization_url(request),
        }
    }

    async fn exchange(
        &self,
        code: &SecretText,
        code_verifier: &CodeVerifier,
        redirect_uri: &str,
    ) -> Result<Claims, SignInError> {
        match self {
            Self::Development(provider) => provider.exchange(code, code_verifier, redirect_uri).await,
        }
    }
}

/// Sign-in and sessions of a node.
#[derive(Clone, Debug)]
pub struct SignIn {
    store: Store,
    clock: Clock,
    settings: config::SignIn,
    redirects: Redirects,
    providers: Vec<Provider>,
}

impl SignIn {
    /// Sign-in at these providers.
    #[must_use]
    pub const fn new(
        store: Store,
        clock: Clock,
        settings: config::SignIn,
        redirects: Redirects,
        providers: Vec<Provider>,
    ) -> Self {
        Self { store, clock, settings, redirects, providers }
    }

    /// The names of the providers that are configured.
    pub fn providers(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.providers.iter().map(Provider::name)
    }

    fn provider(&self, name: &str) -> Result<&Provider, SignInError> {
        self.providers.iter().find(|provider| provider.name() == name).ok_or(SignInError::UnknownProvider)
    }
}
