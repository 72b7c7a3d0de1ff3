//! Polygon (Massive): live minute bars over a WebSocket, holes filled from history.
//!
//! `session` speaks to a connection, `frames` reads what it brings, `history` asks for what
//! is missing; everything else the driver of all price feeds does.

mod frames;
mod history;
mod session;

use std::time::Duration;

use feed::price::{
    Answer, FeedDescription, FeedError, FeedKey, FeedSettings, Frame, HistoryFailure, PriceFeed, Stretch,
};
use model::time::Millis;
use model::{AssetClass, Bar, Source};
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use session::PolygonSession;

pub use frames::bars;

/// What there is to know of it.
static DESCRIPTION: FeedDescription = FeedDescription {
    name: "polygon",
    title: "Polygon",
    class: AssetClass::Stocks,
    source: Source::Polygon,
    key: Some(FeedKey { variable: "POLYGON_API_KEY", name: "Polygon, for prices" }),
    websocket_url: "wss://delayed.massive.com/stocks",
    rest_url: "https://api.massive.com",
    feed_delay,
    settle: Duration::from_secs(5),
    fill_wait: Duration::from_secs(120),
    // Those of the free plan.
    calls_per_minute: 5,
    sample: "AAPL",
    letters: &["polygon", "polygon-history"],
    nothing_in_plan: NOTHING_IN_PLAN,
};

/// Real-time feeds answer under this name; of any other, bars are taken to come late.
fn feed_delay(host: &str) -> Duration {
    if host.starts_with("socket.") { Duration::ZERO } else { Duration::from_secs(900) }
}

/// The feed, with its settings checked.
pub(crate) struct PolygonFeed {
    settings: FeedSettings,
    host: String,
    rest: Url,
}

impl PriceFeed for PolygonFeed {
    const DESCRIPTION: &'static FeedDescription = &DESCRIPTION;
    type Session = PolygonSession;

    fn new(settings: FeedSettings) -> Result<PolygonFeed, FeedError> {
        let (socket, rest) = DESCRIPTION.addresses(&settings)?;
        Ok(PolygonFeed { host: socket.host_str().unwrap_or_default().to_owned(), settings, rest })
    }

    fn settings(&self) -> &FeedSettings {
        &self.settings
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn session(&self) -> PolygonSession {
        PolygonSession::new(self.settings.api_key.clone())
    }

    fn read<'f>(&self, frame: &'f str, received: Millis) -> Result<Frame<'f>, String> {
        frames::frame(frame, received)
    }

    fn bars_of_letter(source: &str, text: &str, received: Millis) -> Result<Vec<Bar>, String> {
        match source.split_once(':') {
            Some((source, symbol)) if source == Source::PolygonHistory.as_str() => {
                history::bar(text, symbol, received).map(|bar| vec![bar])
            }
            _ => bars(text, received),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::feed;
    use model::DeadLetter;

    fn bars_of_letter(letter: &DeadLetter) -> Result<Vec<Bar>, String> {
        feed("polygon").unwrap().bars_of_letter(letter)
    }

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
