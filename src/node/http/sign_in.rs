//! `/api/auth`: providers, the two calls of a sign-in, and refresh.

use actix_web::web::{Data, Json};
use tracing::warn;

use super::body::Body;
use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::Visitor;
use super::state::NodeState;
use crate::node::auth::SignInError;
use crate::wire::{CompleteFlow, ErrorCode, FlowStarted, Provider, Providers, Refresh, SessionTokens, StartFlow};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let begin = about("Begins a sign-in: where the browser goes, and the state that comes back.");
    let begin =
        begin.refuses(&[ErrorCode::UnknownProvider, ErrorCode::RedirectRefused, ErrorCode::ProviderUnavailable]);
    let end = about("Completes a sign-in: the session's tokens.");
    let end = end.refuses(&[ErrorCode::FlowRefused, ErrorCode::CodeRefused, ErrorCode::ProviderUnavailable]);
    let next = about("Trades a refresh token for the session's next tokens. One that is used twice ends the session.");
    let next = next.refuses(&[ErrorCode::RefreshRefused, ErrorCode::RefreshReused]);
    calls
        .at("/api/auth/providers", |at| at.get(providers, about("The providers that one can sign in with.")))
        .at("/api/auth/flows", |at| at.post(start, begin))
        .at("/api/auth/flows/complete", |at| at.post(complete, end))
        .at("/api/auth/refresh", |at| at.post(refresh, next));
}

async fn providers(_: Visitor, state: Data<NodeState>) -> Json<Providers> {
    let providers = state.sign_in.providers().map(|name| Provider { name: name.to_owned() });
    Json(Providers { providers: providers.collect() })
}

async fn start(_: Visitor, state: Data<NodeState>, body: Body<StartFlow>) -> Result<Json<FlowStarted>, ApiError> {
    Ok(Json(state.sign_in.start(&body).await?))
}

async fn complete(
    _: Visitor,
    state: Data<NodeState>,
    body: Body<CompleteFlow>,
) -> Result<Json<SessionTokens>, ApiError> {
    Ok(Json(state.sign_in.complete(&body).await?))
}

async fn refresh(_: Visitor, state: Data<NodeState>, body: Body<Refresh>) -> Result<Json<SessionTokens>, ApiError> {
    Ok(Json(state.sign_in.refresh(&body).await?))
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::UnknownProvider => Self::new(ErrorCode::UnknownProvider),
            SignInError::RedirectRefused => Self::new(ErrorCode::RedirectRefused),
            SignInError::Malformed { part } => Self::with_detail(ErrorCode::MalformedRequest, part),
            SignInError::FlowRefused => Self::new(ErrorCode::FlowRefused),
            SignInError::CodeRefused => Self::new(ErrorCode::CodeRefused),
            SignInError::Provider(error) if error.is_refusal() => {
                warn!(target: "auth", %error, "a sign-in is refused");
                Self::new(ErrorCode::CodeRefused)
            }
            SignInError::Provider(error) => Self::provider_unavailable(&error),
            SignInError::DevicePending => Self::new(ErrorCode::AuthorizationPending),
            SignInError::DeviceTooSoon => Self::new(ErrorCode::SlowDown),
            SignInError::DeviceUnknown => Self::new(ErrorCode::ExpiredToken),
            SignInError::DeviceDenied => Self::new(ErrorCode::AccessDenied),
            SignInError::RefreshRefused => Self::new(ErrorCode::RefreshRefused),
            SignInError::RefreshReused => Self::new(ErrorCode::RefreshReused),
            SignInError::Store(error) => error.into(),
            SignInError::Entropy(error) => error.into(),
        }
    }
}
