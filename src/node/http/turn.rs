//! `/api/turn`: credentials for the TURN server that the node knows.

use actix_web::web::{self, Data, Json, ServiceConfig};

use super::error::ApiError;
use super::extract::SignedIn;
use super::state::NodeState;
use crate::wire::{ErrorCode, TurnCredentials};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/api/turn").route(web::get().to(issue)));
}

async fn issue(_: SignedIn, state: Data<NodeState>) -> Result<Json<TurnCredentials>, ApiError> {
    let turn = state.turn.as_ref().ok_or(ApiError::new(ErrorCode::TurnNotConfigured))?;
    Ok(Json(turn.issue(state.clock.now())?))
}
