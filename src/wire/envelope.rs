//! The envelope: the one unit that the node routes.
//!
//! Clear routing fields and a sealed payload. One type has both forms, JSON and CBOR, with the same
//! field names; what is signed is neither of them but [`Envelope::write_signed_fields`].
//!
//! An attacker who holds an envelope sees who writes to whom, where, when and how much.

use serde::{Deserialize, Serialize, Serializer};

use super::bytes::{ByteString, Bytes};
use super::codec::Writer;
use super::error_code::ErrorCode;
use super::limits::{ENVELOPE_BYTES_MAX, PAYLOAD_BYTES_MAX};
use super::timestamp::Timestamp;
use crate::ids::{AccountId, DeviceAddress, DeviceId, EnvelopeId, KeyId, RoomId};

/// Where an envelope goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// To a room's log; field `room_id`.
    Room(RoomId),
    /// To one device's mailbox; field `mailbox`.
    Mailbox(DeviceId),
}

impl Destination {
    /// Length of the binary form in bytes.
    pub const LENGTH: usize = 17;

    /// The binary form: kind 1 (room 1, mailbox 2), id 16.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let (kind, id) = match &self {
            Self::Room(room) => (1, room.as_bytes()),
            Self::Mailbox(device) => (2, device.as_bytes()),
        };
        let mut bytes = [kind; Self::LENGTH];
        let [_, rest @ ..] = &mut bytes;
        *rest = *id;
        bytes
    }
}

/// One envelope. Parsed, not verified: see `protocol::public::verify_envelope`.
///
/// ```
/// use conclave::wire::Envelope;
///
/// let json = br#"{"v":1,"type":"e2ee_encrypted_message","id":"AAECAwQFBgcICQoLDA0ODw",
///     "room_id":"YSByb29tIGZvciB0ZXN0cw","sender_id":"EBESExQVFhcYGRobHB0eHw",
///     "sender_device":"ICEiIyQlJicoKSorLC0uLw","key_id":"MDEyMzQ1Njc","nonce":"QEFCQ0RFRkdISUpL",
///     "timestamp":1800000000000,"payload":"UFFS"}"#;
/// let envelope = Envelope::from_json(json)?;
/// assert_eq!(envelope.payload.0, b"PQR");
/// assert_eq!(Envelope::from_cbor(&envelope.to_cbor())?, envelope);
/// # Ok::<(), conclave::wire::EnvelopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Form<ByteString>")]
pub struct Envelope {
    /// Made by the sender; sending the same id again changes nothing.
    pub id: EnvelopeId,
    /// Where it goes.
    pub destination: Destination,
    /// Who sends it; the node checks that it is the session's own device.
    pub sender: DeviceAddress,
    /// The one device that can open it; absent where the payload is for a whole room.
    pub recipient: Option<DeviceAddress>,
    /// The sender's signing key.
    pub key_id: KeyId,
    /// The epoch of the room's group, in an MLS room.
    pub epoch: Option<u64>,
    /// Random; what replays are recognised by. It is not the nonce of the payload's encryption.
    pub nonce: Bytes<12>,
    /// When it was sent, by the sender's clock.
    pub timestamp: Timestamp,
    /// What is sealed, at most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: ByteString,
    /// Ed25519 by the sender's device, where the room's policy asks for one.
    pub signature: Option<Bytes<64>>,
}

/// Why bytes are no envelope. Nothing that the sender wrote is repeated in it, so that it may stand
/// in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// More bytes than an envelope can have; nothing was parsed.
    #[error("an envelope has at most {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not JSON, or not an envelope's JSON: a field is missing, unknown, twice there or malformed.
    #[error("not an envelope in JSON, line {line}, column {column}")]
    Json {
        /// The line where that was seen, from 1.
        line: usize,
        /// The column there, in bytes.
        column: usize,
    },
    /// Not CBOR, or not an envelope's CBOR: a field is missing, unknown, twice there or malformed.
    #[error("not an envelope in CBOR")]
    Cbor,
    /// Bytes are left after the envelope.
    #[error("trailing bytes after the envelope")]
    Trailing,
    /// An envelope of another version.
    #[error("unknown envelope version {version}")]
    UnknownVersion {
        /// The version that stood there.
        version: u8,
    },
    /// The payload is over its limit.
    #[error("a payload has at most {limit} bytes")]
    PayloadTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Neither `room_id` nor `mailbox` stands there, or both do.
    #[error("exactly one of room_id and mailbox is needed")]
    Destination,
    /// One of `recipient_id` and `recipient_device` stands there without the other.
    #[error("recipient_id and recipient_device stand together")]
    Recipient,
}

