//! The report of a run: `report.json`, a table on the terminal, and a page with plots.
//!
//! All three say the same, and all of it is in the JSON. Its form has a number, [`VERSION`]: a field that is added keeps it; one
//! that is taken away or changes its meaning raises it.

mod page;
mod plot;
mod table;
#[cfg(test)]
mod tests;

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::Histogram;
use super::ledger::Checks;
use super::plan::Plan;
use super::tally::{Footprint, SecondTally, Tally};
use super::usage::{Counters, Machine, Usage};
use super::words::{real, thousands};
use crate::wire::Timestamp;

/// Of the form of `report.json`.
const VERSION: u32 = 1;

/// All that is known of a run that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    /// Of this form: [`VERSION`].
    version: u32,
    /// The program and its version.
    program: String,
    /// When the first message was due, in milliseconds since 1970.
    started_at: Timestamp,
    /// What was to be done.
    plan: Plan,
    /// How many rooms the clients were in.
    rooms: usize,
    /// Where the load ran.
    machine: Machine,
    /// Whether all of it was sent, and nothing was lost, repeated, misordered, undecryptable or invented.
    passed: bool,
    /// After how many seconds sending was broken off by whoever ran it; the drain followed then.
    interrupted_after_seconds: Option<u64>,
    /// What was found.
    checks: Checks,
    /// How much went through.
    throughput: Throughput,
    /// From when a message was due until it was decrypted, of each delivery after the warm-up.
    latency: Timing,
    /// From when a message was due until it was handed to the client: how late the load itself was. It is part of `latency`.
    delay: Timing,
    /// How often a client lost its socket.
    connections_lost: u64,
    /// What it cost.
    cost: Costs,
    /// Second by second, warm-up and drain included.
    seconds: Vec<Second>,
    /// How much the node's counters grew, where its metrics were read.
    node_counters: Counters,
    /// What whoever reads the figures should know.
    notes: Vec<String>,
}

/// How much went through in the seconds that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Throughput {
    /// Messages that were sent in a second.
    sent_per_second: f64,
    /// Deliveries that were made in a second.
    delivered_per_second: f64,
}

/// How long something took, in microseconds. Percentiles are at most 1.6 percent too high.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timing {
    count: u64,
    mean_us: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    /// How many were in each range, both ends included. Ranges with none are left out.
    buckets: Vec<Bucket>,
}

/// How many took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    from_us: u64,
    to_us: u64,
    count: u64,
}

/// What both sides cost; the node's side is known where it runs on the same machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Costs {
    load: Cost,
    node: Option<Cost>,
}

/// What one side cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    /// Of one processor, in the seconds that are timed.
    cpu_percent: u64,
    /// Microseconds on a processor for each delivery in these seconds; none if there was no delivery.
    cpu_us_per_delivery: Option<u64>,
    /// Memory before the first client.
    bytes_before: u64,
    /// Memory with all clients connected, before the first message.
    bytes_connected: u64,
    /// The most memory at the end of any second.
    bytes_max: u64,
    /// What a client took of memory by being connected.
    bytes_per_connection: u64,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Second {
    /// Messages that were sent.
    sent: u64,
    /// Deliveries that were made.
    delivered: u64,
    /// Clients that had a socket at its end.
    connected: usize,
    /// Of the deliveries that were made, as far as they are timed; zero if none is.
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    max_us: u64,
    /// Of one processor.
    load_cpu_percent: u64,
    load_bytes: u64,
    node_cpu_percent: Option<u64>,
    node_bytes: Option<u64>,
}

/// What the report is made of, beside the tally.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    pub(super) plan: Plan,
    pub(super) machine: Machine,
    pub(super) started_at: Timestamp,
    pub(super) load: Footprint,
    pub(super) node: Option<Footprint>,
    /// None if they could not be read.
    pub(super) node_counters: Option<Counters>,
}

/// Of a message's way, how much the load itself may be late before the report says so: then it measures itself.
const DELAY_MAX: Duration = Duration::from_millis(50);

