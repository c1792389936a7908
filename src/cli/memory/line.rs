//! The lines of `conclave memory`: JSON for programs, words for people.

use std::io::{self, IsTerminal};

use serde_json::{Value, json};

use super::form::Form;
use crate::cli::text::{clean, clean_lines, day, time_of_day};
use crate::client::vault::{Kept, Stored, VaultError};
use crate::ids::{CollectionName, ItemId};
use crate::wire::{CollectionSummary, ErrorCode};

pub(in crate::cli) const HELP: &str = r#"Examples:
  conclave memory put 'what does ada drink?' 'tea, no sugar'
  conclave memory get 'what does ada drink?'
  conclave memory put notes --file notes.txt
  conclave memory list
  echo '{"query": "q", "response": "r", "context": {"from": "chat"}}' | conclave memory put --json
  echo '{"turns": [{"role": "user", "content": "hi"}]}' |
      conclave memory put monday --json --collection chats
  conclave memory put notes 'the second' --version 1       only if nobody has written it since

What is kept is sealed on this device, for the devices of this account. The node keeps it, and sees
neither names nor contents, only collections, sizes and times. Each item has a version, which grows
by one with each write. What the node takes back, swaps or leaves out is noticed: the command fails
with status 5, and takes nothing of it.

With --json a memory is {query, response, context, timestamp}: `query` is its name, `context` any
JSON value, `timestamp` in ms since 1970, now if it is left out. A chat is {session_id, turns:
[{role, content}]}, and `session_id` is its name. Each line of the answer is an object with `type`:
  kept        id, version, updated_at, name             by `put`
  memory      id, version, updated_at, content          by `get` and `list`; of a chat: `chat`
  deleted     id, version                               by `delete`
  collection  name, revision, items, bytes              by `collections`
  lie         collection, code, reason, item            the node is not believed: see status 5"#;

/// For whom a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    People,
    Programs,
}

pub(super) fn stored(reader: For, stored: &Stored, name: &str) -> String {
    let Stored { id, version, updated_at } = stored;
    match reader {
        For::People => format!("{id}  version {version}"),
        For::Programs => {
            json!({"type": "kept", "id": id, "version": version, "updated_at": updated_at, "name": name}).to_string()
        }
    }
}

/// An item that was asked for. Where no terminal is in danger, its words are as they were written.
pub(super) fn kept<T: Form>(reader: For, kept: &Kept<T>) -> String {
    match reader {
        For::Programs => json(kept).to_string(),
        For::People if io::stdout().is_terminal() => clean_lines(&kept.content.words()),
        For::People => kept.content.words(),
    }
}

pub(super) fn listed<T: Form>(reader: For, kept: &Kept<T>) -> String {
    let Kept { id, version, updated_at, content } = kept;
    match reader {
        For::Programs => json(kept).to_string(),
        For::People => {
            let (day, time, name) = (day(*updated_at), time_of_day(*updated_at), clean(content.name()));
            format!("{id}  {version:>3}  {day} {time}  {name}")
        }
    }
}

pub(super) fn deleted(id: ItemId, version: u64) -> String {
    json!({"type": "deleted", "id": id, "version": version}).to_string()
}

pub(super) fn collection(reader: For, summary: &CollectionSummary) -> String {
    let CollectionSummary { collection, revision, items, bytes } = summary;
    match reader {
        For::People => format!("{collection}  items: {items}  bytes: {bytes}"),
        For::Programs => {
            let (items, bytes) = (*items, *bytes);
            json!({"type": "collection", "name": collection, "revision": revision, "items": items, "bytes": bytes})
                .to_string()
        }
    }
}

/// That the node is not believed.
pub(super) fn lie(collection: &CollectionName, error: &VaultError) -> String {
    let item = if let VaultError::Withheld { item } = error { Some(item) } else { None };
    let (code, reason) = (error.code().map(ErrorCode::as_str), error.to_string());
    json!({"type": "lie", "collection": collection, "code": code, "reason": reason, "item": item}).to_string()
}

fn json<T: Form>(kept: &Kept<T>) -> Value {
    let Kept { id, version, updated_at, content } = kept;
    json!({"type": T::NOUN, "id": id, "version": version, "updated_at": updated_at, "content": content})
}
