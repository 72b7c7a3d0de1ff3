//! The live price feeds that there are. One line here adds a feed; settings, `doctor`, the
//! pages, the help and the commands find it by its description.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ::feed::SystemClock;
use ::feed::price::{
    BackfillProgress, Backfilled, FeedDescription, FeedError, FeedSettings, PriceFeed, Pulse, Stretch,
    backfill, run,
};
use async_trait::async_trait;
use control::shutdown::ShutdownToken;
use log::SharedLog;
use model::time::{DAY, MINUTE, Millis, minute_of};
use model::{Bar, DeadLetter};
use reqwest::{Client, RequestBuilder};

use crate::ProducerError;
use crate::polygon::PolygonFeed;

/// Every feed, the one that is taken first where several have their key.
pub static FEEDS: &[&dyn FeedKind] = &[&Kind::<PolygonFeed>(PhantomData)];

/// The feed of that name, if there is one.
pub fn feed(name: &str) -> Option<&'static dyn FeedKind> {
    FEEDS.iter().copied().find(|feed| feed.description().name == name)
}

/// The feed whose dead letters come from a source that begins so before its colon.
pub fn feed_of_letter(source: &str) -> Option<&'static dyn FeedKind> {
    FEEDS.iter().copied().find(|feed| feed.description().letters.contains(&source))
}

/// What can be done with a feed before it runs, and how it is run.
#[async_trait]
pub trait FeedKind: Send + Sync {
    /// What it says of itself.
    fn description(&self) -> &'static FeedDescription;

    /// The minute bars that a dead letter of the feed or of its history holds.
    ///
    /// # Errors
    /// Why it still holds none.
    fn bars_of_letter(&self, letter: &DeadLetter) -> Result<Vec<Bar>, String>;

    /// Asks the history for one minute a week ago: whether it answers, and takes the key.
    ///
    /// # Errors
    /// When the settings make no sense.
    fn probe(
        &self,
        http: &Client,
        settings: FeedSettings,
        now: Millis,
    ) -> Result<RequestBuilder, ProducerError>;

    /// Brings its prices to the log until an end is wished.
    async fn run(
        &self,
        log: SharedLog,
        settings: FeedSettings,
        stop: ShutdownToken,
    ) -> Result<(), ProducerError>;

    /// Brings the minute bars of `symbols` whose starts lie in `span` into `log`; see
    /// [`backfill`].
    async fn backfill(
        &self,
        log: SharedLog,
        settings: FeedSettings,
        symbols: &[String],
        span: (Millis, Millis),
        progress: &mut (dyn for<'p> FnMut(BackfillProgress<'p>) + Send),
    ) -> Result<Backfilled, ProducerError>;
}

impl fmt::Debug for dyn FeedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description().name)
    }
}

impl PartialEq for dyn FeedKind {
    fn eq(&self, other: &dyn FeedKind) -> bool {
        self.description().name == other.description().name
    }
}

struct Kind<F>(PhantomData<F>);

#[async_trait]
impl<F: PriceFeed> FeedKind for Kind<F> {
    fn description(&self) -> &'static FeedDescription {
        F::DESCRIPTION
    }

    fn bars_of_letter(&self, letter: &DeadLetter) -> Result<Vec<Bar>, String> {
        let bytes = letter.bytes().ok_or("only the start of it was kept, so it cannot be read again")?;
        let text = str::from_utf8(&bytes).map_err(|error| format!("it is no text: {error}"))?;
        F::bars_of_letter(&letter.source, text, letter.received_timestamp)
    }

    fn probe(
        &self,
        http: &Client,
        settings: FeedSettings,
        now: Millis,
    ) -> Result<RequestBuilder, ProducerError> {
        let from = minute_of(now - 7 * DAY);
        let minute = Stretch { symbol: F::DESCRIPTION.sample.to_owned(), from, to: from + MINUTE };
        let request = F::new(settings)?.history_request(http, &minute, None);
        request.map_err(|failure| ProducerError::Feed(FeedError::History(failure.to_string())))
    }

    async fn run(
        &self,
        log: SharedLog,
        settings: FeedSettings,
        stop: ShutdownToken,
    ) -> Result<(), ProducerError> {
        let feed = F::new(settings)?;
        let watchlist = control::watchlist::follow(log.clone()).await?;
        Ok(run(log, feed, watchlist, Arc::new(SystemClock), Pulse::default(), stop).await?)
    }

    async fn backfill(
        &self,
        log: SharedLog,
        settings: FeedSettings,
        symbols: &[String],
        (from, to): (Millis, Millis),
        progress: &mut (dyn for<'p> FnMut(BackfillProgress<'p>) + Send),
    ) -> Result<Backfilled, ProducerError> {
        let feed = F::new(settings)?;
        Ok(backfill(Arc::new(SystemClock), log, feed, symbols, from, to, progress).await?)
    }
}
