#![expect(clippy::unwrap_used, reason = "a test may panic")]

use core::ops::Range;
use core::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::view::{self, View};
use super::{Plan, Tally, lines};
use crate::cli::load::latency::Histogram;
use crate::cli::load::ledger::Checks;
use crate::cli::load::tally::Tick;
use crate::cli::load::usage::Usage;

fn plan() -> Plan {
    Plan {
        url: "http://127.0.0.1:7400".to_owned(),
        clients: 100,
        room_size: 10,
        rate: 50.0,
        text_bytes: 256,
        warm_up_seconds: 2,
        seconds: 8,
        drain_seconds: 5,
        processes: 1,
        seed: 1,
    }
}

/// So many seconds of a run; the last has found these.
fn tally(seconds: usize, found: Checks) -> Tally {
    let mut tally = Tally::new(1);
    go_on(&mut tally, 0..seconds, found);
    tally
}

/// Further seconds of it. From the eighth on not all clients are connected.
fn go_on(tally: &mut Tally, seconds: Range<usize>, found: Checks) {
    for second in seconds {
        let number = u64::try_from(second).unwrap() + 1;
        let sent = 10 * number.min(5);
        let mut latency = Histogram::default();
        for ms in 1..=9 {
            latency.record(Duration::from_millis(ms));
        }
        let usage = Usage { cpu_ms: 250 * number, resident_bytes: 200 << 20 };
        let tick = Tick {
            second,
            sent,
            delivered: 9 * sent,
            latency,
            delay: Histogram::default(),
            checks: found,
            usage,
            connected: if second < 7 { 100 } else { 37 },
            disconnected: if second == 7 { 63 } else { 0 },
        };
        tally.add(0, &tick);
        tally.add_node(second, Some(Usage { cpu_ms: 100 * number, resident_bytes: 40 << 20 }));
    }
}

fn drawn(draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> String {
    let mut screen = Terminal::new(TestBackend::new(90, view::LINES)).unwrap();
    screen.draw(draw).unwrap();
    screen.backend().to_string()
}

#[test]
fn a_run_is_seen_as_it_stands() {
    let found = Checks { sent: 250, due: 2_250, delivered: 2_241, repeated: 1, undecryptable: 2, ..Checks::default() };
    let (plan, tally) = (plan(), tally(7, found));
    let view = View::of(&plan, &tally).unwrap();
    insta::assert_snapshot!(drawn(|frame| view.draw(frame)));
    let line = "   7 s timed    sent 44.0/s  delivered 396/s  p50 5.05 ms  p99 9.00 ms  under way 9  1 repeated, 2 undecryptable";
    assert_eq!(lines::line(&view), line);
}

#[test]
fn what_is_under_way_is_not_yet_lost() {
    let found = Checks { sent: 10, due: 90, delivered: 0, ..Checks::default() };
    let (plan, tally) = (plan(), tally(1, found));
    let line = lines::line(&View::of(&plan, &tally).unwrap());
    assert!(line.contains("under way 90") && line.contains("no faults"), "{line}");
}

#[test]
fn clients_without_a_socket_are_missed() {
    let (plan, tally) = (plan(), tally(8, Checks::default()));
    let view = View::of(&plan, &tally).unwrap();
    assert!(lines::line(&view).contains("  37 of 100 connected  "), "{}", lines::line(&view));
    let screen = drawn(|frame| view.draw(frame));
    assert!(screen.contains("conclave load  37 of 100 connected, 10 rooms"), "{screen}");
}

#[test]
fn an_interrupted_run_is_drained() {
    let (plan, mut tally) = (plan(), tally(4, Checks::default()));
    tally.interrupt();
    go_on(&mut tally, 4..6, Checks::default());
    tally.interrupt();
    assert_eq!(tally.interrupted(&plan), Some(Duration::from_secs(4)));
    let line = lines::line(&View::of(&plan, &tally).unwrap());
    assert!(line.starts_with("   6 s drain "), "{line}");
}

#[test]
fn nothing_is_shown_before_the_first_second_is_over() {
    assert!(View::of(&plan(), &Tally::new(1)).is_none());
}

#[test]
fn clients_are_seen_as_they_connect() {
    insta::assert_snapshot!(drawn(|frame| view::connecting(frame, &plan(), 40)));
}
