//! Whose turn it is: every query is asked at least every so often, those that
//! bring news more often, and all of them together within the quota.

use std::collections::BTreeMap;
use std::time::Duration;

use model::status::QuotaState;
use model::time::{self, HOUR, MINUTE, Millis};
use net::RetryPolicy;

use super::quota::DayQuota;
use crate::clock::millis;

/// A query is asked no more often than this.
pub const SHORTEST: Millis = MINUTE;
/// A query is asked at least this often, where the quota allows it.
pub const LONGEST: Millis = 45 * MINUTE;
/// Where it does not, at least this many times its even share.
const SLACK: f64 = 1.25;
/// The share of the calls that is planned; further pages and new queries get the rest.
const PLANNED: f64 = 0.95;
/// After this time, an article weighs half.
const HALF_LIFE: f64 = 6.0 * HOUR as f64;
/// Articles beyond this many add no weight.
const MOST_WEIGHT: f64 = 20.0;
/// The waits after failures of one query.
const RETRIES: RetryPolicy =
    RetryPolicy::new(Duration::from_secs(60), Duration::from_secs(30 * 60)).at_least(Duration::from_secs(30));

/// The queries and when each was asked.
#[derive(Debug)]
pub struct Schedule<Q> {
    turns: BTreeMap<Q, PollSlot>,
    quota: DayQuota,
    /// The server has asked for quiet, or seems to be down.
    paused_until: Millis,
}

#[derive(Debug)]
struct PollSlot {
    last_asked: Option<Millis>,
    /// Where it does not follow from `last_asked`: new, within a walk over pages, or failed.
    due: Option<Millis>,
    failures: u32,
    /// Articles found, older ones counting less, as of a time.
    found: (f64, Millis),
}

impl PollSlot {
    fn weight(&self, now: Millis) -> f64 {
        let (found, at) = self.found;
        let age = (now - at).max(0) as f64;
        1.0 + (found * 0.5_f64.powf(age / HALF_LIFE)).min(MOST_WEIGHT)
    }
}

impl<Q: Ord + Clone> Schedule<Q> {
    /// Without queries.
    pub fn new(quota: DayQuota) -> Schedule<Q> {
        Schedule { turns: BTreeMap::new(), quota, paused_until: Millis::MIN }
    }

    /// A query joins; `last_asked` in an earlier run, if it was.
    pub fn add(&mut self, query: Q, last_asked: Option<Millis>, now: Millis) {
        let last_asked = last_asked.filter(|&at| at <= now && time::is_believable(at));
        let due = last_asked.is_none().then_some(now);
        self.turns.entry(query).or_insert(PollSlot { last_asked, due, failures: 0, found: (0.0, now) });
    }

    /// A query leaves.
    pub fn remove(&mut self, query: &Q) {
        self.turns.remove(query);
    }

    /// The query to be asked next, and when.
    pub fn next(&self, now: Millis) -> Option<(Millis, Q)> {
        let share = self.share(now);
        let due = |(query, turn)| (self.due(turn, &share, now), query);
        let (due, query) = self.turns.iter().map(due).min()?;
        Some((due.max(self.paused_until).max(self.quota.ready_at(now)), query.clone()))
    }

    /// Takes a call for what is not on the list, if one can be spared.
    ///
    /// # Errors
    /// Until when it cannot: a call is always left to the list.
    pub fn spare(&mut self, now: Millis) -> Result<(), Millis> {
        let ready = self.paused_until.max(self.quota.two_ready_at(now));
        if ready > now {
            return Err(ready);
        }
        self.quota.spend(now);
        Ok(())
    }

    /// When each query is asked next, the others left aside.
    pub fn plan(&self, now: Millis) -> BTreeMap<Q, Millis> {
        let share = self.share(now);
        let earliest = self.paused_until.max(self.quota.ready_at(now));
        let at = |turn| self.due(turn, &share, now).max(earliest);
        self.turns.iter().map(|(query, turn)| (query.clone(), at(turn))).collect()
    }

