//! The command line of `conclave load`.

use std::path::PathBuf;

use clap::Args;

use super::plan::{Plan, PlanError};
use crate::cli::address::Transport;

/// Puts load on a node with real clients that really encrypt, and checks what becomes of every message.
///
/// Each client is an account of its own with its own keys, signed in by the node's development provider. Clients are in rooms;
/// each sends at its share of the rate, with jitter, and opens what the others send. A ledger follows every message from
/// the client that sealed it to each client that had to open it.
///
/// A run has a warm-up, in which the rate rises, the seconds that are timed, and a drain, in which what is under way may
/// arrive. Latency counts from when a message was due, so a node that stalls does not look fast.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(in super::super) struct LoadArgs {
    /// The node's address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7400")]
    url: String,

    /// Clients in all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    clients: usize,

    /// Clients in a room, at most: they are divided into as few rooms as hold them.
    #[arg(long, value_name = "K", default_value_t = 10)]
    room_size: usize,

    /// Messages a second, of all clients together. Each is sealed for every other member of its room.
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,

    /// Seconds that are timed.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// A folder for report.json and report.html; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,

    /// Bytes of a message's text.
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    bytes: u32,

    /// Seconds before the timed ones, in which the rate rises. Sessions between clients begin then.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    warm_up: u32,

    /// Seconds after the timed ones, at most, in which everything has to arrive.
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    drain: u32,

    /// Processes that the clients are divided among. One uses one processor, and holds some 20,000 sockets at most.
    #[arg(long, value_name = "P", default_value_t = 1)]
    processes: usize,

    /// Of the schedule: the same seed has the same messages due at the same times.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,

    /// The node's process, if it is on this machine: its processor time and memory are in the report. Without this it is who
    /// listens on the port of the URL, if that is this machine's.
    #[arg(long, value_name = "PID")]
    pub(super) node_pid: Option<u32>,

    /// The address of the node's metrics, which it says when it starts: what it counted meanwhile is in the report.
    #[arg(long, value_name = "URL")]
    pub(super) metrics_url: Option<String>,

    #[command(flatten)]
    transport: Transport,
}

const AFTER_HELP: &str = "\
The node needs the development provider, and limits that are wide enough; sign_in_per_minute counts three calls a client:
  CONCLAVE__LIMITS__SIGN_IN_PER_MINUTE=100000 CONCLAVE__LIMITS__SOCKETS_PER_ADDRESS=20000 \\
  CONCLAVE__LIMITS__CONNECTIONS_PER_ADDRESS=40000 \\
  CONCLAVE__LIMITS__COMMANDS_PER_MINUTE=1000000 conclave serve

A quick look, then a long run:
  conclave load --clients 10 --seconds 10
  conclave load --clients 1000 --rate 50 --seconds 300 --processes 2 --report report

Exit status:
  0    all was sent, and each delivery came once, in order, and opened
  1    the run could not be made: the node is not reached, or refuses a client
  2    the command line is wrong
  3    something was lost
  4    nothing was lost, but something was repeated
  5    .. or came out of order
  6    .. or did not open
  7    .. or was never sent
  130  interrupted, and nothing was wrong until then

Ctrl-C breaks sending off: what is under way may arrive, and the report is of what was until then. A second one ends at once,
without a report, as does one before the first message.";

impl LoadArgs {
    /// What they ask for.
    ///
    /// # Errors
    /// [`PlanError`] if it makes no sense.
    pub(super) fn plan(&self) -> Result<Plan, PlanError> {
        self.transport.check(&self.url)?;
        Plan {
            url: self.url.trim_end_matches('/').to_owned(),
            clients: self.clients,
            room_size: self.room_size,
            rate: self.rate,
            text_bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            warm_up_seconds: self.warm_up,
            seconds: self.seconds,
            drain_seconds: self.drain,
            processes: self.processes,
            seed: self.seed,
        }
        .checked()
    }

    /// The folder for the report.
    pub(super) fn report(&self) -> Option<&std::path::Path> {
        self.report.as_deref()
    }
}
