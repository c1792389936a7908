//! Devices and prekeys.

use reqwest::Method;

use super::{Api, ApiError};
use crate::ids::{AccountId, DeviceAddress};
use crate::wire::{DeviceList, ErrorCode, PrekeyBundle, PrekeyPublication, PrekeyStatus};

impl Api {
    /// An account's list; none if it has no devices yet.
    pub(in crate::client) async fn device_list(&self, account: AccountId) -> Result<Option<DeviceList>, ApiError> {
        let list: Result<DeviceList, _> = self.get(&format!("/api/users/{account}/devices")).await;
        match list {
            // The node could answer another account's list, which would be verified as what it is.
            Ok(list) if list.account_id == account => Ok(Some(list)),
            Ok(_) => Err(ApiError::Mismatch),
            Err(error) if error.code() == Some(ErrorCode::UnknownAccount) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(in crate::client) async fn publish_list(&self, list: &DeviceList) -> Result<(), ApiError> {
        self.done(Method::PUT, "/api/devices", Some(list)).await
    }

    pub(in crate::client) async fn prekeys_left(&self) -> Result<PrekeyStatus, ApiError> {
        self.get("/api/prekeys").await
    }

    pub(in crate::client) async fn publish_prekeys(
        &self,
        prekeys: &PrekeyPublication,
    ) -> Result<PrekeyStatus, ApiError> {
        self.put("/api/prekeys", prekeys).await
    }

    /// A bundle of a device; none if the node has none of it, or does not know it.
    pub(in crate::client) async fn claim(&self, device: DeviceAddress) -> Result<Option<PrekeyBundle>, ApiError> {
        let DeviceAddress { account_id, device_id } = device;
        let path = format!("/api/users/{account_id}/devices/{device_id}/claim");
        let bundle: Result<PrekeyBundle, _> = self.post(&path, &serde_json::json!({})).await;
        match bundle {
            Ok(bundle) if bundle.device == device => Ok(Some(bundle)),
            Ok(_) => Err(ApiError::Mismatch),
            Err(error) => match error.code() {
                Some(ErrorCode::NoPrekeys | ErrorCode::UnknownDevice) => Ok(None),
                _ => Err(error),
            },
        }
    }
}
