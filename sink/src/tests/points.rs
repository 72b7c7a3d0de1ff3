//! Tests of which records become points.

use bytes::Bytes;
use control::shutdown::{self, Shutdown};
use log::Append;
use model::alert::Comparison;
use model::schema::Value;
use model::status::ServiceStatus;
use model::time::MINUTE;
use model::topic::{DEAD_LETTERS, NEWS_ARTICLES, SERVICE_STATUS, STOCK_PRICES, Topic};
use model::{Alert, Article, DeadLetter, Gap, Source};
use serde_json::json;
use store::Query;

use super::{Folder, bar, bar_record, clock_record, row_record, window};

fn article(id: &str, symbol: Option<&str>) -> Article {
    Article {
        id: id.into(),
        symbol: symbol.map(str::to_owned),
        search_term: "results".into(),
        headline: "Results are out".into(),
        url: "https://example.org/results".into(),
        source: Source::Replay,
        ..model::heartbeat::article(0, 100 * MINUTE)
    }
}

#[tokio::test]
async fn bars_articles_and_rows_become_points() {
    let folder = Folder::new();
    let news = [article("a", Some("A")), article("b", None)];
    folder.append(news.iter().map(|news| Append::json(NEWS_ARTICLES, news.key(), news)).collect()).await;
    folder.append(vec![bar_record(&bar("A", 100, 7.5, 100)), row_record("A", 98, 1, 7.5)]).await;
    folder.drain().await;
    let complete_until = 0;
    assert_eq!(folder.bars().await, [model::Bar { complete_until, ..bar("A", 100, 7.5, 100) }]);
    let query = Query { measurement: "news_articles".into(), ..Query::default() };
    let mut stored = folder.store.read(&query).await.unwrap().to_articles().unwrap();
    stored.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(stored, news.map(|news| Article { complete_until, ..news }));
    assert_eq!(folder.totals().await, [window("A", 98, 1, 7.5)].into());
}

#[tokio::test]
async fn types_come_from_the_job_and_not_from_the_json() {
    let folder = Folder::new();
    let whole = json!({"symbol": "A", "window_start": 0, "window_end": 3 * MINUTE, "bars": 2, "volume": 3});
    let missing = json!({"symbol": "B", "window_end": 3 * MINUTE, "more": "is ignored"});
    folder.append([whole, missing].map(|row| Append::json(Topic::new("totals"), "A", &row)).into()).await;
    folder.drain().await;
    let query = Query { measurement: "totals".into(), ..Query::default() };
    let rows = folder.store.read(&query).await.unwrap().rows;
    assert_eq!(rows[0][3..], [Value::Int(2), Value::Float(3.0)]);
    assert_eq!(rows[1][3..], [Value::Null, Value::Null]);
}

#[tokio::test]
async fn clock_records_are_never_stored() {
    let folder = Folder::new();
    let clock = model::heartbeat::article(0, 100 * MINUTE);
    folder.append(vec![clock_record(100), Append::json(NEWS_ARTICLES, clock.key(), &clock)]).await;
    folder.append(vec![row_record(&model::heartbeat::symbol(0), 97, 3, 0.0)]).await;
    folder.drain().await;
    for measurement in ["stock_prices", "news_articles", "totals"] {
        let query = Query { measurement: measurement.into(), ..Query::default() };
        assert_eq!(folder.store.read(&query).await.unwrap().rows.len(), 0, "{measurement}");
    }
}

