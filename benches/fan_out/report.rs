//! The tables: what was measured, beside what, and whether it is within its bar.

use core::fmt::Write as _;
use std::thread;

use crate::cells::commits::Commits;
use crate::cells::fan_out::Cost;
use crate::cells::idle::Idle;
use crate::cells::latency::Latency;

/// Two tables in Markdown, as they are made.
#[derive(Default)]
pub(crate) struct Report {
    fan_out: String,
    others: String,
    epoll_threads: usize,
    over: Vec<String>,
}

/// Times of bare epoll that a delivery may cost.
const EPOLL_MAX: f64 = 1.6;

/// Participants at which that holds.
const EPOLL_MAX_AT: usize = 1_000;

/// KiB of an idle session.
const IDLE_KIB_MAX: f64 = 6.0;

/// Of the envelopes that SQLite alone commits.
const COMMITS_MIN: f64 = 0.6;

/// Milliseconds that a message takes beyond its commit.
const ADDED_MS_MAX: f64 = 2.0;

/// Milliseconds of a cold start.
const START_MS_MAX: f64 = 50.0;

impl Report {
    /// With how many threads the epoll server was cheapest.
    pub(crate) fn epoll_threads(&mut self, threads: usize) {
        self.epoll_threads = threads;
    }

    /// One line of the first table: below the room on `actix-web-actors` everywhere, and not far from epoll in a large room.
    pub(crate) fn cost(&mut self, cost: &Cost) {
        let Cost { participants, in_flight, node, epoll, least, actix } = *cost;
        let (to_epoll, to_actix) = (node / epoll, node / actix);
        let has_bar = participants == EPOLL_MAX_AT;
        let holds = to_actix < 1.0 && (!has_bar || to_epoll <= EPOLL_MAX);
        let bars = if has_bar { format!("{EPOLL_MAX}, below 1") } else { "below 1".to_owned() };
        let verdict = self.verdict(holds, || format!("{participants} participants, {in_flight} in flight"));
        let line = format!(
            "| {} | {in_flight} | {node:.2} | {epoll:.2} | {least:.2} | {actix:.2} | {to_epoll:.2} | {to_actix:.2} | {bars} | {verdict} |",
            thousands(participants),
        );
        println!("{line}");
        writeln!(self.fan_out, "{line}").unwrap();
    }

    pub(crate) fn idle(&mut self, idle: &Idle) {
        let (node, actix) = (idle.node / 1024.0, idle.actix / 1024.0);
        let what = format!("memory of an idle session, at {}", thousands(idle.sessions));
        let (is, beside) = (format!("{node:.1} KiB"), format!("`actix-web-actors`: {actix:.1} KiB"));
        self.line(&what, &is, &beside, node / actix, &format!("{IDLE_KIB_MAX} KiB"), Some(node <= IDLE_KIB_MAX));
    }

    pub(crate) fn commits(&mut self, commits: &Commits, has_bar: bool) {
        let Commits { in_flight, batch, node, bare } = *commits;
        let what = format!("envelopes a second, acknowledged, {in_flight} in flight");
        let beside = format!("SQLite alone, {batch:.1} in a commit: {bare:.0}");
        let (bar, holds) = if has_bar {
            (format!("at least {COMMITS_MIN}"), Some(node / bare >= COMMITS_MIN))
        } else {
            (String::new(), None)
        };
        self.line(&what, &format!("{node:.0}"), &beside, node / bare, &bar, holds);
    }

    pub(crate) fn latency(&mut self, latency: &Latency) {
        let Latency { node, commit } = *latency;
        for (index, name) in ["median", "99th of 100"].into_iter().enumerate() {
            let what = format!("from sent to delivered, {name}");
            let (is, beside) =
                (format!("{:.2} ms", node[index]), format!("SQLite alone, a commit: {:.2} ms", commit[index]));
            let (bar, holds) = if index == 0 {
                (format!("under {ADDED_MS_MAX} ms more"), Some(node[0] - commit[0] < ADDED_MS_MAX))
            } else {
                (String::new(), None)
            };
            self.line(&what, &is, &beside, node[index] / commit[index], &bar, holds);
        }
    }

    pub(crate) fn cold_start(&mut self, what: &str, milliseconds: f64) {
        let what = format!("cold start, {what}");
        let holds = milliseconds <= START_MS_MAX;
        let verdict = self.verdict(holds, || what.clone());
        let line = format!("| {what} | {milliseconds:.0} ms | | | {START_MS_MAX} ms | {verdict} |");
        println!("{line}");
        writeln!(self.others, "{line}").unwrap();
    }

    fn line(&mut self, what: &str, is: &str, beside: &str, ratio: f64, bar: &str, holds: Option<bool>) {
        let verdict = holds.map_or("", |holds| self.verdict(holds, || what.to_owned()));
        let line = format!("| {what} | {is} | {beside} | {ratio:.2} | {bar} | {verdict} |");
        println!("{line}");
        writeln!(self.others, "{line}").unwrap();
    }

    fn verdict(&mut self, holds: bool, what: impl FnOnce() -> String) -> &'static str {
        if holds {
            return "yes";
        }
        self.over.push(what());
        "no"
    }

    /// Both tables.
    pub(crate) fn markdown(&self) -> String {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = self.epoll_threads;
        format!(
            "On {cores} cores; threads of the epoll server: {threads}, the cheaper of one and two.\n\n\
             | participants | in flight | node, µs | bare epoll, µs | least, µs | `actix-web-actors`, µs | to epoll | to actix | at most | holds |\n\
             | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |\n{}\n\
             | what | node | beside | ratio | bar | holds |\n| --- | ---: | --- | ---: | ---: | --- |\n{}",
            self.fan_out, self.others
        )
    }

    /// What is past its bar.
    pub(crate) fn over(&self) -> &[String] {
        &self.over
    }
}

fn thousands(count: usize) -> String {
    if count < 1_000 { count.to_string() } else { format!("{},{:03}", count / 1_000, count % 1_000) }
}
