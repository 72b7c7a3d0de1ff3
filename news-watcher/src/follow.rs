//! Follows the clock of the prices: articles in order, and heartbeats between them.

use std::time::Duration;

use control::raw::RawEvent;
use control::shutdown::{Shutdown, ShutdownToken};
use feed::TopicWriter;
use files::FileError;
use log::time_bounds::{TimeBounds, last_good};
use log::{Log, Reader, Record, SharedLog};
use model::service::RunState;
use model::time::{DAY, Millis, minute_of};
use model::topic::Topic;
use model::{Article, AssetClass, Bar, DeadLetter, heartbeat};
use serde::Deserialize;

use crate::NewsError;

/// Records of prices that are looked through at once.
const AT_ONCE: usize = 2_000;
/// How long to wait for prices before looking whether they have ended.
const PATIENCE: Duration = Duration::from_millis(500);
/// Heartbeats go on for so long beyond the last article of a file.
const BEYOND: Millis = DAY;

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

/// No news at all; the heartbeats are written without it.
pub(crate) struct Silence;

impl Source for Silence {
    fn name(&self) -> String {
        "no news".into()
    }

    fn next_before(&mut self, _until: Millis) -> Option<Article> {
        None
    }
}

pub(crate) struct Follower {
    writer: TopicWriter<Article>,
    source: Box<dyn Source>,
    stop: ShutdownToken,
    /// The last heartbeat written, or found written.
    reached: Option<Millis>,
    /// In a replay, the articles taken so far.
    position: Option<u64>,
    begun: bool,
    finished: bool,
}

/// What matters of a price.
#[derive(Deserialize)]
struct Price {
    start_timestamp: Millis,
    complete_until: Millis,
}

impl Follower {
    pub(crate) fn new(
        mut writer: TopicWriter<Article>,
        source: Box<dyn Source>,
        stop: ShutdownToken,
    ) -> Follower {
        let reached = writer.complete_until();
        let position = source.ends().map(|_| 0);
        if position.is_some() {
            // A file is gone through from its beginning, and counted again.
            writer.taken = 0;
        }
        Follower { writer, source, stop, reached, position, begun: false, finished: false }
    }

    pub(crate) async fn run(mut self, log: &SharedLog, classes: &[AssetClass]) -> Result<(), NewsError> {
        self.source.check(self.writer.rows_written())?;
        self.writer.say(RunState::Running).await?;
        self.refuse_bad_rows().await?;
        if let Some(reached) = self.reached {
            // Counts again what was written after the last word on it.
            self.follow(reached).await?;
        }
        let bounds = TimeBounds::of(log.as_ref());
        // The news are never ahead of the prices, of which the positions say nothing.
        let topics: Vec<Topic> = classes.iter().map(|class| class.raw_topic()).collect();
        let mut stated: Vec<Option<Millis>> = vec![self.reached; topics.len()];
        // What the first record of each topic is compared with.
        let mut bases = stated.clone();
        for (base, topic) in bases.iter_mut().zip(&topics).filter(|(base, _)| base.is_none()) {
            *base = stated_by_prices(log, topic).await?;
        }
        let mut prices = log.reader(Article::SERVICE.name(), &topics).await?;
        while !self.stop.stopped() {
            let records = next_prices(&mut *prices, &self.stop).await?;
            let before = stated.clone();
            for run in records.chunk_by(|one, next| one.topic == next.topic) {
                if let Some(place) = topics.iter().position(|topic| *topic == run[0].topic) {
                    let base = stated[place].or(bases[place]);
                    stated[place] = stated[place].max(greatest(run, bounds, base));
                }
            }
            // Until each class has spoken, nothing is complete.
            if let (true, Some(until)) = (stated != before, stated.iter().copied().min().flatten()) {
                self.follow(until).await?;
            }
            if self.stop.stopped() {
                break;
            }
            if !records.is_empty() {
                // Only what has been followed durably is put behind.
                prices.commit(prices.positions()).await?;
                continue;
            }
            if self.is_at_the_end(&**log, &*prices).await? {
                self.write_the_rest().await?;
            }
            if self.stop.draining() && prices.caught_up().await? {
                break;
            }
        }
        if !self.finished {
            self.writer.say(RunState::Stopped).await?;
        }
        Ok(())
    }

    async fn refuse_bad_rows(&mut self) -> Result<(), NewsError> {
        let known = self.writer.before().rejected;
        for letter in self.source.take_bad_rows().iter().skip(known as usize) {
            self.writer.refuse(letter);
            self.writer.rejected += 1;
            self.flush_if_full().await?;
        }
        Ok(self.writer.flush().await?)
    }

