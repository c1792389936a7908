//! How a session follows logs: the rooms that it has joined and its device's mailbox.
//!
//! A feed begins behind: the session reads the log from the client's position, page by page as the
//! connection takes it, and goes live when nothing is left between. See `cursor.rs` for how the two are
//! joined without a hole.

use core::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::{Direct, Session};
use crate::ids::{DeviceAddress, LogEpoch, RoomId};
use crate::node::actors::cursor::{Cursor, Published};
use crate::node::actors::publication::is_for;
use crate::node::actors::supervisor::refusal;
use crate::node::store::StoreError;
use crate::node::ws::connection::Full;
use crate::node::ws::shared;
use crate::wire::{self, Log, LogEntry, LogPage, Message, PageLimit, Position, RoomPolicy};

/// What a session follows: a list in the order of the logs. Most sessions follow few, and a map has room for many.
#[derive(Debug, Default)]
pub(in crate::node::actors) struct Followed(Vec<(Log, Feed)>);

impl Followed {
    /// Follows a room's log from a position on.
    pub(in crate::node::actors) fn join(
        &mut self,
        room_id: RoomId,
        policy: RoomPolicy,
        cursor: &Rc<Cell<Cursor>>,
        after: Position,
    ) {
        cursor.set(Cursor::behind(after.seq));
        let feed = Feed { cursor: Rc::clone(cursor), claimed: Some(after), policy: Some(policy) };
        self.follow(Log::Room(room_id), feed);
    }

    pub(super) fn follow(&mut self, log: Log, feed: Feed) {
        match self.place(log) {
            Ok(place) => self.0[place].1 = feed,
            Err(place) => self.0.insert(place, (log, feed)),
        }
    }

    /// Follows a room no more. Whether it did.
    pub(in crate::node::actors) fn leave(&mut self, room_id: RoomId) -> bool {
        let place = self.place(Log::Room(room_id));
        place.is_ok_and(|place| {
            self.0.remove(place);
            true
        })
    }

    /// How far each log that is followed was read.
    pub(in crate::node::actors) fn cursors(&self) -> impl Iterator<Item = (Log, Cursor)> {
        self.0.iter().map(|(log, feed)| (*log, feed.cursor.get()))
    }

    /// The policy of a room that was joined.
    pub(super) fn policy(&self, room_id: RoomId) -> Option<RoomPolicy> {
        self.feed(Log::Room(room_id))?.policy
    }

    /// Rooms that were joined.
    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.0.iter().filter_map(|(log, _)| if let Log::Room(room_id) = log { Some(*room_id) } else { None })
    }

    /// Whether nothing is to be read from a log, or being read.
    pub(super) fn is_level(&self) -> bool {
        self.0.iter().all(|(_, feed)| feed.cursor.get().is_live())
    }

    fn feed(&self, log: Log) -> Option<&Feed> {
        self.place(log).ok().map(|place| &self.0[place].1)
    }

    fn feed_mut(&mut self, log: Log) -> Option<&mut Feed> {
        self.place(log).ok().map(|place| &mut self.0[place].1)
    }

    /// All feeds, those after a log first.
    fn after(&self, log: Log) -> impl Iterator<Item = &(Log, Feed)> {
        let (before, after) = self.0.split_at(self.0.partition_point(|(other, _)| *other <= log));
        after.iter().chain(before)
    }

    /// Where a log is in the list, or belongs.
    fn place(&self, log: Log) -> Result<usize, usize> {
        self.0.binary_search_by_key(&log, |(log, _)| *log)
    }
}

/// One log that is followed.
#[derive(Debug)]
pub(super) struct Feed {
    cursor: Rc<Cell<Cursor>>,
    /// What the client has said that it has, until the log was seen.
    claimed: Option<Position>,
    /// Of a room.
    policy: Option<RoomPolicy>,
}

