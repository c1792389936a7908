//! What is said over REST about the keys of a room: the seven calls under `/api/webrtc/rooms/{room_id}/e2ee`.
//!
//! No private key stands here. What is encrypted for a room whose keys the node holds does, in the clear: it is what
//! such a room is for.

use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bytes::Bytes;
use super::envelope::Envelope;
use super::timestamp::Timestamp;
use crate::ids::{AccountId, KeyId};

/// What a key of a room is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RoomKeyType {
    /// A session's: rotated often. Envelopes are signed with it.
    #[default]
    Ephemeral,
    /// Long-term.
    Identity,
}

impl RoomKeyType {
    /// The type's text, as it is in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ephemeral => "ephemeral",
            Self::Identity => "identity",
        }
    }
}

/// The public halves of a key that a client has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoomPublicKeys {
    /// X25519.
    pub agreement_key: Bytes<32>,
    /// Ed25519.
    pub signing_key: Bytes<32>,
}

/// Public key information: a member's key in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoomKey {
    /// Whose.
    pub user_id: AccountId,
    /// Which key it is; derived from the signing key.
    pub key_id: KeyId,
    /// What it is for.
    pub key_type: RoomKeyType,
    /// X25519.
    pub agreement_key: Bytes<32>,
    /// Ed25519.
    pub signing_key: Bytes<32>,
    /// When the node made it, or was given it.
    pub created_at: Timestamp,
    /// From when on it counts no more.
    pub expires_at: Timestamp,
    /// Whether its owner has revoked it.
    pub revoked: bool,
}

impl RoomKey {
    /// Whether the key counts at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        !self.revoked && now < self.expires_at
    }
}

/// The keys of a member in a room: at most one that is valid of each type. Answer of `GET keys/{user_id}` and of
/// `POST keys/exchange`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoomKeys {
    /// Whose.
    pub user_id: AccountId,
    /// The keys, and those that were revoked and not replaced.
    pub keys: Vec<RoomKey>,
}

/// Body of `POST keys/generate` and of `POST keys/rotate`. Where the node holds the keys it may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MakeRoomKey {
    /// Which key.
    #[serde(default)]
    pub key_type: RoomKeyType,
    /// What the client has made, in a room whose clients hold the keys; none where the node does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub public_keys: Option<RoomPublicKeys>,
}

/// Body of `POST keys/exchange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExchangeKeys {
    /// With whom.
    pub peer_user_id: AccountId,
}

/// Body of `POST encrypt`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EncryptMessage {
    /// For whom.
    pub recipient_id: AccountId,
    /// Any JSON object, at most [`HELD_MESSAGE_BYTES_MAX`](super::limits::HELD_MESSAGE_BYTES_MAX) bytes.
    #[cfg_attr(feature = "node", schema(value_type = Object))]
    pub message: Map<String, Value>,
}

impl fmt::Debug for EncryptMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipient_id, message: _ } = self;
        f.debug_struct("EncryptMessage").field("recipient_id", recipient_id).finish_non_exhaustive()
    }
}

/// Body of `POST decrypt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecryptMessage {
    /// The envelope, as it came.
    pub encrypted_message: Envelope,
}

/// Answer of `POST decrypt`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecryptedMessage {
    /// Who wrote it.
    pub sender_id: AccountId,
    /// What.
    #[cfg_attr(feature = "node", schema(value_type = Object))]
    pub message: Map<String, Value>,
}

impl fmt::Debug for DecryptedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender_id, message: _ } = self;
        f.debug_struct("DecryptedMessage").field("sender_id", sender_id).finish_non_exhaustive()
    }
}
