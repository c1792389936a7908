//! Verifying that a device takes part in a session on a node.
//!
//! A token alone does not make a session that of a device: the device signs the session's id. The id
//! is drawn by the node and names one session for good, so a proof is worth nothing for another one.
//!
//! What an attacker can still do: who has both the session's token and the device's signing key is the
//! device, until it is off its account's list.

use super::error::VerifyError;
use super::labels;
use super::signing_key::{SignatureBytes, SigningPublicKey};
use crate::ids::{DeviceAddress, SessionId};
use crate::wire::Writer;

/// Verifies that the device with this signing key says that the session is its own.
///
/// # Errors
/// [`VerifyError::Signature`].
pub fn verify_device_proof(
    session: SessionId,
    device: DeviceAddress,
    signing_key: &SigningPublicKey,
    signature: &SignatureBytes,
) -> Result<(), VerifyError> {
    if signing_key.has_signed(&device_proof_signed_bytes(session, device), signature) {
        Ok(())
    } else {
        Err(VerifyError::Signature { part: "device proof" })
    }
}

/// What a device signs to make a session its own: label, session id 16, account id 16, device id 16.
#[must_use]
pub fn device_proof_signed_bytes(session: SessionId, device: DeviceAddress) -> Vec<u8> {
    let DeviceAddress { account_id, device_id } = device;
    Writer::default()
        .bytes(labels::DEVICE_PROOF)
        .bytes(session.as_bytes())
        .bytes(account_id.as_bytes())
        .bytes(device_id.as_bytes())
        .finish()
}
