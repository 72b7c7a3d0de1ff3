//! The news sources, one file each.

pub(crate) mod guardian;
mod replay;
mod silence;
mod simulation;

use files::FileError;
use model::time::Millis;
use model::{Article, DeadLetter};

use crate::NewsError;

pub(crate) use replay::Replay;
pub(crate) use silence::Silence;
pub(crate) use simulation::Simulation;

/// Where news comes from.
pub(crate) trait Source: Send + Sync {
    /// What it is, in words a person reads.
    fn name(&self) -> String;

    /// Whether it is no real news.
    fn is_simulated(&self) -> bool {
        false
    }

    /// Event time begins, or goes on, at `from`: called once, before any article is taken.
    fn begin(&mut self, _from: Millis) {}

    /// The next article by publication, if it was published before `until`.
    fn next_before(&mut self, until: Millis) -> Option<Article>;

    /// Of a file, the last publication in it, if it has articles; anything else has no end.
    fn ends(&self) -> Option<Option<Millis>> {
        None
    }

    /// What could not be read, in its order.
    fn take_bad_rows(&mut self) -> Vec<DeadLetter> {
        Vec::new()
    }

    /// Of a file, why it could not be read to its end, if it could not.
    fn take_unread(&mut self) -> Option<FileError> {
        None
    }

    /// Checks that a log with so many rows `written` can be continued from this source.
    fn check(&self, _written: u64) -> Result<(), NewsError> {
        Ok(())
    }
}
