//! The node's REST calls, typed. Nothing here is retried: whoever calls knows whether that is safe.

mod auth;
mod directory;
mod error;
mod rooms;
mod vault;

use core::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

pub use error::ApiError;

use crate::wire::{Problem, SecretText};

/// Connections to nodes. Clones share them: a program with many clients makes one and hands it to each.
///
/// It follows no redirect, so that no token goes where nobody sent it.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

impl Http {
    /// Trusts the certificates that the system trusts.
    ///
    /// # Errors
    /// [`ApiError::Unreachable`] if the system's certificates cannot be read.
    pub fn new() -> Result<Self, ApiError> {
        Self::build(reqwest::Client::builder())
    }

    /// Trusts one certificate authority, in PEM, and no other: for a node with a certificate of its own.
    ///
    /// # Errors
    /// [`ApiError::Unreachable`] if it is none.
    pub fn trusting(authority_pem: &[u8]) -> Result<Self, ApiError> {
        let authority = reqwest::Certificate::from_pem(authority_pem)?;
        Self::build(reqwest::Client::builder().tls_certs_only([authority]))
    }

    /// Of settings that the caller has begun: source addresses, proxies, pools.
    ///
    /// # Errors
    /// [`ApiError::Unreachable`] if they do not go together.
    pub fn build(settings: reqwest::ClientBuilder) -> Result<Self, ApiError> {
        Ok(Self(settings.redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true).build()?))
    }

    pub(super) fn get(&self, url: String) -> RequestBuilder {
        self.0.get(url)
    }

    pub(super) fn post(&self, url: &str) -> RequestBuilder {
        self.0.post(url).timeout(CALL_TIMEOUT)
    }
}

/// A node's calls, for whoever has the token.
#[derive(Clone, Debug)]
pub(super) struct Api {
    http: Http,
    /// Without a slash at its end.
    url: String,
    token: Option<SecretText>,
}

impl Api {
    pub(super) fn new(http: Http, url: &str) -> Self {
        Self { http, url: url.trim_end_matches('/').to_owned(), token: None }
    }

    pub(super) fn set_token(&mut self, token: SecretText) {
        self.token = Some(token);
    }

    pub(super) const fn http(&self) -> &Http {
        &self.http
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) const fn token(&self) -> Option<&SecretText> {
        self.token.as_ref()
    }

    /// A request with the token, if there is one, in a header that libraries keep out of what they show and compress.
    pub(super) fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        parse(&self.call(Method::GET, path, NONE).await?)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        parse(&self.call(Method::POST, path, Some(body)).await?)
    }

    async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        parse(&self.call(Method::PUT, path, Some(body)).await?)
    }

    /// A call that has nothing to answer.
    async fn done(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<(), ApiError> {
        self.call(method, path, body).await.map(|_| ())
    }

    async fn call(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Bytes, ApiError> {
        self.call_with(method, path, body, None).await
    }

    /// As [`call`](Self::call), with a header.
    async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        header: Option<(HeaderName, String)>,
    ) -> Result<Bytes, ApiError> {
        let mut request =
            self.with_token(self.http.0.request(method, format!("{}{path}", self.url)).timeout(CALL_TIMEOUT));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(|_| ApiError::Malformed)?;
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        answer(request.send().await?).await
    }
}

/// The body of a call that succeeded.
async fn answer(response: Response) -> Result<Bytes, ApiError> {
    let status = response.status();
    if status.is_success() { body(response).await } else { Err(refusal(response).await) }
}

/// Why a call did not succeed.
pub(super) async fn refusal(response: Response) -> ApiError {
    let status = response.status();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let problem = match body(response).await {
        Ok(body) => serde_json::from_slice(&body).ok(),
        Err(error) => return error,
    };
    match problem {
        Some(Problem { code, .. }) => ApiError::Refused { code, retry_after: seconds.map(Duration::from_secs) },
        // What stands in front of a node answers too: a proxy while the node restarts.
        None => ApiError::Status { status: status.as_u16() },
    }
}

/// A body, no longer than the longest that a node has reason to send.
async fn body(mut response: Response) -> Result<Bytes, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ApiError::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => ApiError::Malformed,
        // A page of whoever stands in front of the node.
        Category::Syntax | Category::Eof | Category::Io => ApiError::Status { status: StatusCode::OK.as_u16() },
    })
}

/// No body.
const NONE: Option<&()> = None;

/// A whole call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer: a page of a log with the largest envelopes is 23 MiB.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use reqwest::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn a_request_does_not_show_its_token() {
        let mut api = Api::new(Http::new().unwrap(), "http://127.0.0.1:1/");
        api.set_token(SecretText::new("canary".to_owned()));
        let request = api.with_token(api.http().get("http://127.0.0.1:1/".to_owned())).build().unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer canary");
        assert!(!format!("{request:?} {api:?}").contains("canary"));
    }
}
