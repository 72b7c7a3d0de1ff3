//! A record as the page shows it: decoded and checked once, for every viewer.

use std::sync::Arc;

use log::Record;
use model::time::Millis;
use model::topic::{NEWS_ARTICLES, STOCK_PRICES};
use model::{Article, Bar, symbol};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::windows;

/// What kind of record it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bar,
    Volatility,
    Article,
}

/// Something to show, ready to be sent.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) offset: u64,
    pub(crate) kind: Kind,
    pub(crate) symbol: String,
    /// The bar's start, the window's end, the article's publication.
    pub(crate) time: Millis,
    /// Whether it stands for its symbol before newer ones that do not: of a window, whether it has enough bars.
    pub(crate) enough: bool,
    /// The message as JSON.
    pub(crate) json: Arc<RawValue>,
}

impl Item {
    /// Decodes a record. Heartbeats are nothing to show, and neither is what
    /// does not validate or an article without a symbol.
    pub(crate) fn of(record: &Record) -> Option<Item> {
        let decoded = if record.topic == STOCK_PRICES {
            bar(&record.value)
        } else if record.topic == NEWS_ARTICLES {
            article(&record.value)
        } else {
            volatility(&record.value)
        };
        let Decoded { kind, symbol, time, enough, json } = decoded?;
        Some(Item { offset: record.offset, kind, symbol, time, enough, json })
    }
}

struct Decoded {
    kind: Kind,
    symbol: String,
    time: Millis,
    enough: bool,
    json: Arc<RawValue>,
}

fn bar(text: &[u8]) -> Option<Decoded> {
    let bar: Bar = serde_json::from_slice(text).ok()?;
    bar.check().ok()?;
    let json = raw(&bar)?;
    Some(Decoded { kind: Kind::Bar, time: bar.start_timestamp, symbol: bar.symbol, enough: true, json })
}

fn article(text: &[u8]) -> Option<Decoded> {
    let article: Article = serde_json::from_slice(text).ok()?;
    if article.is_heartbeat() || article.check().is_err() {
        return None;
    }
    let json = raw(&article)?;
    let time = article.published_timestamp;
    Some(Decoded { kind: Kind::Article, time, symbol: article.symbol?, enough: true, json })
}

fn volatility(text: &[u8]) -> Option<Decoded> {
    let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    let name = row.get("symbol")?.as_str()?;
    symbol::check(name).ok()?;
    let time = row.get("window_end")?.as_i64()?;
    let enough = windows::has_enough(&row);
    Some(Decoded { kind: Kind::Volatility, symbol: name.to_owned(), time, enough, json: raw(&row)? })
}

/// Written anew, so that whatever the record held is one line of JSON.
fn raw(message: &impl Serialize) -> Option<Arc<RawValue>> {
    to_raw_value(message).ok().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::{Topic, heartbeat};

    fn record(topic: Topic, value: impl Into<Bytes>) -> Record {
        Record { topic, partition: 0, offset: 7, appended_at: 0, key: String::new(), value: value.into() }
    }

    #[test]
    fn clock_records_of_every_topic_are_nothing_to_show() {
        let bar = serde_json::to_vec(&heartbeat::bar(0, 60_000)).unwrap();
        let article = serde_json::to_vec(&heartbeat::article(0, 60_000)).unwrap();
        let row = r#"{"symbol":"~clock0","window_end":60000,"realized":null}"#;
        assert!(Item::of(&record(STOCK_PRICES, bar)).is_none());
        assert!(Item::of(&record(NEWS_ARTICLES, article)).is_none());
        assert!(Item::of(&record(Topic::new("volatility"), row)).is_none());
    }

    #[test]
    fn a_result_row_passes_with_every_column_on_one_line() {
        let row = "{\n\"symbol\": \"IBM\",\r\n\"window_end\": 60000, \"new_measure\": 0.1}";
        let item = Item::of(&record(Topic::new("volatility"), row)).unwrap();
        assert_eq!(
            (item.offset, item.kind, item.symbol.as_str(), item.time),
            (7, Kind::Volatility, "IBM", 60_000)
        );
        assert!(item.json.get().contains("\"new_measure\":0.1") && !item.json.get().contains(['\n', '\r']));
    }

    #[test]
    fn what_does_not_validate_is_passed_over() {
        for text in ["", "[]", "{\"symbol\":\"<b>\",\"window_end\":1}", "{\"symbol\":\"IBM\"}"] {
            assert!(Item::of(&record(Topic::new("volatility"), text)).is_none(), "{text}");
            assert!(Item::of(&record(STOCK_PRICES, text)).is_none(), "{text}");
        }
    }
}
