//! A run, seen from the process that was asked for it: it starts the others, puts together what they say, and reports.

use core::pin::pin;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use rand_core::Rng;
use tokio::signal;

use super::args::LoadArgs;
use super::crew::Crew;
use super::live::Live;
use super::node::{WatchedNode, growth};
use super::plan::Plan;
use super::report::{Circumstances, Report};
use super::said::{Order, Said};
use super::tally::{Footprint, Tally};
use super::usage::{Machine, Usage};
use crate::node::clock::Clock;
use crate::node::entropy;
use crate::wire::Timestamp;

/// The command line is wrong; clap ends with the same.
const WRONG_USE: u8 = 2;

/// Interrupted, as a shell says it: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

/// Makes the run, shows it, and writes its report.
///
/// # Errors
/// If it cannot be made.
pub(super) async fn run(args: &LoadArgs) -> Result<ExitCode, Box<dyn Error>> {
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("conclave: {error}");
            return Ok(ExitCode::from(WRONG_USE));
        }
    };
    // An hour later would be too late to find out that it cannot be made.
    args.report().map_or(Ok(()), make_folder)?;
    let node = WatchedNode::find(args, &plan.url);
    let counted = node.counters().await?;
    let mut live = Live::begin();
    let outcome = Run::make(&plan, &node, &mut live).await;
    live.end();
    let Some(Run { tally, load, before, connected, started_at, .. }) = outcome? else {
        eprintln!("conclave: interrupted: there is no report");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let status = status(&tally, &plan);
    let report = Report::of(
        &tally,
        Circumstances {
            plan,
            machine: Machine::own(),
            started_at,
            load: load.into_iter().flatten().fold(Footprint::default(), Footprint::plus),
            node: before.zip(connected).map(|(before, connected)| Footprint { before, connected }),
            // A node that is gone by now does not take the report with it.
            node_counters: node.counters().await.ok().map(|now| growth(&counted, &now)),
        },
    );
    say(&report.table());
    if let Some(folder) = args.report() {
        write(&report, folder)?;
    }
    Ok(ExitCode::from(status))
}

/// The exit status of a run that was made, as the help says.
fn status(tally: &Tally, plan: &Plan) -> u8 {
    match tally.checks() {
        checks if checks.missing() > 0 => 3,
        checks if checks.repeated > 0 => 4,
        checks if checks.misordered > 0 => 5,
        checks if checks.undecryptable > 0 => 6,
        checks if checks.invented > 0 => 7,
        _ if tally.interrupted(plan).is_some() => INTERRUPTED,
        checks if checks.due == 0 => 3,
        _ => 0,
    }
}

#[expect(clippy::disallowed_methods, reason = "the report goes where the caller asked")]
fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))
}

#[expect(clippy::disallowed_methods, reason = "the report goes where the caller asked")]
fn write(report: &Report, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::write(folder.join("report.json"), report.json()?)?;
    let page = folder.join("report.html");
    fs::write(&page, report.page())?;
    say(&format!("  {} and report.json\n\n", page.display()));
    Ok(())
}

fn say(text: &str) {
    // The exit status and the report stand also where nobody reads this.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// A run as far as it is made.
struct Run<'run> {
    plan: &'run Plan,
    node: &'run WatchedNode,
    tally: Tally,
    /// Clients that each process has connected.
    up: Vec<usize>,
    /// What each process took of memory; known when it is ready.
    load: Vec<Option<Footprint>>,
    /// Processes that have finished.
    over: usize,
    /// What the node had used before the first client, and with all of them.
    before: Option<Usage>,
    connected: Option<Usage>,
    started_at: Timestamp,
}

