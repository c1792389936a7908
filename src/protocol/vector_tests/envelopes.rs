//! Envelopes: signed bytes, signature, JSON and CBOR, under three policies.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::conversation::{Sealed, destination_fields};
use super::{Fields, NOW, policy, policy_fields};
use crate::ids::EnvelopeId;
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::{envelope_signed_bytes, signing_key_id, verify_envelope};
use crate::wire::{ByteString, Bytes, Envelope, Protection, RoomPolicy, Signatures, Timestamp};

/// From the responder: a signed one to a room, an unsigned one to a mailbox, and a signed one with an
/// epoch for a whole group. Short and long numbers and lengths are in it, as CBOR has a form for each.
pub(super) fn envelopes(
    initiator: &DeviceIdentity,
    responder: &DeviceIdentity,
    [in_room, in_mailbox]: [Sealed; 2],
    rng: &mut ChaCha20Rng,
) -> Vec<Fields> {
    let mut envelope = |destination, payload| {
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        Envelope {
            id: EnvelopeId::generate(rng),
            destination,
            sender: responder.address(),
            recipient: Some(initiator.address()),
            key_id: signing_key_id(responder.device().signing_key()),
            epoch: None,
            nonce: Bytes(nonce),
            timestamp: NOW,
            payload: ByteString(payload),
            signature: None,
        }
    };
    let (room, mailbox) = (in_room.context, in_mailbox.context);
    let signed = envelope(room.destination, in_room.payload);
    let unsigned = envelope(mailbox.destination, in_mailbox.payload);
    let group = Envelope {
        recipient: None,
        epoch: Some(23),
        timestamp: Timestamp::from_millis(0x00ff_ffff_ffff),
        ..envelope(room.destination, b"sealed for a group".to_vec())
    };
    vec![
        envelope_case(signed, responder, room.policy),
        envelope_case(unsigned, responder, mailbox.policy),
        envelope_case(group, responder, policy(Protection::Mls, Signatures::On)),
    ]
}

fn envelope_case(mut envelope: Envelope, sender: &DeviceIdentity, policy: RoomPolicy) -> Fields {
    let inputs = Fields::default()
        .hex("id", envelope.id.as_bytes())
        .object("destination", destination_fields(envelope.destination))
        .value("sender", "responder");
    let inputs = if envelope.recipient.is_some() { inputs.value("recipient", "initiator") } else { inputs };
    let inputs = match envelope.epoch {
        None => inputs,
        Some(epoch) => inputs.value("epoch", epoch),
    };
    let inputs = inputs
        .hex("nonce", envelope.nonce)
        .value("timestamp", envelope.timestamp.as_millis())
        .hex("payload", &envelope.payload)
        .object("policy", policy_fields(policy));

    let signed_bytes = envelope_signed_bytes(&envelope, policy);
    if policy.signatures == Signatures::On {
        envelope.signature = Some(sender.keys().signing.sign(&signed_bytes));
    }
    verify_envelope(&envelope, policy, sender.device()).unwrap();
    let (json, cbor) = (envelope.to_json(), envelope.to_cbor());
    assert_eq!(Envelope::from_json(&json).unwrap(), envelope);
    assert_eq!(Envelope::from_cbor(&cbor).unwrap(), envelope);
    let expected = Fields::default()
        .hex("signed", signed_bytes)
        .hex_if("signature", envelope.signature)
        .value("json", String::from_utf8(json).unwrap())
        .hex("cbor", cbor);
    Fields::case(inputs, expected)
}
