//! Whether the process runs as it should, and whether it takes traffic.

use actix_web::web::Data;

use super::document::{Calls, about};
use super::error::ApiError;
use super::state::NodeState;
use crate::wire::ErrorCode;

pub(super) fn routes(calls: &mut Calls<'_>) {
    calls
        .at("/healthz", |at| at.get(alive, about("Whether the process runs, and need not be started again.")))
        .at("/readyz", |at| at.get(ready, about("Whether the node takes traffic.")));
}

/// A node that has lost a part which nothing but its next start brings back says so to whatever starts it.
async fn alive(state: Data<NodeState>) -> Result<&'static str, ApiError> {
    let is_whole = state.routes.is_whole() && state.store.has_writer();
    if !is_whole && !state.readiness.is_stopping() {
        return Err(ApiError::with_detail(ErrorCode::Unavailable, "The node has to be started again."));
    }
    Ok("ok\n")
}

async fn ready(state: Data<NodeState>) -> Result<&'static str, ApiError> {
    takes_traffic(&state).await?;
    Ok("ready\n")
}

/// Whether the node takes traffic: it was not told to stop, and stores what comes.
///
/// # Errors
/// Why it does not.
pub async fn takes_traffic(state: &NodeState) -> Result<(), ApiError> {
    if !state.readiness.is_ready() {
        return Err(ApiError::with_detail(ErrorCode::Unavailable, "The node is stopping."));
    }
    Ok(state.store.check().await?)
}
