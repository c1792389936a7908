//! Who somebody is: sign-in by a provider, and the sessions that follow.
//!
//! A sign-in is two calls. The first makes a flow: a random state, a PKCE verifier (RFC 7636, always
//! `S256`) and a nonce, which stay on the node for some minutes, and an authorization URL. The browser
//! comes back from the provider with a code and the state. The second call brings both; the flow is
//! taken, once, the code is exchanged against the verifier, and the nonce of an ID token has to be the flow's. The
//! account is the provider's issuer and subject, never an e-mail address.
//!
//! The development provider sends the browser straight to whoever began. Other providers send it to the node's
//! callback address, which sends it on (`arrival.rs`). Devices without a browser have a way of their own
//! (`device.rs`).
//!
//! What an attacker can still do: who reads state and code on their way back, before they are used, can
//! complete that sign-in. Clients compare the state with the one they were given, so that nobody is
//! signed in to somebody else's account unawares.
//!
//! Source: RFC 6749, section 4.1; RFC 7636; RFC 9700; OpenID Connect Core 1.0, section 3.1.

mod arrival;
mod development;
mod device;
mod error;
mod fetched;
mod flow;
mod github;
mod oauth;
mod open_id;
mod outbound;
mod provider;
mod provider_error;
mod redirect;
mod session;
mod user_code;

pub use arrival::{Arrival, Arrived};
pub use development::{AUTHORIZE_PATH, AuthorizationQuery, DevelopmentProvider, Name, NameError};
pub use device::DEVICE_PATH;
pub use error::SignInError;
pub use github::GitHubProvider;
pub use open_id::OpenIdProvider;
pub use outbound::OutboundError;
pub use provider::{Provider, ProvidersError, providers};
pub use provider_error::{IdTokenError, ProviderError};
pub use redirect::{CALLBACK_PATH, Redirects};

use std::sync::Arc;

use crate::node::actors::Routes;
use crate::node::clock::Clock;
use crate::node::config::{self, WebAddress};
use crate::node::metrics::Metrics;
use crate::node::store::Store;

/// Sign-in and sessions of a node.
#[derive(Clone, Debug)]
pub struct SignIn {
    store: Store,
    clock: Clock,
    settings: config::SignIn,
    redirects: Redirects,
    public_url: WebAddress,
    providers: Vec<Provider>,
    metrics: Arc<Metrics>,
    routes: Routes,
}

impl SignIn {
    /// Sign-in at these providers, on a node at `public_url`.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        settings: config::SignIn,
        public_url: WebAddress,
        providers: Vec<Provider>,
        metrics: Arc<Metrics>,
        routes: Routes,
    ) -> Self {
        let redirects = Redirects::new(&public_url, &settings.redirect_urls);
        Self { store, clock, settings, redirects, public_url, providers, metrics, routes }
    }

    /// The names of the providers that are configured.
    pub fn providers(&self) -> impl Iterator<Item = &str> + '_ {
        self.providers.iter().map(Provider::name)
    }

    /// Counts how a sign-in ended.
    fn count(&self, provider: &str, outcome: &'static str) {
        self.metrics.calls.sign_ins.of([provider.to_owned(), outcome.to_owned()]).increment(1);
    }

    fn provider(&self, name: &str) -> Result<&Provider, SignInError> {
        self.providers.iter().find(|provider| provider.name() == name).ok_or(SignInError::UnknownProvider)
    }
}
