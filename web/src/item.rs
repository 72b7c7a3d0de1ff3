//! A record as the page shows it: decoded and checked once, for every viewer.

use std::sync::Arc;

use log::Record;
use log::time_bounds::LaneTimes;
use model::time::Millis;
use model::topic::NEWS_ARTICLES;
use model::{Article, AssetClass, Bar, symbol};
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
    /// Decodes the next record of a lane. Heartbeats are nothing to show, and neither is
    /// what does not validate, an article without a symbol, or what has a time that the
    /// engine and the sink do not believe.
    pub(crate) fn of(record: &Record, lane: &mut LaneTimes) -> Option<Item> {
        let (times, decoded) = decode(record)?;
        if !lane.believes(record, times) {
            return None;
        }
        let Decoded { kind, symbol, time, enough, json } = decoded?;
        Some(Item { offset: record.offset, kind, symbol, time, enough, json })
    }
}

/// What a record states of event time and its own event time; none where it is no message
/// of its topic.
pub(crate) fn times(record: &Record) -> Option<[Millis; 2]> {
    decode(record).map(|(times, _)| times)
}

type Timed = ([Millis; 2], Option<Decoded>);

fn decode(record: &Record) -> Option<Timed> {
    if AssetClass::of_topic(&record.topic).is_some() {
        bar(&record.value)
    } else if record.topic == NEWS_ARTICLES {
        article(&record.value)
    } else {
        volatility(&record.value)
    }
}

struct Decoded {
    kind: Kind,
    symbol: String,
    time: Millis,
    enough: bool,
    json: Arc<RawValue>,
}

fn bar(text: &[u8]) -> Option<Timed> {
    let bar: Bar = serde_json::from_slice(text).ok()?;
    let times = [bar.complete_until, bar.start_timestamp];
    if bar.is_heartbeat() {
        return Some((times, None));
    }
    bar.check().ok()?;
    let (json, time) = (raw(&bar)?, bar.start_timestamp);
    Some((times, Some(Decoded { kind: Kind::Bar, time, symbol: bar.symbol, enough: true, json })))
}

fn article(text: &[u8]) -> Option<Timed> {
    let article: Article = serde_json::from_slice(text).ok()?;
    let time = article.published_timestamp;
    let times = [article.complete_until, time];
    if article.is_heartbeat() {
        return Some((times, None));
    }
    article.check().ok()?;
    let json = raw(&article)?;
    let decoded = |symbol| Decoded { kind: Kind::Article, time, symbol, enough: true, json };
    Some((times, article.symbol.map(decoded)))
}

fn volatility(text: &[u8]) -> Option<Timed> {
    let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    let name = row.get("symbol")?.as_str()?;
    let time = row.get("window_end")?.as_i64()?;
    if name.starts_with(symbol::OURS) {
        return Some(([time, time], None));
    }
    symbol::check(name).ok()?;
    let enough = windows::has_enough(&row);
    let (symbol, json) = (name.to_owned(), raw(&row)?);
    Some(([time, time], Some(Decoded { kind: Kind::Volatility, symbol, time, enough, json })))
}

/// Written anew, so that whatever the record held is one line of JSON.
fn raw(message: &impl Serialize) -> Option<Arc<RawValue>> {
    to_raw_value(message).ok().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use log::time_bounds::TimeBounds;
    use model::time::DAY;
    use model::topic::STOCK_PRICES;
    use model::{Topic, heartbeat};

    fn record(topic: Topic, value: impl Into<Bytes>) -> Record {
        Record { topic, partition: 0, offset: 7, appended_at: 0, key: String::new(), value: value.into() }
    }

    fn item(record: &Record) -> Option<Item> {
        Item::of(record, &mut LaneTimes::new(TimeBounds::LIVE, None))
    }

    #[test]
    fn clock_records_of_every_topic_are_nothing_to_show() {
        let bar = serde_json::to_vec(&heartbeat::bar(0, 60_000)).unwrap();
        let article = serde_json::to_vec(&heartbeat::article(0, 60_000)).unwrap();
        let row = r#"{"symbol":"~clock0","window_end":60000,"realized":null}"#;
        assert!(item(&record(STOCK_PRICES, bar)).is_none());
        assert!(item(&record(NEWS_ARTICLES, article)).is_none());
        assert!(item(&record(Topic::new("volatility"), row)).is_none());
    }

    #[test]
    fn a_result_row_passes_with_every_column_on_one_line() {
        let row = "{\n\"symbol\": \"IBM\",\r\n\"window_end\": 60000, \"new_measure\": 0.1}";
        let item = item(&record(Topic::new("volatility"), row)).unwrap();
        assert_eq!(
            (item.offset, item.kind, item.symbol.as_str(), item.time),
            (7, Kind::Volatility, "IBM", 60_000)
        );
        assert!(item.json.get().contains("\"new_measure\":0.1") && !item.json.get().contains(['\n', '\r']));
    }

    #[test]
    fn what_does_not_validate_is_passed_over() {
        for text in ["", "[]", "{\"symbol\":\"<b>\",\"window_end\":1}", "{\"symbol\":\"IBM\"}"] {
            assert!(item(&record(Topic::new("volatility"), text)).is_none(), "{text}");
            assert!(item(&record(STOCK_PRICES, text)).is_none(), "{text}");
        }
    }

    #[test]
    fn a_record_years_ahead_is_not_shown_and_moves_nothing() {
        let bar = |at: i64| {
            let bar = Bar { symbol: "IBM".into(), source: model::Source::Replay, ..heartbeat::bar(0, at) };
            record(STOCK_PRICES, serde_json::to_vec(&bar).unwrap())
        };
        let article = |at: i64| {
            let text = ("IBM".to_owned(), "https://news.example/1".to_owned());
            let article = Article {
                id: "1".into(),
                symbol: Some(text.0),
                search_term: "ibm".into(),
                headline: "IBM".into(),
                url: text.1,
                source: model::Source::Replay,
                ..heartbeat::article(0, at)
            };
            record(NEWS_ARTICLES, serde_json::to_vec(&article).unwrap())
        };
        let row =
            |at: i64| record(Topic::new("volatility"), format!(r#"{{"symbol":"IBM","window_end":{at}}}"#));
        for of in [&bar as &dyn Fn(i64) -> Record, &article, &row] {
            for bounds in [TimeBounds::LIVE, TimeBounds::REPLAY] {
                let mut lane = LaneTimes::new(bounds, Some(0));
                let shown: Vec<_> = [0, 4_000 * DAY, 1_000 * DAY, DAY / 48]
                    .into_iter()
                    .filter_map(|at| Item::of(&of(at), &mut lane))
                    .map(|item| item.time)
                    .collect();
                assert_eq!(shown, [0, DAY / 48], "{bounds:?}");
            }
        }
    }
}
