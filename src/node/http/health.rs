//! Whether the process runs, and whether it takes traffic.

use actix_web::web::{self, Data, ServiceConfig};

use super::error::ApiError;
use super::state::NodeState;
use crate::wire::ErrorCode;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/healthz").route(web::get().to(alive)))
        .service(web::resource("/readyz").route(web::get().to(ready)));
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(state: Data<NodeState>) -> Result<&'static str, ApiError> {
    if state.readiness.is_stopping() {
        return Err(ApiError::with_detail(ErrorCode::Unavailable, "The node is stopping."));
    }
    state.store.check().await?;
    Ok("ready\n")
}