    /// The prices are complete until `until`: so will be the news.
    async fn follow(&mut self, until: Millis) -> Result<(), NewsError> {
        if self.begun && self.reached.is_some_and(|reached| reached >= until) {
            return Ok(());
        }
        if !self.begun {
            // From where the counts end, which may be before the last heartbeat.
            let reached = self.reached.unwrap_or(until);
            self.source.begin(self.writer.before().watermark.map_or(reached, |counted| counted.min(reached)));
            self.begun = true;
        }
        let mut next = self.source.next_before(until);
        if self.reached.is_none() {
            let first = next.as_ref().map_or(until, |article| minute_of(article.published_timestamp));
            self.reached = Some(first);
            self.writer.clock(first, self.position);
        }
        while let Some(article) = next {
            if self.stop.stopped() {
                return Ok(self.writer.flush().await?);
            }
            self.advance(minute_of(article.published_timestamp)).await?;
            self.take(article);
            if self.position.is_some() {
                self.flush_if_full().await?;
            }
            next = self.source.next_before(until);
        }
        self.advance(until).await?;
        Ok(self.writer.flush().await?)
    }

    /// Heartbeats up to `until`. Without positions, appends are cut here alone,
    /// so that the counts of each status are those of the articles before its watermark.
    async fn advance(&mut self, until: Millis) -> Result<(), NewsError> {
        for at in heartbeat::minutes(self.reached.unwrap_or(until), until) {
            self.writer.clock(at, self.position);
            self.reached = Some(at);
            self.flush_if_full().await?;
        }
        Ok(())
    }

    fn take(&mut self, article: Article) {
        let published = article.published_timestamp;
        let counted =
            self.position.is_none() && self.writer.before().watermark.is_some_and(|w| published < w);
        self.position = self.position.map(|taken| taken + 1);
        self.writer.taken += u64::from(!counted);
        self.writer.take(&Article {
            complete_until: self.reached.unwrap_or(published),
            position: self.position,
            ..article
        });
    }

    async fn flush_if_full(&mut self) -> Result<(), NewsError> {
        if self.writer.is_full() {
            self.writer.flush().await?;
        }
        Ok(())
    }

    /// Whether the prices have ended and all of them have been followed.
    async fn is_at_the_end(&self, log: &dyn Log, prices: &dyn Reader) -> Result<bool, NewsError> {
        if self.finished {
            return Ok(false);
        }
        let said = control::status::last(log, Bar::SERVICE).await?;
        // Their last records are in the log before they say so.
        Ok(said.is_some_and(|said| said.state.run() == RunState::Finished) && prices.caught_up().await?)
    }

    async fn write_the_rest(&mut self) -> Result<(), NewsError> {
        if let Some(end) = self.source.ends().flatten() {
            self.follow(minute_of(end) + BEYOND).await?;
        }
        if self.stop.stopped() {
            return Ok(());
        }
        if let Some(unread) = self.source.take_unread() {
            return Err(unread.into());
        }
        self.finished = true;
        Ok(self.writer.say(RunState::Finished).await?)
    }
}

/// The watermark of the prices by the end of their topic: so that the first record that is
/// followed cannot state a time years ahead.
async fn stated_by_prices(log: &SharedLog, topic: &Topic) -> Result<Option<Millis>, NewsError> {
    let tails = last_good(log.as_ref(), topic, |record| {
        let price: Price = serde_json::from_slice(&record.value).ok()?;
        Some((price.complete_until, [price.complete_until, price.start_timestamp]))
    });
    Ok(tails.await?.into_iter().flatten().max())
}

/// Waits for prices, though not beyond the wish for an end.
async fn next_prices(prices: &mut dyn Reader, stop: &ShutdownToken) -> Result<Vec<Record>, NewsError> {
    if stop.draining() {
        return Ok(prices.poll(AT_ONCE, Duration::ZERO).await?);
    }
    tokio::select! {
        records = prices.poll(AT_ONCE, PATIENCE) => Ok(records?),
        () = stop.at_least(Shutdown::Drain) => Ok(Vec::new()),
    }
}

/// The greatest time that `records` state, of those that are believed by the rule that
/// the engine and the sink have for the same records: news must not be complete until a
/// time that prices never reach.
fn greatest(records: &[Record], bounds: TimeBounds, mut stated: Option<Millis>) -> Option<Millis> {
    let mut greatest = None;
    for record in records {
        // A record that is not a price is reported by the engine and the sink.
        let Ok(price) = serde_json::from_slice::<Price>(&record.value) else { continue };
        match bounds.check(stated, record, [price.complete_until, price.start_timestamp]) {
            Ok(()) => {
                stated = stated.max(Some(price.complete_until));
                greatest = greatest.max(Some(price.complete_until));
            }
            Err(beyond) => log::warn_skipped(record, &beyond),
        }
    }
    greatest
}
