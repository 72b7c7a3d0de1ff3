//! How one query fares.

use model::status::EntryState;
use model::time::{self, DAY, MINUTE, Millis};

use super::walk::Pagination;
use feed::news::Progress;

/// What was modified so long before the last answer is asked for again: the
/// server's index lags behind its own times.
const OVERLAP: Millis = 15 * MINUTE;
/// A new term brings the articles of so long a time.
const LOOK_BACK: Millis = DAY;

/// See the module.
#[derive(Debug)]
pub(super) struct Search {
    /// Of the entries that share it.
    pub(super) symbols: Vec<Option<String>>,
    pub(super) progress: Progress,
    /// Since when it is watched, earlier runs included.
    pub(super) since: Millis,
    pub(super) last_data: Option<Millis>,
    /// Why it is not answered.
    pub(super) trouble: Option<String>,
    /// The pages that are being read.
    pub(super) walk: Option<Pagination>,
}

impl Search {
    /// Goes on from what was said `before`, else from `begin_at`, else as a new one.
    pub(super) fn new(
        symbols: Vec<Option<String>>,
        before: Option<&EntryState>,
        begin_at: Option<Millis>,
        now: Millis,
    ) -> Search {
        let believed = |at: &Millis| time::is_believable(*at);
        let answered = before.map_or(begin_at, |state| state.last_success.filter(believed));
        Search {
            symbols,
            progress: Progress { answered: answered.map(|at| at.min(now)), joined: now },
            since: before.and_then(|state| state.since.filter(believed)).map_or(now, |since| since.min(now)),
            last_data: before.and_then(|state| state.last_data),
            trouble: None,
            walk: None,
        }
    }

    /// Takes the symbols of its entries as they are now; returns whether one
    /// has joined, which then gets what a new term gets.
    pub(super) fn share(&mut self, symbols: Vec<Option<String>>, now: Millis) -> bool {
        let joined = symbols.iter().any(|symbol| !self.symbols.contains(symbol));
        if joined {
            let answered = self.progress.answered.map(|at| at.min(now - LOOK_BACK));
            self.progress = Progress { answered, joined: now };
            self.walk = None;
        }
        self.symbols = symbols;
        joined
    }

    /// Where its next walk begins.
    pub(super) fn from(&self) -> Millis {
        self.progress.answered.map_or(self.since - LOOK_BACK, |at| at - OVERLAP)
    }
}
