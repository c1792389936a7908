//! What stands for the keys of rooms in a build without the feature `custody`: nothing. No value of it can be made, so that
//! callers need not know which build they are in.

use serde_json::{Map, Value};

use super::store::Room;
use crate::ids::{AccountId, DeviceAddress, DeviceId, KeyId, RoomId};
use crate::wire::{DecryptedMessage, Envelope, ErrorCode, RoomKey, RoomKeyType, RoomKeys};

/// No keys are held.
#[derive(Clone, Debug)]
pub enum Custody {}

#[expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::unused_async,
    reason = "as with the feature; nothing is called"
)]
impl Custody {
    pub async fn generate(&self, _: &Room, _: DeviceAddress, _: RoomKeyType) -> Result<RoomKey, ErrorCode> {
        match *self {}
    }

    pub async fn exchange(&self, _: &Room, _: DeviceAddress, _: AccountId) -> Result<RoomKeys, ErrorCode> {
        match *self {}
    }

    pub async fn show(&self, _: &Room, _: DeviceAddress, _: AccountId) -> Result<RoomKeys, ErrorCode> {
        match *self {}
    }

    pub async fn rotate(&self, _: &Room, _: DeviceAddress, _: RoomKeyType) -> Result<RoomKey, ErrorCode> {
        match *self {}
    }

    pub async fn revoke(&self, _: &Room, _: DeviceAddress, _: KeyId) -> Result<(), ErrorCode> {
        match *self {}
    }

    pub async fn encrypt(
        &self,
        _: &Room,
        _: DeviceAddress,
        _: AccountId,
        _: Map<String, Value>,
    ) -> Result<Envelope, ErrorCode> {
        match *self {}
    }

    pub async fn decrypt(&self, _: &Room, _: DeviceAddress, _: Envelope) -> Result<DecryptedMessage, ErrorCode> {
        match *self {}
    }

    pub async fn forget(&self, _: RoomId, _: AccountId) {
        match *self {}
    }

    pub async fn forget_unlisted(&self, _: RoomId, _: AccountId, _: Vec<DeviceId>) {
        match *self {}
    }

    pub async fn close(&self, _: RoomId) {
        match *self {}
    }

    pub async fn drain(&self) {
        match *self {}
    }
}
