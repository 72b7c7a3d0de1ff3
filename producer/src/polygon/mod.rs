//! Polygon (Massive): live minute bars over a WebSocket, holes filled from history.
//!
//! `session` speaks to a connection, `frames` reads what it brings, `history` asks for what
//! is missing; everything else the driver of all price feeds does.

mod frames;
mod history;
mod session;

use std::time::Duration;

use feed::price::{Answer, FeedProfile, Frame, HistoryFailure, PriceFeed, Stretch};
use model::time::Millis;
use model::{AssetClass, Bar, DeadLetter, Source};
use net::Secret;
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use crate::ProducerError;
use session::PolygonSession;

pub use frames::bars;

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

/// The feed, checked.
pub(crate) struct PolygonFeed {
    profile: FeedProfile,
    rest: Url,
    api_key: Secret,
}

impl PolygonFeed {
    /// # Errors
    /// When an address is none.
    pub(crate) fn new(config: PolygonConfig) -> Result<PolygonFeed, ProducerError> {
        let address = |why| ProducerError::Address(config.websocket_url.clone(), "feed", why);
        let socket = Url::parse(&config.websocket_url).map_err(|_| address("write wss://HOST/stocks"))?;
        if !matches!(socket.scheme(), "ws" | "wss") {
            return Err(address("it must start with wss://"));
        }
        let address = |why| ProducerError::Address(config.rest_url.clone(), "history", why);
        let rest = Url::parse(&config.rest_url).map_err(|_| address("write https://api.massive.com"))?;
        if !matches!(rest.scheme(), "http" | "https") || rest.cannot_be_a_base() {
            return Err(address("it must start with https://"));
        }
        let profile = FeedProfile {
            name: "polygon",
            title: "Polygon",
            class: AssetClass::Stocks,
            source: Source::Polygon,
            host: socket.host_str().unwrap_or_default().to_owned(),
            url: config.websocket_url,
            delay: config.feed_delay,
            settle: config.settle,
            fill_wait: config.fill_wait,
            calls_per_minute: config.calls_per_minute,
            clock_keys: config.clock_keys,
            nothing_in_plan: NOTHING_IN_PLAN,
        };
        Ok(PolygonFeed { profile, rest, api_key: config.api_key })
    }
}

impl PriceFeed for PolygonFeed {
    type Session = PolygonSession;

    fn profile(&self) -> &FeedProfile {
        &self.profile
    }

    fn session(&self) -> PolygonSession {
        PolygonSession::new(self.api_key.clone())
    }

    fn read<'f>(&self, frame: &'f str, received: Millis) -> Result<Frame<'f>, String> {
        frames::frame(frame, received)
    }

    fn event_of(&self, bar: &Bar) -> String {
        frames::of(bar).to_string()
    }

    fn history_request(
        &self,
        http: &Client,
        stretch: &Stretch,
        next: Option<&str>,
    ) -> Result<RequestBuilder, HistoryFailure> {
        self.page_request(http, stretch, next)
    }

    fn history_answer(&self, stretch: &Stretch, status: StatusCode, body: &[u8], asked: Millis) -> Answer {
        self.page_answer(stretch, status, body, asked)
    }

    fn explain(&self, failure: &HistoryFailure) -> String {
        match failure {
            HistoryFailure::NoAccess(said) | HistoryFailure::Refused(said) => Refusal::History(said.clone()),
            HistoryFailure::Unavailable(said) => Refusal::Unavailable(said.clone()),
        }
        .to_string()
    }
}

/// The key's plan is without minute bars of what is watched.
const NOTHING_IN_PLAN: &str = "the plan of the Polygon key does not include minute bars of what is watched (\"not authorized\"): watch symbols of the plan instead of `*`, check the market at the end of polygon.websocket_url, or use another plan";

/// Why Polygon (Massive) will not serve; trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The feed does not know the key.
    #[error(
        "Polygon refuses the key (\"{0}\"): check POLYGON_API_KEY against the keys on your dashboard at massive.com, and start again"
    )]
    Key(String),
    /// The key's plan is without this feed.
    #[error(
        "the plan of the Polygon key does not include this feed (\"{0}\"): on a delayed plan set polygon.websocket_url to wss://delayed.massive.com/stocks; the free plan has no feed at all, so use another plan, or run without the key to simulate"
    )]
    Plan(String),
    /// The key may not ask for history.
    #[error(
        "the Polygon key gives no access to this history (\"{0}\"): use a plan that has it, or ask for a later time"
    )]
    History(String),
    /// The history cannot be had just now.
    #[error("Polygon's history cannot be had: {0}; it goes on where it broke off when started again")]
    Unavailable(String),
}

impl From<Refusal> for feed::price::Refusal {
    fn from(refusal: Refusal) -> feed::price::Refusal {
        feed::price::Refusal { reason: refusal.to_string(), is_for_the_list: false }
    }
}

/// The minute bars that a letter of the feed or of the history holds.
///
/// # Errors
/// Why it still holds none.
pub fn bars_of_letter(letter: &DeadLetter) -> Result<Vec<Bar>, String> {
    let bytes = letter.bytes().ok_or("only the start of it was kept, so it cannot be read again")?;
    let text = std::str::from_utf8(&bytes).map_err(|error| format!("it is no text: {error}"))?;
    let received = letter.received_timestamp;
    match letter.source.split_once(':') {
        Some((source, symbol)) if source == Source::PolygonHistory.as_str() => {
            history::bar(text, symbol, received).map(|bar| vec![bar])
        }
        _ => bars(text, received),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_feed_and_a_result_of_the_history_are_read_again() {
        let event = r#"{"ev":"AM","sym":"AAPL","v":12,"o":10,"c":10.5,"h":11,"l":9,"s":1380873960000}"#;
        let of =
            |source: &str, text: &str| bars_of_letter(&DeadLetter::new(source, "why", text.as_bytes(), 7));
        let bars = of("polygon", event).unwrap();
        assert_eq!(
            (bars[0].symbol.as_str(), bars[0].received_timestamp, bars[0].source),
            ("AAPL", 7, Source::Polygon)
        );
        assert_eq!(of("polygon", &format!("[{event},{event}]")).unwrap().len(), 2);
        let result = r#"{"t":1380873960000,"o":10,"c":10.5,"h":11,"l":9,"v":12}"#;
        let bars = of("polygon-history:MSFT", result).unwrap();
        assert_eq!((bars[0].symbol.as_str(), bars[0].source), ("MSFT", Source::PolygonHistory));
    }

    #[test]
    fn what_is_still_no_bar_is_told_with_the_reason() {
        for (text, said) in [
            ("[{\"ev\":\"AM\"", "no JSON array"),
            (r#"{"ev":"AM","sym":"AAPL"}"#, "missing field"),
            (r#"{"ev":"T","sym":"AAPL"}"#, "no minute bar"),
        ] {
            let error = bars_of_letter(&DeadLetter::new("polygon", "why", text.as_bytes(), 7)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
