//! What stands on a raw topic, whichever service writes or reads it: bars on
//! `stock-prices`, articles on `news-articles`.

use log::Record;
use model::service::Service;
use model::time::Millis;
use model::topic::{NEWS_ARTICLES, STOCK_PRICES, Topic};
use model::{Article, Bar, heartbeat};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What stands on a raw topic, as its writer sees it.
pub trait RawEvent: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The topic.
    const TOPIC: Topic;
    /// The service that writes it.
    const SERVICE: Service;
    /// The name of their count.
    const COUNT: &'static str;

    /// The heartbeat of a key.
    fn clock(key: u32, at: Millis, position: Option<u64>) -> Self;
    /// Whether this is one.
    fn is_heartbeat(&self) -> bool;
    /// The key on the topic.
    fn key(&self) -> &str;
    /// Bar's start or article's publication, then what orders events of one time.
    fn order(&self) -> (Millis, &str);
    /// The watermark.
    fn complete_until(&self) -> Millis;
    /// In a replay, the rows taken.
    fn position(&self) -> Option<u64>;
}

/// An event of a record, with what it states and its own time.
pub fn read<T: RawEvent>(record: &Record) -> Option<(T, [Millis; 2])> {
    let event: T = serde_json::from_slice(&record.value).ok()?;
    let times = [event.complete_until(), event.order().0];
    Some((event, times))
}

impl RawEvent for Bar {
    const TOPIC: Topic = STOCK_PRICES;
    const SERVICE: Service = Service::Producer;
    const COUNT: &'static str = "bars";

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
    const TOPIC: Topic = NEWS_ARTICLES;
    const SERVICE: Service = Service::NewsWatcher;
    const COUNT: &'static str = "articles";

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
