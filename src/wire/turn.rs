//! What a member needs to reach others by a TURN server.

use serde::{Deserialize, Serialize};

use super::secret_text::SecretText;
use super::timestamp::Timestamp;

/// Answer of `GET /api/turn`. The first three members are those of WebRTC's `RTCIceServer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TurnCredentials {
    /// The server's addresses: `turn:turn.example:3478?transport=udp`.
    pub urls: Vec<String>,
    /// The user name. It says nothing of the account.
    pub username: String,
    /// What proves it.
    pub credential: SecretText,
    /// Until when the server takes them.
    pub expires_at: Timestamp,
}
