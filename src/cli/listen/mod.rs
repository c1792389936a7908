//! `conclave listen`.

mod input;
mod line;

use core::time::Duration;
use std::collections::BTreeSet;
use std::error::Error;

use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::close;
use super::names::Names;
use super::out;
use super::profile::ProfileArgs;
use super::status::CliError;
use crate::client::{Client, ClientError, Conversation, Event, Events};
use crate::wire::Log;

/// What `conclave listen` is told.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Listen {
    /// Writes one JSON object for each event, a line each: for scripts and agents.
    #[arg(long)]
    json: bool,
    /// Sends what comes on standard input, one JSON object a line, and answers each with a line.
    #[arg(long, requires = "json")]
    input: bool,
    /// Messages of this room alone.
    #[arg(long, value_name = "ROOM", allow_hyphen_values = true)]
    room: Option<String>,
    /// Messages of this person alone: a name, or an account's id.
    #[arg(long, value_name = "USER", allow_hyphen_values = true)]
    from: Option<String>,
    /// Ends after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Ends when all that was missed has been told.
    #[arg(long)]
    caught_up: bool,
    /// Ends after so long.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Tells the writers that their messages were read.
    #[arg(long)]
    read: bool,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

pub(super) use line::{HELP, of, words};

pub(super) async fn run(listen: &Listen, client: Client, mut events: Events) -> Result<(), Box<dyn Error>> {
    let heard = hear(listen, &client, &mut events).await;
    if heard.is_err() {
        // A message that was not written is told again.
        drop(events);
        let _ = client.close().await;
        return heard;
    }
    Ok(close(client, &mut events).await?)
}

async fn hear(listen: &Listen, client: &Client, events: &mut Events) -> Result<(), Box<dyn Error>> {
    let mut names = Names::load(client).await?;
    let room = listen.room.as_deref().map(|room| names.room(room)).transpose()?.map(Conversation::Room);
    let from = listen.from.as_deref().map(|user| names.account(user)).transpose()?;
    let until = listen.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut missed = Missed::of(client).await?;
    let mut left = listen.count;
    let mut requests = listen.input.then(input::lines);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            Some(request) = next(&mut requests) => {
                out::line(input::answer(&request, client, &names).await)?;
                continue;
            }
            () = passes(until) => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(event) = event else { return Err(ClientError::Stopped.into()) };
        if let Event::Message(message) = &event {
            // The account's notes to itself are not for the listener.
            if message.conversation == Conversation::Direct(client.account_id()) && names.learn(&message.content) {
                continue;
            }
            let is_wanted = room.is_none_or(|room| room == message.conversation)
                && from.is_none_or(|from| from == message.sender.account_id);
            if !is_wanted {
                continue;
            }
            if listen.read {
                client.mark_read(vec![(message.sender.account_id, message.id)]).await?;
            }
            left = left.map(|left| left - 1);
        }
        let line = if listen.json { Some(line::of(&event, &names)) } else { line::words(&event, &names) };
        if let Some(line) = line {
            // A message that nobody reads is told again.
            out::line(line)?;
        }
        match event {
            Event::Stopped { error } => return Err(error.into()),
            Event::SignedOut { .. } => return Err(ClientError::SignedOut.into()),
            Event::Distrusted { reason } => return Err(CliError::Distrusted { reason }.into()),
            Event::Refused => return Err("another program has taken this device's connection".into()),
            Event::CaughtUp { log } if missed.is_told(log) && listen.caught_up => break,
            _ => {}
        }
        if left == Some(0) {
            break;
        }
    }
    Ok(())
}

/// The next request; none if there are no more.
async fn next(requests: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    requests.as_mut()?.recv().await
}

async fn passes(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => core::future::pending().await,
    }
}

/// Logs of which it is not known yet that all was told.
struct Missed(BTreeSet<Log>);

impl Missed {
    async fn of(client: &Client) -> Result<Self, ClientError> {
        let rooms = client.rooms().await?;
        let rooms = rooms.iter().filter(|room| !room.is_closed && room.is_open);
        let logs = rooms.map(|room| Log::Room(room.room_id)).chain([Log::Mailbox]);
        Ok(Self(logs.collect()))
    }

    /// Takes a log that is level. True if it was the last.
    fn is_told(&mut self, log: Log) -> bool {
        self.0.remove(&log) && self.0.is_empty()
    }
}

/// Waits until the device knows what the node has, or a message has come, or it took too long. True if it does.
pub(super) async fn catch_up(client: &Client, events: &mut Events, patience: Duration) -> bool {
    let Ok(mut missed) = Missed::of(client).await else { return false };
    let level = async {
        loop {
            match events.next().await {
                Some(Event::CaughtUp { log }) if missed.is_told(log) => return true,
                // It is for whoever listens.
                None
                | Some(
                    Event::Message(_)
                    | Event::SignedOut { .. }
                    | Event::Distrusted { .. }
                    | Event::Refused
                    | Event::Stopped { .. },
                ) => {
                    return false;
                }
                Some(_) => {}
            }
        }
    };
    timeout(patience, level).await.unwrap_or(false)
}
