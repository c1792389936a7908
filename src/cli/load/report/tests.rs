#![expect(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::Range;
use core::time::Duration;

use super::{Circumstances, Report};
use crate::cli::load::latency::Histogram;
use crate::cli::load::ledger::Checks;
use crate::cli::load::plan::Plan;
use crate::cli::load::tally::{Footprint, Tally, Tick};
use crate::cli::load::usage::{Counters, Machine, Usage};
use crate::wire::Timestamp;

const MEBIBYTE: u64 = 1_048_576;

fn plan() -> Plan {
    Plan {
        url: "http://127.0.0.1:7400/?a=1&b=<2>".to_owned(),
        clients: 10,
        room_size: 5,
        rate: 20.0,
        text_bytes: 256,
        warm_up_seconds: 1,
        seconds: 3,
        drain_seconds: 5,
        processes: 2,
        seed: 1,
    }
}

/// What a process has used after some seconds: half a processor, and a MiB more in each.
fn used(seconds: u64) -> Usage {
    Usage { cpu_ms: 500 * seconds, resident_bytes: (20 + seconds) * MEBIBYTE }
}

fn footprint() -> Footprint {
    Footprint { before: Usage { cpu_ms: 0, resident_bytes: 10 * MEBIBYTE }, connected: used(0) }
}

/// A second of one of the two processes: 10 messages and 40 deliveries, each of so many milliseconds.
fn tick(second: usize, checks: Checks) -> Tick {
    let mut latency = Histogram::default();
    for ms in 1..=40 {
        latency.record(Duration::from_millis(ms));
    }
    let number = u64::try_from(second).unwrap() + 1;
    Tick {
        second,
        sent: 10,
        delivered: 40,
        latency,
        delay: Histogram::default(),
        checks,
        usage: used(number),
        connected: 5,
        disconnected: 0,
    }
}

fn clean() -> Checks {
    Checks { sent: 40, due: 160, delivered: 160, ..Checks::default() }
}

/// Seconds of both processes.
fn go_on(tally: &mut Tally, seconds: Range<usize>, last: Checks) {
    for second in seconds {
        tally.add(0, &tick(second, clean()));
        tally.add(1, &tick(second, last));
        tally.add_node(second, Some(used(u64::try_from(second).unwrap() + 1)));
    }
}

fn report(last: Checks, node: Option<Footprint>) -> Report {
    let mut tally = Tally::new(2);
    go_on(&mut tally, 0..5, last);
    // One process has said more than the other: that second is not whole.
    tally.add(0, &tick(5, clean()));
    report_of(&tally, node)
}

fn report_of(tally: &Tally, node: Option<Footprint>) -> Report {
    Report::of(
        tally,
        Circumstances {
            plan: plan(),
            machine: Machine {
                processor: "a <processor>".to_owned(),
                processors: 2,
                memory_bytes: 8 * 1_024 * MEBIBYTE,
            },
            started_at: Timestamp::from_millis(1_800_000_000_000),
            load: footprint().plus(footprint()),
            node,
            node_counters: Some(Counters::from([("conclave_envelopes_stored_total".to_owned(), 160.0)])),
        },
    )
}

#[test]
fn figures_are_of_the_timed_seconds() {
    let report = report(clean(), Some(footprint()));
    assert_eq!(report.seconds.len(), 5);
    assert!((report.throughput.sent_per_second - 20.0).abs() < 1e-9);
    assert!((report.throughput.delivered_per_second - 80.0).abs() < 1e-9);
    let (load, node) = (report.cost.load, report.cost.node.unwrap());
    assert_eq!((load.cpu_percent, node.cpu_percent), (100, 50));
    // Three seconds of one processor, for 240 deliveries.
    assert_eq!(load.cpu_us_per_delivery, Some(12_500));
    assert_eq!((load.bytes_per_connection, node.bytes_per_connection), (2 * MEBIBYTE, MEBIBYTE));
    assert_eq!((load.bytes_max, node.bytes_max), (50 * MEBIBYTE, 25 * MEBIBYTE));
    assert!(report.seconds.iter().all(|second| second.load_cpu_percent == 100 && second.node_cpu_percent == Some(50)));
}

