//! The worker: the one task that owns a device's machine, its store and its socket.
//!
//! A turn takes one thing that happened (a call of the app, a message of the node, a time that has come) and does it.
//! What is to be kept gathers in one batch; at the end of the turn the batch is committed, and only then events go to
//! the app and commands to the node. So nothing leaves that a crash could make undone.
//!
//! - **Every wait is bounded**: calls to the node have timeouts; commands on the socket are answered in some later turn, or
//!   the socket is given up.
//! - **Backpressure**: while the app has not taken its events, nothing is read from the node, which then keeps
//!   what comes in its log. Calls of the app go on being served.
//! - **A commit that fails ends the worker**: the machine in memory is ahead of the store then. Opening the store
//!   again goes on from what was kept.

mod answers;
mod calls;
mod connection;
mod contacts;
mod inbox;
mod letters;
mod link;
mod lookups;
mod members;
mod node_time;
mod outbox;
mod parts;
mod repair;
mod rooms;
mod rotation;
mod socket;
mod state;
mod tell;
mod tokens;
mod typing;
mod under_way;
mod upkeep;
mod vault;

use core::future::{Future, pending};
use core::pin::Pin;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

pub(super) use letters::Letter;
pub(super) use rooms::Room;
pub(super) use state::{KIT_DUE, Kit, NODE, SECRETS, SETTINGS, Saved, TOKENS, encode};
pub use tell::Events;
pub(super) use vault::{SeenCollection, VaultWriter};

use super::api::{Api, ApiError};
use super::clock::Clock;
use super::entropy;
use super::error::ClientError;
use super::events::Event;
use super::settings::Settings;
use super::store::{Batch, LocalStore};
use crate::ids::{AccountId, MessageId, RoomId};
use crate::protocol::backup::AccountSecrets;
use crate::protocol::machine::{Input, Machine, Outputs};
use crate::wire::{ErrorCode, Position, Timestamp, TypingState};
use answers::Pending;
use link::{BackOff, Link};
use lookups::Lookups;
use node_time::NodeTime;
use outbox::Outbox;
use socket::Socket;
use tell::Tell;
use typing::Typing;
use under_way::UnderWay;

/// Something that the app asks the worker to do.
pub(super) type Job = Box<dyn for<'a> FnOnce(&'a mut Worker) -> JobDone<'a> + Send>;

/// A job that is being done.
pub(super) type JobDone<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The app has closed the device. It ends when what is due to the node has gone, or at this time.
#[derive(Debug)]
struct Closing {
    closed: oneshot::Sender<()>,
    until: Instant,
}

/// A device at work.
#[derive(Debug)]
pub(super) struct Worker {
    // Who.
    pub(super) machine: Machine,
    pub(super) secrets: Option<AccountSecrets>,
    pub(super) kit: Kit,
    vault: vault::Known,
    api: Api,
    session: tokens::Session,
    pub(super) settings: Settings,

    // What is kept.
    store: Box<dyn LocalStore>,
    pub(super) batch: Batch,
    /// To be told once the batch is committed.
    staged: Vec<Event>,
    next_number: u64,
    tell: Tell,
    pub(super) rooms: BTreeMap<RoomId, Room>,
    left: BTreeMap<RoomId, rooms::Left>,
    mailbox: Option<Position>,
    outbox: Outbox,
    drafts: BTreeMap<u64, Letter>,
    /// Why messages wait that could go otherwise.
    delays: BTreeMap<MessageId, ErrorCode>,
    /// Receipts that are owed.
    owed: repair::Owed,
    held: BTreeMap<u64, repair::Held>,
    lookups: Lookups,
    carried: repair::CarriedMap,
    repairs: Vec<repair::Repairs>,
    /// When sessions with an account's devices were begun anew.
    renewed: rotation::Renewed,
    /// What members have said of their keys.
    rotated: BTreeMap<AccountId, rotation::Rotated>,

    // The node.
    link: Link,
    back_off: BackOff,
    under_way: UnderWay,
    next_command: u32,
    /// The mailbox is saved up to here, which the node is not told yet.
    ack_due: bool,
    /// When to leave a node that stops.
    reconnect_at: Option<Instant>,
    is_registered: bool,
    /// The rooms are as the node has them.
    is_synced: bool,
    fresh: BTreeMap<AccountId, Instant>,
    typing: Typing,
    /// Accounts whose devices may be others than what waits was sealed for.
    moved: BTreeSet<AccountId>,
    node_time: NodeTime,

    // Time.
    clock: Clock,
    maintain_at: Timestamp,
    retry_at: Option<Instant>,

    jobs: mpsc::Receiver<Job>,
    closing: Option<Closing>,
    /// Why a call of the app could not be kept: the last thing that happens.
    failed: Option<ClientError>,
}

impl Worker {
    /// Works until the app closes it or lets go of it, or something fails that cannot be gone on from.
    pub(super) async fn run(mut self) {
        let ended = loop {
            match self.turn().await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.link = Link::Down { retry_at: None };
        if let Err(error) = ended {
            self.tell.end(Event::Stopped { error });
        }
        // What is committed is safe either way.
        let _ = self.store.close().await;
        if let Some(closing) = self.closing.take() {
            let _ = closing.closed.send(());
        }
    }

    /// One turn. False if it was the last.
    async fn turn(&mut self) -> Result<bool, ClientError> {
        self.settle().await?;
        if self.may_end() {
            return Ok(false);
        }
        let due = self.due_at();
        let Self { jobs, link, tell, .. } = self;
        let is_level = tell.is_level();
        let wake = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            job = jobs.recv() => {
                // The last handle is gone.
                let Some(job) = job else { return Ok(false) };
                job(self).await;
            }
            arrival = link.next(), if is_level => self.arrived(arrival).await?,
            () = tell.has_place(), if !is_level => self.under_way.is_behind(),
            () = tell.is_taken() => {}
            () = wake => self.tick().await?,
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(true),
        }
    }

