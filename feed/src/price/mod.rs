//! The driver of live price feeds. A feed says how to connect and subscribe, what a frame
//! and an answer of its history mean, and which errors are terminal: it implements
//! [`PriceFeed`]. The driver does everything else, once for all feeds:
//!
//! - `connection`: connects, and again with full jitter, which begins anew only after useful
//!   data; keeps the `subscriptions` as a difference to the watchlist; tells by link, message
//!   and data in trading hours whether the feed is alive (`liveness`).
//! - `handler` and `bars`: takes what the frames hold, leaves out repeats (`dedup`),
//!   refuses bars that a clock cannot have made (`skew`), states what is complete
//!   (`completeness`), and writes it all (`records`).
//! - `holes` and `gaps`: what a connection missed is filled from the `history`, within
//!   its quota, or recorded as a gap; `backfill` brings older history on request.

mod backfill;
mod bars;
mod completeness;
mod connection;
mod dedup;
mod description;
mod gaps;
mod handler;
mod history;
mod holes;
mod liveness;
mod records;
mod skew;
mod subscriptions;
pub mod wire;

use std::sync::Arc;

use control::shutdown::ShutdownToken;
use control::watchlist::Watchlist;
use log::{LogError, SharedLog};
use model::Bar;
use model::time::Millis;
use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::SharedClock;
use connection::{QUEUE, Session};
use handler::FeedHandler;

pub use backfill::{BackfillProgress, Backfilled, backfill};
pub use description::{FeedDescription, FeedKey, FeedSettings};
pub use history::{Answer, HistoryFailure, Page, Stretch};
pub use liveness::Pulse;

/// A live feed of minute bars over a WebSocket, with its history over REST.
pub trait PriceFeed: Send + Sync + Sized + 'static {
    /// What there is to know of it before it runs.
    const DESCRIPTION: &'static FeedDescription;
    /// One connection to it.
    type Session: FeedSession;

    /// One that goes by these settings.
    ///
    /// # Errors
    /// If an address is not valid; see [`FeedDescription::addresses`].
    fn new(settings: FeedSettings) -> Result<Self, FeedError>;

    /// How it is asked.
    fn settings(&self) -> &FeedSettings;

    /// The host of the WebSocket, for people.
    fn host(&self) -> &str;

    /// What a new connection is spoken to with.
    fn session(&self) -> Self::Session;

    /// What a frame that came at `received` holds for the log. A bar has passed the checks of
    /// [`wire::minute_bar`].
    ///
    /// # Errors
    /// Why it is no frame of this feed; it becomes a dead letter.
    fn read<'f>(&self, frame: &'f str, received: Millis) -> Result<Frame<'f>, String>;

    /// The minute bars that the text of a dead letter from `source` holds, which was received at
    /// that time.
    ///
    /// # Errors
    /// Why it still holds none.
    fn bars_of_letter(source: &str, text: &str, received: Millis) -> Result<Vec<Bar>, String>;

    /// The event that says what `bar` does, so that a bar that is refused can be read again.
    fn event_of(&self, bar: &Bar) -> String;

    /// Asks for the first page of a stretch, or for the one that another page named as `next`.
    /// The key goes to no host but the one it was set for.
    ///
    /// # Errors
    /// When there is no such page, or no history at all.
    fn history_request(
        &self,
        http: &Client,
        stretch: &Stretch,
        next: Option<&str>,
    ) -> Result<RequestBuilder, HistoryFailure>;

    /// What an answer of the history means that was `asked` for at that time. Status 429 is
    /// the driver's.
    fn history_answer(&self, stretch: &Stretch, status: StatusCode, body: &[u8], asked: Millis) -> Answer;

    /// What a failure of the history means, with the remedy.
    fn explain(&self, failure: &HistoryFailure) -> String;
}

