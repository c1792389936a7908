//! `conclave history`.

use std::error::Error;

use clap::Args;

use super::close;
use super::listen;
use super::names::Names;
use super::out;
use super::profile::ProfileArgs;
use super::status::CliError;
use crate::client::{Client, Conversation, Event, Events};

/// What `conclave history` is told.
#[derive(Debug, Args)]
pub(super) struct History {
    /// The room: its name, or its id.
    #[arg(value_name = "ROOM", allow_hyphen_values = true, required_unless_present = "to")]
    room: Option<String>,
    /// The person in place of a room: a name, or an account's id.
    #[arg(long, value_name = "USER", allow_hyphen_values = true, conflicts_with = "room")]
    to: Option<String>,
    /// Writes one JSON object for each message, as `conclave listen --json` does.
    #[arg(long)]
    json: bool,
    /// The newest of so many alone.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

pub(super) const HELP: &str =
    "It is what this device keeps, oldest first. Nothing is told to the writers by it, and what
`conclave listen` has not told yet is told there as before; its help has the form of the lines.

Examples:
  conclave history garden
  conclave history --to grace --json --limit 20 | jq -r .content";

pub(super) async fn run(history: &History, client: Client, mut events: Events) -> Result<(), Box<dyn Error>> {
    let written = write(history, &client).await;
    let closed = close(client, &mut events).await;
    written.and_then(|()| Ok(closed?))
}

async fn write(history: &History, client: &Client) -> Result<(), Box<dyn Error>> {
    let names = Names::load(client).await?;
    let conversation = match (&history.room, &history.to) {
        (Some(room), _) => Conversation::Room(names.room(room)?),
        (None, Some(user)) => Conversation::Direct(names.account(user)?),
        (None, None) => return Err(CliError::Usage("of whom? ROOM, or --to USER".to_owned()).into()),
    };
    for message in client.history(conversation, None, history.limit).await? {
        // The account's notes to itself are shown by `conclave contact list` and `room list`.
        if conversation == Conversation::Direct(client.account_id()) && Names::is_note(&message.content) {
            continue;
        }
        let event = Event::Message(Box::new(message));
        let line = if history.json { Some(listen::of(&event, &names)) } else { listen::words(&event, &names) };
        if let Some(line) = line {
            out::line(line)?;
        }
    }
    Ok(())
}