    /// Commits, tells the app, and gives the node what it is due.
    async fn settle(&mut self) -> Result<(), ClientError> {
        self.commit().await?;
        self.tell.flush();
        self.pump().await?;
        self.commit().await
    }

    /// Saves what the turn has gathered; then it may be told.
    pub(super) async fn commit(&mut self) -> Result<(), ClientError> {
        let told = self.tell.unsaved();
        if let Some(number) = told {
            self.batch.put(state::TOLD, state::encode(&number));
        }
        if !self.batch.is_empty() {
            self.store.commit(core::mem::take(&mut self.batch)).await?;
        }
        if let Some(number) = told {
            self.tell.saved(number);
        }
        for event in self.staged.drain(..) {
            self.tell.push(event);
        }
        Ok(())
    }

    /// Hands an input to the machine; what it says is to be saved is put into the batch.
    pub(super) fn handle(&mut self, input: Input<'_>) -> Result<Outputs, ClientError> {
        let mut outputs = self.machine.handle(input, self.clock.now(), &mut entropy::generator()?)?;
        self.batch.add(core::mem::take(&mut outputs.changes));
        Ok(outputs)
    }

    /// What has come from the node, and what else has come meanwhile: one commit for all.
    async fn arrived(&mut self, arrival: link::Arrival) -> Result<(), ClientError> {
        self.take(arrival).await?;
        for _ in 1..ARRIVALS_PER_COMMIT_MAX {
            match self.link.try_next() {
                Some(arrival) => self.take(arrival).await?,
                None => return Ok(()),
            }
        }
        self.under_way.is_behind();
        Ok(())
    }

    /// What is due by the clock.
    async fn tick(&mut self) -> Result<(), ClientError> {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            // First: what is held may fail again, and nothing else is to wait for it.
            self.pump().await?;
            self.open_held().await?;
        }
        self.outbox.wake(now);
        for (room, account) in self.typing.expire(now) {
            self.event(Event::Typing { room, account, state: TypingState::Stopped });
        }
        if self.reconnect_at.is_some_and(|at| at <= now) {
            self.disconnect(Some(Duration::ZERO));
        }
        if self.given_up_at().is_some_and(|at| at <= now) {
            match self.link.try_next() {
                // It may be the answer.
                Some(arrival) => self.arrived(arrival).await?,
                None => self.disconnect_for_a_while(),
            }
        }
        if self.link.retry_at().is_some_and(|at| at <= now) {
            self.connect().await?;
        }
        if self.link.socket().is_some() && self.maintain_at <= self.clock.now() {
            self.maintain().await?;
        }
        Ok(())
    }

    /// When something is due next.
    fn due_at(&self) -> Option<Instant> {
        let maintain = self.link.socket().map(|_| {
            let wait = self.maintain_at.since(self.clock.now()).min(WAIT_MAX);
            Instant::now() + wait.max(Duration::from_millis(10))
        });
        let retry = self.link.socket().and(self.retry_at);
        let end = self.closing.as_ref().map(|closing| closing.until);
        let of_link = [self.reconnect_at, self.link.retry_at(), self.given_up_at(), end];
        of_link.into_iter().chain([maintain, retry, self.outbox.wakes_at(), self.typing.next_end()]).flatten().min()
    }

    /// When the node has taken too long to answer. What is not read meanwhile is not the node's fault.
    fn given_up_at(&self) -> Option<Instant> {
        let answer_max = self.settings.answer_max();
        self.tell.is_level().then(|| self.under_way.given_up_at(answer_max)).flatten()
    }

    /// Ends as soon as nothing more is due to the node, and soon in any case.
    pub(super) fn close(&mut self, closed: oneshot::Sender<()>) {
        self.closing = Some(Closing { closed, until: Instant::now() + CLOSE_WAIT_MAX });
    }

    /// Whether it is closed, and nothing is on its way that the node is there to take.
    fn may_end(&self) -> bool {
        let Some(closing) = &self.closing else { return false };
        let is_at_rest = self.owed.is_empty() && self.outbox.is_at_rest();
        is_at_rest || self.link.socket().is_none() || closing.until <= Instant::now()
    }

    /// What time it is here.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells the app something once this turn is committed.
    fn event(&mut self, event: Event) {
        self.staged.push(event);
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// A call to the node. If it does not take the token any more, with the next one.
    pub(super) async fn rest<T, F>(&mut self, call: impl Fn(Api) -> F + Send) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ApiError>> + Send,
    {
        if self.session.is_ended {
            return Err(ClientError::SignedOut);
        }
        match call(self.api.clone()).await {
            Err(error) if error.is_signed_out() => {
                self.refresh().await?;
                Ok(call(self.api.clone()).await?)
            }
            answer => Ok(answer?),
        }
    }
}

/// What a failure means to something that is tried again by itself: only what cannot be gone on from is an error.
fn survive<T>(result: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_fatal() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Messages of the node that are taken before a commit.
const ARRIVALS_PER_COMMIT_MAX: usize = 64;

/// What is due to the node, receipts above all, has so long to go when the app closes.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);

/// The longest sleep: clocks are set meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
