//! The report as a table on the terminal.

use core::fmt::Write as _;
use core::time::Duration;

use super::{Cost, Report, Timing};
use crate::cli::load::words::{bytes, duration, number_of, rate, thousands, wrapped};

pub(super) fn of(report: &Report) -> String {
    let Report { plan, rooms, checks, throughput, .. } = report;
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = writeln!(
        text,
        "\n  {}\n  {} in {}, {} messages a second for {} s\n  at {}\n",
        report.program,
        number_of(plan.clients, "client"),
        number_of(*rooms, "room"),
        rate(plan.rate),
        plan.seconds,
        plan.url,
    );
    let _ =
        writeln!(text, "  sent       {:>12}   {} a second", thousands(checks.sent), rate(throughput.sent_per_second));
    let each = rate(throughput.delivered_per_second);
    let _ = writeln!(text, "  delivered  {:>12}   {each} a second\n", thousands(checks.delivered));
    let names = report.latency.percentiles().map(|(name, _)| format!("{name:>10}"));
    let _ = writeln!(text, "  {:<12}{}", "", names.concat());
    text.push_str(&timing("latency", &report.latency));
    text.push_str(&timing("of it late", &report.delay));
    text.push_str("\n             of a processor   a delivery       memory     at most   a connection\n");
    text.push_str(&cost("load", &report.cost.load));
    if let Some(node) = &report.cost.node {
        text.push_str(&cost("node", node));
    }
    text.push('\n');
    for (name, found) in checks.faults() {
        let _ = writeln!(text, "  {} {name:<14} {:>11}", if found == 0 { "✓" } else { "✗" }, thousands(found));
    }
    for note in &report.notes {
        let _ = writeln!(text, "\n  {}", wrapped(&format!("Note: {note}"), LETTERS, "  "));
    }
    let _ = writeln!(text, "\n  {}\n", wrapped(&verdict(report), LETTERS, "  "));
    text
}

fn timing(name: &str, timing: &Timing) -> String {
    let percentiles = timing.percentiles().map(|(_, us)| format!("{:>10}", duration(Duration::from_micros(us))));
    format!("  {name:<12}{}\n", percentiles.concat())
}

fn cost(name: &str, cost: &Cost) -> String {
    let delivery = cost.cpu_us_per_delivery.map_or("-".to_owned(), |us| duration(Duration::from_micros(us)));
    format!(
        "  {name:<10} {:>12} %   {delivery:>10} {:>12} {:>11} {:>14}\n",
        cost.cpu_percent,
        bytes(cost.bytes_connected),
        bytes(cost.bytes_max),
        bytes(cost.bytes_per_connection),
    )
}

/// One sentence that says how it went.
pub(super) fn verdict(report: &Report) -> String {
    let checks = report.checks;
    let due = thousands(checks.due);
    if !checks.are_clean() {
        let faults = checks.faults().into_iter().filter(|(_, found)| *found > 0);
        let faults: Vec<String> = faults.map(|(name, found)| format!("{} {name}", thousands(found))).collect();
        return format!("FAILED: of {due} deliveries: {}.", faults.join(", "));
    }
    match report.interrupted_after_seconds {
        Some(after) => {
            format!("INTERRUPTED after {after} s: until then each of {due} deliveries came once, in order, and opened.")
        }
        None if checks.due == 0 => "FAILED: nothing was sent.".to_owned(),
        None => format!("PASSED: each of {due} deliveries came once, in order, and opened."),
    }
}

/// Of a line of prose: a terminal has 80, and the table is indented.
const LETTERS: usize = 76;