impl Feed {
    /// A feed from the client's position; from the beginning if it has none.
    pub(super) fn resume(claimed: Option<Position>) -> Self {
        let cursor = Cursor::behind(claimed.map_or(0, |position| position.seq));
        Self { cursor: Rc::new(Cell::new(cursor)), claimed, policy: None }
    }

    /// Compares what the client has with the log as it is. Where the feed goes on, if that is not after what it has.
    fn settle(&mut self, epoch: LogEpoch, head: u64) -> Option<Position> {
        let claimed = self.claimed.take()?;
        let seq = if claimed.epoch != epoch {
            0
        } else if claimed.seq > head {
            head
        } else {
            return None;
        };
        self.cursor.set(Cursor::behind(seq));
        Some(Position { epoch, seq })
    }
}

impl Session {
    /// Begins to read the logs that are behind, if the connection has room.
    pub(super) fn read_feeds(&mut self, context: &mut Context<Self>) {
        let Some(who) = self.who() else { return };
        if !self.connection.has_room() {
            return;
        }
        let device = who.device;
        let followed = self.followed.borrow();
        if followed.is_level() {
            return;
        }
        let reading = followed.cursors().filter(|(_, cursor)| cursor.is_reading()).count();
        // The one that was read last comes last.
        let after = self.last_read.unwrap_or(Log::Mailbox);
        let wanting = followed.after(after).filter(|(_, feed)| feed.cursor.get().wants_page());
        for (log, feed) in wanting.take(PAGES_AT_ONCE.saturating_sub(reading)) {
            self.last_read = Some(*log);
            let mut cursor = feed.cursor.get();
            cursor.start_reading();
            feed.cursor.set(cursor);
            let (log, after, store) = (*log, cursor.last(), self.parts.store.clone());
            let cell = Rc::clone(&feed.cursor);
            let page = async move {
                match log {
                    Log::Room(room_id) => store.room_page(room_id, device, after, PageLimit::default()).await.map(Some),
                    Log::Mailbox => store.mailbox_page(device, after, PageLimit::default()).await,
                }
            };
            context.spawn(page.into_actor(self).map(move |page, session, context| {
                // The log may have been left meanwhile, and joined again from elsewhere.
                let is_same = |feed: &Feed| Rc::ptr_eq(&feed.cursor, &cell);
                if session.followed.borrow().feed(log).is_some_and(is_same) {
                    session.take_page(log, page, context);
                }
            }));
        }
    }

    /// Queues a page, and goes live or reads on after it.
    fn take_page(&mut self, log: Log, page: Result<Option<LogPage>, StoreError>, context: &mut Context<Self>) {
        let page = match page {
            Ok(Some(page)) => page,
            Ok(None) => return self.take_no_mailbox(context),
            // The log is shorter than what the client has of it: its beginning says where it ends.
            Err(StoreError::PositionAhead { .. }) => {
                self.rewind_to(log, Some(0));
                return self.read_feeds(context);
            }
            // The account was removed from the room meanwhile.
            Err(StoreError::UnknownRoom { room_id }) => return self.unfollow(room_id),
            // It is read again when the session next looks.
            Err(error) => {
                refusal(error);
                return self.rewind_to(log, None);
            }
        };
        let LogPage { epoch, entries, read_to, head } = page;
        let settled =
            self.followed.borrow_mut().feed_mut(log).map(|feed| (feed.settle(epoch, head), feed.cursor.clone()));
        let Some((gap, cell)) = settled else { return };
        if let Some(position) = gap {
            self.tell(&Message::Gap { log, position: Some(position) });
            return self.read_feeds(context);
        }
        let Some(device) = self.who().map(|who| who.device) else { return };
        let mut cursor = cell.get();
        if !self.queue_page(log, epoch, entries, device, &mut cursor) {
            return cell.set(cursor);
        }
        let published = match log {
            Log::Room(room_id) => self.parts.hall.published(room_id),
            // A mailbox's envelopes come to the session alone: one that came while it read has moved `head`.
            Log::Mailbox => self.mailbox_head,
        };
        cursor.end_page(read_to, head, published);
        cell.set(cursor);
        if cursor.is_live() {
            self.tell(&Message::CaughtUp { log, position: Some(Position { epoch, seq: cursor.last() }) });
        } else {
            self.read_feeds(context);
        }
    }

