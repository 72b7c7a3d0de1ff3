//! What follows from a status: whether a service does its work, and how far it is
//! behind. Metrics, points and pages all read it here, so that they agree.

use std::collections::BTreeSet;

use super::{JOB_RUNNING, JobState, ServiceStatus};
use crate::calendar::{Calendar, Phase};
use crate::instrument::AssetClass;
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
        // Of several classes, the one that has traded longest is the one to have brought bars.
        let calendars = self.classes().into_iter().map(AssetClass::calendar);
        let (since, open) = calendars
            .filter(|calendar| market_is_open(*calendar, feed))
            .filter_map(|calendar| {
                let session = calendar.session(calendar.date_of(feed))?;
                Some((calendar.trading_since(feed)?, session.open))
            })
            .min()?;
        Some(feed.saturating_sub(self.last_data().unwrap_or(open).max(since)).max(0))
    }

    /// The classes of the symbols that are watched.
    pub fn classes(&self) -> BTreeSet<AssetClass> {
        self.entries.iter().filter_map(|entry| entry.symbol.as_deref()).map(AssetClass::of).collect()
    }

    /// Whether bars are expected at `feed`, by a feed's own time, of any of the markets that
    /// are watched; with nothing watched, of stocks.
    pub fn market_is_open(&self, feed: Millis) -> bool {
        self.markets().any(|calendar| market_is_open(calendar, feed))
    }

    /// Whether any of the markets that are watched trades at `at`, before and after
    /// sessions included; with nothing watched, whether stocks are traded.
    pub fn trades_at(&self, at: Millis) -> bool {
        self.markets().any(|calendar| calendar.phase(at) != Phase::Closed)
    }

    fn markets(&self) -> impl Iterator<Item = Calendar> {
        let mut classes = self.classes();
        if classes.is_empty() {
            classes.insert(AssetClass::default());
        }
        classes.into_iter().map(AssetClass::calendar)
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
fn market_is_open(calendar: Calendar, feed: Millis) -> bool {
    [feed, feed.saturating_sub(BEGINS_WITHIN)].into_iter().all(|at| calendar.phase(at).is_session())
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
    fn a_silence_of_crypto_and_currencies_counts_by_their_own_hours() {
        let of = |symbol: &str, last: Option<&str>| {
            let last_data = last.map(|last| time::parse(last).unwrap());
            let entry = EntryState { symbol: Some(symbol.into()), last_data, ..EntryState::default() };
            ServiceStatus { planned_lag: Some(0), entries: vec![entry], ..live(None) }
        };
        let silent = |symbol, last, now| of(symbol, last).without_bars(time::parse(now).unwrap());
        // A Saturday, over the turn of the day.
        let friday = Some("2024-03-08T23:00:00Z");
        assert_eq!(silent("X:BTC-USD", friday, "2024-03-09T01:00:00Z"), Some(2 * HOUR));
        assert_eq!(silent("X:BTC-USD", None, "2024-03-09T01:00:00Z"), Some(HOUR));
        assert_eq!(silent("C:EUR-USD", friday, "2024-03-09T01:00:00Z"), None);
        assert_eq!(silent("AAPL", friday, "2024-03-09T01:00:00Z"), None);
        // Currencies begin on Sunday at 17:00 in New York, 21:00 in UTC by summer time.
        assert_eq!(silent("C:EUR-USD", friday, "2024-03-10T21:05:00Z"), None);
        assert_eq!(silent("C:EUR-USD", friday, "2024-03-12T21:00:00Z"), Some(48 * HOUR));
        let saturday = time::parse("2024-03-09T12:00:00Z").unwrap();
        let trades = ["X:BTC-USD", "C:EUR-USD", "AAPL"].map(|symbol| of(symbol, None).trades_at(saturday));
        assert_eq!(trades, [true, false, false]);
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
