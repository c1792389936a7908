//! Who asks, as handlers take it: a visitor, or somebody signed in. Each counts against its limit.

use std::future::{Future, Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::error::ApiError;
use super::state::NodeState;
use crate::ids::{AccountId, DeviceAddress, SessionId};
use crate::node::store::Session;
use crate::node::tokens::AccessToken;
use crate::wire::ErrorCode;

/// Somebody who need not be signed in. Counts by address.
#[derive(Clone, Copy, Debug)]
pub struct Visitor;

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(state(request).and_then(|state| state.limits.visitor(address(request.peer_addr()))).map(|()| Self))
    }
}

/// Somebody with a good access token. Counts by account; a bad token counts by address.
#[derive(Clone, Debug)]
pub struct SignedIn(Session);

impl SignedIn {
    /// Who.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.0.account_id
    }

    /// By which session.
    #[must_use]
    pub const fn session_id(&self) -> SessionId {
        self.0.session_id
    }

    /// The device that the session is of.
    ///
    /// # Errors
    /// `device_not_bound` if it has not said so.
    pub fn device(&self) -> Result<DeviceAddress, ApiError> {
        let device_id = self.0.device_id.ok_or(ApiError::new(ErrorCode::DeviceNotBound))?;
        Ok(DeviceAddress { account_id: self.0.account_id, device_id })
    }
}

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = state(&request)?;
            let authorization = request.extensions_mut().remove::<Authorization>();
            let header = authorization.as_ref().map(|Authorization(header)| header);
            let refused = match authenticate(state, header).await {
                Ok(session) => {
                    state.limits.account(session.account_id)?;
                    return Ok(Self(session));
                }
                Err(refused) => refused,
            };
            if matches!(refused.code(), ErrorCode::TokenMissing | ErrorCode::TokenRefused) {
                state.limits.visitor(address(request.peer_addr()))?;
            }
            Err(refused)
        })
    }
}

/// The header `Authorization` of a request that is answered; it goes with the answer.
struct Authorization(HeaderValue);

/// Has the request hold nothing of what was received: actix keeps heads of requests to use them again, and with them the
/// buffer that their headers, and often the body, came in. Tokens would stay in memory for as long.
pub(super) fn let_go_of_received_bytes(request: &mut ServiceRequest) {
    let received = core::mem::take(request.headers_mut());
    let mut authorization = None;
    for (name, value) in &received {
        // A value that was one is one.
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { continue };
        if name == AUTHORIZATION {
            // Of two, the first counts.
            authorization.get_or_insert(value);
        } else {
            request.headers_mut().append(name.clone(), value);
        }
    }
    if let Some(authorization) = authorization {
        request.extensions_mut().insert(Authorization(authorization));
    }
}

/// The session whose access token stands in `Authorization: Bearer` (RFC 6750, section 2.1).
///
/// # Errors
/// `token_missing`, `token_refused`, or the store's.
pub async fn authenticate(state: &NodeState, header: Option<&HeaderValue>) -> Result<Session, ApiError> {
    let header = header.ok_or(ApiError::new(ErrorCode::TokenMissing))?;
    let token = header.to_str().ok().and_then(bearer).ok_or(ApiError::new(ErrorCode::TokenRefused))?;
    let session = state.store.session_by_access(token.hash(), state.clock.now()).await?;
    session.ok_or(ApiError::new(ErrorCode::TokenRefused))
}

fn bearer(header: &str) -> Option<AccessToken> {
    let (scheme, token) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { token.trim().parse().ok() } else { None }
}

/// The node's state, which every request has.
fn state(request: &HttpRequest) -> Result<&Data<NodeState>, ApiError> {
    request.app_data::<Data<NodeState>>().ok_or(ApiError::new(ErrorCode::Internal))
}

/// The other end of a connection. One that the system no longer knows counts as one address.
#[must_use]
pub fn address(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}
