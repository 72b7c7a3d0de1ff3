//! Polygon (Massive): live minute bars over a WebSocket, holes filled from history.

mod ahead;
mod completeness;
mod connection;
mod event;
mod fill;
mod gaps;
mod handler;
mod holes;
mod known;
mod lateness;
mod liveness;
mod recall;
mod records;
mod session;
mod subscriptions;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use control::shutdown::ShutdownToken;
use control::watchlist::Watchlist;
use log::SharedLog;
use model::time::Millis;
use net::Secret;
use reqwest::Url;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::ProducerError;
use feed::{SharedClock, millis};

use handler::FeedHandler;
use session::{QUEUE, Session};

pub use event::bars;
pub(crate) use event::{at_most, minute_bar, whole_millis};
pub(crate) use liveness::Pulse;

/// How Polygon is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct PolygonConfig {
    /// The feed with its market, such as `wss://delayed.massive.com/stocks`.
    pub websocket_url: String,
    /// The history's origin, such as `https://api.massive.com`.
    pub rest_url: String,
    /// The key to both.
    pub api_key: Secret,
    /// How far the feed lies behind the market: 15 minutes on the delayed feed.
    pub feed_delay: Duration,
    /// How long after its end, and the delay, a minute may still bring bars.
    pub settle: Duration,
    /// How long event time waits for a hole to be filled.
    pub fill_wait: Duration,
    /// The calls of the history that the plan allows in a minute.
    pub calls_per_minute: u32,
    /// Heartbeats a minute and partition; no fewer than the log asks for are written.
    pub clock_keys: u32,
}

impl Default for PolygonConfig {
    /// The delayed feed and the free plan's quota, without a key.
    fn default() -> PolygonConfig {
        PolygonConfig {
            websocket_url: "wss://delayed.massive.com/stocks".into(),
            rest_url: "https://api.massive.com".into(),
            api_key: Secret::default(),
            feed_delay: Duration::from_secs(900),
            settle: Duration::from_secs(5),
            fill_wait: Duration::from_secs(120),
            calls_per_minute: 5,
            clock_keys: 1,
        }
    }
}

impl PolygonConfig {
    fn delay(&self) -> Millis {
        millis(self.feed_delay)
    }

    /// From a minute's end until it is complete.
    fn lag(&self) -> Millis {
        self.delay() + millis(self.settle)
    }

    /// The feed's host, for people.
    fn host(&self) -> Result<String, ProducerError> {
        let address = |why| ProducerError::Address(self.websocket_url.clone(), "feed", why);
        let url = Url::parse(&self.websocket_url).map_err(|_| address("write wss://HOST/stocks"))?;
        if !matches!(url.scheme(), "ws" | "wss") {
            return Err(address("it must start with wss://"));
        }
        Ok(url.host_str().unwrap_or_default().to_owned())
    }
}

/// Brings live prices to the log until an end is wished.
pub(crate) async fn run(
    log: SharedLog,
    config: PolygonConfig,
    watchlist: watch::Receiver<Watchlist>,
    clock: SharedClock,
    pulse: Pulse,
    stop: ShutdownToken,
) -> Result<(), ProducerError> {
    let config = Arc::new(config);
    let handler = FeedHandler::open(log, config.clone(), watchlist.clone(), clock.clone()).await?;
    let (out, signals) = mpsc::channel(QUEUE);
    // The feed ends with the handler, whichever way that ends.
    let mut feed = JoinSet::new();
    feed.spawn(Session::new(config, clock, watchlist, pulse, out).run());
    handler.run(signals, &stop).await
}
