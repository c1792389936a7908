//! `conclave chat`: a conversation on the whole terminal.
//!
//! [`state`] knows what is shown and what a key does, [`draw`] puts it on the screen; here keys, events and the clock
//! come together, and what the chat asks for is done.

mod command;
mod draw;
mod input;
mod state;

use core::time::Duration;
use std::error::Error;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::close;
use super::names::{Named, Names};
use super::profile::ProfileArgs;
use super::status::CliError;
use super::text;
use crate::client::{Client, ClientError, Clock, Conversation, Event, Events};
use crate::ids::{AccountId, MessageId};
use crate::protocol::machine::MachineError;
use crate::wire::RoomPolicy;
use draw::Times;
use state::{Alert, Chat, Deed, Safety};

/// What `conclave chat` is told.
#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    /// The room: its name, or its id.
    #[arg(value_name = "ROOM", allow_hyphen_values = true, required_unless_present = "to")]
    room: Option<String>,
    /// The person to talk with, in place of a room: a name, or an account's id.
    #[arg(long, value_name = "USER", allow_hyphen_values = true, conflicts_with = "room")]
    to: Option<String>,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

pub(super) const HELP: &str = "Examples:
  conclave chat garden
  conclave chat --to grace

F1 shows the keys, F2 the safety numbers, Ctrl-C leaves. `/name WHO NAME` gives somebody a name that
you alone see; what begins with anything else is a message.";

/// What became of something that was asked of the client.
enum Done {
    Kept(u64, Result<MessageId, ClientError>),
    Safety(Result<Vec<Safety>, ClientError>),
    Accepted(Result<(), ClientError>),
    Named(Result<Names, String>),
}

pub(super) async fn run(command: &ChatArgs, client: Client, mut events: Events) -> Result<(), Box<dyn Error>> {
    let done = match begin(command, &client).await {
        Ok(chat) => on_terminal(chat, &client, &mut events).await,
        Err(error) => Err(error),
    };
    let closed = close(client, &mut events).await;
    done.and_then(|()| Ok(closed?))
}

async fn begin(command: &ChatArgs, client: &Client) -> Result<Chat, Box<dyn Error>> {
    if !io::stdout().is_terminal() {
        return Err(CliError::Usage("a chat needs a terminal: see `conclave send` and `listen`".to_owned()).into());
    }
    let names = Names::load(client).await?;
    let own = client.account_id();
    let (conversation, policy, members, shown) = match (&command.room, &command.to) {
        (Some(room), _) => {
            let id = names.room(room)?;
            let info = client.rooms().await?.into_iter().find(|info| info.room_id == id);
            let info = info.ok_or_else(|| CliError::Usage("you are in no such room".to_owned()))?;
            (Conversation::Room(id), info.policy, info.members, info.shown)
        }
        (None, Some(user)) => {
            let account = names.account(user)?;
            (Conversation::Direct(account), RoomPolicy::default(), vec![account], None)
        }
        (None, None) => return Err(CliError::Usage("with whom? ROOM, or --to USER".to_owned()).into()),
    };
    let mut chat = Chat::new((own, names), (conversation, policy), members);
    chat.recall(&client.history(conversation, None, RECALLED).await?);
    chat.suggest_name();
    chat.alert = standing_alert(client, &chat, shown).await?;
    Ok(chat)
}

/// What stands against sending from before: it may have been told to another command, and is told once.
async fn standing_alert(client: &Client, chat: &Chat, shown: Option<RoomPolicy>) -> Result<Option<Alert>, ClientError> {
    if let Some(shown) = shown {
        return Ok(Some(Alert::Policy(shown)));
    }
    for account in chat.members.keys() {
        if client.known_account(*account).await?.is_some_and(|known| known.changed_to.is_some()) {
            return Ok(Some(Alert::Identity(*account)));
        }
    }
    Ok(None)
}

async fn on_terminal(chat: Chat, client: &Client, events: &mut Events) -> Result<(), Box<dyn Error>> {
    let mut terminal = ratatui::try_init()?;
    // A terminal that does not know it pastes as if it were typed.
    let _ = execute!(io::stdout(), EnableBracketedPaste);
    let mut keys = Keys::read();
    let done = talk(chat, client, events, &mut keys, &mut terminal).await;
    keys.end().await;
    let _ = execute!(io::stdout(), DisableBracketedPaste);
    ratatui::try_restore()?;
    done
}

