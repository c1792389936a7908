//! Sign-in at GitHub, which gives no ID tokens: the node asks its API whose access token it got.
//!
//! The subject is the account's number, which stays when somebody takes another name. PKCE binds the code
//! to the node's request, and the access token comes to the node alone, over TLS, so that no page or client
//! can hand it a token that was given to another app.
//!
//! Source: RFC 6749, section 4.1; GitHub's documents on authorizing OAuth apps, and `GET /user`.

use oauth2::{AuthType, EmptyExtraTokenFields, TokenResponse as _};
use serde::Deserialize;

use super::oauth::{OAuthClient, Tokens};
use super::outbound::Endpoint;
use super::provider::{AuthorizationRequest, Claims, Exchange};
use super::provider_error::ProviderError;
use crate::node::config::WebAddress;
use crate::wire::SecretText;

/// What the API calls it.
pub(super) const NAME: &str = "github";

/// GitHub, or an enterprise's own.
#[derive(Debug)]
pub struct GitHubProvider {
    /// Under which accounts are known, as GitHub's address is.
    issuer: String,
    /// What GitHub calls itself where it says whose answer it is (RFC 9207).
    responder: String,
    authorize: Endpoint,
    token: Endpoint,
    user: Endpoint,
    client: OAuthClient,
}

/// The account of a token. Much else stands there too.
#[derive(Deserialize)]
struct User {
    id: u64,
}

impl GitHubProvider {
    /// # Errors
    /// [`ProviderError::Endpoint`] for an address that could be read on its way.
    pub(super) fn new(web: &WebAddress, api: &WebAddress, client: OAuthClient) -> Result<Self, ProviderError> {
        let endpoint = |field, root: &WebAddress, path: &str| {
            Endpoint::parse(root.join(path).as_str(), root.as_str()).ok_or(ProviderError::Endpoint { field })
        };
        Ok(Self {
            issuer: web.as_str().to_owned(),
            responder: web.join("/login/oauth").as_str().to_owned(),
            authorize: endpoint("web_url", web, "/login/oauth/authorize")?,
            token: endpoint("web_url", web, "/login/oauth/access_token")?,
            user: endpoint("api_url", api, "/user")?,
            client,
        })
    }

    /// No scope: who somebody is, is public.
    pub(super) fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<SecretText, ProviderError> {
        self.client.authorization_url(&self.authorize, request, None, None)
    }

    pub(super) async fn exchange(&self, exchange: &Exchange<'_>) -> Result<Claims, ProviderError> {
        let Exchange { code, responder, code_verifier, nonce: _ } = exchange;
        if responder.is_some_and(|responder| responder != self.responder) {
            return Err(ProviderError::OtherResponder);
        }
        let exchanged = self.client.exchange(&self.token, AuthType::RequestBody, code, code_verifier).await;
        let tokens: Tokens<EmptyExtraTokenFields> = exchanged.map_err(|error| match error {
            // GitHub answers 200 to a bad code too, with an error in place of the token.
            ProviderError::Malformed => ProviderError::Refused { code: "no token".to_owned() },
            error => error,
        })?;
        let user: User = self.client.outbound.get(&self.user, Some(tokens.access_token().secret())).await?;
        Ok(Claims { issuer: self.issuer.clone(), subject: user.id.to_string() })
    }
}
