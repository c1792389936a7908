//! What stands inside a sealed message.
//!
//! ```text
//! body = version 1 ∥ JSON: {"message": {..}} | {"receipt": {..}} | {"repair": {..}} | {"rooms": {}}
//! ```
//!
//! Whom a direct message is written to stands inside it too: the writer's other devices read it there, and the reader
//! sees that it was meant for them. A room's id is bound by the seal itself.

use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::ids::{AccountId, EnvelopeId, MessageId};
use crate::wire::{MemberMark, SecretText, Timestamp};

/// What a message says: a text, or any other JSON value that an application gives a meaning to.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(Value);

impl Content {
    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.0.as_str()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(..)")
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self(Value::String(text.to_owned()))
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self(Value::String(text))
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

/// What a reader says of a message. The greater one says the smaller one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// A device of theirs has it.
    Delivered,
    /// They have seen it.
    Read,
}

/// What is sealed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Body {
    Message {
        id: MessageId,
        /// Of a direct message: whom it is written to.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<AccountId>,
        /// Of one in a room: what only somebody who was let in can write (`protocol::membership`).
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mark: Option<MemberMark>,
        sent_at: Timestamp,
        content: Content,
    },
    Receipt {
        of: Vec<MessageId>,
        state: Receipt,
    },
    /// To this account's other devices: it has come into a room.
    Rooms {},
    /// To this account's other devices: the vault's key is wanted here.
    VaultKeyWanted {},
    /// To a device of this account: the vault's key.
    VaultKey {
        key: SecretText,
    },
    /// These did not open: they are to be sent again.
    Repair {
        envelopes: Vec<EnvelopeId>,
    },
}

/// The message is of a form that this program does not know, or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is of no form that is known here")]
pub(super) struct UnknownContent;

impl Body {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        // Into memory, and of types that all have a JSON form.
        let _ = serde_json::to_writer(&mut *bytes, self);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, UnknownContent> {
        let Some((&VERSION, json)) = bytes.split_first() else { return Err(UnknownContent) };
        let body: Self = serde_json::from_slice(json).map_err(|_| UnknownContent)?;
        let is_bounded = match &body {
            Self::Message { .. } | Self::Rooms {} | Self::VaultKeyWanted {} | Self::VaultKey { .. } => true,
            Self::Receipt { of, .. } => of.len() <= IDS_MAX,
            Self::Repair { envelopes } => envelopes.len() <= IDS_MAX,
        };
        if is_bounded { Ok(body) } else { Err(UnknownContent) }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message { .. } => "Message(..)",
            Self::Receipt { .. } => "Receipt(..)",
            Self::Rooms {} => "Rooms",
            Self::VaultKeyWanted {} => "VaultKeyWanted",
            Self::VaultKey { .. } => "VaultKey(..)",
            Self::Repair { .. } => "Repair(..)",
        })
    }
}

const VERSION: u8 = 1;

/// Ids in one receipt, or in one request for repair.
pub(super) const IDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_encoded_is_parsed_and_nothing_else() {
        let id = MessageId::from_bytes([7; 16]);
        let body = Body::Message {
            id,
            to: Some(AccountId::from_bytes([1; 16])),
            mark: None,
            sent_at: Timestamp::from_millis(5),
            content: "hello".into(),
        };
        assert_eq!(Body::parse(&body.encode()).unwrap(), body);
        // The form that devices of other versions read.
        let form = br#"{"message":{"id":"BwcHBwcHBwcHBwcHBwcHBw","to":"AQEBAQEBAQEBAQEBAQEBAQ","sent_at":5,"content":"hello"}}"#;
        assert_eq!(body.encode().split_first(), Some((&1, &form[..])));
        let mut newer = body.encode();
        newer[0] = 2;
        assert_eq!(Body::parse(&newer), Err(UnknownContent));
        assert_eq!(Body::parse(&[]), Err(UnknownContent));
        let long = Body::Receipt { of: vec![id; IDS_MAX + 1], state: Receipt::Read };
        assert_eq!(Body::parse(&long.encode()), Err(UnknownContent));
        assert_eq!(Body::parse(b"\x01{\"receipt\":{\"of\":[],\"state\":\"read\",\"more\":1}}"), Err(UnknownContent));
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let content = Content::from("canary");
        assert_eq!(format!("{content:?}"), "Content(..)");
    }
}
