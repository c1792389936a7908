//! How often what took how long.

use core::fmt::Write as _;
use core::time::Duration;

use super::axis::{Axis, Scale};
use super::words::{duration, real, thousands};
use super::{BOTTOM, LEFT, TOP, Width, grid_line, head, tick_below};
use crate::cli::load::plan::as_f64;
use crate::cli::load::report::{Bucket, Timing};

/// Bars for each doubling of the time; the buckets are four times as fine, so that each bar has whole ones in it.
const BARS_PER_OCTAVE: f64 = 12.0;

/// Bars at most.
const BARS_MAX: f64 = 90.0;

/// The picture: bars over a logarithmic axis of time, and where the percentiles are.
pub(in super::super) fn histogram(title: &str, timing: &Timing) -> String {
    let ends = timing.buckets.iter().flat_map(|bucket| [bucket.from_us, bucket.to_us.min(timing.max_us)]);
    let x = Axis::for_all(Scale::Logarithmic, ends.map(|us| real(us.max(1))));
    let bars = bars(&x, &timing.buckets);
    let y = Axis::for_all(Scale::Linear, bars.iter().map(|count| real(*count)));
    let mut svg = head(title, Width::Whole);
    for tick in &y.ticks {
        svg.push_str(&grid_line(height(&y, *tick), Width::Whole, &thousands(whole(*tick))));
    }
    for tick in &x.ticks {
        svg.push_str(&tick_below(across(&x, *tick), &duration(Duration::from_micros(whole(*tick)))));
    }
    for (index, count) in bars.iter().enumerate().filter(|(_, count)| **count > 0) {
        svg.push_str(&bar(&x, &y, [index, index + 1].map(|edge| as_f64(edge) / as_f64(bars.len())), *count));
    }
    for (index, (name, us)) in timing.percentiles().into_iter().take(3).enumerate() {
        svg.push_str(&marker(across(&x, real(us)), as_f64(index), name, us));
    }
    svg.push_str("</svg>\n");
    svg
}

/// How many of the buckets' counts are in each bar; a bucket is in the bar of its middle.
fn bars(x: &Axis, buckets: &[Bucket]) -> Vec<u64> {
    let number = (x.octaves() * BARS_PER_OCTAVE).clamp(1.0, BARS_MAX).ceil();
    let mut bars = vec![0; index(number)];
    for bucket in buckets {
        let middle = f64::midpoint(real(bucket.from_us), real(bucket.to_us)).max(1.0);
        let at = index(x.part(middle) * number).min(bars.len() - 1);
        if let Some(bar) = bars.get_mut(at) {
            *bar += bucket.count;
        }
    }
    bars
}

fn bar(x: &Axis, y: &Axis, ends: [f64; 2], count: u64) -> String {
    let [from, to] = ends.map(|part| LEFT + (right() - LEFT) * part);
    let top = height(y, real(count)).min(BOTTOM - 1.0);
    let [first, last] = ends.map(|part| duration(Duration::from_micros(whole(x.value(part)))));
    format!(
        "<g class=\"bar\"><rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"1.5\"/>\
         <title>{first} to {last}\n{} deliveries</title></g>\n",
        from + 0.75,
        (to - from - 1.5).max(1.0),
        BOTTOM - top,
        thousands(count),
    )
}

/// A line across the bars, its name beside it; the names stand below one another, as percentiles may be close.
fn marker(x: f64, row: f64, name: &str, us: u64) -> String {
    let (side, anchor) = if x > f64::midpoint(LEFT, right()) { (x - 6.0, "end") } else { (x + 6.0, "start") };
    let mut svg = String::new();
    // Writing to a `String` does not fail.
    let _ = writeln!(
        svg,
        "<line class=\"marker\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
         <text class=\"tick strong {anchor}\" x=\"{side:.1}\" y=\"{:.1}\">{name} {}</text>",
        TOP + 12.0 + 16.0 * row,
        duration(Duration::from_micros(us)),
    );
    svg
}

fn across(x: &Axis, value: f64) -> f64 {
    LEFT + (right() - LEFT) * x.part(value)
}

fn height(y: &Axis, value: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * y.part(value)
}

fn right() -> f64 {
    Width::Whole.right()
}

/// A real number as a whole one; what is shown here is neither negative nor large.
fn whole(value: f64) -> u64 {
    Duration::try_from_secs_f64(value).map_or(0, |seconds| seconds.as_secs())
}

fn index(value: f64) -> usize {
    usize::try_from(whole(value)).unwrap_or(usize::MAX)
}
