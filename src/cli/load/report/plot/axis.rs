//! Axes: where a value stands, and which values get a label.

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scale {
    /// Evenly, from zero.
    Linear,
    /// Each factor of ten as long as every other.
    Logarithmic,
}

/// An axis from one value to another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    /// Values that get a label.
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// An axis that has room for all of these; of a logarithmic one, for those above zero.
    pub(super) fn for_all(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let highest = values.clone().fold(0.0, f64::max);
        match scale {
            Scale::Linear => Self::linear(highest),
            Scale::Logarithmic => {
                let lowest = values.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
                Self::logarithmic(lowest.min(highest), highest)
            }
        }
    }

    fn linear(highest: f64) -> Self {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let step = round_step(highest / 4.0);
        let ticks: Vec<f64> = multiples(step, highest).collect();
        let to = ticks.last().copied().unwrap_or(highest);
        Self { scale: Scale::Linear, from: 0.0, to, ticks }
    }

    /// The ticks are 1, 2 and 5 of each power of ten, and of a long axis the powers alone.
    fn logarithmic(lowest: f64, highest: f64) -> Self {
        let (lowest, highest) = if lowest > 0.0 && highest > 0.0 { (lowest, highest) } else { (1.0, 10.0) };
        let (first, last) = (lowest.log10().floor(), highest.log10().ceil().max(lowest.log10().floor() + 1.0));
        let leading: &[f64] = if last - first > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let decades =
            core::iter::successors(Some(first), |decade| Some(decade + 1.0)).take_while(|decade| *decade <= last);
        let all: Vec<f64> =
            decades.flat_map(|decade| leading.iter().map(move |digit| digit * 10_f64.powf(decade))).collect();
        // The ends are the closest labels, so that nothing is wasted.
        let close = 1.000_001;
        let from = all.iter().copied().rfind(|tick| *tick <= lowest * close).unwrap_or(lowest);
        let to = all.iter().copied().find(|tick| *tick * close >= highest && *tick > from).unwrap_or(highest);
        let ticks = all.into_iter().filter(|tick| (from..=to).contains(tick)).collect();
        Self { scale: Scale::Logarithmic, from, to, ticks }
    }

    /// How far along the axis a value stands: 0 at its beginning, 1 at its end. What is before or after it stands there.
    pub(super) fn part(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Logarithmic => (value.max(self.from) / self.from).ln() / (self.to / self.from).ln(),
        };
        part.clamp(0.0, 1.0)
    }

    /// The value at a part of the axis.
    pub(super) fn value(&self, part: f64) -> f64 {
        match self.scale {
            Scale::Linear => self.from + part * (self.to - self.from),
            Scale::Logarithmic => self.from * (self.to / self.from).powf(part),
        }
    }

    /// How many times its beginning the end of a logarithmic axis is, in powers of two.
    pub(super) fn octaves(&self) -> f64 {
        (self.to / self.from).log2()
    }
}

/// 1, 2 or 5 times a power of ten, and at least as much.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power * 1.000_001 >= step).unwrap_or(10.0);
    digit * power
}

/// Zero and the multiples of a step, up to the first that is not below `highest`.
fn multiples(step: f64, highest: f64) -> impl Iterator<Item = f64> {
    let last = (highest / step * 0.999_999).ceil().max(1.0);
    core::iter::successors(Some(0.0), |index| Some(index + 1.0))
        .take_while(move |index| *index <= last)
        .map(move |index| index * step)
}

/// Seconds between labels, so that there are not more than `labels` of them after the first.
pub(super) fn seconds_between_labels(seconds: usize, labels: usize) -> usize {
    const STEPS: [usize; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600];
    STEPS.into_iter().find(|step| seconds / step <= labels).unwrap_or(seconds.div_ceil(labels))
}

#[cfg(test)]
mod tests {
    use super::{Axis, Scale, seconds_between_labels};

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_at_a_round_number() {
        let axis = Axis::for_all(Scale::Linear, [3.0, 87.0].into_iter());
        assert_eq!(axis.ticks, [0.0, 50.0, 100.0]);
        for (value, part) in [(0.0, 0.0), (50.0, 0.5), (100.0, 1.0), (200.0, 1.0)] {
            assert!((axis.part(value) - part).abs() < 1e-9, "{value}");
        }
        assert_eq!(Axis::for_all(Scale::Linear, [].into_iter()).ticks.last(), Some(&1.0));
    }

    #[test]
    fn a_logarithmic_axis_ends_at_the_closest_labels() {
        let axis = Axis::for_all(Scale::Logarithmic, [0.0, 1.5, 30.0].into_iter());
        assert_eq!(axis.ticks, [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!((axis.part(0.0), axis.part(1.0), axis.part(50.0)), (0.0, 0.0, 1.0));
        assert!((axis.value(axis.part(7.0)) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn an_axis_of_one_value_or_none_still_has_a_length() {
        for values in [vec![], vec![0.0], vec![10.0], vec![7.0]] {
            let axis = Axis::for_all(Scale::Logarithmic, values.iter().copied());
            assert!(axis.ticks.len() >= 2, "{values:?}: {axis:?}");
            assert!(axis.octaves() > 0.9);
        }
    }

    #[test]
    fn labels_of_time_are_not_crowded() {
        for seconds in [1, 12, 13, 75, 300, 3_600, 100_000] {
            assert!(seconds / seconds_between_labels(seconds, 12) <= 12);
        }
    }
}
