//! The checks of an ID token (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! The signature comes first: nothing of a token is looked at before, but its header. Times are against
//! the node's clock. A token of one sign-in is worth nothing for another: the nonce is its own.

use core::time::Duration;

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::keys::IssuerKeys;
use crate::node::auth::provider_error::IdTokenError;
use crate::node::tokens::Nonce;
use crate::wire::{SecretText, Timestamp};

/// How far the issuer's clock may be off.
const LEEWAY: Duration = Duration::from_secs(60);

/// Bytes of a token. Those with many claims have about 4,000.
const TOKEN_BYTES_MAX: usize = 32 * 1_024;

/// The algorithms that are taken: signatures by a key pair, with SHA-2. Neither `none` nor HMAC, under which
/// a public key would be taken for a shared secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: Nonce,
    pub(super) now: Timestamp,
}

/// The claims that are looked at. Times are whole seconds.
#[derive(Deserialize)]
struct TokenClaims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
    nonce: Option<SecretText>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(audience) => core::slice::from_ref(audience),
            Self::Several(audiences) => audiences,
        }
    }
}

/// Checks a token. Returns its subject.
///
/// # Errors
/// [`IdTokenError`]; [`IdTokenError::UnknownKey`] if newer keys may help.
pub(super) fn verify(token: &SecretText, keys: &IssuerKeys, expected: &Expected<'_>) -> Result<String, IdTokenError> {
    if token.expose().len() > TOKEN_BYTES_MAX {
        return Err(IdTokenError::Malformed);
    }
    // An unknown algorithm does not parse, `none` among them.
    let header = decode_header(token.expose()).map_err(|_| IdTokenError::Algorithm)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(IdTokenError::Algorithm);
    }
    // RFC 7515, section 4.1.11: what has to be understood and is not is refused.
    if header.crit.is_some() {
        return Err(IdTokenError::Malformed);
    }
    let key = keys.find(header.kid.as_deref(), header.alg).ok_or(IdTokenError::UnknownKey)?;
    let claims = decode::<TokenClaims>(token.expose(), &key, &signature_alone(header.alg)).map_err(|error| {
        use jsonwebtoken::errors::ErrorKind;
        if matches!(error.kind(), ErrorKind::Json(_)) { IdTokenError::Malformed } else { IdTokenError::Signature }
    })?;
    check(claims.claims, expected)
}

/// The library's own checks are off: it reads the system's clock and takes claims that are not there.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn check(claims: TokenClaims, expected: &Expected<'_>) -> Result<String, IdTokenError> {
    let Expected { issuer, client_id, nonce, now } = expected;
    let require = |claim, holds: bool| if holds { Ok(()) } else { Err(IdTokenError::Claim { claim }) };
    let time = |seconds: u64| Timestamp::from_millis(seconds.saturating_mul(1_000));
    let audiences = claims.aud.as_slice();

    require("iss", claims.iss == *issuer)?;
    require("aud", audiences.iter().any(|audience| audience == client_id))?;
    require("azp", claims.azp.as_deref().map_or(audiences.len() == 1, |party| party == *client_id))?;
    require("exp", time(claims.exp).plus(LEEWAY) > *now)?;
    require("iat", time(claims.iat) <= now.plus(LEEWAY))?;
    require("nbf", claims.nbf.is_none_or(|begin| time(begin) <= now.plus(LEEWAY)))?;
    require("nonce", claims.nonce.is_some_and(|given| given.expose().parse() == Ok(*nonce)))?;
    Ok(claims.sub)
}
