//! What an envelope costs whoever checks and stores it, however many hear it: the check of its signature, and its part of a
//! commit of SQLite alone.

use std::path::Path;
use std::time::Duration;

use crate::author::Author;
use crate::bare::Bare;
use crate::process::cpu_of_this_thread;
use crate::stopwatch::Stopwatch;
use crate::world::World;

/// Envelopes of one author, and a database for them.
pub(crate) struct Dues {
    author: Author,
    bare: Bare,
}

impl Dues {
    pub(crate) fn new(world: &World, target: &Path) -> Self {
        let mut author = world.author(0, world.hall);
        let bare = Bare::make(target.join("bare"), &[world.hall], &author.write());
        Self { author, bare }
    }

    /// Checks and commits so many at a time, for so long; µs of processor time for each.
    pub(crate) fn measure(&mut self, in_flight: u64, time: Duration) -> f64 {
        let envelopes: Vec<_> = (0..in_flight).map(|_| self.author.write()).collect();
        let (mut count, clock, cpu) = (0_u64, Stopwatch::start(), cpu_of_this_thread());
        while clock.elapsed() < time {
            for envelope in &envelopes {
                assert!(self.author.has_signed(envelope), "a signature that does not hold");
            }
            self.bare.commit(envelopes.len());
            count += in_flight;
        }
        cpu_of_this_thread().saturating_sub(cpu).as_secs_f64() * 1e6 / count as f64
    }
}
