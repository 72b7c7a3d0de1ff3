//! The watch itself: asks whose turn it is, writes what is new, carries event time forward.

use std::collections::BTreeMap;
use std::time::Duration;

use control::preview::{self, Question};
use control::shutdown::{Shutdown, ShutdownToken};
use control::watchlist::Watchlist;
use feed::news::{ArticleWriter, DayQuota, FailureTracker, Schedule, coverage};
use feed::{SharedClock, millis};
use futures::future::{BoxFuture, FutureExt};
use log::SharedLog;
use model::Source;
use model::service::{Activity, RunState, Service};
use model::status::EntryState;
use model::time::{MINUTE, Millis, SECOND, minute_of};
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;

use super::GuardianConfig;
use super::answer::{CallError, Page};
use super::api::{Api, Query, queries, query};
use super::preview::{answer_to, not_now, request};
use super::search::Search;
use super::walk::{Pagination, Step};
use super::words;
use crate::NewsError;

/// The feed, as it stands in a sentence.
const TITLE: &str = "the Guardian";
/// How long no call is made once the key was refused: so rarely that no server takes it
/// for an attack.
const KEY_REFUSED: Millis = 15 * MINUTE;

/// A call that is under way.
struct Call {
    query: Query,
    asked: Millis,
    /// What it answers, where it is a preview and none of the list's.
    question: Option<Question>,
    answer: BoxFuture<'static, Result<Page, CallError>>,
}

