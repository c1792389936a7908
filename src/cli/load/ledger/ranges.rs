//! A set of numbers that mostly follow one another.

/// A set of numbers, held as ranges: what came without a hole is one range, however long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// First and last, both in the set; in order, and neither touching nor overlapping.
    ranges: Vec<(u64, u64)>,
}

impl Ranges {
    /// Adds a number. Whether it is new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let next = self.ranges.partition_point(|&(first, _)| first <= number);
        let before = next.checked_sub(1).and_then(|index| self.ranges.get(index)).map(|&(_, last)| last);
        if before.is_some_and(|last| number <= last) {
            return false;
        }
        let follows = before.is_some_and(|last| last + 1 == number);
        let precedes = self.ranges.get(next).is_some_and(|&(first, _)| first == number + 1);
        match (follows, precedes) {
            (true, true) => {
                let (_, last) = self.ranges.remove(next);
                self.ranges[next - 1].1 = last;
            }
            (true, false) => self.ranges[next - 1].1 = number,
            (false, true) => self.ranges[next].0 = number,
            (false, false) => self.ranges.insert(next, (number, number)),
        }
        true
    }

    /// The highest number in it.
    pub(super) fn highest(&self) -> Option<u64> {
        self.ranges.last().map(|&(_, last)| last)
    }

    /// How many ranges it is held in.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    #[test]
    fn what_follows_without_a_hole_is_one_range() {
        let mut ranges = Ranges::default();
        for number in (0..100).rev().chain(100..200) {
            assert!(ranges.insert(number));
        }
        assert_eq!(ranges.pieces(), 1);
        assert_eq!(ranges.highest(), Some(199));
    }

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_holds(numbers in prop::collection::vec(0_u64..64, 0..200)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(ranges.insert(number), set.insert(number));
            }
            let held: Vec<u64> = ranges.ranges.iter().flat_map(|&(first, last)| first..=last).collect();
            prop_assert_eq!(held, set.iter().copied().collect::<Vec<_>>());
            let apart = ranges.ranges.windows(2).all(|pair| pair.first().unwrap().1 + 1 < pair.get(1).unwrap().0);
            prop_assert!(apart, "ranges that touch are one");
        }
    }
}
