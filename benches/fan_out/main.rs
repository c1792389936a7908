//! What it costs to hand messages to many, and what an idle session, a commit and a start cost: the node as it ships, beside
//! the least that could do it.
//!
//! `make bench-fan-out` runs it, in a quarter of an hour on a quiet machine. `--quick` takes a minute and looks at less,
//! `--only` with `fan-out`, `idle`, `commits`, `latency` or `cold-start` does a part, `--check` fails past a bar. Servers are processes of their own, and their processor time and memory are what the
//! system says of those processes. Nothing is simulated: people sign in, envelopes are signed, commits are synced.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken arrangement should stop the run")]
#![allow(clippy::disallowed_methods, reason = "it measures time, and servers need threads and files")]
#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]

mod author;
mod bare;
mod cells;
mod driver;
mod frame;
mod handshake;
mod people;
mod process;
mod report;
mod servers;
mod stopwatch;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use cells::fan_out::{self, Plan};
use cells::{cold_start, commits, idle, latency};
use report::Report;
use world::{Census, World};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve-epoll", threads] => servers::epoll::serve(threads.parse().unwrap()),
        ["--serve-actix"] => servers::actix::serve(),
        ref others => {
            let only = others.iter().position(|other| *other == "--only").map(|index| others[index + 1]);
            let report = run(others.contains(&"--quick"), |part| only.is_none_or(|only| part == only));
            if others.contains(&"--check") && !report.over().is_empty() {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// How much is measured.
struct Extent {
    census: Census,
    participants: &'static [usize],
    plan: Plan,
    commits: Duration,
    messages: usize,
    starts: usize,
    million: bool,
}

const FULL: Extent = Extent {
    census: Census { people: 10_000, in_hall: 5_001, cells: 64 },
    participants: &[100, 1_000, 5_000],
    plan: Plan { turns: 7, time: Duration::from_millis(1_500), threads: 1 },
    commits: Duration::from_secs(3),
    messages: 400,
    starts: 9,
    million: true,
};

const QUICK: Extent = Extent {
    census: Census { people: 1_001, in_hall: 1_001, cells: 64 },
    participants: &[100, 1_000],
    plan: Plan { turns: 3, time: Duration::from_millis(800), threads: 1 },
    commits: Duration::from_secs(1),
    messages: 100,
    starts: 5,
    million: false,
};

fn run(is_quick: bool, wants: impl Fn(&str) -> bool) -> Report {
    let extent = if is_quick { QUICK } else { FULL };
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fan_out");
    fs::create_dir_all(&target).unwrap();
    let mut report = Report::default();
    let world = World::make(&target, extent.census);
    if wants("fan-out") {
        let threads = fan_out::best_threads(&world, 1_000, extent.plan);
        report.epoll_threads(threads);
        for participants in extent.participants {
            for cost in fan_out::measure(&world, &target, *participants, Plan { threads, ..extent.plan }) {
                report.cost(&cost);
            }
        }
    }
    if wants("idle") {
        report.idle(&idle::measure(&world));
    }
    if wants("commits") {
        for each in [1, 8] {
            report.commits(&commits::measure(&world, &target, each, 3, extent.commits), each == 1);
        }
    }
    if wants("latency") {
        report.latency(&latency::measure(&world, &target, extent.messages));
    }
    if wants("cold-start") {
        report.cold_start("empty", cold_start::empty(&target, extent.starts));
        if extent.million {
            report.cold_start("a million messages", cold_start::million(&world, &target, extent.starts));
        }
    }
    fs::write(target.join("table.md"), report.markdown()).unwrap();
    for over in report.over() {
        println!("past its bar: {over}");
    }
    report
}
