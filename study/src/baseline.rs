//! What a symbol does at that time of day when there is no news.

use model::calendar::Calendar;
use model::time::{MINUTE, Millis};

use crate::estimate::Sample;
use crate::events::Events;
use crate::options::Options;
use crate::split::Split;
use crate::tape::Tape;
use crate::walk::{self, MINUTES, Walk};

/// The same clock minutes of quiet sessions before an event.
pub(crate) struct Baseline {
    walks: Vec<Walk>,
    /// With fewer sessions a minute has no norm.
    least: usize,
}

/// What is normal for a minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    /// Over how many sessions.
    pub sessions: usize,
    /// Mean log return from the reference to the minute's end.
    pub mean: f64,
    /// Variance of that over the sessions, with divisor sessions − 1.
    pub variance: f64,
    /// Mean of ln(1 + volume).
    pub log_volume: f64,
}

impl Baseline {
    /// Walks through the sessions before the event's, the nearest first, and
    /// takes those in which the same clock time (of stocks and currencies in New York,
    /// of crypto in UTC) was quiet and traded, up to as many as asked. Where trading
    /// goes on around the clock, each day is a session. A session on the other side of a split
    /// ends the search: its volumes count other shares.
    pub fn before(
        at: Millis,
        tape: &Tape,
        events: &Events<'_>,
        splits: &[Split],
        options: &Options,
    ) -> Baseline {
        let mut baseline = Baseline { walks: Vec::new(), least: options.least_sessions.max(2) };
        let calendar = tape.calendar();
        let Some(today) = calendar.session(calendar.date_of(at)) else { return baseline };
        let (Some(first), since) = (tape.first(), at - today.pre_open) else { return baseline };
        let mut date = today.date;
        for _ in 0..options.look_back {
            let session = calendar.previous_session(date);
            date = session.date;
            // Counted from the day's begin: the same clock time, summer and winter.
            let then = session.pre_open + since;
            let split_between = splits.iter().any(|split| then < split.at && split.at <= at);
            if walk::end(then) < first || split_between || baseline.walks.len() == options.sessions {
                break;
            }
            if calendar.phase(then) != calendar.phase(at) || events.any_around(then, options.quiet) {
                continue;
            }
            if let Ok(walk) = Walk::around(tape, then)
                && !splits.iter().any(|split| split.is_within(then))
            {
                baseline.walks.push(only_same_phases(calendar, walk, then, at));
            }
        }
        baseline
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.walks.len()
    }

    /// What is normal for the minute at `index` of the window.
    pub fn norm(&self, index: usize) -> Option<Norm> {
        let there = |values: fn(&Walk) -> &[Option<f64>]| -> Vec<f64> {
            self.walks.iter().filter_map(|walk| values(walk)[index]).collect()
        };
        let returns = there(|walk| &walk.returns);
        if returns.len() < self.least {
            return None;
        }
        let returns = Sample::of(&returns)?;
        let volumes: Vec<f64> = there(|walk| &walk.volumes).into_iter().map(f64::ln_1p).collect();
        Some(Norm {
            sessions: returns.count,
            mean: returns.mean,
            variance: returns.variance?,
            log_volume: Sample::of(&volumes)?.mean,
        })
    }
}

impl Split {
    /// Whether it falls into the window around `at`.
    pub(crate) fn is_within(&self, at: Millis) -> bool {
        walk::begin(at) < self.at && self.at <= walk::end(at)
    }
}

/// On a half day, 13:10 is after the close: no norm for a session in full swing.
fn only_same_phases(calendar: Calendar, mut walk: Walk, then: Millis, at: Millis) -> Walk {
    for index in 0..MINUTES {
        let offset = index as i64 * MINUTE;
        let phase = |begin: Millis| calendar.phase(begin + offset);
        if phase(walk::begin(then)) != phase(walk::begin(at)) {
            walk.returns[index] = None;
            walk.volumes[index] = None;
        }
    }
    walk
}
