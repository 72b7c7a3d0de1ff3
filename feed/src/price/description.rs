//! What a price feed says of itself: the settings, `doctor`, the status page, the help and
//! the docs take it from here.

use std::time::Duration;

use model::{AssetClass, Source};
use net::Secret;
use reqwest::Url;

use super::FeedError;
use crate::clock::millis;
use model::time::Millis;

/// What there is to know of a feed before it runs.
#[derive(Debug)]
pub struct FeedDescription {
    /// The name: the value of `prices`, and the section of its settings, as `polygon`.
    pub name: &'static str,
    /// The name for people, with which the source of its runs begins.
    pub title: &'static str,
    /// What its bars are of.
    pub class: AssetClass,
    /// The source of its live bars and of its dead letters.
    pub source: Source,
    /// The key that it needs, if it does.
    pub key: Option<FeedKey>,
    /// The address of the WebSocket where none is set.
    pub websocket_url: &'static str,
    /// The origin of the history where none is set.
    pub rest_url: &'static str,
    /// How far the feed at a host lies behind the market.
    pub feed_delay: fn(host: &str) -> Duration,
    /// How long after its end, and the delay, a minute may still bring bars.
    pub settle: Duration,
    /// How long event time waits for a hole to be filled.
    pub fill_wait: Duration,
    /// The calls of the history in a minute that every plan allows.
    pub calls_per_minute: u32,
    /// A symbol that always trades, to try the key and the history with.
    pub sample: &'static str,
    /// How the sources of its dead letters begin, before a colon.
    pub letters: &'static [&'static str],
    /// What to do where nothing that is watched is in the plan.
    pub nothing_in_plan: &'static str,
}

/// The key of a feed.
#[derive(Debug)]
pub struct FeedKey {
    /// Its common variable, as `POLYGON_API_KEY`.
    pub variable: &'static str,
    /// What it is, for people, as `Polygon, for prices`.
    pub name: &'static str,
}

/// How a feed is asked: every feed takes these settings.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedSettings {
    /// The address of the WebSocket, with its market where it has one in the path.
    pub websocket_url: String,
    /// The origin of the history.
    pub rest_url: String,
    /// The key to both; empty where none is needed.
    pub api_key: Secret,
    /// How far the feed lies behind the market: 15 minutes on a delayed one.
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

impl FeedDescription {
    /// The settings where none are set, without a key.
    pub fn settings(&self) -> FeedSettings {
        let host = self.websocket_url.split_once("://").map_or("", |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default();
        FeedSettings {
            websocket_url: self.websocket_url.into(),
            rest_url: self.rest_url.into(),
            api_key: Secret::default(),
            feed_delay: (self.feed_delay)(host),
            settle: self.settle,
            fill_wait: self.fill_wait,
            calls_per_minute: self.calls_per_minute,
            clock_keys: 1,
        }
    }

    /// The addresses of the WebSocket and of the history that `settings` name.
    ///
    /// # Errors
    /// If one of them is not a valid address.
    pub fn addresses(&self, settings: &FeedSettings) -> Result<(Url, Url), FeedError> {
        let address = |text: &String, schemes: [&str; 2], example| {
            let url = Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
            url.ok_or_else(|| FeedError::Address { address: text.clone(), title: self.title, example })
        };
        let socket = address(&settings.websocket_url, ["wss", "ws"], self.websocket_url)?;
        Ok((socket, address(&settings.rest_url, ["https", "http"], self.rest_url)?))
    }
}

impl FeedSettings {
    pub(super) fn delay(&self) -> Millis {
        millis(self.feed_delay)
    }

    /// From a minute's end until it is complete.
    pub(super) fn lag(&self) -> Millis {
        self.delay() + millis(self.settle)
    }
}
