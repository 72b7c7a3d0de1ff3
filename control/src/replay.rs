//! Replays dead letters whose events validate when they are read again: their events are
//! appended to the topic that they were meant for.

use std::collections::BTreeMap;

use log::time_bounds::last_good;
use log::{Append, Log, LogError, Record, partition_of};
use model::article::{Article, BadArticle};
use model::bar::{BadBar, Bar};
use model::source::Source;
use model::time::{self, DAY, MINUTE, Millis, minute_of};
use model::topic::{DEAD_LETTERS, NEWS_ARTICLES, Topic};
use model::{AssetClass, DeadLetter};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::raw::{self, RawEvent};

/// An event of a dead letter that is replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// An event for the topic of its class.
    Bar(Box<Bar>),
    /// An event for the topic `news-articles`.
    Article(Box<Article>),
}

/// A dead letter with its events; an article gives one event for every entry of the watchlist
/// that matches it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Its partition of the topic `dead-letters`.
    pub partition: u32,
    /// Its offset in this partition.
    pub offset: u64,
    /// The events.
    pub events: Vec<Event>,
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum NotReplayed {
    /// There is no dead letter at this offset.
    #[error("there is no dead letter at offset {0}: `tickwire dead-letters list` shows what there is")]
    NoLetter(u64),
    /// The events are not those of the dead letter.
    #[error("the dead letter at offset {0} does not hold the event that is to be replayed")]
    OtherEvent(u64),
    /// A bar is still invalid.
    #[error("the dead letter at offset {offset} is still not a valid bar: {reason}")]
    Bar {
        /// The offset of the dead letter.
        offset: u64,
        /// The rule that it violates.
        reason: BadBar,
    },
    /// An article is still invalid.
    #[error("the dead letter at offset {offset} is still not a valid article: {reason}")]
    Article {
        /// The offset of the dead letter.
        offset: u64,
        /// The rule that it violates.
        reason: BadArticle,
    },
    /// The time of the event is in the future; it would advance the watermark too far.
    #[error("the dead letter at offset {offset} is dated {}, which is ahead of the clock", time::rfc3339(*.at))]
    Ahead {
        /// The offset of the dead letter.
        offset: u64,
        /// The event time (ms).
        at: Millis,
    },
    /// The dead letter belongs to another kind of run.
    #[error(
        "the dead letter at offset {offset} is {letter} data, and this run is {run}: live, replayed and simulated data are never mixed"
    )]
    OtherRun {
        /// The offset of the dead letter.
        offset: u64,
        /// The kind of data of the dead letter.
        letter: &'static str,
        /// The kind of data of this run.
        run: &'static str,
    },
    /// A bar of a class of which the run has no bars.
    #[error(
        "the dead letter at offset {offset} holds a bar of {symbol}, and this run has no bars of {class}: bring them in a run of their own"
    )]
    OtherClass {
        /// Its offset.
        offset: u64,
        /// The bar's symbol.
        symbol: String,
        /// Its class.
        class: AssetClass,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// How far the time of a live event may be ahead of the wall clock, since clocks differ.
const AHEAD: Millis = 10 * MINUTE;
/// How far the time of a row of a file may be ahead of the watermark, since rows are not always
/// in order.
const ROWS_AHEAD: Millis = DAY;

/// Appends the events of dead letters to their topics, all or none; returns their number. The
/// events are late records, so the results of their windows are computed again. Replaying a
/// dead letter twice has the effect of replaying it once.
///
/// # Errors
/// For the first dead letter that does not exist or whose event is invalid, and if the log
/// fails.
pub async fn replay(log: &dyn Log, replays: Vec<Replay>) -> Result<usize, NotReplayed> {
    let (mut bars, mut articles) = (Vec::new(), Vec::new());
    let run = Run::of(log).await?;
    for Replay { partition, offset, events } in replays {
        let letter = letter_at(log, partition, offset).await?.ok_or(NotReplayed::NoLetter(offset))?;
        for event in events {
            match run.checked(&letter, offset, event)? {
                Event::Bar(bar) => bars.push(*bar),
                Event::Article(article) => articles.push(*article),
            }
        }
    }
    let count = bars.len() + articles.len();
    let mut appends =
        late_records(log, bars, |bar, until, position| Bar { complete_until: until, position, ..bar })
            .await?;
    let place = |article, until, position| Article { complete_until: until, position, ..article };
    appends.extend(late_records(log, articles, place).await?);
    log.append(appends).await?;
    Ok(count)
}

async fn letter_at(log: &dyn Log, partition: u32, offset: u64) -> Result<Option<DeadLetter>, LogError> {
    let records = log.read(&DEAD_LETTERS, partition, offset, 1).await?;
    let record = records.first().filter(|record| record.offset == offset);
    Ok(record.and_then(|record| serde_json::from_slice(&record.value).ok()))
}

/// The kind of a run and its times, which decide which events may be appended to its topics.
struct Run {
    kind: Option<&'static str>,
    /// The classes whose topics hold records; none before the first record.
    classes: Vec<AssetClass>,
    /// The latest watermark of its topics (ms).
    watermark: Millis,
    now: Millis,
}

impl Run {
    async fn of(log: &dyn Log) -> Result<Run, LogError> {
        let said = crate::status::last(log, <Bar as RawEvent>::SERVICE).await?;
        let kind = said.and_then(|said| match said.source.as_deref() {
            _ if said.simulated => Some(SIMULATED),
            // Only a live run follows the wall clock.
            _ if said.planned_lag.is_some() => Some(LIVE),
            Some(_) => Some(REPLAYED),
            None => None,
        });
        let mut watermark = Millis::MIN;
        let mut classes = Vec::new();
        for topic in AssetClass::ALL.map(AssetClass::raw_topic).into_iter().chain([NEWS_ARTICLES]) {
            let read = |record: &Record| {
                let stated = serde_json::from_slice::<Stated>(&record.value).ok()?.complete_until;
                time::is_believable(stated).then_some((stated, [stated, stated]))
            };
            for stated in last_good(log, &topic, read).await?.into_iter().flatten() {
                watermark = watermark.max(stated);
                classes.extend(AssetClass::of_topic(&topic));
            }
        }
        Ok(Run { kind, classes, watermark, now: time::now() })
    }

    /// Checks an event, and sets its source to that of its dead letter.
    fn checked(&self, letter: &DeadLetter, offset: u64, mut event: Event) -> Result<Event, NotReplayed> {
        let other = || NotReplayed::OtherEvent(offset);
        let source = source_of(letter).ok_or_else(other)?;
        let kind = kind_of(source).ok_or_else(other)?;
        if let Some(run) = self.kind.filter(|run| *run != kind) {
            return Err(NotReplayed::OtherRun { offset, letter: kind, run });
        }
        // A live event keeps the time at which it was first received.
        let received = if kind == LIVE { letter.received_timestamp } else { Millis::MAX };
        let (at, is_held) = match &mut event {
            Event::Bar(bar) => {
                bar.source = source;
                bar.received_timestamp = bar.received_timestamp.min(received);
                bar.check().map_err(|reason| NotReplayed::Bar { offset, reason })?;
                let class = AssetClass::of(&bar.symbol);
                if !self.classes.is_empty() && !self.classes.contains(&class) {
                    return Err(NotReplayed::OtherClass { offset, symbol: bar.symbol.clone(), class });
                }
                (bar.start_timestamp, holds_bar(letter, bar))
            }
            Event::Article(article) => {
                article.source = source;
                article.received_timestamp = article.received_timestamp.min(received);
                article.check().map_err(|reason| NotReplayed::Article { offset, reason })?;
                (article.published_timestamp, holds_article(letter, article))
            }
        };
        if !is_held {
            return Err(other());
        }
        let latest = if kind == LIVE { self.now + AHEAD } else { self.now.max(self.watermark) + ROWS_AHEAD };
        if at > latest {
            return Err(NotReplayed::Ahead { offset, at });
        }
        Ok(match event {
            Event::Bar(bar) => Event::Bar(Box::new(bar.without_odd_figures())),
            article => article,
        })
    }
}

const LIVE: &str = "live";
const REPLAYED: &str = "replayed";
const SIMULATED: &str = "simulated";

/// The watermark of a record.
#[derive(Deserialize)]
struct Stated {
    complete_until: Millis,
}

fn kind_of(source: Source) -> Option<&'static str> {
    match source {
        live if live.is_live() => Some(LIVE),
        Source::Replay => Some(REPLAYED),
        Source::Simulation => Some(SIMULATED),
        _ => None,
    }
}

