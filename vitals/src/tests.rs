//! What is told of a service that works on a log.

use std::sync::Arc;
use std::time::Duration;

use wire::DeadLetter;
use wire::log::{Append, BrittleLog, Broken, EmbeddedLog, SharedLog};
use wire::status::ServiceStatus;
use wire::topic::STOCK_PRICES;

use super::*;

/// A log in a folder of its own, and the vital signs of whoever works on it.
struct Bench {
    vitals: Vitals,
    log: SharedLog,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let vitals = Vitals::default();
        vitals.need_log(log.clone());
        Bench { vitals, log, _folder: folder }
    }

    async fn tells(&self, line: &str) {
        let numbers = self.vitals.numbers().await;
        assert!(numbers.lines().any(|told| told == line), "`{line}` is not among\n{numbers}");
    }
}

fn bars(count: usize) -> Vec<Append> {
    let bar = |minute: usize| Append::json(STOCK_PRICES, "ACME", &minute);
    (0..count).map(bar).collect()
}

#[tokio::test]
async fn records_are_counted_where_they_are_written_and_read_and_what_is_left_is_the_lag() {
    let bench = Bench::new();
    let producer = bench.vitals.watched("producer", bench.log.clone());
    producer.append(bars(5)).await.unwrap();
    bench.tells(r#"tickwire_records_appended_total{service="producer",topic="stock-prices"} 5"#).await;
    let sink = bench.vitals.watched("sink", bench.log.clone());
    let mut reader = sink.reader("sink", &[STOCK_PRICES]).await.unwrap();
    let behind = |records| {
        format!(
            r#"tickwire_records_behind{{service="sink",reader="sink",topic="stock-prices",partition="0"}} {records}"#
        )
    };
    bench.tells(&behind(5)).await;
    assert_eq!(reader.poll(2, Duration::ZERO).await.unwrap().len(), 2);
    bench.tells(r#"tickwire_records_read_total{service="sink",topic="stock-prices"} 2"#).await;
    bench.tells(&behind(3)).await;
    reader.commit(reader.positions()).await.unwrap();
    drop(reader);
    assert!(!bench.vitals.numbers().await.contains("tickwire_records_behind{"), "nobody reads");
    let _again = sink.reader("sink", &[STOCK_PRICES]).await.unwrap();
    bench.tells(&behind(3)).await;
}

#[tokio::test]
async fn dead_letters_and_what_a_service_says_of_itself_are_told() {
    let bench = Bench::new();
    let producer = bench.vitals.watched("producer", bench.log.clone());
    let letter = DeadLetter::new("replay", "no symbol".to_owned(), b"{}", 0);
    let status = ServiceStatus {
        service: "producer".into(),
        watermark: Some(1_700_000_060_000),
        counts: [("bars".to_owned(), 7)].into(),
        ..ServiceStatus::default()
    };
    producer.append(vec![letter.to_append(), status.to_append()]).await.unwrap();
    bench.tells(r#"tickwire_dead_letters_total{service="producer",source="replay"} 1"#).await;
    bench.tells(r#"tickwire_count{service="producer",what="bars"} 7"#).await;
    bench.tells(r#"tickwire_watermark_seconds{service="producer"} 1700000060.0"#).await;
}

#[tokio::test]
async fn what_fails_is_counted_as_an_error_and_not_as_a_record() {
    let bench = Bench::new();
    let broken = Arc::new(BrittleLog::new(bench.log.clone(), 0, Broken::Before));
    let producer = bench.vitals.watched("producer", broken);
    producer.append(bars(1)).await.unwrap_err();
    bench.tells(r#"tickwire_log_errors_total{service="producer"} 1"#).await;
    assert!(!bench.vitals.numbers().await.contains("tickwire_records_appended_total{"));
}

#[tokio::test]
async fn a_process_is_ready_once_every_service_works_or_stands_by_and_else_says_why_not() {
    let bench = Bench::new();
    assert!(bench.vitals.ready().await.is_err(), "nothing runs");
    bench.vitals.set("engine", State::Starting);
    bench.vitals.set("sink", State::Working);
    assert!(bench.vitals.ready().await.unwrap_err().contains("engine: starting"));
    bench.vitals.set("engine", State::Failed("the topic has 1 partition, 2 expected".into()));
    let told = bench.vitals.ready().await.unwrap_err();
    assert!(told.starts_with("not ready\n") && told.contains("engine: the topic has 1 partition"), "{told}");
    bench.tells(r#"tickwire_failures_total{service="engine"} 1"#).await;
    bench.tells(r#"tickwire_working{service="engine"} 0"#).await;
    bench.vitals.set("engine", State::StandingBy);
    assert!(bench.vitals.ready().await.unwrap().contains("engine: standing by"));
    bench.vitals.set("engine", State::Done);
    assert!(bench.vitals.ready().await.unwrap().contains("engine: done"));
}
