//! `/api/auth`: providers, the two calls of a sign-in, and refresh.

use actix_web::web::{self, Data, Json, ServiceConfig};
use tracing::warn;

use super::error::ApiError;
use super::extract::Visitor;
use super::state::NodeState;
use crate::node::auth::SignInError;
use crate::wire::{CompleteFlow, ErrorCode, FlowStarted, Provider, Providers, Refresh, SessionTokens, StartFlow};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/api/auth/providers").route(web::get().to(providers)))
        .service(web::resource("/api/auth/flows").route(web::post().to(start)))
        .service(web::resource("/api/auth/flows/complete").route(web::post().to(complete)))
        .service(web::resource("/api/auth/refresh").route(web::post().to(refresh)));
}

async fn providers(_: Visitor, state: Data<NodeState>) -> Json<Providers> {
    let providers = state.sign_in.providers().map(|name| Provider { name: name.to_owned() });
    Json(Providers { providers: providers.collect() })
}

async fn start(_: Visitor, state: Data<NodeState>, body: Json<StartFlow>) -> Result<Json<FlowStarted>, ApiError> {
    Ok(Json(state.sign_in.start(&body).await?))
}

async fn complete(
    _: Visitor,
    state: Data<NodeState>,
    body: Json<CompleteFlow>,
) -> Result<Json<SessionTokens>, ApiError> {
    Ok(Json(state.sign_in.complete(&body).await?))
}

async fn refresh(_: Visitor, state: Data<NodeState>, body: Json<Refresh>) -> Result<Json<SessionTokens>, ApiError> {
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
