//! The built-in `development` provider: it believes every name. It is refused where others than this
//! machine could reach it, and goes through the same flow as any provider, so that what is tried with
//! it is what runs with another: an authorization request with state, nonce and a PKCE challenge, a
//! code that is good once, and its exchange against the verifier.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::Deserialize;

use super::error::SignInError;
use super::provider::{AuthorizationRequest, Claims, Exchange};
use super::redirect::{Redirects, percent_encoded};
use crate::node::clock::Clock;
use crate::node::config::WebAddress;
use crate::node::entropy;
use crate::node::store::{CodeGrant, Store};
use crate::node::tokens::{AuthorizationCode, CodeChallenge, Nonce};
use crate::wire::SecretText;

/// What the API calls the provider.
pub(super) const NAME: &str = "development";

/// Where its page is.
pub const AUTHORIZE_PATH: &str = "/development/authorize";

/// Under which issuer its accounts are known. It names no address, so that accounts outlive a change of
/// port.
const ISSUER: &str = "conclave:development";

/// The client that the node is to it.
const CLIENT_ID: &str = "conclave";

/// How long a code is good: a browser brings it back at once.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// The query of an authorization request (RFC 6749, section 4.1.1; RFC 7636, section 4.3). Other
/// response types and challenge methods do not parse: there is no way around PKCE with `S256`.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationQuery {
    #[param(inline)]
    response_type: ResponseType,
    client_id: String,
    redirect_uri: String,
    state: SecretText,
    nonce: String,
    code_challenge: String,
    #[param(inline)]
    code_challenge_method: ChallengeMethod,
}

#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
enum ResponseType {
    #[serde(rename = "code")]
    Code,
}

#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
enum ChallengeMethod {
    S256,
}

/// The name that somebody signs in under: 1 to 64 of lowercase letters, digits, `-`, `_` and `.`.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(Box<str>);

/// The text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A name has 1 to 64 lowercase letters, digits, hyphens, underscores and dots.")]
pub struct NameError;

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if (1..=64).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(NameError)
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(..)")
    }
}

/// The provider. It keeps its codes in the node's store.
#[derive(Clone, Debug)]
pub struct DevelopmentProvider {
    store: Store,
    clock: Clock,
    redirects: Redirects,
    authorize_url: WebAddress,
}

impl DevelopmentProvider {
    /// The provider of a node at `public_url`.
    #[must_use]
    pub fn new(store: Store, clock: Clock, redirects: Redirects, public_url: &WebAddress) -> Self {
        Self { store, clock, redirects, authorize_url: public_url.join(AUTHORIZE_PATH) }
    }

    /// Where the browser goes to sign in.
    pub(super) fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> SecretText {
        let AuthorizationRequest { redirect_uri, state, nonce, code_verifier } = request;
        let code_challenge = code_verifier.challenge();
        let redirect_uri = percent_encoded(redirect_uri.as_str());
        let state = state.expose();
        SecretText::new(format!(
            "{}?response_type=code&client_id={CLIENT_ID}&redirect_uri={redirect_uri}&state={state}&nonce={nonce}\
             &code_challenge={code_challenge}&code_challenge_method=S256",
            self.authorize_url.as_str()
        ))
    }

    /// Whether the page may ask for a name: the request is one of this node's.
    ///
    /// # Errors
    /// [`SignInError::Malformed`], or [`SignInError::RedirectRefused`].
    pub fn check(&self, query: &AuthorizationQuery) -> Result<(), SignInError> {
        self.parse(query).map(drop)
    }

    /// Somebody gave a name: makes a code and says where the browser goes with it. The code is good
    /// for a minute, once, and bound to the request.
    ///
    /// # Errors
    /// As [`check`](Self::check), or the store's.
    pub async fn authorize(&self, query: &AuthorizationQuery, name: &Name) -> Result<SecretText, SignInError> {
        let Bound { redirect_uri, nonce, code_challenge } = self.parse(query)?;
        let code = AuthorizationCode::generate(&mut entropy::generator()?);
        let state = percent_encoded(query.state.expose());
        let location = format!("{}?code={}&state={state}", redirect_uri.as_str(), *code.to_text());
        let now = self.clock.now();
        let grant = CodeGrant {
            code_hash: code.hash(),
            subject: name.0.to_string(),
            code_challenge,
            redirect_uri: redirect_uri.as_str().to_owned(),
            nonce,
            expires_at: now.plus(CODE_LIFETIME),
        };
        self.store.save_code(grant, now).await?;
        Ok(SecretText::new(location))
    }

    fn parse(&self, query: &AuthorizationQuery) -> Result<Bound, SignInError> {
        // What the types of these two allow is all that the provider takes.
        let AuthorizationQuery {
            response_type: ResponseType::Code, code_challenge_method: ChallengeMethod::S256, ..
        } = query;
        let malformed = |part| SignInError::Malformed { part };
        if query.client_id != CLIENT_ID {
            return Err(malformed("client_id"));
        }
        Ok(Bound {
            redirect_uri: self.redirects.choose(Some(&query.redirect_uri))?,
            nonce: query.nonce.parse().map_err(|_| malformed("nonce"))?,
            code_challenge: query.code_challenge.parse().map_err(|_| malformed("code_challenge"))?,
        })
    }

    /// What the token endpoint of another provider does (RFC 6749, section 4.1.3; RFC 7636, section
    /// 4.6). The code is gone whatever comes of it.
    pub(super) async fn exchange(&self, exchange: &Exchange<'_>, redirect_uri: &str) -> Result<Claims, SignInError> {
        // It does not say who it is: nobody else has its codes.
        let Exchange { code, responder, code_verifier, nonce } = exchange;
        if responder.is_some() {
            return Err(SignInError::CodeRefused);
        }
        let code: AuthorizationCode = code.expose().parse().map_err(|_| SignInError::CodeRefused)?;
        let taken = self.store.take_code(code.hash(), self.clock.now()).await?.ok_or(SignInError::CodeRefused)?;
        let is_bound = taken.code_challenge == code_verifier.challenge() && taken.nonce == *nonce;
        if !is_bound || taken.redirect_uri != redirect_uri {
            return Err(SignInError::CodeRefused);
        }
        Ok(Claims { issuer: ISSUER.to_owned(), subject: taken.subject })
    }
}

/// What a code is bound to.
struct Bound {
    redirect_uri: WebAddress,
    nonce: Nonce,
    code_challenge: CodeChallenge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for text in ["ada", "a", "build-bot_2.x", &"x".repeat(64)] {
            assert!(text.parse::<Name>().is_ok(), "{text}");
        }
        for text in ["", "Ada", "a b", "a/b", "<b>", "é", &"x".repeat(65)] {
            assert_eq!(text.parse::<Name>(), Err(NameError), "{text}");
        }
    }
}
