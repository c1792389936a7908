//! The node as a client of a provider: the authorization request, and the exchange of a code.
//!
//! Both go through the `oauth2` crate. PKCE is by `S256`, always. The crate keeps its own copies of secret
//! and code while a call lasts, and does not wipe them.
//!
//! Source: RFC 6749, sections 4.1.1 and 4.1.3; RFC 7636, sections 4.3 and 4.5.

use std::borrow::Cow;

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, ExtraTokenFields, HttpRequest,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardRevocableToken,
    StandardTokenResponse, TokenUrl,
};

use super::outbound::{Endpoint, Outbound, OutboundError};
use super::provider::AuthorizationRequest;
use super::provider_error::ProviderError;
use crate::node::config::WebAddress;
use crate::node::tokens::{CodeVerifier, Nonce};
use crate::wire::SecretText;

/// What a provider answers to an exchange.
pub(super) type Tokens<F> = StandardTokenResponse<F, BasicTokenType>;

type Library<F> = Client<
    BasicErrorResponse,
    Tokens<F>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// Characters of a provider's error code that are written down.
const ERROR_CODE_CHARACTERS_MAX: usize = 64;

/// The client that the node is to one provider.
#[derive(Clone, Debug)]
pub(super) struct OAuthClient {
    pub(super) id: String,
    pub(super) secret: Option<SecretText>,
    pub(super) redirect_uri: WebAddress,
    pub(super) outbound: Outbound,
}

impl OAuthClient {
    /// Where the browser goes to sign in. The nonce is for providers that give ID tokens.
    pub(super) fn authorization_url(
        &self,
        endpoint: &Endpoint,
        request: &AuthorizationRequest<'_>,
        scope: Option<&str>,
        nonce: Option<Nonce>,
    ) -> Result<SecretText, ProviderError> {
        let library =
            self.library::<oauth2::EmptyExtraTokenFields>().set_auth_uri(AuthUrl::from_url(endpoint.url().clone()));
        let redirect_uri = self.redirect_url()?;
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(request.code_verifier));
        let state = CsrfToken::new(request.state.expose().to_owned());
        let mut url = library
            .authorize_url(|| state)
            .set_redirect_uri(Cow::Owned(redirect_uri))
            .set_pkce_challenge(challenge)
            .add_scopes(scope.map(|scope| Scope::new(scope.to_owned())));
        if let Some(nonce) = nonce {
            url = url.add_extra_param("nonce", nonce.to_string());
        }
        Ok(SecretText::new(String::from(url.url().0)))
    }

    /// Trades a code for tokens. The provider checks the verifier against the challenge of the request that
    /// it gave the code for.
    pub(super) async fn exchange<F: ExtraTokenFields>(
        &self,
        endpoint: &Endpoint,
        auth_type: AuthType,
        code: &SecretText,
        code_verifier: &CodeVerifier,
    ) -> Result<Tokens<F>, ProviderError> {
        let library = self.library::<F>().set_auth_type(auth_type);
        let library = library.set_token_uri(TokenUrl::from_url(endpoint.url().clone()));
        let answer = library
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_pkce_verifier(verifier(code_verifier))
            .set_redirect_uri(Cow::Owned(self.redirect_url()?))
            .request_async(&|request: HttpRequest| self.outbound.call(request))
            .await;
        answer.map_err(refused)
    }

    fn library<F: ExtraTokenFields>(&self) -> Library<F> {
        let client = Client::new(ClientId::new(self.id.clone()));
        match &self.secret {
            None => client,
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        }
    }

    fn redirect_url(&self) -> Result<RedirectUrl, ProviderError> {
        RedirectUrl::new(self.redirect_uri.as_str().to_owned()).map_err(|_| ProviderError::Malformed)
    }
}

/// 43 characters, which is as short as a verifier may be.
fn verifier(code_verifier: &CodeVerifier) -> PkceCodeVerifier {
    PkceCodeVerifier::new(code_verifier.to_text().to_string())
}

fn refused(error: RequestTokenError<OutboundError, BasicErrorResponse>) -> ProviderError {
    match error {
        RequestTokenError::Request(error) => error.into(),
        RequestTokenError::ServerResponse(response) => {
            ProviderError::Refused { code: plain(response.error().as_ref()) }
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderError::Malformed,
    }
}

/// A provider's error code as it may be written down.
pub(super) fn plain(code: &str) -> String {
    let is_plain = |character: &char| matches!(character, 'a'..='z' | '_');
    code.chars().filter(is_plain).take(ERROR_CODE_CHARACTERS_MAX).collect()
}
