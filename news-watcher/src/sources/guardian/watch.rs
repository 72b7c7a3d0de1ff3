//! The watch itself: asks whose turn it is, writes what is new, carries event time forward.

mod calls;
mod told;

use model::service::{RunState, Service};
use std::collections::BTreeMap;

use control::preview::{self, Question};
use control::shutdown::{Shutdown, ShutdownToken};
use control::watchlist::Watchlist;
use feed::SharedClock;
use log::SharedLog;
use model::status::EntryState;
use model::time::{MINUTE, Millis, minute_of};
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;

use super::GuardianConfig;
use super::answer::{CallError, Page};
use super::api::Api;
use super::ledger::ArticleWriter;
use super::query::{Query, queries};
use super::quota::Quota;
use super::schedule::Schedule;
use super::search::Search;
use super::troubles::FailureTracker;
use super::words;
use crate::NewsError;
use calls::Call;

/// See the module.
pub(crate) struct Watch {
    api: Api,
    clock: SharedClock,
    /// Draws from 0 to 1, for the waits after failures.
    draw: fn() -> f64,
    config: GuardianConfig,
    ledger: ArticleWriter,
    watchlist: Receiver<Watchlist>,
    questions: mpsc::Receiver<Question>,
    list: Watchlist,
    searches: BTreeMap<Query, Search>,
    schedule: Schedule,
    left_behind: Vec<Query>,
    troubles: FailureTracker,
    call: Option<Call>,
    /// The wall clock, when it was looked at last.
    latest: Millis,
}

enum Event {
    End,
    Watchlist,
    Question(Question),
    Answer(Result<Page, CallError>),
    Time,
}

impl Watch {
    /// Looks up where the log stands.
    ///
    /// # Errors
    /// When the log cannot be read, or the address of the API is none.
    pub(crate) async fn open(
        log: SharedLog,
        config: GuardianConfig,
        mut watchlist: Receiver<Watchlist>,
        clock: SharedClock,
        draw: fn() -> f64,
    ) -> Result<Watch, NewsError> {
        let api = Api::new(&config)?;
        let questions = preview::questions(log.clone()).await?;
        let now = clock.now();
        let said = control::status::last(&*log, Service::NewsWatcher).await?.unwrap_or_default();
        let mut quota = Quota::new(config.calls_per_day, config.calls_per_second, now);
        if let Some(used) = &said.quota {
            quota = quota.resume(used, now);
        }
        let cut = said.entries.len() >= told::MOST_STATES;
        let states = said.entries.into_iter().filter_map(|state| Some((words::query_of(&state)?, state)));
        let before: BTreeMap<_, _> = states.collect();
        let list = watchlist.borrow_and_update().clone();
        let mut schedule = Schedule::new(quota);
        let mut of_term: BTreeMap<String, Vec<Query>> = BTreeMap::new();
        for query in queries(&list, &config.sections).into_keys() {
            schedule.add(query.clone(), before.get(&query).and_then(|state| state.last_asked), now);
            of_term.entry(query.term.clone()).or_default().push(query);
        }
        let ledger = ArticleWriter::open(log, now, |article| {
            for query in of_term.get(&article.search_term).into_iter().flatten() {
                schedule.found(query, 1, article.received_timestamp);
            }
        })
        .await?;
        let mut watch = Watch {
            api,
            clock,
            draw,
            config,
            ledger,
            watchlist,
            questions,
            list: Watchlist::default(),
            searches: BTreeMap::new(),
            schedule,
            left_behind: Vec::new(),
            troubles: FailureTracker::default(),
            call: None,
            latest: now,
        };
        let begin_at = cut.then(|| watch.ledger.reached());
        watch.apply(list, &before, begin_at);
        Ok(watch)
    }

    /// Watches until an end is wished.
    ///
    /// # Errors
    /// When the log fails.
    pub(crate) async fn run(mut self, stop: &ShutdownToken) -> Result<(), NewsError> {
        self.say().await?;
        loop {
            self.notice_the_clock();
            self.advance().await?;
            match self.next_event(stop).await {
                Event::End => break,
                Event::Watchlist => {
                    let list = self.watchlist.borrow_and_update().clone();
                    self.apply(list, &BTreeMap::new(), None);
                    self.say().await?;
                }
                Event::Question(question) => self.ask_for(question).await?,
                Event::Answer(answer) => self.take(answer).await?,
                Event::Time => self.ask_if_due().await?,
            }
        }
        self.ledger.say_state(RunState::Stopped.into()).await
    }

    async fn next_event(&mut self, stop: &ShutdownToken) -> Event {
        let now = self.clock.now();
        let turn = self.schedule.next(now).map_or(Millis::MAX, |(at, _)| at);
        let wake = turn.min(minute_of(now) + MINUTE);
        let idle = self.call.is_none();
        tokio::select! {
            biased;
            () = stop.at_least(Shutdown::Drain) => Event::End,
            () = changed(&mut self.watchlist) => Event::Watchlist,
            answer = calls::answered(&mut self.call) => Event::Answer(answer),
            Some(question) = self.questions.recv(), if idle => Event::Question(question),
            () = self.clock.sleep_until(wake), if idle => Event::Time,
        }
    }

    /// A clock that is put back leaves the waits as long as they were.
    fn notice_the_clock(&mut self) {
        let now = self.clock.now();
        if now < self.latest {
            self.schedule.put_back(self.latest - now);
        }
        self.latest = now;
    }

    /// Takes another list, as a difference to what is watched. What was said
    /// `before` of a query is where it goes on; one of which nothing was said
    /// goes on at `begin_at`, if anywhere.
    fn apply(&mut self, list: Watchlist, before: &BTreeMap<Query, EntryState>, begin_at: Option<Millis>) {
        let now = self.clock.now();
        let wanted = queries(&list, &self.config.sections);
        self.list = list;
        for gone in self.searches.keys().filter(|query| !wanted.contains_key(query)) {
            self.schedule.remove(gone);
        }
        self.searches.retain(|query, _| wanted.contains_key(query));
        for (query, symbols) in wanted {
            if let Some(search) = self.searches.get_mut(&query) {
                if search.share(symbols, now) {
                    self.schedule.prioritize(&query, now);
                }
                continue;
            }
            let said = before.get(&query);
            self.schedule.add(query.clone(), said.and_then(|state| state.last_asked), now);
            self.searches.insert(query, Search::new(symbols, said, begin_at, now));
        }
    }
}

/// Waits for a change of the list; for ever once nobody can change it.
async fn changed(watchlist: &mut Receiver<Watchlist>) {
    if watchlist.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
