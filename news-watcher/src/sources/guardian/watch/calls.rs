//! One call after the other: whose turn it is is asked, and what the answer means is done.

use std::time::Duration;

use control::preview::Question;
use futures::future::{BoxFuture, FutureExt};
use model::time::{MINUTE, Millis, SECOND};

use super::super::answer::{CallError, Page};
use super::super::preview::{answer_to, not_now, request};
use super::super::query::Query;
use super::super::walk::{Pagination, Step};
use super::super::words;
use super::Watch;
use crate::NewsError;

/// How long no call is made once the key was refused: so rarely that no server takes it
/// for an attack.
const KEY_REFUSED: Millis = 15 * MINUTE;

/// A call that is under way.
pub(super) struct Call {
    query: Query,
    asked: Millis,
    /// What it answers, where it is a preview and none of the list's.
    question: Option<Question>,
    answer: BoxFuture<'static, Result<Page, CallError>>,
}

impl Watch {
    pub(super) async fn ask_if_due(&mut self) -> Result<(), NewsError> {
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
    pub(super) async fn ask_for(&mut self, question: Question) -> Result<(), NewsError> {
        let now = self.clock.now();
        if let Err(until) = self.schedule.spare(now) {
            return self.ledger.answer(not_now(&question, until)).await;
        }
        self.say().await?;
        let query = Query::of_preview(&question, &self.config.sections);
        let answer = self.api.clone().search(query.clone(), request(now)).boxed();
        self.call = Some(Call { query, asked: now, question: Some(question), answer });
        Ok(())
    }

    pub(super) async fn take(&mut self, answer: Result<Page, CallError>) -> Result<(), NewsError> {
        let Some(Call { query, asked, question, .. }) = self.call.take() else { return Ok(()) };
        let now = self.clock.now();
        if let Err(CallError::Key(said)) = &answer {
            self.stay_away(said, now);
        }
        if let Some(question) = question {
            return self.ledger.answer(answer_to(&question, answer)).await;
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
        let (new, written) = self.ledger.write(page, &query.term, &search.symbols, now).await?;
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
}

/// Waits for the answer to a call; for ever where none is under way.
pub(super) async fn answered(call: &mut Option<Call>) -> Result<Page, CallError> {
    match call {
        Some(call) => (&mut call.answer).await,
        None => std::future::pending().await,
    }
}