    /// A call for `query` is made now.
    pub fn ask(&mut self, query: &Q, now: Millis) {
        self.quota.spend(now);
        if let Some(turn) = self.turns.get_mut(query) {
            turn.last_asked = Some(now);
            turn.due = None;
        }
    }

    /// `query` was answered with so many new articles; `more` pages follow.
    pub fn answered(&mut self, query: &Q, new: usize, more: bool, now: Millis) {
        self.found(query, new, now);
        if let Some(turn) = self.turns.get_mut(query) {
            turn.failures = 0;
            turn.due = more.then_some(now);
        }
    }

    /// So many articles were found for `query`.
    pub fn found(&mut self, query: &Q, articles: usize, now: Millis) {
        if let Some(turn) = self.turns.get_mut(query) {
            turn.found = (turn.weight(now) - 1.0 + articles as f64, now);
        }
    }

    /// `query` was not answered; `jitter`, from 0 to 1, keeps many watchers apart.
    pub fn failed(&mut self, query: &Q, jitter: f64, now: Millis) {
        let usual = self.interval(query, now);
        if let Some(turn) = self.turns.get_mut(query) {
            turn.failures = turn.failures.saturating_add(1);
            let wait = millis(RETRIES.wait(turn.failures, jitter));
            // The first time it may be a hiccup; after that it gets no more than its share.
            turn.due = Some(now + if turn.failures == 1 { wait } else { wait.max(usual) });
        }
    }

    /// `query` is asked as soon as it can be.
    pub fn prioritize(&mut self, query: &Q, now: Millis) {
        if let Some(turn) = self.turns.get_mut(query) {
            turn.due = Some(now);
        }
    }

    /// Nothing is asked before `until`.
    pub fn pause(&mut self, until: Millis) {
        self.paused_until = self.paused_until.max(until);
    }

    /// The clock has been put back by so much: every wait stays as long as it was.
    pub fn put_back(&mut self, by: Millis) {
        self.paused_until = self.paused_until.saturating_sub(by);
        for turn in self.turns.values_mut() {
            turn.last_asked = turn.last_asked.map(|at| at - by);
            turn.due = turn.due.map(|at| at - by);
            turn.found.1 -= by;
        }
    }

    /// Until when nothing is asked, epoch milliseconds; may be over.
    pub fn paused_until(&self) -> Millis {
        self.paused_until
    }

    /// When `query` was asked last.
    pub fn last_asked(&self, query: &Q) -> Option<Millis> {
        self.turns.get(query)?.last_asked
    }

    /// How the quota stands.
    pub fn quota(&self) -> QuotaState {
        self.quota.state()
    }

    /// The usual time between two polls of `query`.
    pub fn interval(&self, query: &Q, now: Millis) -> Millis {
        self.turns.get(query).map_or(LONGEST, |turn| self.share(now).interval(turn, now))
    }

    fn due(&self, turn: &PollSlot, share: &Share, now: Millis) -> Millis {
        let usual = || turn.last_asked.map_or(now, |last| last + share.interval(turn, now));
        turn.due.unwrap_or_else(usual)
    }

    fn share(&self, now: Millis) -> Share {
        let rate = self.quota.rate() * PLANNED;
        let even = self.turns.len() as f64 / rate;
        let least = 1.0 / (LONGEST as f64).max(even * SLACK);
        Share {
            least,
            rest: (rate - least * self.turns.len() as f64).max(0.0),
            weights: self.turns.values().map(|turn| turn.weight(now)).sum(),
        }
    }
}

/// How the planned calls are shared out, in calls a millisecond.
struct Share {
    /// What every query gets.
    least: f64,
    /// What is left, shared by weight.
    rest: f64,
    weights: f64,
}

impl Share {
    fn interval(&self, turn: &PollSlot, now: Millis) -> Millis {
        let rate = self.least + self.rest * turn.weight(now) / self.weights.max(1.0);
        ((1.0 / rate) as Millis).max(SHORTEST)
    }
}
