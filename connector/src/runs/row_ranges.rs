//! Which rows of a statement are settled.
//!
//! In: row numbers as their fates become known, in any order. Out: the row up to which none is missing, and the ranges.

use std::collections::BTreeMap;

/// Row numbers from 1, as ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RowRanges {
    /// First and last row of each range, without neighbours that touch.
    ranges: BTreeMap<u64, u64>,
}

impl RowRanges {
    /// Adds the rows from `first` to `last`, which may be there already.
    pub(crate) fn add(&mut self, mut first: u64, mut last: u64) {
        if let Some((&before, &end)) = self.ranges.range(..=first).next_back()
            && end + 1 >= first
        {
            (first, last) = (before, last.max(end));
        }
        while let Some((&next, &end)) = self.ranges.range(first..=last + 1).next() {
            self.ranges.remove(&next);
            last = last.max(end);
        }
        self.ranges.insert(first, last);
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: u64) {
        let Some((first, last)) =
            self.ranges.range(..=row).next_back().map(|(first, last)| (*first, *last)).filter(|(_, last)| *last >= row)
        else {
            return;
        };
        self.ranges.remove(&first);
        if first < row {
            self.ranges.insert(first, row - 1);
        }
        if row < last {
            self.ranges.insert(row + 1, last);
        }
    }

    /// The ranges, first and last row, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(first, last)| (*first, *last))
    }

    /// What is missing from `first` to `last`.
    pub(crate) fn gaps(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut next = first;
        let before = self.ranges.range(..first).next_back();
        for (&start, &end) in before.into_iter().chain(self.ranges.range(first..=last.max(first))) {
            if start > next {
                gaps.push((next, start - 1));
            }
            next = next.max(end + 1);
        }
        if next <= last {
            gaps.push((next, last));
        }
        gaps
    }

    /// The last row before which none is missing.
    pub(crate) fn through(&self) -> u64 {
        self.ranges.get(&1).copied().unwrap_or(0)
    }
}

impl FromIterator<(u64, u64)> for RowRanges {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Self {
        let mut rows = Self::default();
        ranges.into_iter().for_each(|(first, last)| rows.add(first, last));
        rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn settled_through_is_the_last_row_before_a_gap_and_gaps_are_what_is_missing(runs in prop::collection::vec((1u64..60, 0u64..4), 0..60), asked in (1u64..70, 1u64..70)) {
            let mut settled = RowRanges::default();
            runs.iter().for_each(|(first, more)| settled.add(*first, first + more));
            let is_settled = |row: &u64| runs.iter().any(|(first, more)| (*first..=first + more).contains(row));
            let expected = (1..).take_while(is_settled).last().unwrap_or(0);
            let ranges: Vec<_> = settled.ranges.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < *pair[1].0), "neighbours touch");
            prop_assert_eq!(settled.through(), expected);
            let (first, last) = asked;
            let missing: Vec<u64> = settled.gaps(first, last).into_iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(missing, (first..=last).filter(|row| !is_settled(row)).collect::<Vec<_>>());
        }
    }
}
