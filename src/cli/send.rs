//! `conclave send`.

use core::time::Duration;
use std::error::Error;

use clap::Args;
use tokio::time::{Instant, interval, timeout_at};

use super::names::Names;
use super::out;
use super::profile::{ProfileArgs, files};
use super::status::CliError;
use crate::client::{Client, Content, Conversation, Event, Events};
use crate::ids::MessageId;

/// What `conclave send` is told.
#[derive(Debug, Args)]
pub(super) struct Send {
    /// The room to send to: its name, or its id.
    #[arg(long, value_name = "ROOM", allow_hyphen_values = true, required_unless_present = "to")]
    room: Option<String>,
    /// The person to send to: a name that you gave, or an account's id.
    #[arg(long, value_name = "USER", allow_hyphen_values = true, conflicts_with = "room")]
    to: Option<String>,
    /// The message. Without it, or with `-`: all of standard input.
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// The message is JSON: any value, for programs that agree on what it means.
    #[arg(long)]
    json: bool,
    /// How long to wait for the node. The message is kept either way.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    wait: u32,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

pub(super) const HELP: &str = "Examples:
  conclave send --to grace 'the meeting is at five'
  conclave send --room garden - < notes.txt
  echo '{\"task\": \"build\", \"state\": \"done\"}' | conclave send --room agents --json

The message is sealed on this device for each device of its readers. Its id is printed.";

impl Send {
    /// The message, read before anything else is begun.
    pub(super) fn content(&self) -> Result<Content, Box<dyn Error>> {
        let text = match self.text.as_deref() {
            None | Some("-") => files::read_input()?.trim_end_matches(['\r', '\n']).to_owned(),
            Some(text) => text.to_owned(),
        };
        if self.json {
            let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
            return Ok(value.map_err(|error| CliError::Usage(format!("the message is no JSON: {error}")))?.into());
        }
        if text.is_empty() { Err(CliError::Usage("the message is empty".to_owned()).into()) } else { Ok(text.into()) }
    }
}

pub(super) async fn run(
    command: &Send,
    content: Content,
    client: Client,
    mut events: Events,
) -> Result<(), Box<dyn Error>> {
    let sent = deliver(command, content, &client, &mut events).await;
    client.close().await?;
    out::line(sent?)?;
    Ok(())
}

async fn deliver(
    send: &Send,
    content: Content,
    client: &Client,
    events: &mut Events,
) -> Result<MessageId, Box<dyn Error>> {
    let names = Names::load(client).await?;
    let conversation = match (&send.room, &send.to) {
        (Some(room), _) => Conversation::Room(names.room(room)?),
        (None, Some(user)) => Conversation::Direct(names.account(user)?),
        (None, None) => return Err(CliError::Usage("to whom? --room ROOM, or --to USER".to_owned()).into()),
    };
    let id = client.send(conversation, content).await?;
    is_sent(client, events, (conversation, id), Duration::from_secs(send.wait.into())).await?;
    Ok(id)
}

/// Waits until the node has a message.
///
/// It takes no event past the first message that has come: that one is for whoever listens, and is told again then.
///
/// # Errors
/// [`CliError::Waiting`] or [`CliError::Delayed`] if it does not have it in time, [`CliError::WaitingForSignIn`]; a text if
/// it refuses it.
pub(super) async fn is_sent(
    client: &Client,
    events: &mut Events,
    (conversation, id): (Conversation, MessageId),
    wait: Duration,
) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + wait;
    let told = async {
        loop {
            match events.next().await {
                Some(Event::Sent { id: sent, .. }) if sent == id => return Ok(true),
                Some(Event::NotSent { id: Some(refused), reason, .. }) if refused == id => {
                    return Err(format!("the node refuses the message: {reason}").into());
                }
                Some(Event::Distrusted { reason }) => return Err(CliError::Distrusted { reason }.into()),
                Some(Event::SignedOut { .. }) => return Err(CliError::WaitingForSignIn.into()),
                Some(Event::Message(_)) | None => return Ok(false),
                Some(_) => {}
            }
        }
    };
    let told: Result<Result<bool, Box<dyn Error>>, _> = timeout_at(deadline, told).await;
    if let Ok(told) = told
        && told?
    {
        return Ok(());
    }
    let mut looks = interval(LOOK_EVERY);
    let kept = async {
        loop {
            looks.tick().await;
            let messages = client.history(conversation, None, LOOKED_AT).await?;
            if let Some(message) = messages.iter().find(|message| message.id == id) {
                match message.refused {
                    Some(reason) => return Err(format!("the node refuses the message: {reason}").into()),
                    None if message.is_sent => return Ok(()),
                    None => {}
                }
            }
            if !client.has_session().await? {
                return Err(CliError::WaitingForSignIn.into());
            }
        }
    };
    if let Ok(done) = timeout_at(deadline, kept).await {
        return done;
    }
    Err(match client.delay(id).await? {
        Some(reason) => CliError::Delayed { reason }.into(),
        None => CliError::Waiting.into(),
    })
}

/// Between two looks whether a message was sent.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Messages that may have come into the conversation since.
const LOOKED_AT: u32 = 100;
