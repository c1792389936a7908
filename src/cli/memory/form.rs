//! What the vault's collections hold, as the command line has it.
//!
//! An item's name is a part of it: a memory's is what was asked, a chat's is its session. So a list can show it, and the node,
//! which knows an item by an id that is made of its name and a key, cannot.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::status::CliError;
use crate::client::vault::{ChatHistory, Memory};
use crate::ids::ItemType;
use crate::wire::Timestamp;

/// A kind of thing that is kept.
pub(super) trait Form: Serialize + DeserializeOwned + Send + Sync {
    /// What it is called.
    const NOUN: &'static str;

    /// The member of its JSON form that is its name.
    const NAME: &'static str;

    /// What the node is told that it is.
    fn item_type() -> ItemType;

    /// What it is called by its user.
    fn name(&self) -> &str;

    /// What people read of it.
    fn words(&self) -> String;

    /// What a person has written under a name.
    ///
    /// # Errors
    /// [`CliError::Usage`] if this kind has a form that no text has.
    fn of_text(name: &str, text: &str, now: Timestamp) -> Result<Self, CliError>;

    /// Gives a JSON form what may be left out of it.
    fn complete(value: &mut Value, now: Timestamp);

    /// What a program has written, with the name beside it or in it.
    ///
    /// # Errors
    /// [`CliError::Usage`] if it has no such form, or another name.
    fn of_json(name: Option<&str>, text: &str, now: Timestamp) -> Result<Self, CliError> {
        let noun = Self::NOUN;
        let not_so = |error: serde_json::Error| CliError::Usage(format!("that is no {noun} in JSON: {error}"));
        let mut value: Value = serde_json::from_str(text).map_err(not_so)?;
        Self::complete(&mut value, now);
        if let (Some(members), Some(name)) = (value.as_object_mut(), name) {
            members.entry(Self::NAME).or_insert_with(|| name.into());
        }
        let content: Self = serde_json::from_value(value).map_err(not_so)?;
        if name.is_some_and(|name| name != content.name()) {
            let member = Self::NAME;
            return Err(CliError::Usage(format!("the {noun} says another `{member}` than the command line")));
        }
        Ok(content)
    }
}

impl Form for Memory {
    const NOUN: &'static str = "memory";
    const NAME: &'static str = "query";

    fn item_type() -> ItemType {
        ItemType::memory()
    }

    fn name(&self) -> &str {
        &self.query
    }

    fn words(&self) -> String {
        self.response.clone()
    }

    fn of_text(name: &str, text: &str, now: Timestamp) -> Result<Self, CliError> {
        let (query, response) = (name.to_owned(), text.to_owned());
        Ok(Self { query, response, timestamp: now, context: Value::Null })
    }

    fn complete(value: &mut Value, now: Timestamp) {
        if let Some(members) = value.as_object_mut() {
            members.entry("timestamp").or_insert_with(|| json!(now));
        }
    }
}

impl Form for ChatHistory {
    const NOUN: &'static str = "chat";
    const NAME: &'static str = "session_id";

    fn item_type() -> ItemType {
        ItemType::chat()
    }

    fn name(&self) -> &str {
        &self.session_id
    }

    fn words(&self) -> String {
        let turns: Vec<String> = self.turns.iter().map(|turn| format!("{}: {}", turn.role, turn.content)).collect();
        turns.join("\n")
    }

    fn of_text(_name: &str, _text: &str, _now: Timestamp) -> Result<Self, CliError> {
        Err(CliError::Usage("a chat has turns, which no text has: give it as JSON, with --json".to_owned()))
    }

    fn complete(_value: &mut Value, _now: Timestamp) {}
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(7);

    #[test]
    fn what_json_leaves_out_is_filled_in_and_what_it_says_is_kept() {
        let memory = Memory::of_json(Some("tea"), r#"{"response": "no sugar"}"#, NOW).unwrap();
        assert_eq!((memory.name(), &*memory.words(), memory.timestamp), ("tea", "no sugar", NOW));
        assert_eq!(memory, Memory::of_text("tea", "no sugar", NOW).unwrap());
        let said = r#"{"query": "tea", "response": "r", "timestamp": 9, "context": [1]}"#;
        let memory = Memory::of_json(None, said, NOW).unwrap();
        assert_eq!((memory.timestamp.as_millis(), memory.context), (9, json!([1])));

        let chat = r#"{"turns": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]}"#;
        let chat = ChatHistory::of_json(Some("monday"), chat, NOW).unwrap();
        assert_eq!((chat.name(), &*chat.words()), ("monday", "user: hello\nassistant: hi"));
    }

    #[test]
    fn what_is_of_another_form_or_name_is_a_wrong_command_line() {
        for (name, text) in [
            (Some("tea"), "no JSON"),
            (Some("tea"), "{}"),
            (None, r#"{"response": "of nothing"}"#),
            (Some("tea"), r#"{"response": "r", "mood": "curious"}"#),
            (Some("tea"), r#"{"query": "coffee", "response": "r"}"#),
        ] {
            assert!(matches!(Memory::of_json(name, text, NOW), Err(CliError::Usage(_))), "{text}");
        }
        assert!(matches!(ChatHistory::of_text("monday", "hello", NOW), Err(CliError::Usage(_))));
    }
}
