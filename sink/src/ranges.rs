//! Sets of times as disjoint ranges, however many fall into them.

use std::collections::BTreeMap;

use model::time::Millis;
use serde::{Deserialize, Serialize};

/// A set of half-open ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Millis, Millis)>", into = "Vec<(Millis, Millis)>")]
pub(crate) struct Ranges(BTreeMap<Millis, Millis>);

impl From<Vec<(Millis, Millis)>> for Ranges {
    fn from(list: Vec<(Millis, Millis)>) -> Ranges {
        let mut ranges = Ranges::default();
        for (from, to) in list {
            ranges.insert(from, to);
        }
        ranges
    }
}

impl From<Ranges> for Vec<(Millis, Millis)> {
    fn from(ranges: Ranges) -> Vec<(Millis, Millis)> {
        ranges.iter().collect()
    }
}

impl Ranges {
    /// Adds a range; says whether that added anything.
    pub(crate) fn insert(&mut self, mut from: Millis, mut to: Millis) -> bool {
        if from >= to || self.covers(from, to) {
            return false;
        }
        if let Some((&start, &end)) = self.0.range(..from).next_back()
            && end >= from
        {
            (from, to) = (start, to.max(end));
        }
        while let Some((&start, &end)) = self.0.range(from..=to).next() {
            self.0.remove(&start);
            to = to.max(end);
        }
        self.0.insert(from, to);
        true
    }

    /// Takes a range out.
    pub(crate) fn remove(&mut self, from: Millis, to: Millis) {
        if from >= to {
            return;
        }
        while let Some((start, end)) = self.last_before(to).filter(|(_, end)| *end > from) {
            self.0.remove(&start);
            if end > to {
                self.0.insert(to, end);
            }
            if start < from {
                self.0.insert(start, from);
            }
        }
    }

    /// Whether something of a range is in the set.
    pub(crate) fn meets(&self, from: Millis, to: Millis) -> bool {
        from < to && self.last_before(to).is_some_and(|(_, end)| end > from)
    }

    /// Whether a range is in the set as a whole.
    fn covers(&self, from: Millis, to: Millis) -> bool {
        self.0.range(..=from).next_back().is_some_and(|(_, &end)| end >= to)
    }

    fn last_before(&self, to: Millis) -> Option<(Millis, Millis)> {
        self.0.range(..to).next_back().map(|(&start, &end)| (start, end))
    }

    /// What of the set lies before `until`.
    pub(crate) fn until(&self, until: Millis) -> Ranges {
        Ranges(self.0.range(..until).map(|(&start, &end)| (start, end.min(until))).collect())
    }

    /// The ranges, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Millis, Millis)> + '_ {
        self.0.iter().map(|(&start, &end)| (start, end))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_would(steps in prop::collection::vec((any::<bool>(), 0..40_i64, 0..12_i64), 0..40)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, from, length) in steps {
                let span = from..from + length;
                if add {
                    let more = span.clone().any(|at| !set.contains(&at));
                    assert_eq!(ranges.insert(from, from + length), more);
                    set.extend(span);
                } else {
                    ranges.remove(from, from + length);
                    set.retain(|at| !span.contains(at));
                }
                let held: Vec<_> = ranges.iter().flat_map(|(from, to)| from..to).collect();
                assert_eq!(held, set.iter().copied().collect::<Vec<_>>());
                let list: Vec<_> = ranges.iter().collect();
                assert!(list.windows(2).all(|pair| pair[0].1 < pair[1].0), "{list:?} touch");
                let half: Vec<_> = ranges.until(20).iter().flat_map(|(from, to)| from..to).collect();
                assert_eq!(half, set.range(..20).copied().collect::<Vec<_>>());
                for at in 0..52 {
                    assert_eq!(ranges.meets(at, at + 3), set.range(at..at + 3).next().is_some());
                }
            }
            let text = serde_json::to_string(&ranges).unwrap();
            assert_eq!(serde_json::from_str::<Ranges>(&text).unwrap(), ranges);
        }
    }
}
