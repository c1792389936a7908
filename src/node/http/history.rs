//! `/api/rooms/{room}/history`: what is in a room's log for the device that asks.

use actix_web::web::{Data, Json, Path, Query};

use super::body::PageQuery;
use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::state::NodeState;
use crate::ids::RoomId;
use crate::wire::{ErrorCode, LogPage};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let page_of =
        about("What is in a room's log for the asking device, in order. The next page begins after `read_to`.");
    let page_of = page_of.refuses(&[ErrorCode::UnknownRoom, ErrorCode::DeviceNotBound, ErrorCode::PositionAhead]);
    calls.at("/api/rooms/{room_id}/history", |at| at.get(page, page_of));
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
