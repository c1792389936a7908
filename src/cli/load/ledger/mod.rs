//! What was sent, and what was received by whom: the ledger finds what was lost, repeated, put out of order or made up.
//!
//! It has no clock and knows no client: each call says what happened and when. All members of a room write into the same
//! ledger, so those of several processes are merged by adding up their [`Checks`].
//!
//! Memory grows with what is under way, not with what was done: a message is forgotten once everybody has it, and what a
//! member has of another is a set of ranges, one while nothing is missing. What is lost costs more: 50 bytes a message, and 16
//! for each delivery that came after a hole. 1,000 clients in rooms of ten that lose every second message of 1,000 a second,
//! for five minutes, cost about 30 MB.

mod checks;
mod ranges;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::BTreeMap;

pub(crate) use checks::Checks;
use ranges::Ranges;

/// A message: the room, the member who sent it, and the how-manieth of theirs it is. Rooms and members are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageName {
    pub(crate) room: usize,
    pub(crate) sender: usize,
    pub(crate) number: u64,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the first of this message to this member, so long after it was sent.
    First(Duration),
    /// It is nothing that anybody waited for; the counts say what.
    Unawaited,
}

/// The ledger of some rooms.
#[derive(Debug)]
pub(crate) struct Ledger {
    rooms: Vec<Room>,
    checks: Checks,
}

impl Ledger {
    /// An empty one, for rooms of so many members.
    pub(crate) fn new(members: impl IntoIterator<Item = usize>) -> Self {
        Self { rooms: members.into_iter().map(Room::new).collect(), checks: Checks::default() }
    }

    /// A member sends their next message. Its name; none for somebody who is in no room.
    pub(crate) fn sent(&mut self, room: usize, sender: usize, now: Duration) -> Option<MessageName> {
        let here = self.rooms.get_mut(room)?;
        let others = here.members.checked_sub(1)?;
        let outbox = here.outboxes.get_mut(sender)?;
        let number = outbox.sent;
        outbox.sent += 1;
        outbox.under_way.insert(number, UnderWay { sent_at: now, waiting: others });
        self.checks.sent += 1;
        self.checks.due += u64::try_from(others).unwrap_or(u64::MAX);
        Some(MessageName { room, sender, number })
    }

    /// The client did not take the message: nobody waits for it, and yet it may arrive.
    pub(crate) fn refused(&mut self, message: MessageName) {
        let outbox = self.rooms.get_mut(message.room).and_then(|room| room.outboxes.get_mut(message.sender));
        if let Some(gone) = outbox.and_then(|outbox| outbox.under_way.remove(&message.number)) {
            self.checks.sent -= 1;
            self.checks.refused += 1;
            self.checks.due -= u64::try_from(gone.waiting).unwrap_or(u64::MAX);
        }
    }

    /// A member has received and decrypted a message.
    pub(crate) fn received(&mut self, receiver: usize, message: MessageName, now: Duration) -> Verdict {
        let MessageName { room, sender, number } = message;
        let Some(here) = self.rooms.get_mut(room).filter(|room| room.can_receive(receiver, message)) else {
            return self.invented();
        };
        let inbox = here.inboxes.entry((receiver, sender)).or_default();
        let is_late = inbox.highest().is_some_and(|highest| number < highest);
        if !inbox.insert(number) {
            self.checks.repeated += 1;
            return Verdict::Unawaited;
        }
        self.checks.delivered += 1;
        self.checks.misordered += u64::from(is_late);
        let sent_at = here.outboxes.get_mut(sender).and_then(|outbox| outbox.arrived(number));
        let Some(sent_at) = sent_at else {
            // It was refused, and has arrived all the same: then it was due.
            self.checks.due += 1;
            return Verdict::Unawaited;
        };
        Verdict::First(now.saturating_sub(sent_at))
    }

    /// A member was given once more what they have read.
    pub(crate) fn repeated(&mut self) {
        self.checks.repeated += 1;
    }

    /// A member has an envelope that does not open.
    pub(crate) fn undecryptable(&mut self) {
        self.checks.undecryptable += 1;
    }

    /// A member has received what nobody has sent.
    pub(crate) fn invented(&mut self) -> Verdict {
        self.checks.invented += 1;
        Verdict::Unawaited
    }

    /// What was found so far.
    pub(crate) fn checks(&self) -> Checks {
        self.checks
    }
}

/// What the ledger knows of one room.
#[derive(Debug)]
struct Room {
    members: usize,
    outboxes: Vec<Outbox>,
    /// What a member, the first of the pair, has of another.
    inboxes: BTreeMap<(usize, usize), Ranges>,
}

impl Room {
    fn new(members: usize) -> Self {
        Self { members, outboxes: vec![Outbox::default(); members], inboxes: BTreeMap::new() }
    }

    /// Whether this can be: both are members, they are not the same, and the number was given out.
    fn can_receive(&self, receiver: usize, message: MessageName) -> bool {
        let given_out = self.outboxes.get(message.sender).is_some_and(|outbox| message.number < outbox.sent);
        receiver < self.members && receiver != message.sender && given_out
    }
}

/// What a member has sent.
#[derive(Clone, Debug, Default)]
struct Outbox {
    /// Messages; also the number of the next.
    sent: u64,
    /// Those that not everybody has.
    under_way: BTreeMap<u64, UnderWay>,
}

/// A message that not everybody has.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    sent_at: Duration,
    /// How many members have not received it.
    waiting: usize,
}

impl Outbox {
    /// One more member has a message. When it was sent; none if it was refused.
    fn arrived(&mut self, number: u64) -> Option<Duration> {
        let message = self.under_way.get_mut(&number)?;
        let sent_at = message.sent_at;
        message.waiting = message.waiting.saturating_sub(1);
        if message.waiting == 0 {
            self.under_way.remove(&number);
        }
        Some(sent_at)
    }
}
