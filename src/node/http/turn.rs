//! `/api/turn`: credentials for the TURN server that the node knows.

use actix_web::web::{Data, Json};

use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::state::NodeState;
use crate::wire::{ErrorCode, TurnCredentials};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let credentials = about("Credentials for the TURN server that relays calls. They are good for a while.");
    calls.at("/api/turn", |at| at.get(issue, credentials.refuses(&[ErrorCode::TurnNotConfigured])));
}

async fn issue(_: SignedIn, state: Data<NodeState>) -> Result<Json<TurnCredentials>, ApiError> {
    let turn = state.turn.as_ref().ok_or(ApiError::new(ErrorCode::TurnNotConfigured))?;
    Ok(Json(turn.issue(state.clock.now())?))
}