impl<'run> Run<'run> {
    /// All of it, from the first client to the last delivery. Ctrl-C breaks sending off: what is under way may arrive, and is
    /// reported. None if it came before the first message, or once more.
    async fn make(plan: &'run Plan, node: &'run WatchedNode, live: &mut Live) -> Result<Option<Self>, Box<dyn Error>> {
        let mut run = Self {
            plan,
            node,
            tally: Tally::new(plan.processes),
            up: vec![0; plan.processes],
            load: vec![None; plan.processes],
            over: 0,
            before: node.usage(),
            connected: None,
            started_at: Timestamp::from_millis(0),
        };
        let mut crew = Crew::start(plan, entropy::generator()?.next_u64()).await?;
        let mut state = Order::Wait;
        let mut interrupt = pin!(signal::ctrl_c());
        while run.over < plan.processes {
            let (process, said) = tokio::select! {
                said = crew.next() => said.ok_or(io::Error::from(io::ErrorKind::BrokenPipe))?,
                _ = &mut interrupt => {
                    if state != Order::Send {
                        return Ok(None);
                    }
                    state = Order::Stop;
                    run.tally.interrupt();
                    crew.order(state).await;
                    interrupt.set(signal::ctrl_c());
                    continue;
                }
            };
            if run.hear(process, said, live)? == Heard::AllReady {
                run.connected = node.usage();
                run.started_at = Clock::system().now();
                state = Order::Send;
                crew.order(state).await;
            }
        }
        Ok(Some(run))
    }

    fn hear(&mut self, process: usize, said: Said, live: &mut Live) -> Result<Heard, Box<dyn Error>> {
        match said {
            Said::Connected(clients) => {
                if let Some(up) = self.up.get_mut(process) {
                    *up = clients;
                }
                live.connecting(self.plan, self.up.iter().sum());
            }
            Said::Ready(footprint) => {
                if let Some(load) = self.load.get_mut(process) {
                    *load = Some(footprint);
                }
                if self.load.iter().all(Option::is_some) {
                    return Ok(Heard::AllReady);
                }
            }
            Said::Second(tick) => {
                if process == 0 {
                    self.tally.add_node(tick.second, self.node.usage());
                }
                let known = self.tally.seconds().len();
                self.tally.add(process, &tick);
                if self.tally.seconds().len() > known {
                    live.show(self.plan, &self.tally);
                }
            }
            Said::Failed(why) => return Err(why.into()),
            Said::Over => self.over += 1,
        }
        Ok(Heard::News)
    }
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Nothing that has to be acted on.
    News,
    /// The last process is ready: the run can begin.
    AllReady,
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Checks;
    use super::super::tally::Tick;
    use super::*;

    fn plan() -> Plan {
        Plan {
            url: "http://127.0.0.1:7400".to_owned(),
            clients: 2,
            room_size: 2,
            rate: 1.0,
            text_bytes: 1,
            warm_up_seconds: 0,
            seconds: 60,
            drain_seconds: 1,
            processes: 1,
            seed: 1,
        }
    }

    /// A run of a second that has found these.
    fn found(checks: Checks) -> Tally {
        let mut tally = Tally::new(1);
        tally.add(0, &Tick { checks, ..Tick::default() });
        tally
    }

    #[test]
    fn the_status_says_what_was_found_and_the_worst_of_it() {
        let clean = Checks { sent: 9, due: 9, delivered: 9, ..Checks::default() };
        let invented = Checks { invented: 1, ..clean };
        let undecryptable = Checks { undecryptable: 1, ..invented };
        let misordered = Checks { misordered: 1, ..undecryptable };
        let repeated = Checks { repeated: 1, ..misordered };
        let lost = Checks { delivered: 8, ..repeated };
        let table = [
            (clean, 0),
            (Checks::default(), 3),
            (invented, 7),
            (undecryptable, 6),
            (misordered, 5),
            (repeated, 4),
            (lost, 3),
            (Checks { delivered: 8, ..clean }, 3),
            (Checks { repeated: 1, ..clean }, 4),
            (Checks { misordered: 1, ..clean }, 5),
            (Checks { undecryptable: 1, ..clean }, 6),
        ];
        for (checks, expected) in table {
            assert_eq!(status(&found(checks), &plan()), expected, "{checks:?}");
        }
    }

    #[test]
    fn an_interrupted_run_has_its_own_status_unless_something_was_wrong() {
        let statuses = [Checks::default(), Checks { repeated: 1, ..Checks::default() }].map(|checks| {
            let mut tally = found(checks);
            tally.interrupt();
            status(&tally, &plan())
        });
        assert_eq!(statuses, [INTERRUPTED, 4]);
    }
}
