//! Time, and what is typical of many measurements.

use std::time::{Duration, Instant};

/// Time since it was started.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The value below which this part of them is: 0.5 is the median.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a short list")]
    let index = ((sorted.len() as f64 * part) as usize).min(sorted.len() - 1);
    sorted[index]
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}
