//! `/api/devices`: an account publishes its devices. `/api/users/{account}/devices`: others fetch them.

use actix_web::web::{self, Data, Json, Path};

use super::body::{self, Body};
use super::document::{Calls, NoContent, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::frame::to_the_end;
use super::state::NodeState;
use crate::ids::{AccountId, DeviceId};
use crate::node::actors::RoomChange;
use crate::node::audit::{self, Event};
use crate::protocol::public::{VerifiedDeviceList, VerifyError, verify_device_list};
use crate::wire::limits::DEVICE_LIST_JSON_BYTES_MAX;
use crate::wire::{DeviceList, ErrorCode, PageLimit};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let publishes = about("Publishes the account's signed device list. The first one pins its root key.").refuses(&[
        ErrorCode::OwnerMismatch,
        ErrorCode::RootKeyChanged,
        ErrorCode::StaleDeviceList,
        ErrorCode::ForkedDeviceList,
        ErrorCode::DeviceListMalformed,
        ErrorCode::KeyUnacceptable,
        ErrorCode::SignatureInvalid,
    ]);
    let fetches = about("An account's signed device list.").refuses(&[ErrorCode::UnknownAccount]);
    calls
        .at("/api/devices", |at| at.with(body::json(DEVICE_LIST_JSON_BYTES_MAX)).put(publish, publishes))
        .at("/api/users/{account_id}/devices", |at| at.get(fetch, fetches));
}

/// Takes the account's newest signed list. The first one pins the root key.
async fn publish(asker: SignedIn, state: Data<NodeState>, list: Body<DeviceList>) -> Result<NoContent, ApiError> {
    let account = asker.account_id();
    if list.account_id != account {
        return Err(ApiError::new(ErrorCode::OwnerMismatch));
    }
    let list = verified(list.into_inner()).await?;
    to_the_end(async move {
        let change = state.store.put_device_list(account, &list, state.clock.now()).await?;
        for session in &change.ended_sessions {
            state.routes.end_session(*session);
        }
        audit::record(Event::DevicesPublished {
            account,
            version: list.version(),
            devices: list.devices().len(),
            sessions_ended: change.ended_sessions.len(),
        });
        tell_rooms(&state, account, &list).await?;
        Ok(NoContent)
    })
    .await
}

/// Tells the rooms that the account is in.
async fn tell_rooms(state: &NodeState, account: AccountId, news: &VerifiedDeviceList) -> Result<(), ApiError> {
    let listed: Vec<DeviceId> = news.devices().iter().map(|device| device.address().device_id).collect();
    let mut after = None;
    loop {
        let rooms = state.store.rooms_of(account, after, PageLimit::default()).await?;
        let Some((last, ..)) = rooms.last() else { return Ok(()) };
        after = Some(last.room_id);
        for (room, ..) in rooms {
            state.forget_unlisted_keys(room.room_id, account, &listed).await;
            state.routes.tell_room(room.room_id, RoomChange::Devices(account, news.version())).await;
        }
    }
}

/// Checks a list beside the requests: a full one is 65 signatures.
async fn verified(list: DeviceList) -> Result<VerifiedDeviceList, ApiError> {
    let verified: Result<_, VerifyError> =
        web::block(move || verify_device_list(&list)).await.map_err(|error| ApiError::unavailable(&error))?;
    Ok(verified?)
}

async fn fetch(_: SignedIn, state: Data<NodeState>, account: Path<AccountId>) -> Result<Json<DeviceList>, ApiError> {
    let list = state.store.device_list(account.into_inner()).await?;
    list.map(Json).ok_or(ApiError::new(ErrorCode::UnknownAccount))
}