impl Report {
    /// The report of a run that is over.
    pub(super) fn of(tally: &Tally, circumstances: Circumstances) -> Self {
        let Circumstances { plan, machine, started_at, load, node, node_counters } = circumstances;
        let seconds = tally.seconds();
        let checks = tally.checks();
        let interrupted = tally.interrupted(&plan);
        let timed = Timed::of(seconds, &plan, tally.sending(&plan));
        let used = |second: &SecondTally| Some(second.load);
        let cost_of = |footprint: Footprint, used: &dyn Fn(&SecondTally) -> Option<Usage>| {
            timed.cost(footprint, plan.clients, seconds, used)
        };
        let costs = Costs { load: cost_of(load, &used), node: node.map(|node| cost_of(node, &|second| second.node)) };
        Self {
            version: VERSION,
            program: concat!("conclave ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_at,
            rooms: plan.rooms(),
            machine,
            passed: checks.are_clean() && checks.due > 0 && interrupted.is_none(),
            interrupted_after_seconds: interrupted.map(|after| after.as_secs()),
            checks,
            throughput: timed.throughput(),
            latency: Timing::of(tally.latency()),
            delay: Timing::of(tally.delay()),
            connections_lost: tally.disconnected(),
            cost: costs,
            seconds: lines(seconds, load.connected, node.map(|node| node.connected)),
            notes: notes(tally, &plan, node.is_some(), node_counters.is_some()),
            node_counters: node_counters.unwrap_or_default(),
            plan,
        }
    }

    /// `report.json`.
    ///
    /// # Errors
    /// None that can happen: numbers, texts and lists of them have a form in JSON.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|json| json + "\n")
    }

    /// The table on the terminal.
    pub(super) fn table(&self) -> String {
        table::of(self)
    }

    /// The page with plots: one file that needs no other.
    pub(super) fn page(&self) -> String {
        page::of(self)
    }
}

impl Timing {
    fn of(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            mean_us: micros(histogram.mean()),
            p50_us: micros(histogram.per_mille(500)),
            p90_us: micros(histogram.per_mille(900)),
            p99_us: micros(histogram.per_mille(990)),
            p999_us: micros(histogram.per_mille(999)),
            max_us: micros(histogram.max()),
            buckets: histogram
                .buckets()
                .map(|(from, to, count)| Bucket { from_us: micros(from), to_us: micros(to), count })
                .collect(),
        }
    }

    /// The percentiles, with their names.
    fn percentiles(&self) -> [(&'static str, u64); 5] {
        [
            ("p50", self.p50_us),
            ("p90", self.p90_us),
            ("p99", self.p99_us),
            ("p99.9", self.p999_us),
            ("max", self.max_us),
        ]
    }
}

/// The seconds that are timed, together.
struct Timed {
    /// The first of them, and the first after them.
    from: usize,
    to: usize,
    sent: u64,
    delivered: u64,
}

impl Timed {
    fn of(seconds: &[SecondTally], plan: &Plan, sending: Duration) -> Self {
        let index = |span: Duration| usize::try_from(span.as_secs()).unwrap_or(usize::MAX).min(seconds.len());
        let (from, to) = (index(plan.warm_up().min(sending)), index(sending));
        let within = seconds.get(from..to).unwrap_or_default();
        Self {
            from,
            to,
            sent: within.iter().map(|second| second.sent).sum(),
            delivered: within.iter().map(|second| second.delivered).sum(),
        }
    }

