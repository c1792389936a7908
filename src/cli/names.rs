//! The user's own names for accounts and rooms.
//!
//! A node knows ids alone. A name is what this user calls somebody: a message from the account to itself, so that
//! it is kept encrypted, and the devices that the account has then get it too. A device that comes later does not: nobody seals
//! an old message for it, so its user names people and rooms there again.
//!
//! ```text
//! {"conclave": {"name": "grace", "account": ".."}}    the last one counts; an empty name takes it away
//! {"conclave": {"name": "garden", "room": ".."}}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::status::CliError;
use super::text::clean;
use crate::client::{Client, ClientError, Content, Conversation};
use crate::ids::{AccountId, RoomId};

/// What the user calls whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    own: Option<AccountId>,
    accounts: BTreeMap<AccountId, String>,
    rooms: BTreeMap<RoomId, String>,
}

/// Somebody or something that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Named {
    Account(AccountId),
    Room(RoomId),
}

/// The form of a message that gives a name.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    conclave: Entry,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    named: Named,
}

impl Names {
    /// Those that the account has given.
    pub(super) async fn load(client: &Client) -> Result<Self, ClientError> {
        let own = client.account_id();
        let mut names = Self { own: Some(own), ..Self::default() };
        for message in client.history(Conversation::Direct(own), None, NOTES_MAX).await? {
            names.learn(&message.content);
        }
        Ok(names)
    }

    /// Takes the name that a message of the account to itself gives. False if it gives none.
    pub(super) fn learn(&mut self, content: &Content) -> bool {
        let Some(Entry { name, named }) = entry(content) else { return false };
        if parse(&name).is_ok() || name.is_empty() {
            self.take(name, named);
        }
        true
    }

    /// Whether a message of the account to itself gives a name.
    pub(super) fn is_note(content: &Content) -> bool {
        entry(content).is_some()
    }

    /// Gives a name, for good.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a text that is no name, or another's; those of sending.
    pub(super) async fn give(
        &mut self,
        client: &Client,
        name: &str,
        named: Named,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let name = if name.is_empty() { String::new() } else { parse(name)? };
        let is_taken = match named {
            Named::Account(account) => self.accounts.iter().any(|(other, taken)| *taken == name && *other != account),
            Named::Room(room) => self.rooms.iter().any(|(other, taken)| *taken == name && *other != room),
        };
        if is_taken {
            return Err(CliError::Usage(format!("{name} is the name of another one already")).into());
        }
        let note = Note { conclave: Entry { name: name.clone(), named } };
        client.send_direct(client.account_id(), serde_json::to_value(note)?).await?;
        self.take(name, named);
        Ok(())
    }

    /// Somebody by their name or id.
    ///
    /// # Errors
    /// [`CliError::Usage`].
    pub(super) fn account(&self, text: &str) -> Result<AccountId, CliError> {
        let found = self.accounts.iter().find(|(_, name)| *name == text).map(|(account, _)| *account);
        found.or_else(|| text.parse().ok()).ok_or_else(|| {
            let text = clean(text);
            CliError::Usage(format!("nobody is known as {text}: give an id, or a name by `conclave contact add`"))
        })
    }

    /// A room by its name or id.
    ///
    /// # Errors
    /// [`CliError::Usage`].
    pub(super) fn room(&self, text: &str) -> Result<RoomId, CliError> {
        let found = self.rooms.iter().find(|(_, name)| *name == text).map(|(room, _)| *room);
        found
            .or_else(|| text.parse().ok())
            .ok_or_else(|| CliError::Usage(format!("no room is known as {}: see `conclave room list`", clean(text))))
    }

    /// Whether an account is the user's own.
    pub(super) fn is_own(&self, account: AccountId) -> bool {
        self.own == Some(account)
    }

    /// What an account is called, if it is.
    pub(super) fn of_account(&self, account: AccountId) -> Option<&str> {
        self.accounts.get(&account).map(String::as_str)
    }

    /// What a room is called, if it is.
    pub(super) fn of_room(&self, room: RoomId) -> Option<&str> {
        self.rooms.get(&room).map(String::as_str)
    }

    /// A name for people: what the account is called, `you`, or the beginning of its id.
    pub(super) fn show(&self, account: AccountId) -> String {
        match self.of_account(account) {
            Some(name) => name.to_owned(),
            None if self.own == Some(account) => "you".to_owned(),
            None => short(&account.to_string()),
        }
    }

    /// The same, of a room.
    pub(super) fn show_room(&self, room: RoomId) -> String {
        self.of_room(room).map_or_else(|| short(&room.to_string()), str::to_owned)
    }

    /// Everybody who has a name, by it.
    pub(super) fn accounts(&self) -> Vec<(&str, AccountId)> {
        let mut accounts: Vec<_> = self.accounts.iter().map(|(account, name)| (name.as_str(), *account)).collect();
        accounts.sort_unstable();
        accounts
    }

    fn take(&mut self, name: String, named: Named) {
        match (named, name.is_empty()) {
            (Named::Account(account), false) => drop(self.accounts.insert(account, name)),
            (Named::Account(account), true) => drop(self.accounts.remove(&account)),
            (Named::Room(room), false) => drop(self.rooms.insert(room, name)),
            (Named::Room(room), true) => drop(self.rooms.remove(&room)),
        }
    }
}

fn entry(content: &Content) -> Option<Entry> {
    serde_json::from_value(content.value().clone()).ok().map(|Note { conclave }| conclave)
}

/// A text as a name: 1 to 32 characters without spaces that are not an id.
///
/// # Errors
/// [`CliError::Usage`].
pub(super) fn parse(text: &str) -> Result<String, CliError> {
    let is_name = (1..=NAME_CHARS_MAX).contains(&text.chars().count())
        && !text.contains(char::is_whitespace)
        && clean(text) == text
        && text.parse::<AccountId>().is_err();
    if is_name {
        return Ok(text.to_owned());
    }
    Err(CliError::Usage(format!("a name has 1 to {NAME_CHARS_MAX} characters, no spaces, and is no id")))
}

/// The beginning of an id, for the eye: enough to tell the members of a room apart, not to identify anybody.
fn short(id: &str) -> String {
    id.chars().take(8).chain(['…']).collect()
}

const NAME_CHARS_MAX: usize = 32;

/// The account's messages to itself that are searched for names.
const NOTES_MAX: u32 = 10_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_last_name_counts_and_an_empty_one_takes_it_away() {
        let (grace, garden) = (AccountId::from_bytes([1; 16]), RoomId::from_bytes([2; 16]));
        let mut names = Names::default();
        let note = |name: &str, named| {
            let note = Note { conclave: Entry { name: name.to_owned(), named } };
            Content::from(serde_json::to_value(note).unwrap())
        };
        assert!(names.learn(&note("gr", Named::Account(grace))));
        assert!(names.learn(&note("grace", Named::Account(grace))));
        assert!(names.learn(&note("garden", Named::Room(garden))));
        assert!(!names.learn(&"hello".into()));
        assert_eq!((names.account("grace").unwrap(), names.room("garden").unwrap()), (grace, garden));
        assert!(names.account("gr").is_err());
        assert_eq!(names.account(&grace.to_string()).unwrap(), grace);
        assert!(names.learn(&note("", Named::Account(grace))));
        assert_eq!(names.show(grace), "AQEBAQEB…");
        assert_eq!(names.show_room(garden), "garden");
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_no_name() {
        let id = AccountId::from_bytes([1; 16]).to_string();
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        for text in ["", "two words", "bell\u{7}", "\u{202e}ecarg", &*id, &*long] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse("grace.h").unwrap(), "grace.h");
    }
}
