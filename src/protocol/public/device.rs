//! Verifying device certificates and device lists.
//!
//! What an attacker can still do: the node may keep back a newer list, or show a new account under a
//! root key of its own. The first is a delay; the second is what safety numbers are for.

use super::agreement_key::AgreementPublicKey;
use super::error::{KeyError, VerifyError};
use super::labels;
use super::signing_key::SigningPublicKey;
use crate::ids::{AccountId, DeviceAddress, DeviceId};
use crate::wire::{DeviceCertificate, DeviceList, WireError, Writer, limits};

/// A device whose certificate holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    certificate: DeviceCertificate,
    root_key: SigningPublicKey,
    signing_key: SigningPublicKey,
    agreement_key: AgreementPublicKey,
}

impl VerifiedDevice {
    /// The certificate as it was published.
    #[must_use]
    pub const fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    /// Whose device it is, and which.
    #[must_use]
    pub const fn address(&self) -> DeviceAddress {
        self.certificate.address()
    }

    /// The root key that certified it.
    #[must_use]
    pub const fn root_key(&self) -> &SigningPublicKey {
        &self.root_key
    }

    /// The device's signing identity key.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningPublicKey {
        &self.signing_key
    }

    /// The device's agreement identity key.
    #[must_use]
    pub const fn agreement_key(&self) -> &AgreementPublicKey {
        &self.agreement_key
    }
}

/// Verifies a certificate against the root key that it names. Whether that root key is the account's
/// is for the caller to know.
///
/// # Errors
/// [`VerifyError::Key`] for an unacceptable key, [`VerifyError::Signature`] if the root did not sign it.
pub fn verify_device(certificate: &DeviceCertificate) -> Result<VerifiedDevice, VerifyError> {
    let key_error = |field| move |source: KeyError| VerifyError::Key { field, source };
    let root_key = SigningPublicKey::parse(&certificate.root_key.0).map_err(key_error("root key"))?;
    let signing_key = SigningPublicKey::parse(&certificate.signing_key.0).map_err(key_error("signing key"))?;
    let agreement_key = AgreementPublicKey::parse(&certificate.agreement_key.0).map_err(key_error("agreement key"))?;
    if !root_key.has_signed(&certificate_signed_bytes(certificate), &certificate.signature) {
        return Err(VerifyError::Signature { part: "device certificate" });
    }
    Ok(VerifiedDevice { certificate: certificate.clone(), root_key, signing_key, agreement_key })
}

/// A device list whose signature and every certificate hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDeviceList {
    root_key: SigningPublicKey,
    devices: Vec<VerifiedDevice>,
    list: DeviceList,
}

impl VerifiedDeviceList {
    /// The account.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.list.account_id
    }

    /// The root key that signed the list and certified every device on it.
    #[must_use]
    pub const fn root_key(&self) -> &SigningPublicKey {
        &self.root_key
    }

    /// The list's version; an older one must not take its place.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.list.version
    }

    /// The devices, in ascending order of id.
    #[must_use]
    pub fn devices(&self) -> &[VerifiedDevice] {
        &self.devices
    }

    /// The device with this id.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&VerifiedDevice> {
        self.devices.iter().find(|device| device.certificate.device_id == id)
    }

    /// The list as it was published.
    #[must_use]
    pub const fn list(&self) -> &DeviceList {
        &self.list
    }
}

/// Verifies a list against the root key that it names, and every certificate on it.
///
/// # Errors
/// [`VerifyError`] if the signature or any certificate does not hold, if a device is certified by
/// another root or for another account, or if the list is over its limit or not in ascending order.
pub fn verify_device_list(list: &DeviceList) -> Result<VerifiedDeviceList, VerifyError> {
    if list.devices.len() > limits::DEVICES_MAX {
        return Err(WireError::OverLimit { field: "devices", limit: limits::DEVICES_MAX }.into());
    }
    if !list.devices.is_sorted_by(|a, b| a.device_id < b.device_id) {
        return Err(WireError::Invalid { field: "order of devices" }.into());
    }
    let root_key =
        SigningPublicKey::parse(&list.root_key.0).map_err(|source| VerifyError::Key { field: "root key", source })?;
    if !root_key.has_signed(&list_signed_bytes(list), &list.signature) {
        return Err(VerifyError::Signature { part: "device list" });
    }
    let devices = list.devices.iter().map(verify_device).collect::<Result<Vec<_>, _>>()?;
    if devices.iter().any(|device| device.root_key != root_key || device.address().account_id != list.account_id) {
        return Err(VerifyError::Owner { part: "device certificate" });
    }
    Ok(VerifiedDeviceList { root_key, devices, list: list.clone() })
}

/// What a root key signs to certify a device: label, then 136 bytes of fields.
#[must_use]
pub fn certificate_signed_bytes(certificate: &DeviceCertificate) -> Vec<u8> {
    certificate.write_signed_fields(Writer::default().bytes(labels::DEVICE_CERTIFICATE)).finish()
}

/// What a root key signs to publish its devices: label, then the list's fields.
#[must_use]
pub fn list_signed_bytes(list: &DeviceList) -> Vec<u8> {
    list.write_signed_fields(Writer::default().bytes(labels::DEVICE_LIST)).finish()
}
