//! `/api/devices`: an account publishes its devices. `/api/users/{account}/devices`: others fetch them.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};

use super::body;
use super::error::ApiError;
use super::extract::SignedIn;
use super::state::NodeState;
use crate::ids::AccountId;
use crate::node::audit::{self, Event};
use crate::protocol::public::{VerifiedDeviceList, VerifyError, verify_device_list};
use crate::wire::limits::DEVICE_LIST_JSON_BYTES_MAX;
use crate::wire::{DeviceList, ErrorCode};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/api/devices")
                .app_data(body::json(DEVICE_LIST_JSON_BYTES_MAX))
                .route(web::put().to(publish)),
        )
        .service(web::resource("/api/users/{account_id}/devices").route(web::get().to(fetch)));
}

/// Takes the account's newest signed list. The first one pins the root key.
async fn publish(asker: SignedIn, state: Data<NodeState>, list: Json<DeviceList>) -> Result<HttpResponse, ApiError> {
    let account = asker.account_id();
    if list.account_id != account {
        return Err(ApiError::new(ErrorCode::OwnerMismatch));
    }
    let list = verified(list.into_inner()).await?;
    let change = state.store.put_device_list(account, &list, state.clock.now()).await?;
    audit::record(Event::DevicesPublished {
        account,
        version: list.version(),
        devices: list.devices().len(),
        sessions_ended: change.ended_sessions.len(),
    });
    Ok(HttpResponse::NoContent().finish())
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