#[tokio::test]
async fn what_does_not_decode_goes_to_the_dead_letters_and_the_rest_goes_on() {
    let folder = Folder::new();
    let raw = |topic: &Topic, value: &[u8]| Append {
        topic: topic.clone(),
        key: "A".into(),
        value: Bytes::copy_from_slice(value),
        partition: None,
    };
    let totals = Topic::new("totals");
    let crossed = model::Bar { high: 0.5, ..bar("A", 3, 1.0, 0) };
    let endless = model::Bar { complete_until: i64::MAX, ..bar("A", 4, 1.0, 0) };
    let unsafe_address = Article { url: "javascript:alert(1)".into(), ..article("c", None) };
    folder
        .append(vec![
            raw(&STOCK_PRICES, b"{\"symbol\":"),
            raw(&STOCK_PRICES, &[0xff, 0xfe]),
            bar_record(&crossed),
            bar_record(&bar("A", 4, 1.0, 0)),
            bar_record(&endless),
            bar_record(&model::Bar { complete_until: i64::MIN, ..model::heartbeat::bar(0, 0) }),
            Append::json(NEWS_ARTICLES, "results", &unsafe_address),
            raw(&totals, b"[]"),
            Append::json(totals.clone(), "A", &json!({"symbol": "A", "window_end": 3, "bars": 1.5})),
            Append::json(totals.clone(), "A", &json!({"symbol": "A", "bars": 1})),
            row_record("A", 2, 1, 1.0),
        ])
        .await;
    folder.drain().await;
    assert_eq!(folder.bars().await.len(), 1);
    assert_eq!(folder.totals().await, [window("A", 2, 1, 1.0)].into());
    let letters = folder.log.read(&DEAD_LETTERS, 0, 0, 100).await.unwrap();
    let letters: Vec<DeadLetter> =
        letters.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect();
    let said = [
        ("stock-prices", "partition 0, offset 0: not a bar"),
        ("stock-prices", "offset 1: not a bar"),
        ("stock-prices", "high 0.5 is below low 1"),
        ("stock-prices", "complete_until 9223372036854775807 is no time"),
        ("stock-prices", "complete_until -9223372036854775808 is no time"),
        ("news-articles", "does not start with http"),
        ("totals", "not a row of totals"),
        ("totals", "column `bars` takes Int, not 1.5"),
        ("totals", "column `window_end` is null"),
    ];
    assert_eq!(letters.len(), said.len());
    for (letter, (source, reason)) in letters.iter().zip(said) {
        assert_eq!(letter.source, source);
        assert!(letter.reason.contains(reason), "{}", letter.reason);
    }
    let status = folder.log.read(&SERVICE_STATUS, 0, 0, 100).await.unwrap();
    let status: ServiceStatus = serde_json::from_slice(&status.last().unwrap().value).unwrap();
    assert_eq!((status.service.as_str(), status.state.text()), ("sink", "finished"));
    assert_eq!((status.counts["rejected"], status.counts["points"]), (9, 2));
}

/// An event time in the year 2262, which would close every window if it were accepted.
const BEYOND: i64 = 9_223_372_036_000;

