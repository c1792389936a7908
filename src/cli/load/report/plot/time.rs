//! Lines over the seconds of a run.

use core::fmt::Write as _;
use core::ops::Range;

use super::axis::{Axis, Scale, seconds_between_labels};
use super::{BOTTOM, LEFT, TOP, Width, escaped, grid_line, head, tick_below};
use crate::cli::load::plan::as_f64;

/// Columns that answer to the pointer, at most: what a page bears.
const COLUMNS_MAX: usize = 240;

/// How wide a letter is, about: a name that is wider than its stretch is left out.
const LETTER: f64 = 6.5;

/// A plot of something over time.
#[derive(Debug)]
pub(in super::super) struct TimePlot<'run> {
    /// What is shown, in a sentence.
    pub(in super::super) title: &'run str,
    /// How a value is written.
    pub(in super::super) written: fn(f64) -> String,
    pub(in super::super) scale: Scale,
    pub(in super::super) width: Width,
    pub(in super::super) lines: Vec<Line>,
    /// Stretches that are set apart.
    pub(in super::super) shades: Vec<Shade>,
}

/// One line: a value for each second, or none.
#[derive(Debug)]
pub(in super::super) struct Line {
    pub(in super::super) name: &'static str,
    /// Its class in the page's style.
    pub(in super::super) class: &'static str,
    pub(in super::super) values: Vec<Option<f64>>,
}

/// Seconds that are set apart, and why.
#[derive(Clone, Debug)]
pub(in super::super) struct Shade {
    pub(in super::super) name: &'static str,
    pub(in super::super) seconds: Range<usize>,
}

impl TimePlot<'_> {
    /// The picture.
    pub(in super::super) fn svg(&self) -> String {
        let y = Axis::for_all(self.scale, self.lines.iter().flat_map(|line| line.values.iter().flatten().copied()));
        let across = Seconds { number: self.seconds(), width: self.width };
        let mut svg = head(self.title, self.width);
        for shade in &self.shades {
            svg.push_str(&shade.svg(across));
        }
        for tick in &y.ticks {
            svg.push_str(&grid_line(height(&y, *tick), self.width, &(self.written)(*tick)));
        }
        for second in (0..=across.number).step_by(across.between_labels()) {
            svg.push_str(&tick_below(across.begin(second), &clock(second)));
        }
        for line in &self.lines {
            svg.push_str(&line.svg(&y, across));
        }
        svg.push_str(&self.columns(across));
        svg.push_str("</svg>\n");
        svg
    }

    fn seconds(&self) -> usize {
        self.lines.iter().map(|line| line.values.len()).max().unwrap_or_default()
    }

    /// Invisible columns, which the pointer makes visible; their titles say the values.
    fn columns(&self, across: Seconds) -> String {
        let mut svg = String::new();
        for second in (0..across.number).step_by(across.number.div_ceil(COLUMNS_MAX).max(1)) {
            let values = self.lines.iter().filter_map(|line| {
                let value = line.values.get(second).copied().flatten()?;
                Some(format!("{} {}", line.name, (self.written)(value)))
            });
            let title = format!("{}\n{}", clock(second), values.collect::<Vec<_>>().join("\n"));
            let (from, to) = (across.begin(second), across.begin(second + 1));
            // Writing to a `String` does not fail.
            let _ = writeln!(
                svg,
                "<g class=\"column\"><rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>\
                 <title>{}</title></g>",
                (to - from).max(1.0),
                BOTTOM - TOP,
                escaped(&title),
            );
        }
        svg
    }
}

impl Line {
    /// A line for each stretch without a hole; a second that stands alone is a dot.
    fn svg(&self, y: &Axis, across: Seconds) -> String {
        let mut svg = String::new();
        let mut second = 0;
        for stretch in self.values.split(Option::is_none) {
            let points: Vec<String> = stretch
                .iter()
                .flatten()
                .enumerate()
                .map(|(index, value)| format!("{:.1},{:.1}", across.middle(second + index), height(y, *value)))
                .collect();
            second += stretch.len() + 1;
            let _ = match points.as_slice() {
                [] => Ok(()),
                [one] => writeln!(svg, "<polyline class=\"line dot {}\" points=\"{one} {one}\"/>", self.class),
                _ => writeln!(svg, "<polyline class=\"line {}\" points=\"{}\"/>", self.class, points.join(" ")),
            };
        }
        svg
    }
}

impl Shade {
    fn svg(&self, across: Seconds) -> String {
        let (from, to) = (across.begin(self.seconds.start), across.begin(self.seconds.end));
        if to <= from {
            return String::new();
        }
        let mut svg = format!(
            "<rect class=\"shade\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>\n",
            to - from,
            BOTTOM - TOP,
        );
        if to - from > LETTER * as_f64(self.name.len()) + 10.0 {
            let (x, y, name) = (from + 5.0, TOP + 13.0, escaped(self.name));
            // Writing to a `String` does not fail.
            let _ = writeln!(svg, "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\">{name}</text>");
        }
        svg
    }
}

/// The axis of time.
#[derive(Clone, Copy)]
struct Seconds {
    number: usize,
    width: Width,
}

impl Seconds {
    /// Where a second begins; one after the end, at the end.
    fn begin(self, second: usize) -> f64 {
        let part = as_f64(second.min(self.number)) / as_f64(self.number.max(1));
        LEFT + (self.width.right() - LEFT) * part
    }

    /// Where its middle is.
    fn middle(self, second: usize) -> f64 {
        f64::midpoint(self.begin(second), self.begin(second + 1))
    }

    fn between_labels(self) -> usize {
        let labels = if self.width == Width::Whole { 12 } else { 6 };
        seconds_between_labels(self.number, labels)
    }
}

fn height(y: &Axis, value: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * y.part(value)
}

/// Seconds, from a minute on as minutes and seconds.
fn clock(second: usize) -> String {
    if second < 60 { format!("{second} s") } else { format!("{}:{:02}", second / 60, second % 60) }
}
