//! Somebody with the SDK.

use std::time::Duration;

use conclave::client::{Client, Conversation, Event, Events, Http, Message, SignIn, SignedIn, Store};
use conclave::ids::{AccountId, MessageId};
use conclave::wire::Log;
use tokio::time::timeout;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client, and what it tells.
pub(crate) struct User {
    pub(crate) client: Client,
    pub(crate) events: Events,
}

/// A session on the node, by the development provider.
pub(crate) async fn sign_in(url: &str, name: &str) -> SignedIn {
    SignIn::new(Http::new().unwrap(), url).development(name).await.unwrap()
}

impl User {
    /// A new account on its first device, which keeps everything in memory.
    pub(crate) async fn new(url: &str, name: &str) -> Self {
        Self::new_in(Store::in_memory(), url, name).await
    }

    pub(crate) async fn new_in(store: Store, url: &str, name: &str) -> Self {
        let (client, events) = Client::set_up(store, sign_in(url, name).await).await.unwrap();
        Self { client, events }
    }

    /// The device of a store.
    pub(crate) async fn open(store: Store) -> Self {
        let (client, events) = Client::open(store, Http::new().unwrap()).await.unwrap();
        Self { client, events }
    }

    pub(crate) fn id(&self) -> AccountId {
        self.client.account_id()
    }

    /// What it is told, up to the first that is one of these, which is returned.
    pub(crate) async fn until<T>(&mut self, mut is_it: impl FnMut(&Event) -> Option<T>) -> T {
        let mut passed = Vec::new();
        loop {
            let event = timeout(PATIENCE, self.events.next()).await.unwrap_or_else(|_| panic!("only {passed:?} came"));
            let event = event.unwrap_or_else(|| panic!("the client has ended after {passed:?}"));
            if let Some(found) = is_it(&event) {
                return found;
            }
            passed.push(event);
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Message {
        self.until(|event| if let Event::Message(message) = event { Some((**message).clone()) } else { None }).await
    }

    /// The next message's text, with who wrote it.
    pub(crate) async fn text(&mut self) -> (AccountId, String) {
        let message = self.message().await;
        (message.sender.account_id, message.content.text().unwrap().to_owned())
    }

    pub(crate) async fn is_sent(&mut self, wanted: MessageId) {
        self.until(|event| matches!(event, Event::Sent { id, .. } if *id == wanted).then_some(())).await;
    }

    /// Until its socket is open and its mailbox read.
    pub(crate) async fn is_level(&mut self) {
        self.until(|event| matches!(event, Event::CaughtUp { log: Log::Mailbox }).then_some(())).await;
    }

    pub(crate) async fn write(&self, to: &Self, text: &str) -> MessageId {
        self.client.send_direct(to.id(), text).await.unwrap()
    }

    /// The texts that its device keeps of a conversation.
    pub(crate) async fn kept(&self, conversation: Conversation) -> Vec<String> {
        let messages = self.client.history(conversation, None, 1_000).await.unwrap();
        messages.iter().map(|message| message.content.text().unwrap().to_owned()).collect()
    }

    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
    }
}