#[tokio::test]
async fn poison_in_any_topic_becomes_one_letter_each_and_everything_goes_on() {
    let folder = Folder::new();
    folder.append(vec![bar_record(&bar("A", 10, 1.0, 10)), clock_record(11)]).await;
    let text = |topic: Topic, key: &str, value: &str| Append {
        topic,
        key: key.into(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        partition: None,
    };
    let beyond = model::Bar { complete_until: BEYOND, ..bar("A", 12, 1.0, 0) };
    let future = model::Bar { start_timestamp: BEYOND, ..bar("A", 12, 1.0, 11) };
    let past = model::Bar { complete_until: i64::MIN, ..bar("A", 12, 1.0, 0) };
    let status = ServiceStatus { service: "engine".into(), watermark: Some(i64::MIN), ..Default::default() };
    let poison = vec![
        bar_record(&beyond),
        bar_record(&future),
        bar_record(&past),
        bar_record(&model::heartbeat::bar(0, BEYOND)),
        Append::json(NEWS_ARTICLES, "A", &Article { complete_until: BEYOND, ..article("x", Some("A")) }),
        row_record("A", BEYOND / MINUTE, 1, 1.0),
        status.to_append(),
        text(SERVICE_STATUS, "x", "garbage"),
        text(model::topic::WATCHLIST, "watchlist", r#"{"version":18446744073709551615,"entries":[]}"#),
        text(model::topic::WATCHLIST_HISTORY, "1", "garbage"),
        text(model::topic::ALERT_RULES, "rules", "[1]"),
        text(model::topic::ALERT_RULES_HISTORY, "1", r#"{"version":0,"entries":[]}"#),
        text(model::topic::PREVIEW_QUESTIONS, "q", "garbage"),
        text(model::topic::PREVIEWS, "q", "{}"),
    ];
    let records = poison.len();
    for record in poison {
        folder.append(vec![record]).await;
    }
    folder.append(vec![bar_record(&bar("A", 12, 1.0, 12)), bar_record(&bar("A", 12, 2.0, 12))]).await;
    // Twice: a restart does not make further dead letters.
    for _ in 0..2 {
        folder.drain().await;
        let letters = folder.log.read(&DEAD_LETTERS, 0, 0, 100).await.unwrap();
        assert_eq!(letters.len(), records);
    }
    let sink = folder.sink().await;
    assert_eq!(sink.progress.watermark(&STOCK_PRICES), Some(12 * MINUTE));
    assert_eq!((sink.progress.counts.late, folder.bars().await.len()), (0, 2));
}

#[tokio::test]
async fn a_watermark_beyond_reason_that_was_noted_before_heals_with_the_next_start() {
    let folder = Folder::new();
    folder.append(vec![bar_record(&bar("A", 10, 1.0, 10)), clock_record(11)]).await;
    folder.drain().await;
    let (key, noted) = folder.store.notes("sink/progress").await.unwrap().remove(0);
    let poisoned = noted.replace(&(11 * MINUTE).to_string(), &BEYOND.to_string());
    assert_ne!(poisoned, noted);
    let notes = vec![(key, Some(poisoned))];
    folder.store.write(std::sync::Arc::new(store::Batch { points: Vec::new(), notes })).await.unwrap();
    folder.append(vec![bar_record(&bar("A", 11, 1.0, 11)), clock_record(13)]).await;
    folder.drain().await;
    let sink = folder.sink().await;
    assert_eq!(sink.progress.watermark(&STOCK_PRICES), Some(13 * MINUTE));
    assert_eq!(sink.progress.counts.late, 0);
}

// Alerts in the store.

#[tokio::test]
async fn an_episode_is_one_point_that_its_closing_writes_again() {
    let folder = Folder::new();
    let alert = |rule: &str, opened: i64, closed: Option<i64>| Alert {
        symbol: "AAPL".into(),
        rule: rule.into(),
        episode: Alert::episode_of(rule, "AAPL", opened * MINUTE),
        opened: opened * MINUTE,
        closed: closed.map(|closed| closed * MINUTE),
        signal: "rsi".into(),
        comparison: Comparison::Above,
        value: 71.0,
        extreme: 75.0,
        threshold: 70.0,
        explanation: "It rose.".into(),
    };
    let told =
        [alert("high", 3, None), alert("low", 3, None), alert("high", 3, Some(5)), alert("high", 7, None)];
    folder.log.append(told.iter().map(Alert::to_append).collect()).await.unwrap();
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    crate::run(folder.log.clone(), folder.store.clone(), Vec::new(), stop).await.unwrap();
    let stored =
        folder.store.read(&Query { measurement: "alerts".into(), ..Query::default() }).await.unwrap();
    let told: Vec<_> = stored.rows.iter().map(|row| (row[1].as_str().unwrap(), &row[2], &row[3])).collect();
    let at = |minute: i64| Value::Int(minute * MINUTE);
    let expected = [("high", &at(3), &at(5)), ("high", &at(7), &Value::Null), ("low", &at(3), &Value::Null)];
    assert_eq!(told, expected);
}

// Gaps in the store.

#[tokio::test]
async fn of_a_gap_that_grew_and_was_filled_the_last_word_is_stored() {
    let folder = Folder::new();
    let gap = |symbol: &str, to: i64| {
        let reason = format!("until {to}");
        Gap { symbol: symbol.into(), from: MINUTE, to: to * MINUTE, reason }.to_append()
    };
    folder.log.append(vec![gap("AAPL", 2), gap("MSFT", 2), gap("AAPL", 4), gap("AAPL", 1)]).await.unwrap();
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    crate::run(folder.log.clone(), folder.store.clone(), Vec::new(), stop).await.unwrap();
    let rows =
        folder.store.read(&Query { measurement: "gaps".into(), ..Query::default() }).await.unwrap().rows;
    let told: Vec<_> = rows.iter().map(|row| (row[0].as_str().unwrap(), row[2].clone())).collect();
    assert_eq!(told, [("AAPL", Value::Int(MINUTE)), ("MSFT", Value::Int(2 * MINUTE))]);
}
