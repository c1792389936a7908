//! What an issuer says of itself in its discovery document.
//!
//! Source: OpenID Connect Discovery 1.0, sections 3 and 4; RFC 8414; RFC 9207, section 3.

use oauth2::AuthType;
use serde::Deserialize;

use crate::node::auth::outbound::Endpoint;
use crate::node::auth::provider_error::ProviderError;

/// Where the document stands below the issuer.
pub(super) const PATH: &str = "/.well-known/openid-configuration";

/// The document, as far as it is used. Others stand in it too.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A document that was checked against the issuer that it should be of.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) authorization: Endpoint,
    pub(super) token: Endpoint,
    pub(super) keys: Endpoint,
    pub(super) auth_type: AuthType,
    /// Whether every answer of the authorization endpoint says whose it is.
    pub(super) names_issuer: bool,
}

impl Document {
    /// # Errors
    /// [`ProviderError::OtherIssuer`], [`ProviderError::Endpoint`] or [`ProviderError::NoPkce`].
    pub(super) fn checked(self, issuer: &str) -> Result<Metadata, ProviderError> {
        // Character by character: a document that another issuer wrote is worth nothing.
        if self.issuer != issuer {
            return Err(ProviderError::OtherIssuer);
        }
        let endpoint = |field, text: &str| Endpoint::parse(text, issuer).ok_or(ProviderError::Endpoint { field });
        // An issuer that says nothing of it may well check it; one that lists other methods alone does not.
        if self.code_challenge_methods_supported.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(ProviderError::NoPkce);
        }
        Ok(Metadata {
            authorization: endpoint("authorization_endpoint", &self.authorization_endpoint)?,
            token: endpoint("token_endpoint", &self.token_endpoint)?,
            keys: endpoint("jwks_uri", &self.jwks_uri)?,
            auth_type: auth_type(self.token_endpoint_auth_methods_supported.as_deref()),
            names_issuer: self.authorization_response_iss_parameter_supported,
        })
    }
}

/// How the node shows its secret: in a header, unless the issuer takes it in the body alone.
fn auth_type(methods: Option<&[String]>) -> AuthType {
    let has = |name: &str| methods.is_some_and(|methods| methods.iter().any(|method| method == name));
    if has("client_secret_post") && !has("client_secret_basic") { AuthType::RequestBody } else { AuthType::BasicAuth }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.example/main/";

    fn checked(change: impl FnOnce(&mut Value)) -> Result<Metadata, ProviderError> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize?tenant=1",
            "token_endpoint": "https://api.login.example/token",
            "jwks_uri": "https://login.example/keys",
            "code_challenge_methods_supported": ["plain", "S256"],
            "unknown": [1, 2],
        });
        change(&mut document);
        serde_json::from_value::<Document>(document).unwrap().checked(ISSUER)
    }

    #[test]
    fn document_of_its_issuer_is_taken() {
        let metadata = checked(|_| ()).unwrap();

        assert_eq!(metadata.authorization.url().as_str(), "https://login.example/authorize?tenant=1");
        assert!(matches!(metadata.auth_type, AuthType::BasicAuth) && !metadata.names_issuer);
        assert!(checked(|it| drop(it.as_object_mut().unwrap().remove("code_challenge_methods_supported"))).is_ok());
        let body_alone = checked(|it| it["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]));
        assert!(matches!(body_alone.unwrap().auth_type, AuthType::RequestBody));
    }

    #[test]
    fn document_of_another_issuer_is_refused() {
        for other in ["https://login.example/main", "https://login.example/MAIN/", "https://evil.example/main/", ""] {
            let refused = checked(|it| it["issuer"] = json!(other));
            assert!(matches!(refused, Err(ProviderError::OtherIssuer)), "{other}: {refused:?}");
        }
    }

    #[test]
    fn endpoints_that_could_be_read_on_their_way_are_refused() {
        for field in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for bad in [
                "http://login.example/x",
                "http://127.0.0.1/x",
                "file:///etc/passwd",
                "https://a:b@login.example",
                "x",
                "",
            ] {
                let refused = checked(|it| it[field] = json!(bad));
                assert!(matches!(refused, Err(ProviderError::Endpoint { field: named }) if named == field), "{bad}");
            }
        }
    }

    #[test]
    fn issuer_without_pkce_by_s256_is_refused() {
        for methods in [json!([]), json!(["plain"])] {
            let refused = checked(|it| it["code_challenge_methods_supported"] = methods);
            assert!(matches!(refused, Err(ProviderError::NoPkce)), "{refused:?}");
        }
    }
}
