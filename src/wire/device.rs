//! A device's certificate and an account's list of devices, as they are published.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::codec::{Reader, WireError, Writer};
use super::limits::DEVICES_MAX;
use super::list;
use super::timestamp::Timestamp;
use crate::ids::{AccountId, DeviceAddress, DeviceId};

/// A device's identity keys, certified by its account's root key. Not yet verified.
///
/// Binary form, 200 bytes: account id 16, root key 32, device id 16, signing key 32, agreement key
/// 32, created `u64`, signature 64. This is the "identity bundle" that messages are bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceCertificate {
    /// The account.
    pub account_id: AccountId,
    /// The account's root key, Ed25519.
    pub root_key: Bytes<32>,
    /// The device.
    pub device_id: DeviceId,
    /// The device's signing identity key, Ed25519.
    pub signing_key: Bytes<32>,
    /// The device's agreement identity key, X25519.
    pub agreement_key: Bytes<32>,
    /// When the device was certified.
    pub created_at: Timestamp,
    /// Ed25519 by the root key, over the label and all fields above.
    pub signature: Bytes<64>,
}

impl DeviceCertificate {
    /// Length of the binary form in bytes.
    pub const LENGTH: usize = 200;

    /// Whose device it is, and which.
    #[must_use]
    pub const fn address(&self) -> DeviceAddress {
        DeviceAddress { account_id: self.account_id, device_id: self.device_id }
    }

    /// The fields that the signature covers, in binary form: 136 bytes.
    #[must_use]
    pub fn write_signed_fields(&self, writer: Writer) -> Writer {
        let Self { account_id, root_key, device_id, signing_key, agreement_key, created_at, signature: _ } = self;
        writer
            .bytes(account_id.as_bytes())
            .bytes(&root_key.0)
            .bytes(device_id.as_bytes())
            .bytes(&signing_key.0)
            .bytes(&agreement_key.0)
            .u64(created_at.as_millis())
    }

    /// Appends the binary form.
    #[must_use]
    pub fn write(&self, writer: Writer) -> Writer {
        self.write_signed_fields(writer).bytes(&self.signature.0)
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if fewer than 200 bytes are left.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            account_id: reader.account_id()?,
            root_key: Bytes(*reader.array()?),
            device_id: reader.device_id()?,
            signing_key: Bytes(*reader.array()?),
            agreement_key: Bytes(*reader.array()?),
            created_at: Timestamp::from_millis(reader.u64()?),
            signature: Bytes(*reader.array()?),
        })
    }
}

/// All devices of one account, signed by its root key. Not yet verified.
///
/// The version grows with every change, so that an older list, on which a removed device still
/// stands, can be told from the newest one seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceList {
    /// The account.
    pub account_id: AccountId,
    /// The account's root key, Ed25519.
    pub root_key: Bytes<32>,
    /// Grows by one or more with every change.
    pub version: u64,
    /// The devices, at most [`DEVICES_MAX`], in ascending order of id.
    #[serde(deserialize_with = "list::at_most::<DEVICES_MAX, _, _>")]
    #[cfg_attr(feature = "node", schema(max_items = 64))]
    pub devices: Vec<DeviceCertificate>,
    /// Ed25519 by the root key, over the label and all fields above.
    pub signature: Bytes<64>,
}

impl DeviceList {
    /// The fields that the signature covers: account id 16, root key 32, version `u64`, number of
    /// devices `u32`, each certificate.
    #[must_use]
    pub fn write_signed_fields(&self, writer: Writer) -> Writer {
        let Self { account_id, root_key, version, devices, signature: _ } = self;
        writer
            .bytes(account_id.as_bytes())
            .bytes(&root_key.0)
            .u64(*version)
            .length(devices.len())
            .each(devices, |writer, device| device.write(writer))
    }

    /// Appends the binary form: the signed fields, then the signature.
    #[must_use]
    pub fn write(&self, writer: Writer) -> Writer {
        self.write_signed_fields(writer).bytes(&self.signature.0)
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`WireError::OverLimit`] past the limit of devices, or [`WireError::Truncated`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            account_id: reader.account_id()?,
            root_key: Bytes(*reader.array()?),
            version: reader.u64()?,
            devices: reader.list("devices", DEVICES_MAX, DeviceCertificate::read)?,
            signature: Bytes(*reader.array()?),
        })
    }
}
