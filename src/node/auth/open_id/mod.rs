//! Sign-in at an issuer of OpenID Connect, by its authorization code flow.
//!
//! The issuer's addresses come from its discovery document, which has to name the issuer that the
//! settings name; its keys come from where that document says. Both are kept for some minutes. A token
//! that names an unknown key makes the node ask for newer ones, but not more often than every few
//! seconds.
//!
//! What an attacker can still do: the issuer says who somebody is, so whoever runs it is anybody there. Its
//! accounts are known by (issuer, subject), so it is nobody elsewhere.
//!
//! Source: OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9207; RFC 9700.

mod id_token;
mod keys;
mod metadata;

use std::sync::Arc;

use oauth2::ExtraTokenFields;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::fetched::{Fetched, Want};
use super::oauth::{OAuthClient, Tokens};
use super::outbound::Endpoint;
use super::provider::{AuthorizationRequest, Claims, Exchange};
use super::provider_error::{IdTokenError, ProviderError};
use crate::node::clock::Clock;
use crate::node::config::Issuer;
use crate::wire::SecretText;

use id_token::Expected;
use keys::IssuerKeys;
use metadata::Metadata;

/// Google's issuer.
pub(super) const GOOGLE: &str = "https://accounts.google.com";

/// What the API calls Google.
pub(super) const GOOGLE_NAME: &str = "google";

/// Asks for an ID token, and for no more than the subject in it.
const SCOPE: &str = "openid";

/// An issuer that people sign in at.
#[derive(Debug)]
pub struct OpenIdProvider {
    name: String,
    issuer: Issuer,
    client: OAuthClient,
    clock: Clock,
    metadata: Fetched<Metadata>,
    keys: Fetched<IssuerKeys>,
}

/// What the answer to an exchange holds beside an access token, which the node does not use.
#[derive(Debug, Serialize, Deserialize)]
struct IdTokenField {
    id_token: SecretText,
}

impl ExtraTokenFields for IdTokenField {}

impl OpenIdProvider {
    /// A provider under a name of the node's own. Nothing is fetched yet: an issuer that is down keeps nobody
    /// from signing in elsewhere.
    pub(super) fn new(name: &str, issuer: Issuer, client: OAuthClient, clock: Clock) -> Self {
        let (metadata, keys) = (Fetched::default(), Fetched::default());
        Self { name: name.to_owned(), issuer, client, clock, metadata, keys }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn authorization_url(
        &self,
        request: &AuthorizationRequest<'_>,
    ) -> Result<SecretText, ProviderError> {
        let metadata = self.metadata().await?;
        self.client.authorization_url(&metadata.authorization, request, Some(SCOPE), Some(request.nonce))
    }

    /// Exchanges a code, and checks the ID token that comes for it.
    pub(super) async fn exchange(&self, exchange: &Exchange<'_>) -> Result<Claims, ProviderError> {
        let metadata = self.metadata().await?;
        let Exchange { code, responder, code_verifier, nonce } = exchange;
        // RFC 9207, section 2.4: before the code goes anywhere.
        if responder.map_or(metadata.names_issuer, |responder| responder != self.issuer.as_str()) {
            return Err(ProviderError::OtherResponder);
        }
        let auth_type = metadata.auth_type.clone();
        let tokens: Tokens<IdTokenField> =
            self.client.exchange(&metadata.token, auth_type, code, code_verifier).await?;
        let expected =
            Expected { issuer: self.issuer.as_str(), client_id: &self.client.id, nonce: *nonce, now: self.clock.now() };
        let subject = self.verify(&tokens.extra_fields().id_token, &metadata, &expected).await?;
        Ok(Claims { issuer: self.issuer.as_str().to_owned(), subject })
    }

    /// With the keys that are kept; if the token names another one, with newer ones.
    async fn verify(
        &self,
        token: &SecretText,
        metadata: &Metadata,
        expected: &Expected<'_>,
    ) -> Result<String, ProviderError> {
        let keys = self.keys(metadata, Want::Kept).await?;
        match id_token::verify(token, &keys, expected) {
            Err(IdTokenError::UnknownKey) => {}
            verified => return Ok(verified?),
        }
        let newer = self.keys(metadata, Want::Newer).await?;
        Ok(id_token::verify(token, &newer, expected)?)
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let fetch = async || {
            let address = format!("{}{}", self.issuer.as_str().trim_end_matches('/'), metadata::PATH);
            let endpoint = Endpoint::parse(&address, self.issuer.as_str());
            let endpoint = endpoint.ok_or(ProviderError::Endpoint { field: "address" })?;
            let document: metadata::Document = self.client.outbound.get(&endpoint, None).await?;
            document.checked(self.issuer.as_str())
        };
        let fetch = async || fetch().await.inspect_err(|error| self.complain(error));
        self.metadata.get(&self.clock, Want::Kept, fetch).await.map_err(|error| error.unwrap_or(ProviderError::Waiting))
    }

    async fn keys(&self, metadata: &Metadata, want: Want) -> Result<Arc<IssuerKeys>, ProviderError> {
        let fetch = async || {
            let document: Result<keys::Document, _> = self.client.outbound.get(&metadata.keys, None).await;
            document.map(IssuerKeys::from).map_err(ProviderError::from).inspect_err(|error| self.complain(error))
        };
        self.keys.get(&self.clock, want, fetch).await.map_err(|error| error.unwrap_or(ProviderError::Waiting))
    }

    /// Also where what was fetched before is used on, nobody else hears of it.
    fn complain(&self, error: &ProviderError) {
        warn!(target: "auth", provider = self.name, %error, "the issuer gives no usable answer");
    }
}
