//! One connection of a sender: what was asked on it, and where that stands.

use std::collections::{BTreeMap, BTreeSet};

use conclave::ids::EnvelopeId;
use conclave::wire::{Delivery, Outcome, Position};

use crate::socket::Socket;

/// A sender's connection.
pub(super) struct Line {
    pub(super) socket: Socket,
    asked: BTreeMap<u32, EnvelopeId>,
    /// What was sent before on another one: it may have a place already.
    old: BTreeSet<EnvelopeId>,
    /// Where the others stand in room and mailbox, by the commands that sent them.
    in_room: BTreeMap<u32, Position>,
    in_mailbox: BTreeMap<u32, Position>,
}

impl Line {
    pub(super) fn new(socket: Socket, old: BTreeSet<EnvelopeId>) -> Self {
        Self { socket, asked: BTreeMap::new(), old, in_room: BTreeMap::new(), in_mailbox: BTreeMap::new() }
    }

    pub(super) fn asked(&mut self, command: u32, envelope: EnvelopeId) {
        self.asked.insert(command, envelope);
    }

    /// What a command was about.
    pub(super) fn envelope(&self, command: u32) -> EnvelopeId {
        self.asked[&command]
    }

    pub(super) fn answered(&mut self, command: u32, outcome: &Outcome) {
        if self.old.contains(&self.asked[&command]) {
            return;
        }
        match outcome {
            Outcome::Sent(position) => drop(self.in_room.insert(command, *position)),
            Outcome::Delivered(deliveries) => {
                if let [Delivery::Stored(position)] = deliveries[..] {
                    self.in_mailbox.insert(command, position);
                }
            }
            Outcome::Joined { .. } | Outcome::Page(_) => {}
        }
    }

    /// The first that stands behind one that was sent later.
    pub(super) fn overtaken(&self) -> Option<EnvelopeId> {
        [&self.in_room, &self.in_mailbox].into_iter().find_map(|places| {
            let places: Vec<_> = places.iter().collect();
            let pair = places.windows(2).find(|pair| pair[0].1.seq > pair[1].1.seq)?;
            Some(self.asked[pair[0].0])
        })
    }
}
