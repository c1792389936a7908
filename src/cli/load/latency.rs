//! How long things took: a histogram whose buckets grow with the value.
//!
//! A value in microseconds falls into one of 64 buckets for each power of two, so what is read out of it is at most 1.6 percent
//! off, whether milliseconds or minutes were counted. Only buckets with something in them are held: one histogram for each
//! second of a run costs little, and its saved form is short and readable. Histograms of several seconds or processes are
//! merged without further loss.
//!
//! Source: the log-linear buckets of `HdrHistogram` (G. Tene).

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets for each power of two, as a power of two. Half of a bucket's width is the error.
const PRECISION_BITS: u32 = 6;

/// Durations, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Histogram {
    /// How many durations.
    count: u64,
    /// The longest, in microseconds.
    max_us: u64,
    /// All of them together, in microseconds.
    sum_us: u64,
    /// How many in each bucket, by the bucket's number; no bucket is empty.
    buckets: BTreeMap<u16, u64>,
}

impl Histogram {
    /// Counts one more.
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.count += 1;
        self.max_us = self.max_us.max(micros);
        self.sum_us = self.sum_us.saturating_add(micros);
        *self.buckets.entry(bucket(micros)).or_default() += 1;
    }

    /// Counts what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        let Self { count, max_us, sum_us, buckets } = other;
        self.count += count;
        self.max_us = self.max_us.max(*max_us);
        self.sum_us = self.sum_us.saturating_add(*sum_us);
        for (&bucket, count) in buckets {
            *self.buckets.entry(bucket).or_default() += count;
        }
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that so many of a thousand do not exceed, rounded up to the end of its bucket; zero of nothing.
    pub(crate) fn per_mille(&self, part: u64) -> Duration {
        let rank = (u128::from(self.count) * u128::from(part.min(1_000))).div_ceil(1_000);
        let mut seen = 0;
        for (&bucket, &count) in &self.buckets {
            seen += u128::from(count);
            if seen >= rank {
                return Duration::from_micros(last_of(bucket).min(self.max_us));
            }
        }
        Duration::ZERO
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.max_us)
    }

    /// The mean; zero of nothing.
    pub(crate) fn mean(&self) -> Duration {
        Duration::from_micros(self.sum_us.checked_div(self.count).unwrap_or_default())
    }

    /// The counts of all buckets with something in them: the shortest and the longest duration of each, and how many.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (Duration, Duration, u64)> + '_ {
        self.buckets.iter().map(|(&bucket, &count)| {
            (Duration::from_micros(first_of(bucket)), Duration::from_micros(last_of(bucket)), count)
        })
    }
}

/// The number of the bucket for a value: its leading bits and their place.
fn bucket(micros: u64) -> u16 {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    let number = (u64::from(shift) << PRECISION_BITS) + (micros >> shift);
    // At most 57 shifts of 64 buckets, and 64 more.
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The lowest value of a bucket.
fn first_of(bucket: u16) -> u64 {
    let shift = (bucket >> PRECISION_BITS).saturating_sub(1);
    let leading = u64::from(bucket) - (u64::from(shift) << PRECISION_BITS);
    leading.checked_shl(shift.into()).unwrap_or(u64::MAX)
}

/// The highest value of a bucket.
fn last_of(bucket: u16) -> u64 {
    let shift = (bucket >> PRECISION_BITS).saturating_sub(1);
    first_of(bucket).saturating_add(1_u64.checked_shl(shift.into()).unwrap_or(u64::MAX) - 1)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use core::time::Duration;

    use proptest::prelude::*;

    use super::{Histogram, bucket, first_of, last_of};

    fn of(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &value in micros {
            histogram.record(Duration::from_micros(value));
        }
        histogram
    }

    #[test]
    fn small_values_have_a_bucket_each() {
        for value in 0..128 {
            assert_eq!((first_of(bucket(value)), last_of(bucket(value))), (value, value));
        }
    }

    #[test]
    fn buckets_leave_no_hole_and_do_not_overlap() {
        for number in 0..bucket(u64::MAX) {
            assert_eq!(last_of(number) + 1, first_of(number + 1));
        }
        assert_eq!(last_of(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn nothing_has_percentiles_of_zero() {
        let nothing = Histogram::default();
        assert_eq!((nothing.per_mille(500), nothing.max(), nothing.mean()), Default::default());
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let thousand = of(&(1..=1_000).collect::<Vec<_>>());
        for (part, exact) in [(0, 1_u64), (1, 1), (500, 500), (990, 990), (999, 999), (1_000, 1_000)] {
            let found = u64::try_from(thousand.per_mille(part).as_micros()).unwrap();
            assert!(found >= exact && found <= exact + exact / 64, "{part}: {found}");
        }
        assert_eq!(thousand.mean(), Duration::from_micros(500));
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_bucket_and_the_bucket_is_narrow(value in any::<u64>()) {
            let number = bucket(value);
            prop_assert!(first_of(number) <= value && value <= last_of(number));
            prop_assert!(last_of(number) - first_of(number) <= value / 64);
        }

        #[test]
        fn merged_histograms_are_the_one_of_all_values(
            left in prop::collection::vec(0_u64..10_000_000, 0..50),
            right in prop::collection::vec(0_u64..10_000_000, 0..50),
        ) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(merged, of(&[left, right].concat()));
        }

        #[test]
        fn the_saved_form_is_read_back(values in prop::collection::vec(any::<u32>(), 0..50)) {
            let histogram = of(&values.into_iter().map(u64::from).collect::<Vec<_>>());
            let saved = serde_json::to_string(&histogram).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&saved).unwrap(), histogram);
        }
    }
}