/// How one connection is spoken to. Its calls are made in the order of the connection, and
/// must not block: they are made while the feed sends.
pub trait FeedSession: Send {
    /// What is sent first. The feed then has to answer with what [`FeedSession::glance`] tells
    /// as [`FeedMessage::Accepted`]; without a hello, it takes requests at once.
    fn hello(&mut self) -> Option<String>;

    /// The requests that subscribe to symbols, `*` among them for all.
    fn subscribe(&mut self, symbols: &[String]) -> Vec<String>;

    /// The requests that end the subscription of symbols.
    fn unsubscribe(&mut self, symbols: &[String]) -> Vec<String>;

    /// What of a frame concerns the connection; what it holds for the log is read elsewhere.
    fn glance(&mut self, frame: &str) -> Glance;
}

/// What of a frame concerns the connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// Whether it brings market data.
    pub has_data: bool,
    /// What the feed says of the connection.
    pub messages: Vec<FeedMessage>,
}

/// What a feed says of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum FeedMessage {
    /// It takes requests from now on.
    Accepted,
    /// This symbol will be sent.
    Subscribed(String),
    /// Something that was subscribed to is not in the plan; which symbol is not said.
    NotInPlan,
    /// The connection is of no more use; trying again soon may help.
    TryAgain(String),
    /// Another connection uses the key: trying again soon would throw that one out.
    CoolDown(String),
    /// Trying again soon cannot help.
    Final(Refusal),
    /// Something that is not known, in its words.
    Unknown(String),
}

/// Why a feed will not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, with the remedy.
    pub reason: String,
    /// Whether another watchlist may be served.
    pub is_for_the_list: bool,
}

/// What a frame holds for the log.
#[derive(Debug)]
pub enum Frame<'f> {
    /// Good bars and nothing else, as nearly all frames do.
    Bars(Vec<Bar>),
    /// Events of several kinds, each for itself.
    Events(Vec<Event<'f>>),
}

/// One event of a frame.
#[derive(Debug)]
pub enum Event<'f> {
    /// A minute bar that passed its checks.
    Bar(Box<Bar>),
    /// An invalid event, with the reason.
    Bad {
        /// As received.
        raw: &'f str,
        /// Why it is not a good event.
        reason: String,
    },
    /// A message about the connection, which [`FeedSession::glance`] has told.
    Message,
    /// A kind that is not asked for.
    Other,
}

/// Which way a bar came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Feed,
    History,
}

/// What ends a feed before it is asked to end.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log holds the records of another market.
    #[error(
        "the log holds the {found}, not the {asked}: start it as it was, or name another data folder with --data-dir"
    )]
    OtherSource {
        /// What was started.
        asked: String,
        /// What the log holds.
        found: String,
    },
    /// The address of a feed.
    #[error("`{address}` is no address of {title}: write one as {example}")]
    Address {
        /// As it is set.
        address: String,
        /// The feed.
        title: &'static str,
        /// One that is good.
        example: &'static str,
    },
    /// The way out of this machine.
    #[error("requests to the outside cannot be made: {0}")]
    Outbound(#[from] net::HttpFailure),
    /// The history, with the remedy.
    #[error("{0}")]
    History(String),
}

/// Brings the live prices of a feed to the log until an end is wished.
///
/// # Errors
/// When the log fails, or holds the records of another source.
pub async fn run<F: PriceFeed>(
    log: SharedLog,
    feed: F,
    watchlist: watch::Receiver<Watchlist>,
    clock: SharedClock,
    pulse: Pulse,
    stop: ShutdownToken,
) -> Result<(), FeedError> {
    let feed = Arc::new(feed);
    let handler = FeedHandler::open(log, feed.clone(), watchlist.clone(), clock.clone()).await?;
    let (out, signals) = mpsc::channel(QUEUE);
    // The connection ends with the handler, whichever way that ends.
    let mut connections = JoinSet::new();
    connections.spawn(Session::new(feed, clock, watchlist, pulse, out).run());
    handler.run(signals, &stop).await
}
