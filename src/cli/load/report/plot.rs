//! Plots as inline SVG: lines over time, and a histogram. They have no script; what a point says stands in its title, and
//! colours come from the page.

mod axis;
mod histogram;
mod time;

pub(super) use axis::Scale;
pub(super) use histogram::histogram;
pub(super) use time::{Line, Shade, TimePlot};

use super::super::words;

/// How wide a picture is, in its own units: about those of the page, so that letters are as large in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// The whole page.
    Whole,
    /// Half of it.
    Half,
}

impl Width {
    fn units(self) -> f64 {
        match self {
            Self::Whole => 1_000.0,
            Self::Half => 480.0,
        }
    }

    /// Where the plot ends.
    fn right(self) -> f64 {
        self.units() - 14.0
    }
}

const HEIGHT: f64 = 250.0;
/// Where the plot itself begins and ends: labels stand beside it.
const LEFT: f64 = 66.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 28.0;

/// A text that may stand in HTML, in attributes too.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The head of a picture: who cannot see it is told what it shows.
fn head(title: &str, width: Width) -> String {
    let (width, title) = (width.units(), escaped(title));
    format!("<svg viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n")
}

/// A line of the grid across the plot, with its value.
fn grid_line(y: f64, width: Width, label: &str) -> String {
    format!(
        "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
        width.right(),
        LEFT - 8.0,
        y + 4.0,
        escaped(&words::short(label)),
    )
}

/// A value under the plot.
fn tick_below(x: f64, label: &str) -> String {
    format!(
        "<text class=\"tick middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>\n",
        BOTTOM + 18.0,
        escaped(&words::short(label))
    )
}
