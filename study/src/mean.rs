//! The mean over many events, with the band that their differences leave.

use crate::estimate::Estimate;
use crate::options::Options;
use crate::reaction::{Minute, Path};
use crate::walk::{AFTER, BEFORE};

/// The mean path of some events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeanPath {
    /// How many events.
    pub events: usize,
    /// From −[`BEFORE`] to [`AFTER`], one each.
    pub minutes: Vec<MeanMinute>,
}

/// One minute of a mean path. At each minute the mean is over the events that
/// have a price there, as [`Estimate::count`] says; its error comes from the
/// cross-section of events, taken as independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanMinute {
    /// Counted from the event's own, which is 0.
    pub minute: i64,
    /// Mean cumulative abnormal return.
    pub cumulative: Option<Estimate>,
    /// Mean abnormal return of the minute.
    pub abnormal_return: Option<Estimate>,
    /// Mean abnormal volume, as a log.
    pub abnormal_volume: Option<Estimate>,
}

impl MeanPath {
    pub(crate) fn over<'a>(paths: impl Iterator<Item = &'a Path>, options: &Options) -> MeanPath {
        let paths: Vec<&Path> = paths.collect();
        let estimate = |minute: i64, of: fn(&Minute) -> Option<f64>| {
            let values: Vec<f64> =
                paths.iter().filter_map(|path| path.minute(minute)).filter_map(of).collect();
            Estimate::of(&values, options.confidence)
        };
        let minute = |minute: i64| MeanMinute {
            minute,
            cumulative: estimate(minute, |minute| minute.cumulative),
            abnormal_return: estimate(minute, |minute| minute.abnormal_return),
            abnormal_volume: estimate(minute, |minute| minute.abnormal_volume),
        };
        MeanPath { events: paths.len(), minutes: (-BEFORE..=AFTER).map(minute).collect() }
    }

    /// A minute of the path, counted from the event's own; none outside it.
    pub fn minute(&self, minute: i64) -> Option<&MeanMinute> {
        self.minutes.get(usize::try_from(minute + BEFORE).ok()?)
    }

    /// What the price had done in the half hour before publication: the mean
    /// abnormal return from the end of the window's first minute to the
    /// reference price. Different from zero, it says that the news was known,
    /// or that the news came because the price had moved.
    pub fn run_up(&self) -> Option<Estimate> {
        let first = self.minute(-BEFORE)?.cumulative?;
        let band = first.band.map(|(low, high)| (-high, -low));
        Some(Estimate { mean: -first.mean, band, ..first })
    }
}
