//! Where the clients of a process write down what they send and what comes.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::ledger::{Ledger, MessageName, Verdict};
use super::message;
use super::plan::Plan;
use super::tally::Tick;
use super::usage::Process;
use crate::client::{Conversation, Event, Message};
use crate::ids::{AccountId, RoomId};
use crate::wire::ErrorCode;

/// Where a client sits: in which room, and which of its members it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    pub(super) room: usize,
    pub(super) member: usize,
}

/// The book of one process. Its clients share it.
#[derive(Debug)]
pub(super) struct Book {
    run: u64,
    text_bytes: usize,
    /// From when on messages are timed.
    warm: Duration,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    ledger: Ledger,
    /// What has happened in this second.
    tick: Tick,
    connected: usize,
    /// When the run began; nothing is sent before.
    started: Option<Instant>,
    rooms: BTreeMap<usize, RoomId>,
    accounts: BTreeMap<Seat, AccountId>,
}

impl Book {
    /// An empty one.
    pub(super) fn new(run: u64, plan: &Plan) -> Self {
        let pages = Pages {
            ledger: Ledger::new((0..plan.rooms()).map(|room| plan.members_of(room).len())),
            tick: Tick::default(),
            connected: 0,
            started: None,
            rooms: BTreeMap::new(),
            accounts: BTreeMap::new(),
        };
        Self { run, text_bytes: plan.text_bytes, warm: plan.warm_up(), pages: Mutex::new(pages) }
    }

    /// Nothing here can fail half-way, so what another thread has left is good.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who sits where: only they may write in that seat's name.
    pub(super) fn seat(&self, seat: Seat, account: AccountId) {
        self.pages().accounts.insert(seat, account);
    }

    /// Notes which room is which.
    pub(super) fn open_room(&self, room: usize, id: RoomId) {
        self.pages().rooms.insert(room, id);
    }

    /// The run begins.
    pub(super) fn start(&self, now: Instant) {
        self.pages().started = Some(now);
    }

    /// How many clients have a socket.
    pub(super) fn connected(&self) -> usize {
        self.pages().connected
    }

    /// A client sends what was due at some time after the start: the message's name and text. None before the start.
    pub(super) fn send(&self, seat: Seat, due: Duration) -> Option<(MessageName, String)> {
        let mut pages = self.pages();
        let elapsed = pages.started?.elapsed();
        let name = pages.ledger.sent(seat.room, seat.member, due)?;
        pages.tick.sent += 1;
        if due >= self.warm {
            pages.tick.delay.record(elapsed.saturating_sub(due));
        }
        Some((name, message::text(self.run, name, self.text_bytes)))
    }

    /// The client did not take a message.
    pub(super) fn refuse(&self, name: MessageName) {
        let mut pages = self.pages();
        pages.ledger.refused(name);
        pages.tick.sent = pages.tick.sent.saturating_sub(1);
    }

    /// Something has happened to a client.
    pub(super) fn hear(&self, seat: Seat, event: &Event) {
        match event {
            Event::Connected => self.pages().connected += 1,
            Event::Disconnected { .. } => {
                let mut pages = self.pages();
                pages.connected = pages.connected.saturating_sub(1);
                pages.tick.disconnected += u64::from(pages.started.is_some());
            }
            Event::Message(message) => self.receive(seat, message),
            // An opening that is given again has no key to read it with any more.
            Event::Repeated { .. } | Event::Undecryptable { reason: ErrorCode::OpeningReplayed, .. } => {
                self.pages().ledger.repeated();
            }
            Event::Undecryptable { .. } => self.pages().ledger.undecryptable(),
            _ => {}
        }
    }

    fn receive(&self, seat: Seat, message: &Message) {
        let mut pages = self.pages();
        let name = message.content.text().and_then(|text| message::name(self.run, text));
        let Some(name) = name.filter(|name| pages.is_of(*name, seat, message)) else {
            pages.ledger.invented();
            return;
        };
        let Some(elapsed) = pages.started.map(|started| started.elapsed()) else { return };
        if let Verdict::First(took) = pages.ledger.received(seat.member, name, elapsed) {
            pages.tick.delivered += 1;
            // When it was due follows from how long ago that is.
            if elapsed.saturating_sub(took) >= self.warm {
                pages.tick.latency.record(took);
            }
        }
    }

    /// A second is over: what has happened in it, and a new page for the next.
    pub(super) fn turn(&self, second: usize) -> Tick {
        let mut pages = self.pages();
        let tick = core::mem::take(&mut pages.tick);
        let (checks, connected) = (pages.ledger.checks(), pages.connected);
        Tick { second, checks, connected, usage: Process::own().usage().unwrap_or_default(), ..tick }
    }
}

impl Pages {
    /// Whether a message came to this seat, in its room, from the account that sits where its name says.
    fn is_of(&self, name: MessageName, seat: Seat, message: &Message) -> bool {
        let from = self.accounts.get(&Seat { room: name.room, member: name.sender });
        let room = self.rooms.get(&seat.room).copied().map(Conversation::Room);
        name.room == seat.room && from == Some(&message.sender.account_id) && room == Some(message.conversation)
    }
}
