//! The handle that an app holds.

use core::future::{Future, ready};
use core::pin::Pin;

use tokio::sync::{mpsc, oneshot};

use super::api::Http;
use super::clock::Clock;
use super::content::Content;
use super::error::ClientError;
use super::message::{Conversation, Message};
use super::setup;
use super::sign_in::SignedIn;
use super::store::Store;
use super::sync::{Events, Job, Saved, Worker};
use super::vault::Shelves;
use crate::ids::{AccountId, DeviceAddress, MessageId};
use crate::protocol::public::SigningPublicKey;
use crate::wire::ErrorCode;

/// A device at work. Clones are handles of the same one, and cheap; it works on until it is
/// [closed](Self::close) or the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    jobs: mpsc::Sender<Job>,
    device: DeviceAddress,
    root_key: SigningPublicKey,
    pub(super) shelves: Shelves,
}

/// What a job does, while it has the worker.
pub(super) type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send + 'a>>;

impl Client {
    /// Sets up the first device of an account: makes the account's root key and this device's keys, and publishes what
    /// others need to write to it. It returns when the node has all of that.
    ///
    /// If it fails after the store was written, [`open`](Self::open) goes on where it stopped.
    ///
    /// # Errors
    /// [`ClientError::AccountExists`] if the account has devices; [`ClientError::AlreadySetUp`] if the store has one; those
    /// of the calls and the store.
    pub async fn set_up(store: Store, signed_in: SignedIn) -> Result<(Self, Events), ClientError> {
        Self::set_up_at(store, signed_in, Clock::system()).await
    }

