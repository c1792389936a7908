//! Who is in which room, and when everybody sends.
//!
//! The load is open: a message is due at a time that is fixed before the run, whether or not earlier ones have arrived. A node
//! that stalls does not get fewer messages, and what is due while it stalls counts as waiting.

use core::num::NonZeroUsize;
use core::ops::Range;
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::words::number_of;
use crate::cli::address::AddressError;

/// What is to be done. All processes of a run have the same plan, each with its own share of the rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Where the node is.
    pub(crate) url: String,
    /// Clients in all.
    pub(crate) clients: usize,
    /// Clients that a room has at most.
    pub(crate) room_size: usize,
    /// Messages in a second, of all clients together.
    pub(crate) rate: f64,
    /// Bytes of a message's text.
    pub(crate) text_bytes: usize,
    /// Seconds in which the rate rises from nothing. What is sent then is checked and not timed.
    pub(crate) warm_up_seconds: u32,
    /// Seconds that are timed.
    pub(crate) seconds: u32,
    /// Seconds after the last message in which everything has to arrive.
    pub(crate) drain_seconds: u32,
    /// Processes that the clients are divided among.
    pub(crate) processes: usize,
    /// Of the jitter: the same seed makes the same schedule.
    pub(crate) seed: u64,
}

/// Why a plan makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    /// A message needs a sender and a receiver.
    #[error("a room needs two clients: --room-size and --clients must be 2 or more")]
    Alone,
    /// Rooms are divided so that their sizes differ by one at most, and one of them would have a single member.
    #[error("{clients} clients in rooms of {room_size} leave one alone")]
    LeftOver { clients: usize, room_size: usize },
    /// A room is in one process, so that its ledger is whole.
    #[error("{processes} processes for {}: each process needs a room", number_of(*.rooms, "room"))]
    TooManyProcesses { processes: usize, rooms: usize },
    /// A rate is a positive number.
    #[error("--rate must be a number above 0")]
    Rate,
    /// Not a node's address, or one to which nothing goes in the clear.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl Plan {
    /// The plan, if it makes sense.
    pub(crate) fn checked(self) -> Result<Self, PlanError> {
        let Self { clients, room_size, rate, processes, .. } = self;
        if room_size < 2 || clients < 2 {
            return Err(PlanError::Alone);
        }
        if !(rate.is_finite() && rate > 0.0) {
            return Err(PlanError::Rate);
        }
        let rooms = self.rooms();
        if clients / rooms < 2 {
            return Err(PlanError::LeftOver { clients, room_size });
        }
        if processes == 0 || processes > rooms {
            return Err(PlanError::TooManyProcesses { processes, rooms });
        }
        Ok(self)
    }

    /// How many rooms there are: as few as hold everybody.
    pub(crate) fn rooms(&self) -> usize {
        self.clients.div_ceil(self.room_size.max(1)).max(1)
    }

    /// The rooms of one of the processes.
    pub(crate) fn rooms_of(&self, process: usize) -> Range<usize> {
        share(self.rooms(), self.processes, process)
    }

    /// The members of a room, as clients are counted.
    pub(crate) fn members_of(&self, room: usize) -> Range<usize> {
        share(self.clients, self.rooms(), room)
    }

    /// How long after the start the timed part begins.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up_seconds.into())
    }

    /// How long after the start the last message is due at the latest.
    pub(crate) fn sending(&self) -> Duration {
        self.warm_up() + Duration::from_secs(self.seconds.into())
    }

    /// How long after the last message whatever has not arrived is lost.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.into())
    }

    /// The times, from the start, at which a client's messages are due.
    pub(crate) fn schedule(&self, client: usize) -> Schedule {
        let number = u64::try_from(client).unwrap_or(u64::MAX);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        Schedule {
            a_second: self.rate / as_f64(self.clients),
            warm_up: f64::from(self.warm_up_seconds),
            end: self.sending(),
            // Each begins at another point of its interval, so that not everybody sends at once.
            next: unit(&mut rng),
            rng,
        }
    }
}

/// Which of `count` things are the `index`-th of `parts`; shares differ by one at most.
fn share(count: usize, parts: usize, index: usize) -> Range<usize> {
    let Some(parts) = NonZeroUsize::new(parts) else { return 0..0 };
    let from = |index: usize| count / parts * index + (count % parts).min(index);
    from(index)..from(index + 1)
}

/// When one client's messages are due.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Messages in a second, once it is warm.
    a_second: f64,
    /// Seconds.
    warm_up: f64,
    end: Duration,
    /// How many messages are due before the next one, as a real number.
    next: f64,
    rng: ChaCha8Rng,
}

