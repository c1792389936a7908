//! `/api/rooms/{room}/history`: what is in a room's log for the device that asks.

use actix_web::web::{self, Data, Json, Path, Query, ServiceConfig};

use super::body::PageQuery;
use super::error::ApiError;
use super::extract::SignedIn;
use super::state::NodeState;
use crate::ids::RoomId;
use crate::wire::LogPage;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/api/rooms/{room_id}/history").route(web::get().to(page)));
}

/// Entries past `after`, from the beginning without it. The next page begins after `read_to`.
async fn page(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    query: Query<PageQuery<u64>>,
) -> Result<Json<LogPage>, ApiError> {
    let after = query.after.unwrap_or(0);
    Ok(Json(state.store.room_page(*room, asker.device()?, after, query.limit).await?))
}