impl EnvelopeError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } => ErrorCode::EnvelopeTooLong,
            Self::Json { .. } | Self::Cbor | Self::Trailing | Self::Destination | Self::Recipient => {
                ErrorCode::EnvelopeMalformed
            }
            Self::UnknownVersion { .. } => ErrorCode::EnvelopeVersionUnknown,
            Self::PayloadTooLong { .. } => ErrorCode::PayloadTooLong,
        }
    }
}

impl Envelope {
    /// The version that this build writes and reads.
    pub const VERSION: u8 = 1;

    /// The value of the field `type`.
    pub const TYPE: &'static str = "e2ee_encrypted_message";

    /// The JSON form.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "no field's `Serialize` gives an error, the one map has texts as its keys, and memory takes every byte"
    )]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an envelope has a JSON form")
    }

    /// The CBOR form.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "no field's `Serialize` gives an error, and memory takes every byte"
    )]
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.0.len() + 512);
        ciborium::into_writer(self, &mut bytes).expect("an envelope has a CBOR form");
        bytes
    }

    /// Parses the JSON form.
    ///
    /// # Errors
    /// [`EnvelopeError`]; nothing past [`ENVELOPE_BYTES_MAX`] is looked at.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let form: Form<ByteString> = serde_json::from_slice(bounded(bytes)?)
            .map_err(|error| EnvelopeError::Json { line: error.line(), column: error.column() })?;
        form.try_into()
    }

    /// Parses the CBOR form.
    ///
    /// # Errors
    /// [`EnvelopeError`]; nothing past [`ENVELOPE_BYTES_MAX`] is looked at.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let mut rest = bounded(bytes)?;
        let form: Form<ByteString> = ciborium::from_reader(&mut rest).map_err(|_| EnvelopeError::Cbor)?;
        if rest.is_empty() { form.try_into() } else { Err(EnvelopeError::Trailing) }
    }

    /// The fields that the signature covers, in binary form: version 1, id 16, destination 17,
    /// sender 32, recipient 1 and then 32 if present, key id 8, epoch 1 and then 8 if present, nonce
    /// 12, timestamp 8, payload with its length in front.
    #[must_use]
    pub fn write_signed_fields(&self, writer: Writer) -> Writer {
        let Self { id, destination, sender, recipient, key_id, epoch, nonce, timestamp, payload, signature: _ } = self;
        let writer =
            write_address(writer.u8(Self::VERSION).bytes(id.as_bytes()).bytes(&destination.to_bytes()), sender);
        let writer = match recipient {
            None => writer.u8(0),
            Some(recipient) => write_address(writer.u8(1), recipient),
        };
        let writer = writer.bytes(key_id.as_bytes());
        let writer = match epoch {
            None => writer.u8(0),
            Some(epoch) => writer.u8(1).u64(*epoch),
        };
        writer.bytes(&nonce.0).u64(timestamp.as_millis()).variable(&payload.0)
    }
}

fn write_address(writer: Writer, address: &DeviceAddress) -> Writer {
    writer.bytes(address.account_id.as_bytes()).bytes(address.device_id.as_bytes())
}

fn bounded(bytes: &[u8]) -> Result<&[u8], EnvelopeError> {
    if bytes.len() > ENVELOPE_BYTES_MAX {
        return Err(EnvelopeError::TooLong { limit: ENVELOPE_BYTES_MAX });
    }
    Ok(bytes)
}

