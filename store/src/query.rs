//! Queries against the shape of their measurement.

use crate::point::NANOS;
use crate::{Measurement, Query, StoreError};

/// The times wanted, in nanoseconds, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Bounds {
    /// All times.
    pub(crate) const ALL: Bounds = Bounds { low: i64::MIN, high: i64::MAX };

    /// The times that a query wants of the points with these tags.
    pub(crate) fn new(query: &Query, tags: &[String]) -> Bounds {
        let mut low = query.from.map_or(i64::MIN, |from| from.saturating_mul(NANOS));
        let mut high = query.to.map_or(i64::MAX, |to| to.saturating_mul(NANOS).saturating_sub(1));
        if let Some((_, time)) = query.after.as_ref().filter(|(last, _)| last == tags) {
            if query.newest_first {
                high = high.min(time.saturating_sub(1));
            } else {
                low = low.max(time.saturating_add(1));
            }
        }
        Bounds { low, high }
    }
}

impl Query {
    /// For every tag of the measurement, in order, the value asked for.
    pub(crate) fn wanted_tags(&self, measurement: &Measurement) -> Result<Vec<Option<String>>, StoreError> {
        let mut wanted = vec![None; measurement.tags.len()];
        for (tag, value) in &self.tags {
            let Some(place) = measurement.tags.iter().position(|known| known == tag) else {
                let (measurement, known) = (measurement.name.clone(), measurement.tags.clone());
                return Err(StoreError::UnknownTag { measurement, tag: tag.clone(), known });
            };
            wanted[place] = Some(value.clone());
        }
        Ok(wanted)
    }
}