/// States beyond this many are not said: a status has to fit into one record.
const MOST_STATES: usize = 2_000;

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
    schedule: Schedule<Query>,
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
        let mut quota = DayQuota::new(config.calls_per_day, config.calls_per_second, now);
        if let Some(used) = &said.quota {
            quota = quota.resume(used, now);
        }
        let cut = said.entries.len() >= MOST_STATES;
        let states = said.entries.into_iter().filter_map(|state| Some((words::query_of(&state)?, state)));
        let before: BTreeMap<_, _> = states.collect();
        let list = watchlist.borrow_and_update().clone();
        let mut schedule = Schedule::new(quota);
        let mut of_term: BTreeMap<String, Vec<Query>> = BTreeMap::new();
        for query in queries(&list, &config.sections).into_keys() {
            schedule.add(query.clone(), before.get(&query).and_then(|state| state.last_asked), now);
            of_term.entry(query.term.clone()).or_default().push(query);
        }
        let ledger = ArticleWriter::open(log, (Source::Guardian, TITLE), now, |article| {
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
            troubles: FailureTracker::new(TITLE),
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
        Ok(self.ledger.say_state(RunState::Stopped.into()).await?)
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
            answer = answered(&mut self.call) => Event::Answer(answer),
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

    async fn ask_if_due(&mut self) -> Result<(), NewsError> {
        let now = self.clock.now();
        self.ledger.forget_old(now);
        let Some((_, query)) = self.schedule.next(now).filter(|(at, _)| *at <= now) else { return Ok(()) };
        self.schedule.ask(&query, now);
        // Counted durably before it is made: no crash hides a call.
        self.say().await?;
        let Some(search) = self.searches.get_mut(&query) else { return Ok(()) };
        let from = search.from();
        let walk = search.walk.get_or_insert_with(|| Pagination::new(from));
        let answer = self.api.clone().search(query.clone(), walk.request()).boxed();
        self.call = Some(Call { query, asked: now, question: None, answer });
        Ok(())
    }

    /// Makes a call for a preview, if one can be spared.
    async fn ask_for(&mut self, question: Question) -> Result<(), NewsError> {
        let now = self.clock.now();
        if let Err(until) = self.schedule.spare(now) {
            return Ok(self.ledger.answer(not_now(&question, until)).await?);
        }
        self.say().await?;
        let query = Query::of_preview(&question, &self.config.sections);
        let answer = self.api.clone().search(query.clone(), request(now)).boxed();
        self.call = Some(Call { query, asked: now, question: Some(question), answer });
        Ok(())
    }

    async fn take(&mut self, answer: Result<Page, CallError>) -> Result<(), NewsError> {
        let Some(Call { query, asked, question, .. }) = self.call.take() else { return Ok(()) };
        let now = self.clock.now();
        if let Err(CallError::Key(said)) = &answer {
            self.stay_away(said, now);
        }
        if let Some(question) = question {
            return Ok(self.ledger.answer(answer_to(&question, answer)).await?);
        }
        if answer.is_ok() {
            self.troubles.end();
        }
        let new = match &answer {
            Ok(page) => self.write(&query, page, now).await?,
            Err(_) => 0,
        };
        // It may have been taken off the watchlist, or joined by another entry, meanwhile.
        let Some(search) = self.searches.get_mut(&query) else { return self.say().await };
        if let Err(CallError::Key(said)) = answer {
            search.trouble = Some(words::key_refused(&said));
            self.schedule.prioritize(&query, now);
            return self.say().await;
        }
        let Some(mut walk) = search.walk.take() else { return self.say().await };
        let step = walk.step(answer, asked);
        if !matches!(step, Step::Done(_) | Step::Stuck(_)) {
            search.walk = Some(walk);
        }
        match step {
            Step::More => self.schedule.answered(&query, new, true, now),
            Step::Done(until) => {
                search.progress.answered = search.progress.answered.max(Some(until));
                search.trouble = None;
                self.schedule.answered(&query, new, false, now);
                self.advance().await?;
            }
            Step::Stuck(said) => {
                tracing::warn!(search = %query, "The Guardian does not answer a search: {said}");
                search.trouble = Some(said);
                self.schedule.failed(&query, (self.draw)(), now);
            }
            Step::TooMany(wait) => self.keep_quiet(&query, wait, now),
            Step::NoAnswer { said, wait } => self.wait_out(&query, said, wait, now),
        }
        self.say().await
    }

    /// Writes what is new on a page; returns how many articles are.
    async fn write(&mut self, query: &Query, page: &Page, now: Millis) -> Result<usize, NewsError> {
        let Some(search) = self.searches.get_mut(query) else { return Ok(0) };
        let (new, written) =
            self.ledger.write(&page.items, page.date, &query.term, &search.symbols, now).await?;
        if written {
            search.last_data = Some(now);
        }
        Ok(new)
    }

    /// Too many calls: nobody is asked for a while, and then this query again.
    fn keep_quiet(&mut self, query: &Query, wait: Option<Duration>, now: Millis) {
        let wait = self.troubles.too_many_calls(wait, (self.draw)());
        self.schedule.prioritize(query, now);
        self.schedule.pause(now + wait);
        tracing::warn!(seconds = wait / SECOND, "The Guardian says that there were too many calls; waiting.");
    }

    /// The key is not accepted: no call is made for a long while, then the same again.
    fn stay_away(&mut self, said: &str, now: Millis) {
        self.troubles.said = words::key_refused(said);
        self.schedule.pause(now + KEY_REFUSED);
        tracing::error!("{}. It is tried again in {} minutes.", self.troubles.said, KEY_REFUSED / MINUTE);
    }

    /// No answer: the query comes again later, and when others fail as well, so do all.
    fn wait_out(&mut self, query: &Query, said: String, wait: Option<Duration>, now: Millis) {
        tracing::warn!(search = %query, "The Guardian gives no answer: {said}");
        self.schedule.failed(query, (self.draw)(), now);
        self.schedule.pause(now + self.troubles.no_answer(&said, wait, (self.draw)()));
        if let Some(search) = self.searches.get_mut(query) {
            search.trouble = Some(said);
        }
    }

    /// Carries event time forward to where the news is complete.
    async fn advance(&mut self) -> Result<(), NewsError> {
        let progress = self.searches.iter().map(|(query, search)| (query, search.progress));
        let max_wait = millis(self.config.max_wait);
        let reached = coverage(progress, max_wait, self.clock.now());
        self.ledger.advance(reached.complete_until).await?;
        if reached.left_behind != self.left_behind {
            for query in &reached.left_behind {
                tracing::warn!(search = %query, "The news goes on without a search that is not answered.");
            }
            self.left_behind = reached.left_behind;
            self.say().await?;
        }
        Ok(())
    }

    /// Appends what has been taken, and says how things stand.
    async fn say(&mut self) -> Result<(), NewsError> {
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
        Ok(self.ledger.say(state, entries, self.schedule.quota(), max_wait).await?)
    }
}

/// Waits for a change of the list; for ever once nobody can change it.
async fn changed(watchlist: &mut Receiver<Watchlist>) {
    if watchlist.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for the answer to a call; for ever where none is under way.
async fn answered(call: &mut Option<Call>) -> Result<Page, CallError> {
    match call {
        Some(call) => (&mut call.answer).await,
        None => std::future::pending().await,
    }
}
