//! What the producer says of itself and of each symbol that is watched.

use std::time::{Duration, Instant};

use model::status::EntryState;
use model::time::MINUTE;

use super::Desk;

/// How often what is shown is made up anew.
const SHOWN_EVERY: Duration = Duration::from_millis(400);
/// Entries whose state is shown one by one.
const SHOWN: usize = 200;

impl Desk {
    pub(super) fn show(&mut self) {
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOWN_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let state = match (&self.down, self.complete.hole()) {
            (Some(reason), _) => format!("waiting for the feed: {reason}"),
            (None, Some(_)) => "running, and filling a hole from history".into(),
            (None, None) => "running".into(),
        };
        let entries = self.listed.iter().take(SHOWN).map(|symbol| self.entry(symbol)).collect();
        self.records.doing(&state, entries);
    }

    fn entry(&self, symbol: &str) -> EntryState {
        let state = if self.down.is_some() {
            "waiting for the feed"
        } else if self.unacknowledged.contains(symbol) {
            "not confirmed by the feed"
        } else {
            "subscribed"
        };
        EntryState {
            symbol: Some(symbol.to_owned()),
            state: state.into(),
            last_data: self.known.last(symbol).map(|start| start + MINUTE),
            ..EntryState::default()
        }
    }
}
