//! Prekeys as they are published and claimed. Signatures are not yet verified.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::limits::ONE_TIME_PREKEYS_MAX;
use super::list;
use super::timestamp::Timestamp;
use crate::ids::{DeviceAddress, KeyId};

/// A signed prekey, X25519 (X3DH, section 2.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignedPrekey {
    /// Which key it is; derived from the key.
    pub key_id: KeyId,
    /// X25519 public key.
    pub public_key: Bytes<32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Ed25519 by the device's signing key.
    pub signature: Bytes<64>,
}

/// A one-time prekey, X25519. It is not signed (X3DH, section 2.4): a false one makes the first
/// message unreadable and tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OneTimePrekey {
    /// Which key it is; derived from the key.
    pub key_id: KeyId,
    /// X25519 public key.
    pub public_key: Bytes<32>,
}

/// Whether a KEM prekey is handed out once or again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KemPrekeyUse {
    /// Handed out once, then forgotten by the node and, once used, by the device.
    OneTime,
    /// Handed out when no one-time key is left.
    LastResort,
}

/// A KEM prekey, ML-KEM-1024 (PQXDH, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KemPrekey {
    /// Which key it is; derived from the key.
    pub key_id: KeyId,
    /// How often it is handed out; the signature covers it.
    #[serde(rename = "use")]
    pub usage: KemPrekeyUse,
    /// ML-KEM-1024 encapsulation key.
    pub public_key: Box<Bytes<1568>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Ed25519 by the device's signing key.
    pub signature: Bytes<64>,
}

/// What a device uploads: new keys only. The node keeps them beside what it still has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PrekeyPublication {
    /// Takes the place of the signed prekey that the node hands out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signed_prekey: Option<SignedPrekey>,
    /// Takes the place of the last-resort KEM prekey.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_resort_kem_prekey: Option<KemPrekey>,
    /// Added to the one-time prekeys; at most [`ONE_TIME_PREKEYS_MAX`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        default,
        deserialize_with = "list::at_most::<ONE_TIME_PREKEYS_MAX, _, _>"
    )]
    #[cfg_attr(feature = "node", schema(max_items = 200))]
    pub one_time_prekeys: Vec<OneTimePrekey>,
    /// Added to the one-time KEM prekeys; at most [`ONE_TIME_PREKEYS_MAX`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        default,
        deserialize_with = "list::at_most::<ONE_TIME_PREKEYS_MAX, _, _>"
    )]
    #[cfg_attr(feature = "node", schema(max_items = 200))]
    pub one_time_kem_prekeys: Vec<KemPrekey>,
}

impl PrekeyPublication {
    /// Whether there is nothing to upload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { signed_prekey, last_resort_kem_prekey, one_time_prekeys, one_time_kem_prekeys } = self;
        signed_prekey.is_none()
            && last_resort_kem_prekey.is_none()
            && one_time_prekeys.is_empty()
            && one_time_kem_prekeys.is_empty()
    }
}

/// What the node hands to somebody who wants to open a session with a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PrekeyBundle {
    /// The device that the keys belong to.
    pub device: DeviceAddress,
    /// Its signed prekey.
    pub signed_prekey: SignedPrekey,
    /// One KEM prekey: a one-time one while there are any.
    pub kem_prekey: KemPrekey,
    /// One one-time prekey, while there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub one_time_prekey: Option<OneTimePrekey>,
}
