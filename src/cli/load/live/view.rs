//! A run as it is seen on a terminal.

use core::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Sparkline};

use crate::cli::load::latency::Histogram;
use crate::cli::load::ledger::Checks;
use crate::cli::load::plan::{Plan, as_f64};
use crate::cli::load::tally::{Phase, SecondTally, Tally};
use crate::cli::load::words::{bytes, duration, number_of, rate, real, thousands};

/// Lines that it takes of the terminal.
pub(super) const LINES: u16 = 9;

/// Seconds that rates and percentiles are of.
const RECENT: usize = 5;

/// A run after some second.
pub(super) struct View<'run> {
    plan: &'run Plan,
    seconds: &'run [SecondTally],
    connected: usize,
    /// How long after the start sending ends, or ended.
    sending: Duration,
    /// Seconds since the start.
    pub(super) elapsed: usize,
    pub(super) phase: Phase,
    pub(super) checks: Checks,
    /// The latency of the last seconds.
    pub(super) recent: Histogram,
}

impl<'run> View<'run> {
    /// The run as it stands; none before its first second is over.
    pub(super) fn of(plan: &'run Plan, tally: &'run Tally) -> Option<Self> {
        let seconds = tally.seconds();
        let elapsed = seconds.len();
        let last = Duration::from_secs(u64::try_from(elapsed.checked_sub(1)?).ok()?);
        let mut recent = Histogram::default();
        for second in last_of(seconds) {
            recent.merge(&second.latency);
        }
        Some(Self {
            plan,
            seconds,
            connected: tally.connected(),
            sending: tally.sending(plan),
            elapsed,
            phase: tally.phase(plan, last),
            checks: tally.checks(),
            recent,
        })
    }

    pub(super) fn sent_per_second(&self) -> f64 {
        mean(last_of(self.seconds), |second| second.sent)
    }

    pub(super) fn delivered_per_second(&self) -> f64 {
        mean(last_of(self.seconds), |second| second.delivered)
    }