    /// As [`set_up`](Self::set_up), by a clock of the caller's.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub async fn set_up_at(store: Store, signed_in: SignedIn, clock: Clock) -> Result<(Self, Events), ClientError> {
        let mut saved = Saved::load(store).await?;
        setup::new_account(&mut saved, &signed_in, &clock).await?;
        Self::begin(saved, signed_in.api.http().clone(), clock).await
    }

    /// Goes on with the device of a store, whether the node can be reached or not.
    ///
    /// # Errors
    /// [`ClientError::NotSetUp`] if there is none; [`ClientError::Store`].
    pub async fn open(store: Store, http: Http) -> Result<(Self, Events), ClientError> {
        Self::open_at(store, http, Clock::system()).await
    }

    /// As [`open`](Self::open), by a clock of the caller's.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_at(store: Store, http: Http, clock: Clock) -> Result<(Self, Events), ClientError> {
        let (worker, events, jobs) = Saved::load(store).await?.start(http, clock).await?;
        Ok((Self::run(worker, jobs), events))
    }

    /// Starts a device that was just set up, and has the node know it.
    pub(super) async fn begin(saved: Saved, http: Http, clock: Clock) -> Result<(Self, Events), ClientError> {
        let (mut worker, events, jobs) = saved.start(http, clock).await?;
        worker.register().await?;
        worker.publish_first_keys().await?;
        Ok((Self::run(worker, jobs), events))
    }

    fn run(worker: Worker, jobs: mpsc::Sender<Job>) -> Self {
        let device = worker.machine.device();
        let (device, root_key) = (device.address(), device.root_key().clone());
        // It ends when the last handle is gone.
        tokio::spawn(worker.run());
        Self { jobs, device, root_key, shelves: Shelves::default() }
    }

    /// This account.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.device.account_id
    }

    /// This device.
    #[must_use]
    pub const fn device(&self) -> DeviceAddress {
        self.device
    }

    /// This account's root key.
    #[must_use]
    pub const fn root_key(&self) -> &SigningPublicKey {
        &self.root_key
    }

    /// Sends a message to an account: to all of its devices, and to this user's others. It is kept when this returns; it goes
    /// when the node is reached, and [`Event::Sent`](super::Event::Sent) says when it is there.
    ///
    /// # Errors
    /// [`MachineError::IdentityChanged`](crate::protocol::machine::MachineError::IdentityChanged) until the account's new
    /// identity is accepted; [`ClientError::OutboxFull`]; a content over
    /// [`MESSAGE_BYTES_MAX`](crate::protocol::public::limits::MESSAGE_BYTES_MAX).
    pub async fn send_direct(&self, account: AccountId, content: impl Into<Content>) -> Result<MessageId, ClientError> {
        self.send(Conversation::Direct(account), content).await
    }

    /// Sends a message to a conversation. See [`send_direct`](Self::send_direct).
    ///
    /// # Errors
    /// As [`send_direct`](Self::send_direct); [`ClientError::NotJoined`], and [`ClientError::PolicyChanged`] for a room of
    /// which the node has shown another policy.
    pub async fn send(
        &self,
        conversation: Conversation,
        content: impl Into<Content>,
    ) -> Result<MessageId, ClientError> {
        let content = content.into();
        self.ask(move |worker| Box::pin(worker.write(conversation, content))).await
    }

    /// The messages of a conversation that this device has, in their order: the last `limit` before a number, or of all.
    ///
    /// # Errors
    /// [`ClientError::Store`].
    pub async fn history(
        &self,
        conversation: Conversation,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Message>, ClientError> {
        self.ask(move |worker| Box::pin(worker.page(conversation, before, limit))).await
    }

    /// Why a message waits, if it does although there is a connection: its reader has a new identity that is not accepted
    /// (`identity_changed`), or no keys yet (`no_prekeys`); their mailbox is full (`mailbox_full`); or the node cannot now.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn delay(&self, id: MessageId) -> Result<Option<ErrorCode>, ClientError> {
        self.tell(move |worker| Ok(worker.delay(id))).await
    }

    /// Tells the writers of messages that the user has read them.
    ///
    /// # Errors
    /// [`ClientError::Store`]. Messages that are not kept here are passed over.
    pub async fn mark_read(&self, messages: Vec<(AccountId, MessageId)>) -> Result<(), ClientError> {
        self.ask(move |worker| Box::pin(worker.mark_read(messages))).await
    }

    /// Whether the node still took this device's session when it was last asked.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn has_session(&self) -> Result<bool, ClientError> {
        self.tell(|worker| Ok(worker.has_session())).await
    }

    /// Goes on with a new session, when the last one has ended, or when the node is to be reached at another address: from now
    /// on it is reached where this session was begun.
    ///
    /// # Errors
    /// [`ClientError::OtherAccount`]: nothing has changed then. [`ClientError::Store`].
    pub async fn sign_in_again(&self, signed_in: SignedIn) -> Result<(), ClientError> {
        self.ask(move |worker| Box::pin(worker.take_session(signed_in))).await
    }

    /// Connects now, also after [`Event::Refused`](super::Event::Refused).
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn reconnect(&self) -> Result<(), ClientError> {
        self.tell(|worker| {
            worker.reconnect();
            Ok(())
        })
        .await
    }

    /// Ends it: what was asked before is done and kept, the socket and the store are closed. What is due to a node that is
    /// connected has up to a second to go first, receipts too; the rest goes when the store is opened again.
    ///
    /// # Errors
    /// [`ClientError::Stopped`] if it had ended.
    pub async fn close(self) -> Result<(), ClientError> {
        let (closed, is_closed) = oneshot::channel();
        let close: Job = Box::new(move |worker| {
            Box::pin(async move {
                worker.close(closed);
            })
        });
        self.jobs.send(close).await.map_err(|_| ClientError::Stopped)?;
        is_closed.await.map_err(|_| ClientError::Stopped)
    }

    /// Has the worker do something that takes no time.
    pub(super) async fn tell<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Worker) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        self.ask(move |worker| Box::pin(ready(job(worker)))).await
    }

    /// Has the worker do something, and commits it before the answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        job: impl for<'a> FnOnce(&'a mut Worker) -> Doing<'a, T> + Send + 'static,
    ) -> Result<T, ClientError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            Box::pin(async move {
                let done = job(worker).await;
                // What it has begun is kept whether it ended well or not: the machine has moved.
                let kept = worker.finish().await;
                let _ = answer.send(if kept { done } else { Err(ClientError::Stopped) });
            })
        });
        self.jobs.send(job).await.map_err(|_| ClientError::Stopped)?;
        answered.await.unwrap_or(Err(ClientError::Stopped))
    }
}
