//! `/api/prekeys`: a device publishes prekeys and asks how many are left.
//! `/api/users/{account}/devices/{device}/claim`: others take a bundle.

use actix_web::web::{self, Data, Json, Path};

use super::body::{self, Body};
use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::idempotency::IdempotencyKey;
use super::state::NodeState;
use crate::ids::{AccountId, DeviceAddress, DeviceId};
use crate::node::audit::{self, Event};
use crate::node::store::{Acted, PrekeysLeft, VerifiedPublication};
use crate::protocol::public::{VerifiedDevice, verify_device};
use crate::wire::limits::{ONE_TIME_PREKEYS_LOW, PREKEYS_JSON_BYTES_MAX};
use crate::wire::{ErrorCode, Message, PrekeyBundle, PrekeyPublication, PrekeyStatus};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let asks = about("How many one-time keys are left of the session's own device. Nobody else is told.");
    let publishes = about("Publishes prekeys of the session's device. Answers what there is then.").refuses(&[
        ErrorCode::DeviceNotBound,
        ErrorCode::UnknownDevice,
        ErrorCode::OwnerMismatch,
        ErrorCode::TooManyPrekeys,
        ErrorCode::PrekeysMalformed,
        ErrorCode::KeyUnacceptable,
        ErrorCode::KeyIdMismatch,
        ErrorCode::SignatureInvalid,
    ]);
    let claims =
        about("A bundle of a device's prekeys, to begin a session with it. Each one-time key is handed out once.");
    calls
        .at("/api/prekeys", |at| {
            at.with(body::json(PREKEYS_JSON_BYTES_MAX))
                .get(status, asks.refuses(&[ErrorCode::DeviceNotBound]))
                .put(publish, publishes)
        })
        .at("/api/users/{account_id}/devices/{device_id}/claim", |at| {
            at.post(claim, claims.refuses(&[ErrorCode::UnknownDevice, ErrorCode::NoPrekeys]))
        });
}

/// How many one-time keys are left of the device that the session is of. Nobody else is told.
async fn status(asker: SignedIn, state: Data<NodeState>) -> Result<Json<PrekeyStatus>, ApiError> {
    Ok(Json(state.store.prekeys_left(asker.device()?).await?.into()))
}

/// Takes prekeys of the device that the session is of. Answers what there is then.
async fn publish(
    asker: SignedIn,
    state: Data<NodeState>,
    publication: Body<PrekeyPublication>,
) -> Result<Json<PrekeyStatus>, ApiError> {
    let device = asker.device()?;
    let (one_time, one_time_kem) = (publication.one_time_prekeys.len(), publication.one_time_kem_prekeys.len());
    let publication = verified(publication.into_inner(), own_device(&state, device).await?).await?;
    let left = state.store.publish_prekeys(&publication).await?;
    audit::record(Event::PrekeysPublished { device, one_time, one_time_kem });
    Ok(Json(left.into()))
}

/// Hands out a bundle: each one-time key once.
async fn claim(
    asker: SignedIn,
    state: Data<NodeState>,
    key: IdempotencyKey,
    path: Path<(AccountId, DeviceId)>,
) -> Result<Json<PrekeyBundle>, ApiError> {
    let (account_id, device_id) = path.into_inner();
    let device = DeviceAddress { account_id, device_id };
    state.limits.claim(asker.account_id(), device)?;
    let claimed = match key.once(asker.account_id(), ("prekeys.claim", &device), state.clock.now())? {
        None => state.store.claim_bundle(device).await?.map(Acted::Now),
        Some(once) => state.store.claim_bundle_once(device, once).await?,
    };
    if let Some(Acted::Before(bundle)) = claimed {
        return Ok(Json(bundle));
    }
    if let Some(Acted::Now(bundle)) = claimed {
        audit::record(Event::BundleClaimed { device });
        tell_if_low(&state, device).await?;
        return Ok(Json(bundle));
    }
    own_device(&state, device).await?;
    Err(ApiError::new(ErrorCode::NoPrekeys))
}

/// Tells a device that has a socket when others have taken most of its one-time keys.
async fn tell_if_low(state: &NodeState, device: DeviceAddress) -> Result<(), ApiError> {
    let PrekeyStatus { one_time_prekeys, one_time_kem_prekeys } = state.store.prekeys_left(device).await?.into();
    if one_time_prekeys.min(one_time_kem_prekeys) < ONE_TIME_PREKEYS_LOW {
        state.routes.tell(device, Message::PrekeysLow { one_time_prekeys, one_time_kem_prekeys });
    }
    Ok(())
}

/// The device as its account's list has it.
async fn own_device(state: &NodeState, device: DeviceAddress) -> Result<VerifiedDevice, ApiError> {
    let list = state.store.device_list(device.account_id).await?;
    let certificate = list.and_then(|list| list.devices.into_iter().find(|entry| entry.device_id == device.device_id));
    Ok(verify_device(&certificate.ok_or(ApiError::new(ErrorCode::UnknownDevice))?)?)
}

/// Checks a publication beside the requests: a full one is 202 signatures.
async fn verified(publication: PrekeyPublication, device: VerifiedDevice) -> Result<VerifiedPublication, ApiError> {
    let verified = web::block(move || VerifiedPublication::verify(publication, &device)).await;
    Ok(verified.map_err(|error| ApiError::unavailable(&error))??)
}

impl From<PrekeysLeft> for PrekeyStatus {
    fn from(left: PrekeysLeft) -> Self {
        // At most `ONE_TIME_PREKEYS_STORED_MAX` are stored.
        let count = |left| u32::try_from(left).unwrap_or(u32::MAX);
        let PrekeysLeft { one_time, one_time_kem } = left;
        Self { one_time_prekeys: count(one_time), one_time_kem_prekeys: count(one_time_kem) }
    }
}
