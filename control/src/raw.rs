//! The types of the raw topics, common to their writers and readers: bars on the topic of
//! their class, articles on `news-articles`.

use log::Record;
use model::service::Service;
use model::time::Millis;
use model::topic::{NEWS_ARTICLES, Topic};
use model::{Article, AssetClass, Bar, heartbeat};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An event of a raw topic, as its writer sees it.
pub trait RawEvent: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The service that writes the topic.
    const SERVICE: Service;
    /// The name of the count of events in the status of the service.
    const COUNT: &'static str;

    /// The topic of an event with this key.
    fn topic_of(key: &str) -> Topic;
    /// A heartbeat with the watermark `at` and the position `position`.
    fn clock(key: u32, at: Millis, position: Option<u64>) -> Self;
    /// Whether this event is a heartbeat.
    fn is_heartbeat(&self) -> bool;
    /// The key of its record.
    fn key(&self) -> &str;
    /// The event time (ms), then what orders events of the same time.
    fn order(&self) -> (Millis, &str);
    /// The watermark: the `complete_until` field (event time, ms).
    fn complete_until(&self) -> Millis;
    /// In a replay, the number of rows read so far.
    fn position(&self) -> Option<u64>;
}

/// Parses the event of a record; returns it with its watermark and its event time (ms). `None`
/// if it is invalid.
pub fn read<T: RawEvent>(record: &Record) -> Option<(T, [Millis; 2])> {
    let event: T = serde_json::from_slice(&record.value).ok()?;
    let times = [event.complete_until(), event.order().0];
    Some((event, times))
}

impl RawEvent for Bar {
    const SERVICE: Service = Service::Producer;
    const COUNT: &'static str = "bars";

    fn topic_of(symbol: &str) -> Topic {
        AssetClass::of(symbol).raw_topic()
    }

    fn clock(key: u32, at: Millis, position: Option<u64>) -> Bar {
        Bar { position, ..heartbeat::bar(key, at) }
    }

    fn is_heartbeat(&self) -> bool {
        Bar::is_heartbeat(self)
    }

    fn key(&self) -> &str {
        &self.symbol
    }

    fn order(&self) -> (Millis, &str) {
        (self.start_timestamp, &self.symbol)
    }

    fn complete_until(&self) -> Millis {
        self.complete_until
    }

    fn position(&self) -> Option<u64> {
        self.position
    }
}

impl RawEvent for Article {
    const SERVICE: Service = Service::NewsWatcher;
    const COUNT: &'static str = "articles";

    fn topic_of(_: &str) -> Topic {
        NEWS_ARTICLES
    }

    fn clock(key: u32, at: Millis, position: Option<u64>) -> Article {
        Article { position, ..heartbeat::article(key, at) }
    }

    fn is_heartbeat(&self) -> bool {
        Article::is_heartbeat(self)
    }

    fn key(&self) -> &str {
        Article::key(self)
    }

    fn order(&self) -> (Millis, &str) {
        (self.published_timestamp, &self.id)
    }

    fn complete_until(&self) -> Millis {
        self.complete_until
    }

    fn position(&self) -> Option<u64> {
        self.position
    }
}
