//! A room's policy: fixed when the room is made, bound into every message, checked by every client.

use serde::{Deserialize, Serialize};

use super::codec::{Reader, WireError, Writer};

/// Who holds the keys of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Custody {
    /// The clients; the node has no way to decrypt.
    Client,
    /// The node, for thin clients. Its operator can read what is said.
    Node,
}

/// How messages in a room are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// A Double Ratchet session between each two devices.
    Ratchet,
    /// Messaging Layer Security, RFC 9420.
    Mls,
}

/// Whether envelopes are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Signatures {
    /// Every envelope is signed by its sender's device, and can be attributed by anyone.
    On,
    /// No envelope is signed: messages are deniable, and the node knows senders by their session.
    Off,
}

/// The policy of a room or of direct messages. Binary form: 3 bytes, one a field, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoomPolicy {
    /// Who holds the keys.
    pub custody: Custody,
    /// How messages are protected.
    pub protection: Protection,
    /// Whether envelopes are signed.
    pub signatures: Signatures,
}

/// What holds where nothing is said: keys with the clients, ratchets, signed envelopes.
impl Default for RoomPolicy {
    fn default() -> Self {
        Self { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::On }
    }
}

impl RoomPolicy {
    /// Length of the binary form in bytes.
    pub const LENGTH: usize = 3;

    /// The binary form, as it is bound into signatures and associated data.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        let Self { custody, protection, signatures } = self;
        [
            match custody {
                Custody::Client => 1,
                Custody::Node => 2,
            },
            match protection {
                Protection::Ratchet => 1,
                Protection::Mls => 2,
            },
            match signatures {
                Signatures::On => 1,
                Signatures::Off => 2,
            },
        ]
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`WireError::Invalid`] for a value that a field does not have, or [`WireError::Truncated`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let [custody, protection, signatures] = *reader.array()?;
        Ok(Self {
            custody: match custody {
                1 => Custody::Client,
                2 => Custody::Node,
                _ => return Err(WireError::Invalid { field: "custody" }),
            },
            protection: match protection {
                1 => Protection::Ratchet,
                2 => Protection::Mls,
                _ => return Err(WireError::Invalid { field: "protection" }),
            },
            signatures: match signatures {
                1 => Signatures::On,
                2 => Signatures::Off,
                _ => return Err(WireError::Invalid { field: "signatures" }),
            },
        })
    }

    /// Appends the binary form.
    #[must_use]
    pub fn write(self, writer: Writer) -> Writer {
        writer.bytes(&self.to_bytes())
    }
}