/// The form with its field names; `P` is the payload, borrowed when it is written.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "node", schema(description = "One envelope: where it goes, and what is sealed."))]
pub(super) struct Form<P> {
    v: u8,
    r#type: FormType,
    id: EnvelopeId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    room_id: Option<RoomId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    mailbox: Option<DeviceId>,
    sender_id: AccountId,
    sender_device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    recipient_id: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    recipient_device: Option<DeviceId>,
    key_id: KeyId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    epoch: Option<u64>,
    nonce: Bytes<12>,
    timestamp: Timestamp,
    payload: P,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    signature: Option<Bytes<64>>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
enum FormType {
    #[serde(rename = "e2ee_encrypted_message")]
    EncryptedMessage,
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (room_id, mailbox) = match self.destination {
            Destination::Room(room) => (Some(room), None),
            Destination::Mailbox(device) => (None, Some(device)),
        };
        Form {
            v: Self::VERSION,
            r#type: FormType::EncryptedMessage,
            id: self.id,
            room_id,
            mailbox,
            sender_id: self.sender.account_id,
            sender_device: self.sender.device_id,
            recipient_id: self.recipient.map(|recipient| recipient.account_id),
            recipient_device: self.recipient.map(|recipient| recipient.device_id),
            key_id: self.key_id,
            epoch: self.epoch,
            nonce: self.nonce,
            timestamp: self.timestamp,
            payload: &self.payload,
            signature: self.signature,
        }
        .serialize(serializer)
    }
}

impl TryFrom<Form<ByteString>> for Envelope {
    type Error = EnvelopeError;

    fn try_from(form: Form<ByteString>) -> Result<Self, EnvelopeError> {
        if form.v != Self::VERSION {
            return Err(EnvelopeError::UnknownVersion { version: form.v });
        }
        if form.payload.0.len() > PAYLOAD_BYTES_MAX {
            return Err(EnvelopeError::PayloadTooLong { limit: PAYLOAD_BYTES_MAX });
        }
        let destination = match (form.room_id, form.mailbox) {
            (Some(room), None) => Destination::Room(room),
            (None, Some(device)) => Destination::Mailbox(device),
            (None, None) | (Some(_), Some(_)) => return Err(EnvelopeError::Destination),
        };
        let recipient = match (form.recipient_id, form.recipient_device) {
            (None, None) => None,
            (Some(account_id), Some(device_id)) => Some(DeviceAddress { account_id, device_id }),
            (None, Some(_)) | (Some(_), None) => return Err(EnvelopeError::Recipient),
        };
        Ok(Self {
            id: form.id,
            destination,
            sender: DeviceAddress { account_id: form.sender_id, device_id: form.sender_device },
            recipient,
            key_id: form.key_id,
            epoch: form.epoch,
            nonce: form.nonce,
            timestamp: form.timestamp,
            payload: form.payload,
            signature: form.signature,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn with_payload(length: usize) -> Envelope {
        let address =
            DeviceAddress { account_id: AccountId::from_bytes([1; 16]), device_id: DeviceId::from_bytes([2; 16]) };
        Envelope {
            id: EnvelopeId::from_bytes([3; 16]),
            destination: Destination::Room(RoomId::from_bytes([4; 16])),
            sender: address,
            recipient: Some(address),
            key_id: KeyId::from_bytes([5; 8]),
            epoch: Some(u64::MAX),
            nonce: Bytes([6; 12]),
            timestamp: Timestamp::from_millis(u64::MAX),
            payload: ByteString(vec![0xff; length]),
            signature: Some(Bytes([7; 64])),
        }
    }

    #[test]
    fn the_largest_payload_fits_into_both_forms_and_one_byte_more_is_refused() {
        // 4,096 is the size of the CBOR reader's scratch buffer.
        for length in [0, 1, 4_096, 4_097, PAYLOAD_BYTES_MAX] {
            let envelope = with_payload(length);
            assert_eq!(Envelope::from_json(&envelope.to_json()).unwrap(), envelope);
            assert_eq!(Envelope::from_cbor(&envelope.to_cbor()).unwrap(), envelope);
        }
        let envelope = with_payload(PAYLOAD_BYTES_MAX + 1);
        let too_long = EnvelopeError::PayloadTooLong { limit: PAYLOAD_BYTES_MAX };
        assert_eq!(Envelope::from_json(&envelope.to_json()), Err(too_long));
        assert_eq!(Envelope::from_cbor(&envelope.to_cbor()), Err(too_long));
    }
}