/// The kind and the detail of the source of a dead letter: `kind:detail`.
fn source_parts(letter: &DeadLetter) -> (&str, &str) {
    letter.source.split_once(':').unwrap_or((&letter.source, ""))
}

/// Whether a dead letter's source is a topic of bars or articles.
fn is_raw(topic: &str) -> bool {
    let topic = Topic::new(topic);
    topic == NEWS_ARTICLES || AssetClass::of_topic(&topic).is_some()
}

/// The source of the event of a dead letter.
fn source_of(letter: &DeadLetter) -> Option<Source> {
    #[derive(Deserialize)]
    struct Of {
        source: Source,
    }
    match source_parts(letter).0 {
        // A record that was on its topic already.
        topic if is_raw(topic) => serde_json::from_str::<Of>(&letter.event).ok().map(|of| of.source),
        kind => Source::named(kind).filter(|source| source.is_live() || *source == Source::Replay),
    }
}

/// Whether a dead letter holds this bar: the symbol is the same, and so is the start if the
/// dead letter has one.
fn holds_bar(letter: &DeadLetter, bar: &Bar) -> bool {
    let is_start = |of: &Json, key: &str| match of.get(key).map(Json::as_f64) {
        Some(Some(start)) => start == bar.start_timestamp as f64,
        _ => true,
    };
    let event = serde_json::from_str::<Json>(&letter.event);
    match source_parts(letter) {
        ("polygon-history", symbol) => symbol == bar.symbol && event.is_ok_and(|of| is_start(&of, "t")),
        ("polygon", _) => {
            let events = event.map(|event| match event {
                Json::Array(events) => events,
                one => vec![one],
            });
            let is_it = |of: &Json| of.get("sym").is_some_and(|sym| *sym == bar.symbol) && is_start(of, "s");
            events.is_ok_and(|events| events.iter().any(is_it))
        }
        (topic, _) if is_raw(topic) => {
            event.is_ok_and(|of| of.get("symbol").is_some_and(|symbol| *symbol == bar.symbol))
        }
        _ => has_cell(&letter.event, &bar.symbol),
    }
}

