//! What the processes of a run say, second by second, put together.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::Histogram;
use super::ledger::Checks;
use super::plan::Plan;
use super::usage::Usage;

/// What happened in one second of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tick {
    /// Which second, counted from the start.
    pub(super) second: usize,
    /// Messages that were sent in it.
    pub(super) sent: u64,
    /// Deliveries that were made in it.
    pub(super) delivered: u64,
    /// From due to decrypted, of the deliveries whose message was due when it was warm.
    pub(super) latency: Histogram,
    /// From due to handed to the client, of the messages that were due when it was warm: how late the load itself was.
    pub(super) delay: Histogram,
    /// What was found since the start.
    pub(super) checks: Checks,
    /// What the process has used since it began.
    pub(super) usage: Usage,
    /// Clients with a socket.
    pub(super) connected: usize,
    /// Sockets that clients lost in it.
    pub(super) disconnected: u64,
}

/// Memory before the first client and when all are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Footprint {
    /// Before there was a client.
    pub(super) before: Usage,
    /// With all of them connected, before the first message.
    pub(super) connected: Usage,
}

impl Footprint {
    /// Of two processes together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { before: self.before.plus(other.before), connected: self.connected.plus(other.connected) }
    }
}

/// The seconds of a run, of all processes.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    seconds: Vec<SecondTally>,
    latest: Vec<Latest>,
    latency: Histogram,
    delay: Histogram,
    /// Sockets that clients lost.
    disconnected: u64,
    /// After which second sending was broken off.
    interrupted: Option<usize>,
}

/// What is known of one second.
#[derive(Clone, Debug, Default)]
pub(super) struct SecondTally {
    /// Messages that were sent in it.
    pub(super) sent: u64,
    /// Deliveries that were made in it.
    pub(super) delivered: u64,
    /// As in [`Tick`].
    pub(super) latency: Histogram,
    /// What all processes of the load had used at its end.
    pub(super) load: Usage,
    /// What the node had used at its end, where that is known.
    pub(super) node: Option<Usage>,
    /// Clients that had a socket at its end.
    pub(super) connected: usize,
    /// How many processes have spoken of it.
    pub(super) processes: usize,
}

/// What a process has said last.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    checks: Checks,
    connected: usize,
}

impl Tally {
    /// Of nothing yet, by so many processes.
    pub(super) fn new(processes: usize) -> Self {
        Self {
            seconds: Vec::new(),
            latest: vec![Latest::default(); processes],
            latency: Histogram::default(),
            delay: Histogram::default(),
            disconnected: 0,
            interrupted: None,
        }
    }

    /// Takes in what a process says of a second.
    pub(super) fn add(&mut self, process: usize, tick: &Tick) {
        let Tick { second, sent, delivered, latency, delay, checks, usage, connected, disconnected } = tick;
        let Some(latest) = self.latest.get_mut(process) else { return };
        *latest = Latest { checks: *checks, connected: *connected };
        self.latency.merge(latency);
        self.delay.merge(delay);
        self.disconnected += disconnected;
        let tally = self.second(*second);
        tally.sent += sent;
        tally.delivered += delivered;
        tally.latency.merge(latency);
        tally.load = tally.load.plus(*usage);
        tally.connected += connected;
        tally.processes += 1;
    }

    /// Takes in what the node has used at the end of a second.
    pub(super) fn add_node(&mut self, second: usize, usage: Option<Usage>) {
        self.second(second).node = usage;
    }

    fn second(&mut self, second: usize) -> &mut SecondTally {
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, SecondTally::default);
        }
        &mut self.seconds[second]
    }

    /// Sending is broken off: from here on it is drained.
    pub(super) fn interrupt(&mut self) {
        self.interrupted = self.interrupted.or(Some(self.seconds().len()));
    }

    /// After which second sending was broken off; none if it was not, or there was nothing left to send.
    pub(super) fn interrupted(&self, plan: &Plan) -> Option<Duration> {
        let after = Duration::from_secs(u64::try_from(self.interrupted?).unwrap_or(u64::MAX));
        (after < plan.sending()).then_some(after)
    }

    /// How long after the start sending ended, or will.
    pub(super) fn sending(&self, plan: &Plan) -> Duration {
        self.interrupted(plan).unwrap_or_else(|| plan.sending())
    }

    /// Which part of the run a moment after the start is in.
    pub(super) fn phase(&self, plan: &Plan, elapsed: Duration) -> Phase {
        match elapsed {
            _ if elapsed >= self.sending(plan) => Phase::Drain,
            _ if elapsed < plan.warm_up() => Phase::WarmUp,
            _ => Phase::Timed,
        }
    }

    /// The seconds of which every process has spoken.
    pub(super) fn seconds(&self) -> &[SecondTally] {
        let whole = self.seconds.iter().take_while(|second| second.processes == self.latest.len()).count();
        self.seconds.get(..whole).unwrap_or_default()
    }

    /// What was found, in all processes.
    pub(super) fn checks(&self) -> Checks {
        self.latest.iter().fold(Checks::default(), |mut sum, latest| {
            sum += latest.checks;
            sum
        })
    }

    /// Clients with a socket.
    pub(super) fn connected(&self) -> usize {
        self.latest.iter().map(|latest| latest.connected).sum()
    }

    /// Sockets that clients lost since the start.
    pub(super) fn disconnected(&self) -> u64 {
        self.disconnected
    }

    /// From due to decrypted, of the whole run after its warm-up.
    pub(super) fn latency(&self) -> &Histogram {
        &self.latency
    }

    /// From due to handed to the client, of the whole run after its warm-up.
    pub(super) fn delay(&self) -> &Histogram {
        &self.delay
    }
}

/// Which part of a run a moment is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rate rises.
    WarmUp,
    /// What is sent is timed.
    Timed,
    /// Nothing is sent any more; what is under way arrives.
    Drain,
}

impl Phase {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Timed => "timed",
            Self::Drain => "drain",
        }
    }
}
