//! Names of things: fixed-length identifiers, made only by parsing or by generating.
//!
//! An identifier is opaque: nothing is read out of its bytes. Its text form is base64url without
//! padding (RFC 4648, section 5): 22 characters for 16 bytes, 11 for 8. In CBOR it is a byte string.
//! Identifiers are public; they may stand in logs.
//!
//! A name ([`CollectionName`], [`ItemType`]) is text that an application chooses: 1 to 64 bytes of
//! lowercase ASCII letters, digits, `-` and `_`. It stands in paths and in the clear on the node.

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text or byte string is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The length is not the identifier's.
    #[error("an identifier of {expected} bytes was expected, not one of {actual}")]
    Length {
        /// Bytes that this kind of identifier has.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The text is not base64url without padding, or has stray bits at its end.
    #[error("not base64url without padding")]
    Encoding,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = $length;

            /// Parses the bytes of an identifier; every value of the right length is one.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Draws a new identifier, uniformly.
            #[must_use]
            pub fn generate(rng: &mut impl CryptoRng) -> Self {
                let mut bytes = [0; $length];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                let actual = bytes.len();
                bytes.try_into().map(Self).map_err(|_| IdError::Length { expected: $length, actual })
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| IdError::Encoding)?;
                Self::try_from(bytes.as_slice())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE64URL_NOPAD.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                crate::ids::serialize_bytes(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::ids::deserialize_bytes(deserializer).map(Self)
            }
        }
    };
}

identifier! {
    /// One person or agent, as the node knows them.
    AccountId, 16
}
identifier! {
    /// One installation of one account, with keys of its own.
    DeviceId, 16
}
identifier! {
    /// One sign-in of an account on a node; a device may have several.
    SessionId, 16
}
identifier! {
    /// One room.
    RoomId, 16
}
identifier! {
    /// One envelope; made by its sender, and the key under which sending it again changes nothing.
    EnvelopeId, 16
}
identifier! {
    /// One message, as its sender names it: the same in every envelope that carries it.
    MessageId, 16
}
identifier! {
    /// One invitation into a room.
    InvitationId, 16
}
identifier! {
    /// One device's unbroken run of writes of a vault's collection; drawn anew when a write's fate is not known.
    WriterId, 16
}
identifier! {
    /// One life of a log: drawn when the log is made, so that a lost log is seen.
    LogEpoch, 8
}
identifier! {
    /// One item of a vault collection.
    ItemId, 16
}
identifier! {
    /// One pairwise session, named by the opening that makes it: derived from the opening's ephemeral
    /// key and prekey ids (`protocol::agreement::Opening::id`), and so the same on both sides.
    OpeningId, 16
}
identifier! {
    /// One public key: the first 8 bytes of a labelled SHA-256 of it (`protocol::public::key_id`).
    KeyId, 8
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than a name may be.
    #[error("a name has 1 to {bytes_max} bytes, not {actual}")]
    Length {
        /// Bytes that a name has at most.
        bytes_max: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// A character other than a lowercase ASCII letter, a digit, `-` or `_`.
    #[error("a name has lowercase letters, digits, - and _ alone; byte {position} is something else")]
    Character {
        /// Where it stands, in bytes from 0.
        position: usize,
    },
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident: $($(#[$known_doc:meta])* $known:ident = $text:literal),+) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Bytes of the longest name: it fits into a path and an index beside its account.
            pub const BYTES_MAX: usize = 64;

            #[cfg(test)]
            const KNOWN: &[&str] = &[$($text),+];

            $(
                $(#[$known_doc])*
                #[must_use]
                pub fn $known() -> Self {
                    Self($text.into())
                }
            )+

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check_name(text, Self::BYTES_MAX)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// One collection of a vault.
    CollectionName:
    /// That of memories.
    memories = "memories",
    /// That of chat histories.
    chats = "chats"
}
name! {
    /// What kind of thing a vault item is.
    ItemType:
    /// A memory.
    memory = "memory",
    /// A chat history.
    chat = "chat"
}

fn check_name(text: &str, bytes_max: usize) -> Result<(), NameError> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(NameError::Length { bytes_max, actual: text.len() });
    }
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    match text.bytes().position(|byte| !is_allowed(byte)) {
        None => Ok(()),
        Some(position) => Err(NameError::Character { position }),
    }
}

/// One device of one account: whom a pairwise session is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceAddress {
    /// The account that the device belongs to.
    pub account_id: AccountId,
    /// The device.
    pub device_id: DeviceId,
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account_id, self.device_id)
    }
}

/// Writes fixed bytes as base64url text where people read the format, as a byte string elsewhere.
pub(crate) fn serialize_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(&BASE64URL_NOPAD.encode_display(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

/// Reads what [`serialize_bytes`] wrote; any other length or encoding is an error.
pub(crate) fn deserialize_bytes<'de, const N: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    let bytes = deserialize_byte_vec(deserializer)?;
    let actual = bytes.len();
    bytes.try_into().map_err(|_| serde::de::Error::custom(IdError::Length { expected: N, actual }))
}

/// As [`deserialize_bytes`], of any length.
pub(crate) fn deserialize_byte_vec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(ByteVisitor)
    } else {
        // `deserialize_bytes` of the CBOR reader stops at its scratch buffer of 4 KiB.
        deserializer.deserialize_byte_buf(ByteVisitor)
    }
}

struct ByteVisitor;

impl serde::de::Visitor<'_> for ByteVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, in text as base64url without padding")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| E::custom(IdError::Encoding))
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn text_form_round_trips_and_is_22_characters() {
        let id = AccountId::from_bytes(*b"0123456789abcdef");
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
    }

    #[test]
    fn padded_stray_and_short_texts_are_refused() {
        assert_eq!("MDEyMzQ1Njc4OWFiY2RlZg==".parse::<AccountId>(), Err(IdError::Encoding));
        assert_eq!("MDEyMzQ1Njc4OWFiY2RlZh".parse::<AccountId>(), Err(IdError::Encoding));
        assert_eq!("MDEy".parse::<AccountId>(), Err(IdError::Length { expected: 16, actual: 3 }));
    }

    #[test]
    fn names_of_1_to_64_allowed_bytes_are_taken_and_no_others() {
        for text in ["a", "memories", "chat-2_b", &"x".repeat(64)] {
            assert_eq!(text.parse::<CollectionName>().unwrap().to_string(), text);
        }
        let length = |actual| Err(NameError::Length { bytes_max: 64, actual });
        assert_eq!("".parse::<CollectionName>(), length(0));
        assert_eq!("x".repeat(65).parse::<CollectionName>(), length(65));
        for text in ["aB", "a b", "a/", "a.", "a\0", "aé", "a%"] {
            assert_eq!(text.parse::<CollectionName>(), Err(NameError::Character { position: 1 }), "{text}");
        }
    }

    #[test]
    fn known_names_are_names() {
        for text in [CollectionName::KNOWN, ItemType::KNOWN].concat() {
            assert_eq!(text.parse::<CollectionName>().unwrap().as_str(), text);
        }
        assert_eq!(ItemType::chat(), "chat".parse().unwrap());
    }

    #[test]
    fn a_name_is_text_in_json_and_is_checked_there() {
        let name: ItemType = serde_json::from_str("\"memory\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"memory\"");
        assert!(serde_json::from_str::<ItemType>("\"Memory\"").is_err());
        assert_eq!(format!("{name:?}"), "ItemType(memory)");
    }
}
