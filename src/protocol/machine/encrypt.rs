//! Encrypting one message for all devices of some accounts.

use rand_core::CryptoRng;

use super::Machine;
use super::error::MachineError;
use super::io::{Encrypt, Outputs};
use crate::ids::{DeviceAddress, EnvelopeId};
use crate::protocol::public::{VerifiedDevice, envelope_signed_bytes, signing_key_id, verify_envelope};
use crate::protocol::session::{MessageContext, SessionStep};
use crate::wire::{ByteString, Bytes, Custody, Envelope, Protection, RoomPolicy, Signatures, Timestamp};

impl Machine {
    /// Seals for every device, or for none: if a session is missing, or anything fails, no session moves.
    pub(super) fn encrypt(
        &mut self,
        encrypt: Encrypt<'_>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Outputs, MachineError> {
        check_policy(encrypt.policy)?;
        let recipients = self.recipients(&encrypt)?;
        let mut outputs = Outputs {
            claim: recipients.iter().copied().filter(|device| self.peers.in_use(*device).is_none()).collect(),
            ..Outputs::default()
        };
        if !outputs.claim.is_empty() {
            return Ok(outputs);
        }
        let mut steps = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let (envelope, step) = self.seal_for(recipient, &encrypt, now, rng)?;
            outputs.send.push(envelope);
            steps.push((recipient, step));
        }
        for (recipient, step) in steps {
            self.peers.sealed(recipient, step, &mut outputs.changes)?;
        }
        Ok(outputs)
    }

    /// Every device of the accounts but this one and those to leave out, each once.
    fn recipients(&self, encrypt: &Encrypt<'_>) -> Result<Vec<DeviceAddress>, MachineError> {
        let mut recipients = Vec::new();
        for account in encrypt.accounts {
            let devices = self.contacts.writable(*account)?.list.devices();
            recipients.extend(devices.iter().map(VerifiedDevice::address));
        }
        recipients.retain(|device| *device != self.identity.address() && !encrypt.except.contains(device));
        recipients.sort_unstable();
        recipients.dedup();
        Ok(recipients)
    }

    fn seal_for(
        &self,
        recipient: DeviceAddress,
        encrypt: &Encrypt<'_>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Envelope, SessionStep), MachineError> {
        let Encrypt { place, policy, plaintext, .. } = *encrypt;
        let destination = place.destination(recipient);
        let session = self.peers.in_use(recipient).ok_or(MachineError::NoSession { device: recipient })?;
        let (payload, step) = session.prepare(plaintext, &MessageContext { destination, policy }, rng)?;
        let envelope = Envelope {
            id: EnvelopeId::generate(rng),
            destination,
            sender: self.identity.address(),
            recipient: Some(recipient),
            key_id: signing_key_id(self.identity.device().signing_key()),
            epoch: None,
            nonce: Bytes([0; 12]),
            timestamp: now,
            payload: ByteString(payload),
            signature: None,
        };
        Ok((self.stamp(envelope, policy, now, rng), step))
    }

    /// Stamps an envelope of this device anew, with its id and payload as they are: one that waited
    /// until it was too old to be admitted.
    pub(super) fn restamp(
        &self,
        envelope: &Envelope,
        policy: RoomPolicy,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Outputs, MachineError> {
        verify_envelope(envelope, policy, self.identity.device())?;
        Ok(Outputs { send: vec![self.stamp(envelope.clone(), policy, now, rng)], ..Outputs::default() })
    }

    /// Gives an envelope its time and nonce, and signs it if the policy asks for that.
    fn stamp(&self, mut envelope: Envelope, policy: RoomPolicy, now: Timestamp, rng: &mut impl CryptoRng) -> Envelope {
        rng.fill_bytes(&mut envelope.nonce.0);
        envelope.timestamp = now;
        envelope.signature = match policy.signatures {
            Signatures::On => Some(self.identity.keys().signing.sign(&envelope_signed_bytes(&envelope, policy))),
            Signatures::Off => None,
        };
        envelope
    }
}

/// Pairwise messages are for rooms where the clients hold the keys, in ratchets.
pub(super) fn check_policy(policy: RoomPolicy) -> Result<(), MachineError> {
    match policy {
        RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: _ } => Ok(()),
        RoomPolicy { custody: Custody::Node, .. } | RoomPolicy { protection: Protection::Mls, .. } => {
            Err(MachineError::OtherPolicy { policy })
        }
    }
}
