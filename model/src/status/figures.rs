//! What follows from a status: whether a service does its work, and how far it is
//! behind. Metrics, points and pages all read it here, so that they agree.

use super::{JOB_RUNNING, JobState, ServiceStatus};
use crate::calendar::{self, Phase};
use crate::time::{MINUTE, Millis};

/// No bar is expected in the first minutes of a session: the first one ends a minute
/// after the open, and thinly traded symbols begin late.
const BEGINS_WITHIN: Millis = 10 * MINUTE;

impl ServiceStatus {
    /// Whether it does its work: it runs, or has finished a replay. A source that waits
    /// for its server, and whatever failed or stopped, does not.
    pub fn is_at_work(&self) -> bool {
        self.state.run().is_at_work()
    }

    /// The entries of the watchlist that bring nothing.
    pub fn entries_failing(&self) -> usize {
        self.entries.iter().filter(|entry| entry.failing).count()
    }

    /// When the last bar or article of any entry came in.
    pub fn last_data(&self) -> Option<Millis> {
        self.entries.iter().filter_map(|entry| entry.last_data).max()
    }

    /// Of a live source of prices, for how long no bar has come although the market is
    /// open, at `now` by the wall clock; `None` where none is expected: the market is
    /// closed by the feed's own time, has only just opened, or no symbol is watched.
    pub fn without_bars(&self, now: Millis) -> Option<Millis> {
        let feed = now.saturating_sub(self.planned_lag?);
        if self.entries.iter().all(|entry| entry.symbol.is_none()) || !market_is_open(feed) {
            return None;
        }
        let open = calendar::session(calendar::date_of(feed))?.open;
        Some(feed.saturating_sub(self.last_data().unwrap_or(open).max(open)).max(0))
    }

    /// The jobs that do not run.
    pub fn jobs_down(&self) -> usize {
        self.jobs.iter().filter(|job| !job.is_running()).count()
    }

    /// How long ago the job that is worst off had its last checkpoint, in milliseconds;
    /// `None` where no job has had one yet.
    pub fn checkpoint_age(&self, now: Millis) -> Option<Millis> {
        self.jobs
            .iter()
            .filter_map(|job| job.last_checkpoint)
            .min()
            .map(|last| now.saturating_sub(last).max(0))
    }
}

impl JobState {
    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.state == JOB_RUNNING
    }
}

/// Whether bars are expected at `feed`, by a feed's own time: within a session, but
/// for its first minutes.
pub fn market_is_open(feed: Millis) -> bool {
    [feed, feed.saturating_sub(BEGINS_WITHIN)].map(calendar::phase) == [Phase::Regular; 2]
}

#[cfg(test)]
mod tests {
    use super::super::EntryState;
    use super::*;
    use crate::service::RunState;
    use crate::time::{self, HOUR};

    fn live(last_data: Option<Millis>) -> ServiceStatus {
        let entry = EntryState { symbol: Some("AAPL".into()), last_data, ..EntryState::default() };
        ServiceStatus {
            state: RunState::Running.into(),
            planned_lag: Some(15 * MINUTE),
            entries: vec![entry],
            ..ServiceStatus::default()
        }
    }

    #[test]
    fn a_silence_counts_only_while_the_market_is_open_by_the_feeds_time() {
        // A Tuesday; New York opens at 14:30 UTC.
        let noon = time::parse("2024-03-05T17:00:00Z").unwrap();
        let silent = |now, last| live(last).without_bars(now);
        assert_eq!(silent(noon, Some(noon - 20 * MINUTE)), Some(5 * MINUTE));
        assert_eq!(silent(noon, Some(noon)), Some(0));
        let since_open = noon - 15 * MINUTE - time::parse("2024-03-05T14:30:00Z").unwrap();
        assert_eq!(silent(noon, None), Some(since_open));
        assert_eq!(silent(noon, Some(noon - 24 * HOUR)), Some(since_open), "the night is no silence");
        for closed in ["2024-03-05T14:50:00Z", "2024-03-05T22:00:00Z", "2024-03-09T17:00:00Z"] {
            assert_eq!(silent(time::parse(closed).unwrap(), None), None, "{closed}");
        }
        let nothing_watched = ServiceStatus { entries: Vec::new(), ..live(None) };
        assert_eq!(nothing_watched.without_bars(noon), None);
        let replayed = ServiceStatus { planned_lag: None, ..live(None) };
        assert_eq!(replayed.without_bars(noon), None);
    }

    #[test]
    fn of_several_jobs_the_oldest_checkpoint_counts() {
        let job = |state: &str, last_checkpoint| JobState {
            state: state.into(),
            last_checkpoint,
            ..JobState::default()
        };
        let jobs = vec![job("Running", Some(9)), job("Failed", Some(4)), job("missing", None)];
        let engine = ServiceStatus { jobs, ..ServiceStatus::default() };
        assert_eq!((engine.jobs_down(), engine.checkpoint_age(10)), (2, Some(6)));
    }
}