    /// Queues what a page has for the device, as far as there is room. Whether there was.
    fn queue_page(
        &self,
        log: Log,
        epoch: LogEpoch,
        entries: Vec<LogEntry>,
        device: DeviceAddress,
        cursor: &mut Cursor,
    ) -> bool {
        let mut queued = 0;
        let mut has_room = true;
        for LogEntry { seq, envelope } in entries {
            if !cursor.read(seq) {
                continue;
            }
            let position = Position { epoch, seq };
            let entry = wire::Entry { position, envelope };
            let message = match log {
                Log::Room(_) if !is_for(entry.envelope.sender, entry.envelope.recipient, device) => continue,
                Log::Room(_) => Message::Envelope(entry),
                Log::Mailbox => Message::Direct(entry),
            };
            has_room = self.connection.offer(shared::of(&message, self.encoding)).is_ok();
            if !has_room {
                cursor.fall_behind(seq);
                break;
            }
            queued += 1;
        }
        self.parts.hall.meter.queued_read(log, queued);
        has_room
    }

    /// Nothing was ever delivered to the device.
    fn take_no_mailbox(&mut self, context: &mut Context<Self>) {
        let (log, position) = (Log::Mailbox, None);
        let settled = self.followed.borrow_mut().feed_mut(log).map(|feed| {
            let mut cursor = Cursor::behind(0);
            cursor.end_page(0, 0, self.mailbox_head);
            feed.cursor.set(cursor);
            (cursor, feed.claimed.take())
        });
        let Some((cursor, claimed)) = settled else { return };
        if claimed.is_some() {
            self.tell(&Message::Gap { log, position });
        }
        if cursor.is_live() {
            self.tell(&Message::CaughtUp { log, position });
        } else {
            self.read_feeds(context);
        }
    }

    /// Has a log read from a number on, or from where it was.
    fn rewind_to(&self, log: Log, last: Option<u64>) {
        if let Some(feed) = self.followed.borrow().feed(log) {
            feed.cursor.set(Cursor::behind(last.unwrap_or(feed.cursor.get().last())));
        }
    }

    fn unfollow(&self, room_id: RoomId) {
        self.followed.borrow_mut().leave(room_id);
        if let Some(who) = self.who() {
            self.depart(who.device.account_id, room_id);
        }
    }

    /// An envelope that had come to the mailbox was not told: it is to be read.
    pub(super) fn missed_direct(&mut self) {
        if let Some(feed) = self.followed.borrow().feed(Log::Mailbox) {
            if feed.cursor.get().is_reading() {
                // The page that comes may have been read before.
                self.has_missed.store(true, Ordering::Relaxed);
            } else {
                feed.cursor.set(Cursor::behind(feed.cursor.get().last()));
            }
        }
    }

    /// Takes an envelope that has come to the mailbox.
    pub(super) fn direct(&mut self, Direct { position, received_at, message }: &Direct) {
        self.mailbox_head = self.mailbox_head.max(position.seq);
        let followed = self.followed.borrow();
        let Some(feed) = followed.feed(Log::Mailbox) else { return };
        let mut cursor = feed.cursor.get();
        if cursor.publish(position.seq) == Published::Next {
            match self.connection.offer(message.frame(self.encoding)) {
                Ok(()) => self.parts.hall.meter.queued_live(Log::Mailbox, 1, *received_at),
                Err(Full) => cursor.fall_behind(position.seq),
            }
        }
        feed.cursor.set(cursor);
    }
}

/// Pages that one session reads at a time: others read too.
const PAGES_AT_ONCE: usize = 2;