    /// What is wrong already. What is under way may still arrive, so nothing is lost yet.
    pub(super) fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.checks.faults().into_iter().filter(|(name, _)| *name != "lost")
    }

    /// How many clients have a socket, while that is not all of them.
    pub(super) fn few_connected(&self) -> Option<String> {
        let [connected, clients] = [self.connected, self.plan.clients].map(|number| thousands(count(number)));
        (self.connected < self.plan.clients).then(|| format!("{connected} of {clients} connected"))
    }

    /// Draws it.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let [title, bar, _, sent, delivered, latency, cost, _, checks] =
            Layout::vertical([Constraint::Length(1); LINES as usize]).areas(frame.area());
        let clock = self.clock();
        let width = u16::try_from(clock.width()).unwrap_or(u16::MAX);
        let [left, _, right] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(1), Constraint::Length(width)]).areas(title);
        frame.render_widget(self.title(left.width), left);
        frame.render_widget(clock, right);
        frame.render_widget(progress(self.part(), self.colour()), bar);
        self.flow(frame, sent, "sent", self.checks.sent, |second| second.sent, Color::Cyan);
        self.flow(frame, delivered, "delivered", self.checks.delivered, |second| second.delivered, Color::Blue);
        frame.render_widget(self.latency(), latency);
        frame.render_widget(self.cost(), cost);
        frame.render_widget(self.verdict(), checks);
    }

    /// Without the node's address where there is no place for it.
    fn title(&self, width: u16) -> Line<'static> {
        let plan = self.plan;
        let clients = match self.few_connected() {
            Some(few) => few.red().bold(),
            None => number_of(plan.clients, "client").dim(),
        };
        let rooms = format!(", {}", number_of(plan.rooms(), "room")).dim();
        let short = Line::from(vec!["conclave load  ".bold(), clients, rooms]);
        let mut whole = short.clone();
        whole.push_span(format!(", {}", plan.url).dim());
        if whole.width() > usize::from(width) { short } else { whole }
    }

    fn clock(&self) -> Line<'static> {
        let total = self.sending.as_secs();
        let elapsed = count(self.elapsed).min(total);
        let clock = |seconds: u64| format!("{}:{:02}", seconds / 60, seconds % 60);
        Line::from(vec![
            Span::styled(self.phase.name(), Style::new().fg(self.colour()).add_modifier(Modifier::BOLD)),
            format!("  {} of {}", clock(elapsed), clock(total)).into(),
        ])
    }

    /// How much of the sending is over.
    fn part(&self) -> f64 {
        (as_f64(self.elapsed) / self.sending.as_secs_f64()).clamp(0.0, 1.0)
    }

    fn colour(&self) -> Color {
        match self.phase {
            Phase::WarmUp => Color::Yellow,
            Phase::Timed => Color::Green,
            Phase::Drain => Color::Magenta,
        }
    }

    /// A count, its rate, and the seconds so far as bars.
    fn flow(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        name: &str,
        total: u64,
        of: fn(&SecondTally) -> u64,
        colour: Color,
    ) {
        let [words, bars] = Layout::horizontal([Constraint::Length(40), Constraint::Fill(1)]).areas(area);
        let a_second = format!("{}/s", rate(mean(last_of(self.seconds), of)));
        let line =
            Line::from(vec![label(name), format!("{:>12}", thousands(total)).bold(), format!("{a_second:>13}").into()]);
        frame.render_widget(line, words);
        let shown = self.seconds.len().saturating_sub(bars.width.into());
        let values: Vec<u64> = self.seconds.iter().skip(shown).map(of).collect();
        frame.render_widget(Sparkline::default().data(values).style(Style::new().fg(colour)), bars);
    }

    fn latency(&self) -> Line<'static> {
        let mut spans = vec![label("latency")];
        if self.recent.count() == 0 {
            spans.push("after the warm-up".dim());
            return Line::from(spans);
        }
        for (name, part) in [("p50", 500), ("p90", 900), ("p99", 990), ("max", 1_000)] {
            spans.push(format!("{name} ").dim());
            spans.push(format!("{:<10}", duration(self.recent.per_mille(part))).into());
        }
        Line::from(spans)
    }

    /// What both sides use, of the last second.
    fn cost(&self) -> Line<'static> {
        let mut spans = vec![label("cost")];
        if let [.., before, last] = self.seconds {
            let one = Duration::from_secs(1);
            let mut side = |name: &'static str, percent: u64, resident: u64| {
                spans.push(format!("{name} ").dim());
                spans.push(format!("{:<16}", format!("{percent} %, {}", bytes(resident))).into());
            };
            side("load", last.load.percent_since(before.load, one), last.load.resident_bytes);
            if let Some((before, last)) = before.node.zip(last.node) {
                side("node", last.percent_since(before, one), last.resident_bytes);
            }
        }
        Line::from(spans)
    }

    fn verdict(&self) -> Line<'static> {
        let mut spans = vec![label("checks")];
        let faults: Vec<_> = self.faults().filter(|(_, found)| *found > 0).collect();
        if faults.is_empty() {
            spans.push("✓ no faults".green());
        }
        for (name, found) in faults {
            spans.push(format!("✗ {} {name}  ", thousands(found)).red().bold());
        }
        spans.push(format!("   {} under way", thousands(self.checks.missing())).dim());
        Line::from(spans)
    }
}

/// Draws how many clients are connected.
pub(super) fn connecting(frame: &mut Frame<'_>, plan: &Plan, connected: usize) {
    let [title, bar, _] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Fill(1)]).areas(frame.area());
    let words = if connected < plan.clients {
        format!(" connecting {connected} of {} clients to {}", plan.clients, plan.url)
    } else {
        format!(" all {} clients are connected, and go into their rooms", plan.clients)
    };
    frame.render_widget(Line::from(vec!["conclave load ".bold(), words.dim()]), title);
    frame.render_widget(progress(as_f64(connected) / as_f64(plan.clients.max(1)), Color::Cyan), bar);
}

fn progress(part: f64, colour: Color) -> LineGauge<'static> {
    LineGauge::default()
        .ratio(part.clamp(0.0, 1.0))
        .filled_symbol("━")
        .unfilled_symbol("─")
        .filled_style(Style::new().fg(colour))
        .unfilled_style(Style::new().fg(Color::DarkGray))
}

fn label(name: &str) -> Span<'static> {
    format!("{name:<11}").dim()
}

fn last_of(seconds: &[SecondTally]) -> &[SecondTally] {
    seconds.get(seconds.len().saturating_sub(RECENT)..).unwrap_or_default()
}

fn mean(seconds: &[SecondTally], of: fn(&SecondTally) -> u64) -> f64 {
    real(seconds.iter().map(of).sum()) / as_f64(seconds.len().max(1))
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
