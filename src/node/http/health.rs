//! Whether the process runs, and whether it takes traffic.

use actix_web::web::Data;

use super::document::{Calls, about};
use super::error::ApiError;
use super::state::NodeState;
use crate::wire::ErrorCode;

pub(super) fn routes(calls: &mut Calls<'_>) {
    calls
        .at("/healthz", |at| at.get(alive, about("Whether the process runs.")))
        .at("/readyz", |at| at.get(ready, about("Whether the node takes traffic.")));
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(state: Data<NodeState>) -> Result<&'static str, ApiError> {
    if !state.readiness.is_ready() {
        return Err(ApiError::with_detail(ErrorCode::Unavailable, "The node is stopping."));
    }
    state.store.check().await?;
    Ok("ready\n")
}
