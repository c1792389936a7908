//! What is kept in a vault: memories and chat histories, or anything else that has a JSON form.
//!
//! ```text
//! content = version 1 ∥ JSON
//! ```

use core::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::wire::Timestamp;

/// Something to remember of a conversation with an agent.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// What was asked.
    pub query: String,
    /// What was answered.
    pub response: String,
    /// When.
    pub timestamp: Timestamp,
    /// What else belongs to it, as the application has it.
    #[serde(default)]
    pub context: Value,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(..)")
    }
}

/// A whole conversation with an agent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatHistory {
    /// What the application calls it. [`Collection::id_of`](super::Collection::id_of) makes an item's id of it.
    pub session_id: String,
    /// What was said, in order.
    pub turns: Vec<Turn>,
}

impl fmt::Debug for ChatHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChatHistory({} turns, ..)", self.turns.len())
    }
}

/// What one side said at once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Which side: `user`, `assistant`, `system`, or what else the application has.
    pub role: String,
    /// What.
    pub content: String,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn(..)")
    }
}

/// The bytes that are sealed. None of what has no JSON form.
pub(super) fn encode(content: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![VERSION]);
    serde_json::to_writer(&mut *bytes, content).ok()?;
    Some(bytes)
}

/// What [`encode`] wrote. None of another version or form.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&version, json) = bytes.split_first()?;
    if version == VERSION { serde_json::from_slice(json).ok() } else { None }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_else() {
        let turn = Turn { role: "user".to_owned(), content: "a canary".to_owned() };
        let chat = ChatHistory { session_id: "s-1".to_owned(), turns: vec![turn.clone()] };
        let bytes = encode(&chat).unwrap();
        assert_eq!(decode::<ChatHistory>(&bytes), Some(chat.clone()));
        assert_eq!(decode::<Memory>(&bytes), None);
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(decode::<ChatHistory>(&newer), None);
        assert_eq!(decode::<Value>(&[]), None);

        let (query, response) = ("a canary".to_owned(), String::new());
        let memory = Memory { query, response, timestamp: Timestamp::from_millis(1), context: Value::Null };
        for text in [format!("{chat:?}"), format!("{turn:?}"), format!("{memory:?}")] {
            assert!(!text.contains("canary"), "{text}");
        }
    }
}
