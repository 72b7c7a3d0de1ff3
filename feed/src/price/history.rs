//! The client of a feed's history: pages, the quota of calls, and what to do about each
//! refusal. What a request and its answer look like is the feed's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::time::{MINUTE, Millis};
use model::{Bar, DeadLetter};
use net::{HttpFailure, RetryPolicy, retry_after};
use reqwest::{Client, StatusCode};

use super::{FeedError, PriceFeed};
use crate::clock::{SharedClock, millis};

/// Attempts at one page before it is given up.
const TRIES: u32 = 8;
const RETRIES: RetryPolicy =
    RetryPolicy::new(Duration::from_secs(1), Duration::from_secs(30)).with_tries(TRIES);
/// The longest answer that is read, in bytes: a page of the most results has a quarter of it.
const LONGEST_ANSWER: usize = 32 << 20;
/// Pages in a row that bring no later bar than those before before the walk over them
/// is given up: a server that names the same page as the next leads nowhere.
const MOST_IDLE: u32 = 5;

/// Minute bars of one symbol whose starts lie in `from..to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The symbol.
    pub symbol: String,
    /// The first start of a bar, epoch milliseconds.
    pub from: Millis,
    /// Behind the last start, epoch milliseconds.
    pub to: Millis,
}

/// One page of bars.
#[derive(Debug, Default)]
pub struct Page {
    /// Good bars, by start.
    pub bars: Vec<Bar>,
    /// Results that are no good bars, the first of them.
    pub letters: Vec<DeadLetter>,
    /// How many results are no good bars, all together.
    pub rejected: u64,
    /// Results of a time that was not asked for.
    pub unasked: u64,
    /// Where the next page is, as the server says.
    pub next: Option<String>,
}

/// Why a page of the history was not received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFailure {
    /// The key has no access to any of it.
    #[error("the key gives no access to history: {0}")]
    NoAccess(String),
    /// This will not be served, however often it is asked for.
    #[error("the history refuses: {0}")]
    Refused(String),
    /// After many attempts.
    #[error("the history does not answer: {0}")]
    Unavailable(String),
}

/// The history of a feed.
pub(super) struct HistoryClient<F> {
    http: Client,
    feed: Arc<F>,
    quota: Quota,
    clock: SharedClock,
}

/// What an answer of the history says.
#[derive(Debug)]
pub enum Answer {
    /// A page of bars.
    Page(Page),
    /// Nothing that can be used; it may be another time.
    Retry(String),
    /// The same whenever it is asked for.
    Failed(HistoryFailure),
}

/// What one attempt came to.
enum Attempt {
    Answer(Answer),
    /// The quota of the minute is used up.
    OverQuota,
}

impl<F: PriceFeed> HistoryClient<F> {
    pub(super) fn new(feed: Arc<F>, clock: SharedClock) -> Result<HistoryClient<F>, FeedError> {
        let quota = Quota::new(clock.clone(), feed.settings().calls_per_minute);
        Ok(HistoryClient { http: net::http()?, feed, quota, clock })
    }

    /// The pages of a stretch, each when it is asked for.
    pub(super) fn pages<'a>(&'a self, stretch: &'a Stretch) -> Pages<'a, F> {
        Pages { client: self, stretch, next: Next::First, latest: None, idle: 0 }
    }

    async fn page(&self, stretch: &Stretch, next: Option<&str>) -> Result<Page, HistoryFailure> {
        let mut waits = RETRIES.waits();
        let mut over_quota = 0;
        loop {
            self.quota.take().await;
            match self.attempt(stretch, next).await {
                Attempt::Answer(Answer::Page(page)) => return Ok(within(page, stretch)),
                Attempt::Answer(Answer::Failed(failure)) => return Err(failure),
                Attempt::OverQuota if over_quota < TRIES => over_quota += 1,
                Attempt::OverQuota => {
                    let said = "its quota is used up by something else, minute after minute";
                    return Err(HistoryFailure::Unavailable(said.into()));
                }
                Attempt::Answer(Answer::Retry(reason)) => {
                    let Some(wait) = waits.after(None) else {
                        return Err(HistoryFailure::Unavailable(reason));
                    };
                    tracing::debug!(reason, "The history is asked again.");
                    self.clock.sleep_until(self.clock.now() + millis(wait)).await;
                }
            }
        }
    }

