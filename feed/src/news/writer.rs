//! What goes onto the topic: each version of an article once, heartbeats in
//! order, and what is no article to the dead letters.

use model::service::Activity;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use control::preview::Preview;
use log::{LogError, SharedLog};
use model::status::{EntryState, QuotaState};
use model::time::{DAY, HOUR, MINUTE, Millis, minute_of};
use model::topic::NEWS_ARTICLES;
use model::{Article, DeadLetter, Source};

use super::seen::{SeenArticles, Sighting};
use super::{BadItem, Item};
use crate::writer::TopicWriter;

/// Publications further ahead than this of the later of two clocks are no publications …
const AHEAD: Millis = 10 * MINUTE;
/// … nor are those further ahead than this of ours, whatever the server's clock says.
const FURTHEST: Millis = HOUR;
/// Refused articles that are remembered, so that each is told once.
const MOST_REFUSED: usize = 10_000;

/// See the module.
pub struct ArticleWriter {
    source: Source,
    writer: TopicWriter<Article>,
    log: SharedLog,
    known: SeenArticles,
    refused: HashSet<u64>,
    /// The last heartbeat.
    reached: Millis,
    day: Millis,
}

impl ArticleWriter {
    /// Looks up what stands on the topic, for the feed with this source and name; `each` is
    /// told of every article as it first came.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn open(
        log: SharedLog,
        (source, title): (Source, &str),
        now: Millis,
        each: impl FnMut(&Article),
    ) -> Result<ArticleWriter, LogError> {
        let known = SeenArticles::read(&*log, each).await?;
        let mut writer =
            TopicWriter::<Article>::open(log.clone(), NEWS_ARTICLES, title.into(), false).await?;
        let furthest = writer.furthest();
        // What one partition says holds for all of them.
        if let (Some(least), Some(most)) = (writer.complete_until(), furthest) {
            model::heartbeat::minutes(least, most).for_each(|at| writer.clock(at, None));
        }
        let reached = furthest.unwrap_or(minute_of(now));
        writer.clock(reached, None);
        Ok(ArticleWriter {
            source,
            writer,
            log,
            known,
            refused: HashSet::new(),
            reached,
            day: now.div_euclid(DAY),
        })
    }

    /// The last heartbeat.
    pub fn reached(&self) -> Millis {
        self.reached
    }

    /// Writes heartbeats up to `until`.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn advance(&mut self, until: Millis) -> Result<(), LogError> {
        for at in model::heartbeat::minutes(self.reached, until) {
            self.writer.clock(at, None);
            self.reached = at;
            self.flush_if_full().await?;
        }
        self.writer.flush().await
    }

    /// Writes what is new of what was `found` for `term`, once for each of
    /// `symbols`; `date` is the server's clock, where it
    /// says. Returns how many articles are new, and whether anything was written.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn write(
        &mut self,
        found: &[Result<Item, BadItem>],
        date: Option<Millis>,
        term: &str,
        symbols: &[Option<String>],
        now: Millis,
    ) -> Result<(usize, bool), LogError> {
        let latest = (now.max(date.unwrap_or(now)) + AHEAD).min(now + FURTHEST);
        let (mut new, mut written) = (0, false);
        for bad in found.iter().filter_map(|item| item.as_ref().err()) {
            self.refuse(term, &bad.reason, &bad.raw, now);
        }
        let mut items: Vec<_> = found.iter().flatten().collect();
        items.sort_by_key(|item| item.published);
        for item in items {
            if item.published > latest {
                self.refuse(term, "its publication lies ahead of the clock", &item.raw, now);
                continue;
            }
            let sightings: Vec<_> =
                symbols.iter().map(|symbol| self.write_for(item, symbol.as_deref(), term, now)).collect();
            new += usize::from(sightings.contains(&Written::New));
            written |= sightings.iter().any(|sighting| *sighting != Written::Nothing);
            self.known.touch(&item.id, now);
        }
        self.flush_if_full().await?;
        Ok((new, written))
    }

    fn write_for(&mut self, item: &Item, symbol: Option<&str>, term: &str, now: Millis) -> Written {
        let (article, written) = match self.known.sight(item, self.source, symbol, term, now) {
            Ok(Sighting::New(article)) => (article, Written::New),
            Ok(Sighting::Edited(article)) => (article, Written::Version),
            Ok(Sighting::Unchanged) => return Written::Nothing,
            Err(bad) => {
                self.refuse(term, &bad.to_string(), &item.raw, now);
                return Written::Nothing;
            }
        };
        self.known.remember(&article);
        self.writer.put(&Article { complete_until: self.reached, ..article });
        written
    }

    /// Tells once of what is no article.
    fn refuse(&mut self, term: &str, reason: &str, raw: &str, now: Millis) {
        let mut hasher = DefaultHasher::new();
        (reason, raw).hash(&mut hasher);
        if self.refused.len() >= MOST_REFUSED {
            self.refused.clear();
        }
        if self.refused.insert(hasher.finish()) {
            let source = format!("{}:{term}", self.source);
            self.writer.refuse(&DeadLetter::new(source, reason, raw.as_bytes(), now));
            self.writer.rejected += 1;
        }
    }

    async fn flush_if_full(&mut self) -> Result<(), LogError> {
        if self.writer.is_full() {
            self.writer.flush().await?;
        }
        Ok(())
    }

    /// Appends what has been taken, and says how the entries and the quota stand, and
    /// how late news may be by its settings.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn say(
        &mut self,
        state: Activity,
        entries: Vec<EntryState>,
        quota: QuotaState,
        max_wait: Millis,
    ) -> Result<(), LogError> {
        let status = self.writer.status();
        (status.entries, status.quota, status.planned_lag) = (entries, Some(quota), Some(max_wait));
        self.say_state(state).await
    }

    /// Appends what has been taken, and says what the service is doing.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn say_state(&mut self, state: Activity) -> Result<(), LogError> {
        self.writer.say(state).await
    }

    /// Appends what was asked for beside the list.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn answer(&mut self, preview: Preview) -> Result<(), LogError> {
        self.log.append(vec![preview.to_append()]).await
    }

    /// Forgets, once a day, the articles that no search has found for long.
    pub fn forget_old(&mut self, now: Millis) {
        let day = now.div_euclid(DAY);
        if day != self.day {
            self.day = day;
            self.known.forget_old(now);
        }
    }
}

/// What an article led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    New,
    Version,
    Nothing,
}