    fn span(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.to - self.from).unwrap_or(u64::MAX))
    }

    fn throughput(&self) -> Throughput {
        let seconds = self.span().as_secs_f64().max(1.0);
        Throughput { sent_per_second: real(self.sent) / seconds, delivered_per_second: real(self.delivered) / seconds }
    }

    fn cost(
        &self,
        footprint: Footprint,
        clients: usize,
        seconds: &[SecondTally],
        used: &dyn Fn(&SecondTally) -> Option<Usage>,
    ) -> Cost {
        let Footprint { before, connected } = footprint;
        let at = |end: usize| end.checked_sub(1).and_then(|last| used(seconds.get(last)?)).unwrap_or(connected);
        let (start, end) = (at(self.from), at(self.to));
        let cpu_us = end.cpu_ms.saturating_sub(start.cpu_ms) * 1_000;
        let all = seconds.iter().filter_map(used).map(|usage| usage.resident_bytes);
        let grown = connected.resident_bytes.saturating_sub(before.resident_bytes);
        Cost {
            cpu_percent: end.percent_since(start, self.span()),
            cpu_us_per_delivery: cpu_us.checked_div(self.delivered),
            bytes_before: before.resident_bytes,
            bytes_connected: connected.resident_bytes,
            bytes_max: all.max().unwrap_or(connected.resident_bytes),
            bytes_per_connection: grown.checked_div(u64::try_from(clients).unwrap_or(0)).unwrap_or_default(),
        }
    }
}

/// Each second, with what both sides used in it.
fn lines(seconds: &[SecondTally], load_at_start: Usage, node_at_start: Option<Usage>) -> Vec<Second> {
    let (mut load_before, mut node_before) = (load_at_start, node_at_start);
    let one = Duration::from_secs(1);
    let mut line = |second: &SecondTally| {
        let (load, node) = (second.load, second.node);
        let latency = &second.latency;
        let line = Second {
            sent: second.sent,
            delivered: second.delivered,
            connected: second.connected,
            p50_us: micros(latency.per_mille(500)),
            p90_us: micros(latency.per_mille(900)),
            p99_us: micros(latency.per_mille(990)),
            max_us: micros(latency.max()),
            load_cpu_percent: load.percent_since(load_before, one),
            load_bytes: load.resident_bytes,
            node_cpu_percent: node.zip(node_before).map(|(now, before)| now.percent_since(before, one)),
            node_bytes: node.map(|node| node.resident_bytes),
        };
        (load_before, node_before) = (load, node.or(node_before));
        line
    };
    seconds.iter().map(&mut line).collect()
}

/// What whoever reads the figures should know.
fn notes(tally: &Tally, plan: &Plan, knows_node: bool, knows_counters: bool) -> Vec<String> {
    let planned = plan.sending().as_secs();
    let notes = [
        tally.interrupted(plan).map(|after| {
            format!("Interrupted after {} s of {planned}: the figures are of what was until then.", after.as_secs())
        }),
        (tally.disconnected() > 0).then(|| lost_connections(tally, plan)),
        (tally.delay().per_mille(990) > DELAY_MAX).then(|| LATE.to_owned()),
        (tally.checks().refused > 0).then(|| REFUSED.to_owned()),
        (tally.checks().due == 0).then(|| "Nothing was sent: a run without a message proves nothing.".to_owned()),
        (!knows_node).then(|| NODE_UNKNOWN.to_owned()),
        (!knows_counters).then(|| COUNTERS_UNKNOWN.to_owned()),
    ];
    notes.into_iter().flatten().collect()
}

fn lost_connections(tally: &Tally, plan: &Plan) -> String {
    let lost = match tally.disconnected() {
        1 => "A client lost its connection once.".to_owned(),
        times => format!("Clients lost their connections {} times.", thousands(times)),
    };
    match plan.clients.saturating_sub(tally.connected()) {
        0 => format!("{lost} At the end all were connected."),
        without if without == plan.clients => {
            format!("{lost} At the end none was connected: the node was gone, or refused them.")
        }
        without => format!("{lost} At the end {without} of {} were not connected.", plan.clients),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const LATE: &str = "The load was late itself: one message in a hundred was handed to its client more than 50 ms after it was due. \
    The percentiles show the load's limits more than the node's. Use more processes, or another machine.";

const REFUSED: &str = "Some messages were refused by the client: they count neither as sent nor as lost.";

const NODE_UNKNOWN: &str = "What the node used is not known: it runs elsewhere, or --node-pid was not given and nobody was found \
    who listens on its port.";

const COUNTERS_UNKNOWN: &str = "What the node counted is not known: its metrics could not be read at the end.";