async fn talk(
    mut chat: Chat,
    client: &Client,
    events: &mut Events,
    keys: &mut Keys,
    terminal: &mut DefaultTerminal,
) -> Result<(), Box<dyn Error>> {
    let (clock, times) = (Clock::system(), Times { day: text::day, time_of_day: text::time_of_day });
    let (finish, mut finished) = mpsc::channel(DONE_MAX);
    loop {
        terminal.draw(|frame| draw::draw(&chat, times, frame))?;
        let deed = tokio::select! {
            key = keys.receiver.recv() => match key {
                Some(Ok(event::Event::Key(key))) => chat.key(key, clock.now()),
                Some(Ok(event::Event::Paste(text))) => chat.paste(&text, clock.now()),
                Some(Ok(_)) => None,
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            event = events.next() => match event {
                Some(Event::Stopped { error }) => return Err(error.into()),
                Some(event) => chat.apply(&event),
                None => return Err(ClientError::Stopped.into()),
            },
            Some(done) = finished.recv() => is_done(&mut chat, done),
        };
        match deed {
            Some(Deed::Quit) => return Ok(()),
            Some(deed) => start(deed, &chat, client, &finish),
            None => {}
        }
    }
}

/// Has the client do something, beside: keys are served meanwhile.
fn start(deed: Deed, chat: &Chat, client: &Client, finish: &mpsc::Sender<Done>) {
    let (client, finish, conversation) = (client.clone(), finish.clone(), chat.conversation);
    let members: Vec<AccountId> = chat.members.keys().copied().collect();
    tokio::spawn(async move {
        let done = match deed {
            Deed::Send { draft, text } => Done::Kept(draft, client.send(conversation, text).await),
            Deed::ComputeSafety => Done::Safety(safety(&client, members).await),
            Deed::Accept(account, root_key) => Done::Accepted(client.accept_identity(account, root_key).await),
            Deed::Name(account, name) => Done::Named(give_name(&client, account, &name).await),
            Deed::Typing(state) => {
                if let Conversation::Room(room) = conversation {
                    // Nobody misses it.
                    let _ = client.typing(room, state).await;
                }
                return;
            }
            Deed::MarkRead(account, id) => {
                // What does not work now is no reason to stop: the message is read here all the same.
                let _ = client.mark_read(vec![(account, id)]).await;
                return;
            }
            Deed::Quit => return,
        };
        // It is closed when the chat has ended.
        let _ = finish.send(done).await;
    });
}

fn is_done(chat: &mut Chat, done: Done) -> Option<Deed> {
    match done {
        Done::Kept(draft, Err(ClientError::Machine(MachineError::IdentityChanged { account }))) => {
            chat.alert = Some(Alert::Identity(account));
            chat.kept(draft, Err("the identity of somebody who reads here has changed".to_owned()));
        }
        Done::Kept(draft, kept) => chat.kept(draft, kept.map_err(|error| error.to_string())),
        Done::Safety(Ok(numbers)) => chat.computed(numbers),
        Done::Safety(Err(error)) => chat.notice(format!("The safety numbers are not known: {error}.")),
        Done::Named(Ok(names)) => chat.names = names,
        Done::Named(Err(why)) => chat.notice(format!("The name was not given: {why}.")),
        Done::Accepted(Ok(())) => return Some(Deed::ComputeSafety),
        Done::Accepted(Err(error)) => chat.notice(format!("The identity was not taken: {error}.")),
    }
    None
}

async fn give_name(client: &Client, account: AccountId, name: &str) -> Result<Names, String> {
    let mut names = Names::load(client).await.map_err(|error| error.to_string())?;
    names.give(client, name, Named::Account(account)).await.map_err(|error| error.to_string())?;
    Ok(names)
}

async fn safety(client: &Client, members: Vec<AccountId>) -> Result<Vec<Safety>, ClientError> {
    let mut numbers = Vec::new();
    for account in members {
        let known = client.known_account(account).await?;
        let number = client.safety_number(account).await?.map(|number| number.to_string());
        let changed = client.changed_safety_number(account).await?.map(|number| number.to_string());
        let changed = known.and_then(|known| known.changed_to).zip(changed);
        numbers.push(Safety { account, number, changed });
    }
    Ok(numbers)
}

/// The keys, read on a thread of their own.
struct Keys {
    receiver: mpsc::Receiver<io::Result<event::Event>>,
    is_over: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Keys {
    fn read() -> Self {
        let (sender, receiver) = mpsc::channel(KEYS_MAX);
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = spawn_blocking({
            let is_over = Arc::clone(&is_over);
            move || {
                while !is_over.load(Ordering::Acquire) {
                    let read = match event::poll(LOOK_EVERY) {
                        Ok(false) => continue,
                        Ok(true) => event::read(),
                        Err(error) => Err(error),
                    };
                    let is_last = read.is_err();
                    if sender.blocking_send(read).is_err() || is_last {
                        return;
                    }
                }
            }
        });
        Self { receiver, is_over, reader }
    }

    async fn end(self) {
        self.is_over.store(true, Ordering::Release);
        drop(self.receiver);
        // It panics nowhere; and if it did, the chat is over.
        let _ = self.reader.await;
    }
}

/// Messages that are shown from before.
const RECALLED: u32 = 200;

/// How long after the end of a chat its reader of keys may still wait.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const KEYS_MAX: usize = 64;

const DONE_MAX: usize = 64;

#[cfg(test)]
mod tests;
