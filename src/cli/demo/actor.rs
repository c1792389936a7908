//! Somebody in the story: a device, and what it was told.

use core::time::Duration;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;

use tokio::time::timeout;

use crate::cli::close;
use crate::client::{Client, Conversation, Event, Events, Http, Linking, Message, SignIn, Store};
use crate::ids::{AccountId, MessageId};
use crate::protocol::keystore::Passphrase;
use crate::wire::Log;

/// Somebody with a device that is on.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) client: Client,
    events: Events,
    store: PathBuf,
    http: Http,
    /// Every message that came, in the order in which it did.
    pub(super) read: Vec<(AccountId, String)>,
    /// Who has said that a message came to them. A receipt may be told before an answer or after it.
    receipts: BTreeSet<AccountId>,
}

/// Somebody whose device is off.
pub(super) struct Offline {
    name: &'static str,
    store: PathBuf,
    http: Http,
    read: Vec<(AccountId, String)>,
}

/// Where the node is, and where the stores are.
pub(super) struct Stage {
    pub(super) url: String,
    pub(super) people: PathBuf,
    pub(super) http: Http,
}

impl Actor {
    /// Somebody new, on a first device. `subject` is who they are at the provider.
    pub(super) async fn new(stage: &Stage, name: &'static str, subject: &str) -> Result<Self, Box<dyn Error>> {
        let store = stage.people.join(format!("{name}.store"));
        let signed_in = SignIn::new(stage.http.clone(), &stage.url).development(subject).await?;
        let (client, events) = Client::set_up(Store::create(&store, passphrase()?).await?, signed_in).await?;
        Ok(Self { name, client, events, store, http: stage.http.clone(), read: Vec::new(), receipts: BTreeSet::new() })
    }

    /// A second device of somebody, which the first one takes in.
    pub(super) async fn linked(
        stage: &Stage,
        name: &'static str,
        subject: &str,
        first: &Self,
    ) -> Result<Self, Box<dyn Error>> {
        let store = stage.people.join(format!("{name}.store"));
        let signed_in = SignIn::new(stage.http.clone(), &stage.url).development(subject).await?;
        let linking = Linking::begin(Store::create(&store, passphrase()?).await?, signed_in).await?;
        first.client.link_device(&linking.code()).await?;
        let (client, events) = linking.wait().await?;
        Ok(Self { name, client, events, store, http: stage.http.clone(), read: Vec::new(), receipts: BTreeSet::new() })
    }

    pub(super) fn id(&self) -> AccountId {
        self.client.account_id()
    }

    /// Writes a message, and waits until the node has it.
    pub(super) async fn write(&mut self, to: Conversation, text: &str) -> Result<(), Box<dyn Error>> {
        let id = self.client.send(to, text).await?;
        self.is_sent(id).await
    }

    pub(super) async fn is_sent(&mut self, wanted: MessageId) -> Result<(), Box<dyn Error>> {
        self.until("that its message is on the node", |event| matches!(event, Event::Sent { id, .. } if *id == wanted))
            .await
    }

    /// Waits until so many messages have come in all.
    pub(super) async fn has_read(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        if self.read.len() >= count {
            return Ok(());
        }
        let mut missing = count - self.read.len();
        self.until("a message", |event| {
            missing -= usize::from(matches!(event, Event::Message(_)));
            missing == 0
        })
        .await
    }

    /// Waits until somebody has said that a message came.
    pub(super) async fn has_receipt(&mut self, of: AccountId) -> Result<(), Box<dyn Error>> {
        if self.receipts.contains(&of) {
            return Ok(());
        }
        self.until("a receipt", |event| matches!(event, Event::Receipt { by, .. } if *by == of)).await
    }

    /// Waits until its mailbox and a room are read, or only the mailbox.
    pub(super) async fn is_level(&mut self, mut logs: Vec<Log>) -> Result<(), Box<dyn Error>> {
        self.until("that it has caught up", |event| {
            if let Event::CaughtUp { log } = event {
                logs.retain(|wanted| wanted != log);
            }
            logs.is_empty()
        })
        .await
    }

    /// Takes what it has missed in some logs, after which so many messages have come in all.
    ///
    /// # Errors
    /// If it has caught up, and has read fewer: they are lost.
    pub(super) async fn has_missed(&mut self, count: usize, logs: Vec<Log>) -> Result<(), Box<dyn Error>> {
        self.is_level(logs).await?;
        match count.checked_sub(self.read.len()) {
            None | Some(0) => Ok(()),
            Some(lost) => {
                Err(format!("{} has caught up, and {lost} of the messages written to it did not come", self.name)
                    .into())
            }
        }
    }

    /// Takes what it is told, up to something.
    pub(super) async fn until(
        &mut self,
        what: &'static str,
        mut is_it: impl FnMut(&Event) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        loop {
            let event = timeout(PATIENCE, self.events.next()).await;
            let event = event.map_err(|_| format!("{} waits for {what}, and it does not come", self.name))?;
            let event = event.ok_or_else(|| format!("the device of {} has stopped", self.name))?;
            match &event {
                Event::Message(message) => self.read.push(text(message)),
                Event::Receipt { by, .. } => drop(self.receipts.insert(*by)),
                Event::Undecryptable { reason, .. } => {
                    return Err(format!("a message to {} does not open: {reason}", self.name).into());
                }
                Event::NotSent { reason, .. } => return Err(format!("{} may not send: {reason}", self.name).into()),
                Event::Gap { .. } => return Err(format!("the node has lost messages to {}", self.name).into()),
                Event::Stopped { error } => return Err(format!("{}: {error}", self.name).into()),
                _ => {}
            }
            if is_it(&event) {
                return Ok(());
            }
        }
    }

    /// Switches the device off.
    pub(super) async fn off(mut self) -> Result<Offline, Box<dyn Error>> {
        close(self.client, &mut self.events).await?;
        Ok(Offline { name: self.name, store: self.store, http: self.http, read: self.read })
    }
}

impl Offline {
    /// Switches the device on again.
    pub(super) async fn on(self) -> Result<Actor, Box<dyn Error>> {
        let Self { name, store, http, read } = self;
        let (client, events) = Client::open(Store::open(&store, passphrase()?).await?, http.clone()).await?;
        Ok(Actor { name, client, events, store, http, read, receipts: BTreeSet::new() })
    }
}

fn text(message: &Message) -> (AccountId, String) {
    (message.sender.account_id, message.content.text().unwrap_or("no text").to_owned())
}

/// Nobody types one in a demo, and the stores go when it ends.
fn passphrase() -> Result<Passphrase, Box<dyn Error>> {
    Ok(Passphrase::new("correct horse battery staple".to_owned())?)
}

/// How long anything in a demo may take.
const PATIENCE: Duration = Duration::from_secs(30);
