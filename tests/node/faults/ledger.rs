//! What was sent, acknowledged and delivered of one log, and what has to hold between the three.

use std::collections::{BTreeMap, BTreeSet};

use conclave::ids::EnvelopeId;
use conclave::wire::Position;

/// The books of one log.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) sent: BTreeSet<EnvelopeId>,
    acknowledged: BTreeMap<EnvelopeId, Position>,
    /// In effect: what was delivered again, as the same at the same place, is one delivery.
    delivered: Vec<(Position, EnvelopeId)>,
    /// What was seen on the way that may not be.
    fault: Option<Fault>,
}

/// What may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Acknowledged, and never delivered.
    Lost(EnvelopeId),
    /// Acknowledged at one place, and delivered or acknowledged at another.
    Moved(EnvelopeId),
    /// Delivered at two places.
    Twice(EnvelopeId),
    /// Delivered, and never sent.
    Invented(EnvelopeId),
    /// Delivered out of order, with a hole before it, or with another at the same place.
    Misplaced(Position),
    /// The log is not the one that was followed.
    Gap,
}

impl Ledger {
    pub(super) fn acknowledge(&mut self, id: EnvelopeId, position: Position) {
        if self.acknowledged.insert(id, position).is_some_and(|before| before != position) {
            self.find(Fault::Moved(id));
        }
    }

    pub(super) fn deliver(&mut self, position: Position, id: EnvelopeId) {
        let known = usize::try_from(position.seq).ok().and_then(|seq| self.delivered.get(seq.checked_sub(1)?));
        match known {
            Some(known) if *known == (position, id) => {}
            None if position.seq == self.delivered.len() as u64 + 1 => self.delivered.push((position, id)),
            _ => self.find(Fault::Misplaced(position)),
        }
    }

    pub(super) fn find(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Up to where it was delivered.
    pub(super) fn head(&self) -> Option<Position> {
        self.delivered.last().map(|(position, _)| *position)
    }

    /// What was sent and not acknowledged.
    pub(super) fn open(&self) -> Vec<EnvelopeId> {
        self.sent.iter().filter(|id| !self.acknowledged.contains_key(*id)).copied().collect()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether all is as it has to be. What was acknowledged has had the time to be delivered.
    pub(super) fn check(&self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)?;
        let mut places = BTreeMap::new();
        for (position, id) in &self.delivered {
            if !self.sent.contains(id) {
                return Err(Fault::Invented(*id));
            }
            if places.insert(id, position).is_some() {
                return Err(Fault::Twice(*id));
            }
        }
        for (id, position) in &self.acknowledged {
            match places.get(id) {
                None => return Err(Fault::Lost(*id)),
                Some(place) if *place != position => return Err(Fault::Moved(*id)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}
