//! A run in lines: for logs, and for terminals that are none.

use super::view::View;
use crate::cli::load::plan::Plan;
use crate::cli::load::words::{duration, rate, thousands};

/// How many clients are connected.
pub(super) fn connecting(plan: &Plan, connected: usize) -> String {
    format!("connected {connected} of {}", plan.clients)
}

/// How the run stands.
pub(super) fn line(view: &View<'_>) -> String {
    let faults: Vec<String> = view
        .faults()
        .filter(|(_, found)| *found > 0)
        .map(|(name, found)| format!("{} {name}", thousands(found)))
        .collect();
    format!(
        "{:>4} s {:<8} sent {}/s  delivered {}/s  p50 {}  p99 {}  under way {}{}  {}",
        view.elapsed,
        view.phase.name(),
        rate(view.sent_per_second()),
        rate(view.delivered_per_second()),
        latency(view, 500),
        latency(view, 990),
        thousands(view.checks.missing()),
        view.few_connected().map_or(String::new(), |few| format!("  {few}")),
        if faults.is_empty() { "no faults".to_owned() } else { faults.join(", ") },
    )
}

/// A percentile; none while nothing is timed.
fn latency(view: &View<'_>, part: u64) -> String {
    if view.recent.count() == 0 { "-".to_owned() } else { duration(view.recent.per_mille(part)) }
}
