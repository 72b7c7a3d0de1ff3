//! How far the news is complete, and what is said of each search.

use feed::millis;
use model::service::{Activity, RunState};
use model::status::EntryState;

use super::super::frontier::frontier;
use super::super::query::query;
use super::super::words;
use super::Watch;
use crate::NewsError;

/// States beyond this many are not said: a status has to fit into one record.
pub(super) const MOST_STATES: usize = 2_000;

impl Watch {
    /// Carries event time forward to where the news is complete.
    pub(super) async fn advance(&mut self) -> Result<(), NewsError> {
        let progress = self.searches.iter().map(|(query, search)| (query, search.progress));
        let max_wait = millis(self.config.max_wait);
        let frontier = frontier(progress, max_wait, self.clock.now());
        self.ledger.advance(frontier.complete_until).await?;
        if frontier.left_behind != self.left_behind {
            for query in &frontier.left_behind {
                tracing::warn!(search = %query, "The news goes on without a search that is not answered.");
            }
            self.left_behind = frontier.left_behind;
            self.say().await?;
        }
        Ok(())
    }

    /// Appends what has been taken, and says how things stand.
    pub(super) async fn say(&mut self) -> Result<(), NewsError> {
        let now = self.clock.now();
        let plan = self.schedule.plan(now);
        let entries = self.list.entries.iter().filter_map(|entry| {
            let query = query(entry, &self.config.sections)?;
            let search = self.searches.get(&query)?;
            Some(EntryState {
                symbol: entry.symbol.clone(),
                last_asked: self.schedule.last_asked(&query),
                next_asked: plan.get(&query).copied(),
                ..words::entry(&query, search)
            })
        });
        let entries = entries.take(MOST_STATES).collect();
        let state = match self.schedule.paused_until() {
            until if until > now => words::paused(until, &self.troubles.said),
            _ if self.searches.is_empty() => Activity::new(RunState::Running, words::NOTHING_TO_ASK),
            _ => words::running(&self.left_behind, &self.searches),
        };
        let max_wait = millis(self.config.max_wait);
        self.ledger.say(state, entries, self.schedule.quota(), max_wait).await
    }
}
