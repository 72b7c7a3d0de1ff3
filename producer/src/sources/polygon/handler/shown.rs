//! What the producer says of itself and of each symbol that is watched.

use model::service::{Activity, RunState};
use std::time::{Duration, Instant};

use model::status::EntryState;
use model::time::MINUTE;

use super::FeedHandler;

/// How often what is shown is made up anew.
const SHOWN_EVERY: Duration = Duration::from_millis(400);
/// Entries whose state is shown one by one.
const SHOWN: usize = 200;

impl FeedHandler {
    pub(super) fn show(&mut self) {
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOWN_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let state = match (&self.down, self.complete.hole()) {
            (Some(reason), _) => Activity::new(RunState::Waiting, format!("waiting for the feed: {reason}")),
            (None, Some(_)) => Activity::new(RunState::Running, "running, and filling a hole from history"),
            (None, None) => RunState::Running.into(),
        };
        let entries = self.listed.iter().take(SHOWN).map(|symbol| self.entry(symbol)).collect();
        self.records.doing(state, entries);
    }

    fn entry(&self, symbol: &str) -> EntryState {
        let (state, failing) = if self.down.is_some() {
            ("waiting for the feed", false)
        } else if self.unacknowledged.contains(symbol) {
            ("not confirmed by the feed", true)
        } else {
            ("subscribed", false)
        };
        EntryState {
            symbol: Some(symbol.to_owned()),
            state: state.into(),
            failing,
            last_data: self.known.last(symbol).map(|start| start + MINUTE),
            ..EntryState::default()
        }
    }
}