/// Of the distance between two messages, how much each is moved at most.
const JITTER: f64 = 0.5;

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let jitter = JITTER * unit(&mut self.rng);
        let due = Duration::try_from_secs_f64(self.seconds_until(self.next + jitter)).ok()?;
        self.next += 1.0;
        (due < self.end).then_some(due)
    }
}

impl Schedule {
    /// When so many messages are due. The rate rises in a straight line while it warms up, so their number with the square
    /// of the time; after that, in a straight line.
    fn seconds_until(&self, messages: f64) -> f64 {
        let while_warming = self.a_second * self.warm_up / 2.0;
        if messages < while_warming {
            (2.0 * messages * self.warm_up / self.a_second).sqrt()
        } else {
            self.warm_up + (messages - while_warming) / self.a_second
        }
    }
}

/// A number from 0 up to, and without, 1.
fn unit(rng: &mut impl Rng) -> f64 {
    f64::from(rng.next_u32()) / (f64::from(u32::MAX) + 1.0)
}

/// A count as a real number; counts here are far below what an `f64` holds exactly.
pub(super) fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use core::time::Duration;

    use proptest::prelude::*;

    use super::{Plan, PlanError};

    fn plan(clients: usize, room_size: usize, processes: usize) -> Plan {
        Plan {
            url: "http://127.0.0.1:7400".to_owned(),
            clients,
            room_size,
            rate: 100.0,
            text_bytes: 256,
            warm_up_seconds: 4,
            seconds: 10,
            drain_seconds: 5,
            processes,
            seed: 1,
        }
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        assert_eq!(plan(1, 10, 1).checked(), Err(PlanError::Alone));
        assert_eq!(plan(10, 1, 1).checked(), Err(PlanError::Alone));
        assert_eq!(plan(5, 2, 1).checked(), Err(PlanError::LeftOver { clients: 5, room_size: 2 }));
        assert_eq!(plan(10, 5, 3).checked(), Err(PlanError::TooManyProcesses { processes: 3, rooms: 2 }));
        assert_eq!(plan(10, 5, 0).checked(), Err(PlanError::TooManyProcesses { processes: 0, rooms: 2 }));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Plan { rate, ..plan(10, 5, 1) }.checked(), Err(PlanError::Rate));
        }
    }

    #[test]
    fn the_rate_rises_and_then_holds() {
        let plan = plan(50, 10, 1);
        let due: Vec<Duration> = (0..plan.clients).flat_map(|client| plan.schedule(client)).collect();
        let between = |from: u64, to: u64| {
            let within = Duration::from_secs(from)..Duration::from_secs(to);
            due.iter().filter(|due| within.contains(*due)).count()
        };
        // In the warm-up half of what its end has; each client may be one message off.
        assert!(between(0, 4).abs_diff(200) <= 50, "{}", between(0, 4));
        assert!(between(0, 2) * 2 < between(2, 4));
        assert!(between(4, 14).abs_diff(1_000) <= 50, "{}", between(4, 14));
        assert!(due.iter().all(|due| *due < plan.sending()));
    }

    #[test]
    fn a_run_without_warm_up_starts_at_its_rate() {
        let plan = Plan { warm_up_seconds: 0, ..plan(10, 10, 1) };
        let first: Duration = plan.schedule(3).next().unwrap();
        assert!(first < Duration::from_millis(150));
        assert_eq!(plan.schedule(3).next(), Some(first));
    }

    proptest! {
        #[test]
        fn everybody_is_in_one_room_and_every_room_in_one_process(
            clients in 2_usize..400, room_size in 2_usize..40, processes in 1_usize..6,
        ) {
            let Ok(plan) = plan(clients, room_size, processes).checked() else { return Ok(()) };
            let rooms: Vec<usize> = (0..processes).flat_map(|process| plan.rooms_of(process)).collect();
            prop_assert_eq!(&rooms, &(0..plan.rooms()).collect::<Vec<_>>());
            let members: Vec<usize> = rooms.iter().flat_map(|&room| plan.members_of(room)).collect();
            prop_assert_eq!(members, (0..clients).collect::<Vec<_>>());
            let sizes: Vec<usize> = rooms.iter().map(|&room| plan.members_of(room).len()).collect();
            prop_assert!(sizes.iter().all(|size| (2..=room_size).contains(size)));
        }

        #[test]
        fn messages_of_a_client_are_due_one_after_the_other(client in 0_usize..50, seed in any::<u64>()) {
            let due: Vec<Duration> = Plan { seed, ..plan(50, 10, 1) }.schedule(client).collect();
            prop_assert!(due.is_sorted());
        }
    }
}