#[test]
fn a_clean_run_passes_and_a_fault_in_one_process_fails_it() {
    assert!(report(clean(), None).passed);
    for fault in [
        Checks { delivered: 159, ..clean() },
        Checks { repeated: 1, ..clean() },
        Checks { misordered: 1, ..clean() },
        Checks { undecryptable: 1, ..clean() },
        Checks { invented: 1, ..clean() },
    ] {
        let failed = report(fault, None);
        assert!(!failed.passed);
        assert!(failed.table().contains("FAILED: of 320 deliveries: 1 "), "{}", failed.table());
    }
}

#[test]
fn a_run_in_which_nothing_was_sent_fails() {
    let report = Report { checks: Checks::default(), passed: false, ..report(Checks::default(), None) };
    assert!(report.table().contains("FAILED: nothing was sent."));
    let empty = Report::of(
        &Tally::new(1),
        Circumstances {
            plan: plan(),
            machine: Machine { processor: String::new(), processors: 1, memory_bytes: 0 },
            started_at: Timestamp::from_millis(0),
            load: Footprint::default(),
            node: None,
            node_counters: None,
        },
    );
    assert!(!empty.passed);
    assert!(empty.page().contains("FAILED: nothing was sent."));
}

#[test]
fn an_interrupted_run_is_reported_as_far_as_it_came() {
    let mut tally = Tally::new(2);
    go_on(&mut tally, 0..2, clean());
    tally.interrupt();
    go_on(&mut tally, 2..4, clean());
    let report = report_of(&tally, None);
    assert_eq!((report.passed, report.interrupted_after_seconds), (false, Some(2)));
    // Of the two seconds that were sent in, the first was the warm-up.
    assert!((report.throughput.delivered_per_second - 80.0).abs() < 1e-9);
    assert!(report.table().contains("INTERRUPTED after 2 s: until then each of 320 deliveries came once"));
    assert!(report.page().contains("class=\"verdict open\""));

    let mut faulty = Tally::new(2);
    faulty.interrupt();
    go_on(&mut faulty, 0..2, Checks { repeated: 1, ..clean() });
    assert!(report_of(&faulty, None).table().contains("FAILED: of 320 deliveries: 1 repeated."));
}

#[test]
fn lost_connections_are_noted() {
    let noted = |without: usize| {
        let mut tally = Tally::new(2);
        go_on(&mut tally, 0..4, clean());
        let last = tick(4, clean());
        tally.add(0, &Tick { connected: 5 - without, disconnected: 3, ..last.clone() });
        tally.add(1, &Tick { connected: if without == 5 { 0 } else { 5 }, ..last });
        report_of(&tally, None).notes.first().unwrap().clone()
    };
    assert_eq!(noted(0), "Clients lost their connections 3 times. At the end all were connected.");
    assert_eq!(noted(2), "Clients lost their connections 3 times. At the end 2 of 10 were not connected.");
    assert!(noted(5).ends_with("At the end none was connected: the node was gone, or refused them."), "{}", noted(5));
}

#[test]
fn the_json_is_as_it_is_documented_and_read_back() {
    let report = report(clean(), Some(footprint()));
    let json = report.json().unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    value["program"] = "conclave".into();
    value["seconds"].as_array_mut().unwrap().truncate(1);
    value["latency"]["buckets"].as_array_mut().unwrap().truncate(2);
    insta::assert_json_snapshot!(value);
}

#[test]
fn the_table_is_readable() {
    let report = Report { program: "conclave".to_owned(), ..report(clean(), Some(footprint())) };
    insta::assert_snapshot!(report.table());
}

#[test]
fn the_page_loads_nothing_and_everything_in_it_is_escaped() {
    let page = report(clean(), Some(footprint())).page();
    assert!(page.contains("http://127.0.0.1:7400/?a=1&amp;b=&lt;2&gt;"));
    assert!(page.contains("a &lt;processor&gt;"));
    for outside in ["src=", "href=", "@import", "url(", "<script", "<link", "NaN", "inf"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), 5);
    let of = |text: &str| page.matches(text).count();
    for name in ["svg", "section", "table", "tr", "g", "div"] {
        assert_eq!(of(&format!("<{name}>")) + of(&format!("<{name} ")), of(&format!("</{name}>")), "{name}");
    }
}
