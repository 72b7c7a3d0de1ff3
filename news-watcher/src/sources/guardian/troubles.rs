//! Calls in a row that came to nothing, and for how long that silences all of them.

use std::time::Duration;

use model::time::{HOUR, MINUTE, Millis, SECOND};

/// The first wait after refusals for too many calls, at most; it doubles.
const FIRST_QUIET: Millis = MINUTE;
/// The longest wait after those.
const LAST_QUIET: Millis = HOUR;
/// The first wait when nothing is answered at all, at most; it doubles.
const FIRST_PAUSE: Millis = 30 * SECOND;
/// The longest wait when nothing is answered.
const LAST_PAUSE: Millis = 15 * MINUTE;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct FailureTracker {
    in_a_row: u32,
    /// What happened last.
    pub(super) said: String,
}

impl FailureTracker {
    /// A page has come.
    pub(super) fn end(&mut self) {
        *self = FailureTracker::default();
    }

    /// Too many calls: how long to be quiet. `jitter` is from 0 to 1.
    pub(super) fn too_many_calls(&mut self, asked_for: Option<Duration>, jitter: f64) -> Millis {
        self.in_a_row += 1;
        self.said = "the Guardian says that there were too many calls".into();
        let drawn = || doubling(FIRST_QUIET, LAST_QUIET, self.in_a_row - 1, jitter);
        asked_for.map_or_else(drawn, millis).max(SECOND)
    }

    /// No answer: how long to be quiet, which for one alone is no time.
    pub(super) fn no_answer(&mut self, said: &str, asked_for: Option<Duration>, jitter: f64) -> Millis {
        self.in_a_row += 1;
        said.clone_into(&mut self.said);
        match (asked_for, self.in_a_row) {
            (Some(wait), _) => millis(wait),
            (None, 1) => 0,
            (None, row) => doubling(FIRST_PAUSE, LAST_PAUSE, row - 2, jitter),
        }
    }
}

/// Half of a doubling wait is certain, the other half drawn.
fn doubling(first: Millis, last: Millis, times: u32, jitter: f64) -> Millis {
    let most = first.saturating_mul(1 << times.min(16)).min(last);
    (most as f64 * (0.5 + jitter.clamp(0.0, 1.0) / 2.0)) as Millis
}

/// `duration` in milliseconds, whatever its length.
pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 4)
}
