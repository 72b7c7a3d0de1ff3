//! What the process around the pages knows and does for them.

use std::sync::Arc;
use std::time::Duration;

use control::recompute::{self, RecomputeHandle};
use control::replay::Event;
use control::watchlist::Watchlist;
use model::DeadLetter;
use query::explore::Explorer;

/// Reads a dead letter by the rules of today: the events that it holds, or why it holds none.
pub type ReadAgain = Arc<dyn Fn(&DeadLetter, &Watchlist) -> Result<Vec<Event>, String> + Send + Sync>;

/// Is told of every request that was answered: its method, the pattern of the route that
/// it matched, the status, and how long it took until the answer began.
pub type Observe = Arc<dyn Fn(&str, &str, u16, Duration) + Send + Sync>;

/// What the process around the pages knows and does for them; by default nothing.
#[derive(Clone, Default)]
pub struct Process {
    /// Where results are computed again, if a sink works in this process.
    pub again: Option<RecomputeHandle>,
    /// Which keys the settings hold.
    pub keys: Vec<Key>,
    /// Where questions in SQL are answered, in processes of their own. Without it this
    /// process answers them itself, and gives them its memory: for tests only.
    pub explorer: Option<Explorer>,
    /// How dead letters are read again, where this process can.
    pub read_again: Option<ReadAgain>,
    /// Who counts requests.
    pub observe: Option<Observe>,
}

/// A secret of the settings: whether it is there, and never what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Key {
    /// What it opens, as `Polygon (prices)`.
    pub name: &'static str,
    /// The variable that sets it.
    pub variable: &'static str,
    /// Whether the settings hold one.
    pub present: bool,
}

impl Process {
    /// Where to ask for results to be computed again; nobody answers there without a sink.
    pub(crate) fn again(&self) -> RecomputeHandle {
        self.again.clone().unwrap_or_else(|| recompute::channel().0)
    }
}
