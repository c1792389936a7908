//! What is said over REST about devices and prekeys, beside the signed structures themselves.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use crate::ids::DeviceId;

/// Body of `PUT /api/session/device`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BindDevice {
    /// The device that the session is of. It is on the account's device list.
    pub device_id: DeviceId,
    /// Ed25519 by the device's signing key, over the label, the session's id and the device's address.
    pub signature: Bytes<64>,
}

/// Answer of `GET /api/prekeys`: what the node still has of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PrekeyStatus {
    /// One-time prekeys.
    pub one_time_prekeys: u32,
    /// One-time KEM prekeys.
    pub one_time_kem_prekeys: u32,
}
