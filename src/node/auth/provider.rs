//! The providers that people sign in at: what the settings switch on, and what each is asked.

use std::sync::Arc;

use super::development::{self, DevelopmentProvider};
use super::error::SignInError;
use super::github::{self, GitHubProvider};
use super::oauth::OAuthClient;
use super::open_id::{self, OpenIdProvider};
use super::outbound::Outbound;
use super::provider_error::ProviderError;
use super::redirect::callback_path;
use crate::node::clock::Clock;
use crate::node::config::{ConfigError, Issuer, Settings, WebAddress};
use crate::node::tokens::{CodeVerifier, Nonce};
use crate::wire::SecretText;

/// A provider that people sign in at.
#[derive(Clone, Debug)]
pub enum Provider {
    /// The built-in one.
    Development(DevelopmentProvider),
    /// GitHub.
    GitHub(Arc<GitHubProvider>),
    /// An issuer of OpenID Connect; Google is one.
    OpenId(Arc<OpenIdProvider>),
}

/// What a provider is asked with.
pub(super) struct AuthorizationRequest<'a> {
    pub(super) redirect_uri: &'a WebAddress,
    pub(super) state: &'a SecretText,
    pub(super) nonce: Nonce,
    pub(super) code_verifier: &'a CodeVerifier,
}

/// What a code is exchanged with.
pub(super) struct Exchange<'a> {
    pub(super) code: &'a SecretText,
    /// Which provider the browser came back from, if that was said (RFC 9207).
    pub(super) responder: Option<&'a str>,
    pub(super) code_verifier: &'a CodeVerifier,
    pub(super) nonce: Nonce,
}

/// What a provider says of somebody who has signed in.
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
}

impl Provider {
    /// What the API calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Development(_) => development::NAME,
            Self::GitHub(_) => github::NAME,
            Self::OpenId(provider) => provider.name(),
        }
    }

    pub(super) async fn authorization_url(
        &self,
        request: &AuthorizationRequest<'_>,
    ) -> Result<SecretText, SignInError> {
        match self {
            Self::Development(provider) => Ok(provider.authorization_url(request)),
            Self::GitHub(provider) => Ok(provider.authorization_url(request)?),
            Self::OpenId(provider) => Ok(provider.authorization_url(request).await?),
        }
    }

    /// `redirect_uri` is that of the flow. Providers elsewhere know the node by one address of its own.
    pub(super) async fn exchange(&self, exchange: &Exchange<'_>, redirect_uri: &str) -> Result<Claims, SignInError> {
        match self {
            Self::Development(provider) => provider.exchange(exchange, redirect_uri).await,
            Self::GitHub(provider) => Ok(provider.exchange(exchange).await?),
            Self::OpenId(provider) => Ok(provider.exchange(exchange).await?),
        }
    }
}

/// Why the providers of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProvidersError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address of a provider cannot be used.
    #[error("sign_in: {0}")]
    Provider(#[from] ProviderError),
    /// The system's certificates cannot be read.
    #[error("cannot make calls to sign-in providers: {0}")]
    Outbound(#[from] reqwest::Error),
}

/// The providers that the settings switch on, beside the development provider.
///
/// # Errors
/// [`ProvidersError`].
pub fn providers(settings: &Settings, public_url: &WebAddress, clock: &Clock) -> Result<Vec<Provider>, ProvidersError> {
    let Settings { github, google, openid, .. } = settings;
    let mut providers = Vec::new();
    if !(github.is_on() || google.is_on() || openid.is_on()) {
        return Ok(providers);
    }
    let outbound = Outbound::new()?;
    let client = |name: &str, id: &str, secret| OAuthClient {
        id: id.to_owned(),
        secret,
        redirect_uri: public_url.join(&callback_path(name)),
        outbound: outbound.clone(),
    };
    if github.is_on() {
        let client = client(github::NAME, &github.client_id, github.secret()?);
        let provider = GitHubProvider::new(&github.web_url, &github.api_url, client)?;
        providers.push(Provider::GitHub(Arc::new(provider)));
    }
    if let Some(issuer) = Issuer::parse(open_id::GOOGLE).filter(|_| google.is_on()) {
        let name = open_id::GOOGLE_NAME;
        let client = client(name, &google.client_id, google.secret()?);
        providers.push(Provider::OpenId(Arc::new(OpenIdProvider::new(name, issuer, client, clock.clone()))));
    }
    if openid.is_on() {
        let name = openid.name.as_str();
        let client = client(name, &openid.client_id, openid.secret()?);
        let provider = OpenIdProvider::new(name, openid.issuer.clone(), client, clock.clone());
        providers.push(Provider::OpenId(Arc::new(provider)));
    }
    Ok(providers)
}
