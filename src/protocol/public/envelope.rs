//! Verifying an envelope's signature, with the room's policy bound into it.

use super::device::VerifiedDevice;
use super::error::VerifyError;
use super::key_id::signing_key_id;
use super::labels;
use crate::wire::{Envelope, RoomPolicy, Signatures, Writer};

/// An envelope from the device that it names, as far as the room's policy lets that be known: with
/// signatures on, the device signed it for this policy; with signatures off, only the node says so,
/// until the payload opens.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedEnvelope<'a> {
    envelope: &'a Envelope,
    policy: RoomPolicy,
}

impl<'a> VerifiedEnvelope<'a> {
    /// The envelope.
    #[must_use]
    pub const fn envelope(&self) -> &'a Envelope {
        self.envelope
    }

    /// The policy that it was verified under.
    #[must_use]
    pub const fn policy(&self) -> RoomPolicy {
        self.policy
    }
}

/// Verifies an envelope as one from `sender` in a room with `policy`.
///
/// # Errors
/// [`VerifyError::Owner`] if it names another sender, [`VerifyError::KeyId`] if it names another key,
/// and for the signature [`VerifyError::SignatureMissing`], [`VerifyError::SignatureUnexpected`] or
/// [`VerifyError::Signature`].
pub fn verify_envelope<'a>(
    envelope: &'a Envelope,
    policy: RoomPolicy,
    sender: &VerifiedDevice,
) -> Result<VerifiedEnvelope<'a>, VerifyError> {
    let part = "envelope";
    if envelope.sender != sender.address() {
        return Err(VerifyError::Owner { part });
    }
    if envelope.key_id != signing_key_id(sender.signing_key()) {
        return Err(VerifyError::KeyId { part });
    }
    match (policy.signatures, &envelope.signature) {
        (Signatures::On, None) => Err(VerifyError::SignatureMissing),
        (Signatures::Off, Some(_)) => Err(VerifyError::SignatureUnexpected),
        (Signatures::Off, None) => Ok(VerifiedEnvelope { envelope, policy }),
        (Signatures::On, Some(signature)) => {
            if sender.signing_key().has_signed(&envelope_signed_bytes(envelope, policy), signature) {
                Ok(VerifiedEnvelope { envelope, policy })
            } else {
                Err(VerifyError::Signature { part })
            }
        }
    }
}

/// What a device signs to send an envelope: label, policy 3, then the envelope's fields.
#[must_use]
pub fn envelope_signed_bytes(envelope: &Envelope, policy: RoomPolicy) -> Vec<u8> {
    let writer = Writer::with_capacity(envelope.payload.0.len() + 256).bytes(labels::ENVELOPE);
    envelope.write_signed_fields(policy.write(writer)).finish()
}
