//! The node's calls to providers: bounded in time and size, without redirects, over TLS but on this machine.
//!
//! Where a call goes is said by the settings and by an issuer's discovery document. No call follows a
//! redirect, so that what leads elsewhere leads nowhere. Connections are not kept: each worker has a
//! runtime of its own, and one that ended would leave others with dead connections.

use core::time::Duration;

use oauth2::url::Url;
use oauth2::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;

use crate::node::config::is_loopback_host;

/// How long a provider may take to answer. Three calls in a row stay below the time of a request.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Bytes of an answer: a discovery document and a set of keys have a few thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1_024;

/// Some APIs, GitHub's among them, answer nobody without a name.
const USER_AGENT: &str = concat!("conclave/", env!("CARGO_PKG_VERSION"));

/// Why a provider gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// No connection, no TLS, or no answer in time.
    #[error("the provider does not answer: {source}")]
    Unreachable {
        /// What went wrong; it names no address.
        source: reqwest::Error,
    },
    /// The answer is too long.
    #[error("the provider's answer is over {limit} bytes")]
    TooLong {
        /// Bytes that it may have.
        limit: usize,
    },
    /// The provider refuses the call.
    #[error("the provider answers with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The answer is not what was asked for.
    #[error("the provider's answer is malformed at line {line}, column {column}")]
    Malformed {
        /// Where: the line.
        line: usize,
        /// And the column.
        column: usize,
    },
}

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable { source: error.without_url() }
    }
}

/// An address of a provider: `https`, or `http` on this machine where the provider itself is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(Url);

impl Endpoint {
    /// Parses an address of the provider that is known by `root`. None if it is no address, could be read
    /// on its way, or carries credentials.
    pub(super) fn parse(text: &str, root: &str) -> Option<Self> {
        let (url, root) = (Url::parse(text).ok()?, Url::parse(root).ok()?);
        let is_here = |url: &Url| url.scheme() == "http" && url.host_str().is_some_and(is_loopback_host);
        let is_private = url.scheme() == "https" || (is_here(&url) && is_here(&root));
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (is_private && is_plain && url.has_host()).then_some(Self(url))
    }

    pub(super) const fn url(&self) -> &Url {
        &self.0
    }
}

/// Makes the calls.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    http: reqwest::Client,
}

impl Outbound {
    /// # Errors
    /// If the system's certificates cannot be read.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_max_idle_per_host(0)
            .no_proxy()
            .user_agent(USER_AGENT)
            .build()?;
        Ok(Self { http })
    }

    /// Makes one call, whatever its status is.
    pub(super) async fn call(&self, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
        read(self.http.execute(request.try_into()?).await?).await
    }

    /// Fetches JSON, with a bearer token if there is one.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        bearer: Option<&str>,
    ) -> Result<T, OutboundError> {
        let mut request = self.http.get(endpoint.url().clone()).header("accept", "application/json");
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let answer = read(request.send().await?).await?;
        if answer.status().as_u16() != 200 {
            return Err(OutboundError::Status { status: answer.status().as_u16() });
        }
        let malformed =
            |error: serde_json::Error| OutboundError::Malformed { line: error.line(), column: error.column() };
        serde_json::from_slice(answer.body()).map_err(malformed)
    }
}

async fn read(mut response: reqwest::Response) -> Result<HttpResponse, OutboundError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(OutboundError::TooLong { limit: ANSWER_BYTES_MAX });
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = HttpResponse::new(body);
    *answer.status_mut() = response.status();
    *answer.headers_mut() = core::mem::take(response.headers_mut());
    Ok(answer)
}