/// Whether a dead letter holds this article.
fn holds_article(letter: &DeadLetter, article: &Article) -> bool {
    let is_it = || {
        let event = serde_json::from_str::<Json>(&letter.event);
        event.is_ok_and(|of| of.get("id").is_some_and(|id| *id == article.id))
    };
    match source_parts(letter) {
        ("guardian", term) => term == article.search_term && is_it(),
        ("news-articles", _) => is_it(),
        _ => has_cell(&letter.event, &article.id),
    }
}

/// Whether a row of a file has a cell that equals `text`, without regard to case and
/// punctuation.
fn has_cell(row: &str, text: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
    };
    let says = |cell: &str| {
        let cell = cell.trim().trim_matches('"');
        cell == text || (!plain(text).is_empty() && plain(cell) == plain(text))
    };
    match serde_json::from_str::<serde_json::Map<String, Json>>(row) {
        Ok(object) => object.values().filter_map(Json::as_str).any(says),
        Err(_) => {
            let mut quoted = false;
            let mut cells = row.split(|c: char| {
                quoted ^= c == '"';
                !quoted && matches!(c, ',' | ';' | '\t' | '|')
            });
            cells.any(says)
        }
    }
}

/// Orders events by time and makes their records. Each record repeats the watermark of the last
/// record of its partition, because a late record does not advance the watermark.
async fn late_records<T: RawEvent>(
    log: &dyn Log,
    mut events: Vec<T>,
    place: impl Fn(T, Millis, Option<u64>) -> T,
) -> Result<Vec<Append>, LogError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    events.sort_by(|one, other| one.order().cmp(&other.order()));
    let mut tails = BTreeMap::new();
    for topic in events.iter().map(|event| T::topic_of(event.key())) {
        if !tails.contains_key(&topic) {
            tails.insert(topic.clone(), last_good(log, &topic, raw::read::<T>).await?);
        }
    }
    Ok(events
        .into_iter()
        .map(|event| {
            let topic = T::topic_of(event.key());
            let tail = &tails[&topic][partition_of(event.key(), log.partitions()) as usize];
            let (until, position) = match tail {
                Some(tail) if time::is_believable(tail.complete_until()) => {
                    (tail.complete_until(), tail.position())
                }
                _ => (minute_of(event.order().0), tail.as_ref().and_then(T::position)),
            };
            let event = place(event, until, position);
            Append::json(topic, event.key(), &event)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::EmbeddedLog;
    use model::heartbeat;
    use model::status::ServiceStatus;
    use model::topic::STOCK_PRICES;

    fn good() -> Bar {
        let clock = heartbeat::bar(0, 1_380_873_960_000);
        let received_timestamp = clock.end_timestamp;
        Bar { symbol: "AAPL".into(), source: Source::Replay, received_timestamp, ..clock }
    }

    const LIVE_RUN: &str = "Polygon at localhost";
    const EVENT: &[u8] = br#"{"sym":"AAPL"}"#;

    async fn log_with_letter() -> (tempfile::TempDir, EmbeddedLog) {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
        log.append(vec![DeadLetter::new("polygon", "why", EVENT, 1).to_append()]).await.unwrap();
        (folder, log)
    }

    fn of(bar: Bar) -> Vec<Replay> {
        vec![Replay { partition: 0, offset: 0, events: vec![Event::Bar(Box::new(bar))] }]
    }

    #[tokio::test]
    async fn a_letter_goes_back_to_its_topic_and_leaves_the_clock_where_it_is() {
        let (_folder, log) = log_with_letter().await;
        let at = 3_000 * MINUTE;
        let clock = Bar { position: Some(7), ..heartbeat::bar(0, at) };
        log.append(vec![Append::json(STOCK_PRICES, &clock.symbol, &clock)]).await.unwrap();
        let bar = Bar { complete_until: i64::MAX, ..good() };
        assert_eq!(replay(&log, of(bar.clone())).await.unwrap(), 1);
        let records = log.read(&STOCK_PRICES, 0, 1, 10).await.unwrap();
        let back: Bar = serde_json::from_slice(&records[0].value).unwrap();
        let as_it_came = Bar { source: Source::Polygon, received_timestamp: 1, ..bar };
        assert_eq!(back, Bar { complete_until: at, position: Some(7), ..as_it_came });
    }

    #[tokio::test]
    async fn what_is_not_there_not_good_or_still_to_come_is_not_replayed() {
        let (_folder, log) = log_with_letter().await;
        let ahead = Bar {
            start_timestamp: 4_000_000_000_000,
            end_timestamp: 4_000_000_060_000,
            source: Source::Polygon,
            ..good()
        };
        for (bar, said) in [
            (Bar { symbol: "MSFT".into(), ..good() }, "does not hold"),
            // A prefix of a symbol is a different symbol.
            (Bar { symbol: "AAP".into(), ..good() }, "does not hold"),
            (Bar { volume: -1.0, ..good() }, "still not a valid bar: volume is -1"),
            (ahead, "ahead of the clock"),
        ] {
            let error = replay(&log, of(bar)).await.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let elsewhere = vec![Replay { offset: 5, ..of(good()).remove(0) }];
        assert!(matches!(replay(&log, elsewhere).await, Err(NotReplayed::NoLetter(5))));
        assert!(log.extents(&STOCK_PRICES).await.unwrap().is_empty());
    }

    /// Replays `bar` from a dead letter with this source and event, in a run whose producer has
    /// the status `run`.
    async fn replayed(
        run: &str,
        simulated: bool,
        source: &str,
        event: &str,
        bar: Bar,
    ) -> Result<Bar, String> {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
        let said = ServiceStatus {
            service: "producer".into(),
            source: Some(run.into()),
            simulated,
            planned_lag: (run == LIVE_RUN).then_some(MINUTE),
            ..ServiceStatus::default()
        };
        let letter = DeadLetter::new(source, "why", event.as_bytes(), good().received_timestamp);
        log.append(vec![said.to_append(), letter.to_append()]).await.unwrap();
        replay(&log, of(bar)).await.map_err(|error| error.to_string())?;
        let records = log.read(&STOCK_PRICES, 0, 0, 10).await.unwrap();
        Ok(serde_json::from_slice(&records[0].value).unwrap())
    }

    #[tokio::test]
    async fn the_source_of_a_letter_counts_and_not_what_its_event_says_of_itself() {
        let far = Bar {
            start_timestamp: 7_226_582_400_000,
            end_timestamp: 7_226_582_460_000,
            source: Source::Simulation,
            ..good()
        };
        let live = (LIVE_RUN, false);
        let error = replayed(live.0, live.1, "polygon", r#"{"sym":"AAPL"}"#, far.clone()).await.unwrap_err();
        assert!(error.contains("ahead of the clock"), "{error}");
        let error = replayed("replay of a.csv", false, "replay:a.csv:2", "AAPL,1", far).await.unwrap_err();
        assert!(error.contains("ahead of the clock"), "{error}");
        let claims = Bar { source: Source::Simulation, received_timestamp: 4_000_000_000_000, ..good() };
        let bar = replayed(live.0, live.1, "polygon", r#"{"sym":"AAPL"}"#, claims).await.unwrap();
        assert_eq!((bar.source, bar.received_timestamp), (Source::Polygon, good().received_timestamp));
    }

    #[tokio::test]
    async fn live_replayed_and_simulated_letters_go_back_to_a_run_of_their_kind_only() {
        let record = |source| serde_json::to_string(&Bar { source, volume: -1.0, ..good() }).unwrap();
        let (live, simulated) = (record(Source::Polygon), record(Source::Simulation));
        let runs = [(LIVE_RUN, false), ("replay of a.csv", false), ("simulation (seed 1)", true)];
        for (source, event, goes) in [
            ("polygon", r#"[{"sym":"MSFT"},{"sym":"AAPL"}]"#, [true, false, false]),
            ("polygon-history:AAPL", "{}", [true, false, false]),
            ("replay:a.csv:2", r#"1380873960000,"AAPL",1"#, [false, true, false]),
            ("stock-prices", &live, [true, false, false]),
            ("stock-prices", &simulated, [false, false, true]),
            ("volatility", &live, [false; 3]),
        ] {
            for ((run, is_simulated), goes) in runs.into_iter().zip(goes) {
                let outcome = replayed(run, is_simulated, source, event, good()).await;
                assert_eq!(outcome.is_ok(), goes, "{source} into {run}: {outcome:?}");
            }
        }
    }

    #[test]
    fn a_row_is_about_the_symbol_that_a_cell_says_whole() {
        for (row, symbol, held) in [
            ("1,AAPL,2", "AAPL", true),
            ("1;\"brk-b\";2", "BRK.B", true),
            (r#"{"ticker":" aapl ","close":1}"#, "AAPL", true),
            ("1,AAPL,2", "A", false),
            ("1,AAPL,2", "PL,2", false),
            (r#"{"close":1}"#, "close", false),
            ("..,--", "..", true),
            ("..,--", "-", false),
        ] {
            assert_eq!(has_cell(row, symbol), held, "{row} {symbol}");
        }
    }
}