    async fn attempt(&self, stretch: &Stretch, next: Option<&str>) -> Attempt {
        let request = match self.feed.history_request(&self.http, stretch, next) {
            Ok(request) => request,
            Err(failure) => return Attempt::Answer(Answer::Failed(failure)),
        };
        let retry = |error: HttpFailure| Attempt::Answer(Answer::Retry(error.to_string()));
        // What the feed brings from now on is newer than the answer.
        let asked = self.clock.now();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return retry(error.into()),
        };
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = retry_after(response.headers()).map_or(MINUTE, millis);
            self.quota.close_until(self.clock.now() + wait);
            return Attempt::OverQuota;
        }
        match net::body(response, LONGEST_ANSWER).await {
            Ok(body) => Attempt::Answer(self.feed.history_answer(stretch, status, &body, asked)),
            Err(error) => retry(error),
        }
    }
}

/// The page without bars that were not asked for.
fn within(mut page: Page, stretch: &Stretch) -> Page {
    let all = page.bars.len();
    page.bars.retain(|bar| (stretch.from..stretch.to).contains(&bar.start_timestamp));
    page.unasked = (all - page.bars.len()) as u64;
    page
}

/// A walk over the pages of a stretch.
pub(super) struct Pages<'a, F> {
    client: &'a HistoryClient<F>,
    stretch: &'a Stretch,
    next: Next,
    /// The last start of a bar so far.
    latest: Option<Millis>,
    /// Pages in a row without a later one.
    idle: u32,
}

enum Next {
    First,
    At(String),
    None,
}

impl<F: PriceFeed> Pages<'_, F> {
    /// The next page, if there is one.
    ///
    /// # Errors
    /// When it cannot be had, or the pages lead nowhere.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, HistoryFailure> {
        let mut page = match std::mem::replace(&mut self.next, Next::None) {
            Next::First => self.client.page(self.stretch, None).await?,
            Next::At(next) => self.client.page(self.stretch, Some(&next)).await?,
            Next::None => return Ok(None),
        };
        let latest = page.bars.iter().map(|bar| bar.start_timestamp).max().max(self.latest);
        self.idle = if latest > self.latest { 0 } else { self.idle + 1 };
        self.latest = latest;
        if let Some(next) = page.next.take() {
            if self.idle >= MOST_IDLE {
                let said = format!("{MOST_IDLE} pages in a row bring nothing new, and name another one");
                return Err(HistoryFailure::Refused(said));
            }
            self.next = Next::At(next);
        }
        Ok(Some(page))
    }
}

/// The calls that a plan allows in a minute.
struct Quota {
    clock: SharedClock,
    per_minute: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the calls of the last minute were made.
    calls: VecDeque<Millis>,
    /// The server wants no call before.
    closed_until: Millis,
}

impl Quota {
    fn new(clock: SharedClock, per_minute: u32) -> Quota {
        Quota { clock, per_minute: per_minute.max(1) as usize, state: Mutex::default() }
    }

    /// Waits until a call may be made, and counts it.
    async fn take(&self) {
        while let Some(at) = self.try_take() {
            self.clock.sleep_until(at).await;
        }
    }

    /// The server has had enough until `at`.
    fn close_until(&self, at: Millis) {
        let mut state = self.state();
        state.closed_until = state.closed_until.max(at);
    }

    /// Counts a call, or says when to try again.
    fn try_take(&self) -> Option<Millis> {
        let now = self.clock.now();
        let mut state = self.state();
        // A clock that was set back must not lock the quota.
        while state.calls.front().is_some_and(|call| *call + MINUTE <= now || *call > now) {
            state.calls.pop_front();
        }
        if state.closed_until > now {
            return Some(state.closed_until);
        }
        if state.calls.len() >= self.per_minute {
            return state.calls.front().map(|first| first + MINUTE);
        }
        state.calls.push_back(now);
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

    use async_trait::async_trait;

    use super::*;
    use crate::Clock;

    struct HandClock(AtomicI64);

    #[async_trait]
    impl Clock for HandClock {
        fn now(&self) -> Millis {
            self.0.load(SeqCst)
        }

        async fn sleep_until(&self, at: Millis) {
            self.0.store(at, SeqCst);
        }
    }

    #[test]
    fn so_many_calls_a_minute_and_none_while_the_server_has_had_enough() {
        let clock = Arc::new(HandClock(AtomicI64::new(1_000_000)));
        let quota = Quota::new(clock.clone(), 2);
        assert_eq!((quota.try_take(), quota.try_take()), (None, None));
        assert_eq!(quota.try_take(), Some(1_060_000));
        clock.0.store(1_060_000, SeqCst);
        assert_eq!(quota.try_take(), None);
        quota.close_until(1_090_000);
        assert_eq!(quota.try_take(), Some(1_090_000));
        clock.0.store(1_090_000, SeqCst);
        assert_eq!((quota.try_take(), quota.try_take()), (None, Some(1_120_000)));
        clock.0.store(500_000, SeqCst);
        assert_eq!(quota.try_take(), Some(1_090_000));
    }
}
