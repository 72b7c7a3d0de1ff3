//! Calls in a row that came to nothing, and for how long that silences all of them.

use std::time::Duration;

use model::time::{Millis, SECOND};
use net::RetryPolicy;

use crate::clock::millis;

/// How long no call is made after refusals for too many calls.
const QUIET: RetryPolicy =
    RetryPolicy::new(Duration::from_secs(60), Duration::from_secs(60 * 60)).at_least(Duration::from_secs(30));
/// How long no call is made when nothing is answered at all.
const PAUSE: RetryPolicy =
    RetryPolicy::new(Duration::from_secs(30), Duration::from_secs(15 * 60)).at_least(Duration::from_secs(15));

/// See the module.
#[derive(Debug)]
pub struct FailureTracker {
    /// The feed, as in a sentence.
    title: &'static str,
    in_a_row: u32,
    /// What happened last.
    pub said: String,
}

impl FailureTracker {
    /// No failures yet of the feed with this name, as it stands in a sentence.
    pub fn new(title: &'static str) -> FailureTracker {
        FailureTracker { title, in_a_row: 0, said: String::new() }
    }

    /// A page has come.
    pub fn end(&mut self) {
        *self = FailureTracker::new(self.title);
    }

    /// Too many calls: how long to be quiet. `jitter` is from 0 to 1.
    pub fn too_many_calls(&mut self, asked_for: Option<Duration>, jitter: f64) -> Millis {
        self.in_a_row += 1;
        self.said = format!("{} says that there were too many calls", self.title);
        let drawn = || millis(QUIET.wait(self.in_a_row, jitter));
        asked_for.map_or_else(drawn, millis).max(SECOND)
    }

    /// No answer: how long to be quiet, which for one alone is no time.
    pub fn no_answer(&mut self, said: &str, asked_for: Option<Duration>, jitter: f64) -> Millis {
        self.in_a_row += 1;
        said.clone_into(&mut self.said);
        match (asked_for, self.in_a_row) {
            (Some(wait), _) => millis(wait),
            (None, 1) => 0,
            (None, row) => millis(PAUSE.wait(row - 1, jitter)),
        }
    }
}
