//! Tests of health and metrics with a service that works on an embedded log.

use model::service::{Activity, RunState, Service};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use log::{Append, EmbeddedLog, FailurePoint, FaultyLog, SharedLog};
use model::DeadLetter;
use model::status::ServiceStatus;
use model::time::{self, HOUR, MINUTE, Millis};
use model::topic::STOCK_PRICES;

use super::*;

/// An embedded log and the health of the process that uses it.
struct Bench {
    health: Health,
    log: SharedLog,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let health = Health::default();
        health.need_log(log.clone());
        Bench { health, log, _folder: folder }
    }

    async fn assert_metric(&self, line: &str) {
        let metrics_text = self.health.metrics_text().await;
        assert!(metrics_text.lines().any(|text| text == line), "`{line}` is not among\n{metrics_text}");
    }
}

fn bars(count: usize) -> Vec<Append> {
    let bar = |minute: usize| Append::json(STOCK_PRICES, "ACME", &minute);
    (0..count).map(bar).collect()
}

#[tokio::test]
async fn records_are_counted_where_they_are_written_and_read_and_what_is_left_is_the_lag() {
    let bench = Bench::new();
    let producer = bench.health.watched("producer", bench.log.clone());
    producer.append(bars(5)).await.unwrap();
    bench
        .assert_metric(r#"tickwire_records_appended_total{service="producer",topic="stock-prices"} 5"#)
        .await;
    let sink = bench.health.watched("sink", bench.log.clone());
    let mut reader = sink.reader("sink", &[STOCK_PRICES]).await.unwrap();
    let behind = |records| {
        format!(
            r#"tickwire_records_behind{{service="sink",reader="sink",topic="stock-prices",partition="0"}} {records}"#
        )
    };
    bench.assert_metric(&behind(5)).await;
    assert_eq!(reader.poll(2, Duration::ZERO).await.unwrap().len(), 2);
    bench.assert_metric(r#"tickwire_records_read_total{service="sink",topic="stock-prices"} 2"#).await;
    bench.assert_metric(&behind(3)).await;
    reader.commit(reader.positions()).await.unwrap();
    drop(reader);
    assert!(!bench.health.metrics_text().await.contains("tickwire_records_behind{"), "there is no reader");
    let _again = sink.reader("sink", &[STOCK_PRICES]).await.unwrap();
    bench.assert_metric(&behind(3)).await;
}

#[tokio::test]
async fn dead_letters_and_what_a_service_says_of_itself_are_told() {
    let bench = Bench::new();
    let producer = bench.health.watched("producer", bench.log.clone());
    let letter = DeadLetter::new("replay", "no symbol".to_owned(), b"{}", 0);
    let status = ServiceStatus {
        service: "producer".into(),
        watermark: Some(1_700_000_060_000),
        counts: [("bars".to_owned(), 7)].into(),
        ..ServiceStatus::default()
    };
    producer.append(vec![letter.to_append(), status.to_append()]).await.unwrap();
    bench.assert_metric(r#"tickwire_dead_letters_total{service="producer",source="replay"} 1"#).await;
    bench.assert_metric(r#"tickwire_bars_total{service="producer"} 7"#).await;
    bench.assert_metric(r#"tickwire_watermark_timestamp_seconds{service="producer"} 1700000060.0"#).await;
}

#[tokio::test]
async fn what_fails_is_counted_as_an_error_and_not_as_a_record() {
    let bench = Bench::new();
    let broken = Arc::new(FaultyLog::new(bench.log.clone(), 0, FailurePoint::Before));
    let producer = bench.health.watched("producer", broken);
    producer.append(bars(1)).await.unwrap_err();
    bench.assert_metric(r#"tickwire_log_errors_total{service="producer"} 1"#).await;
    assert!(!bench.health.metrics_text().await.contains("tickwire_records_appended_total{"));
}

#[tokio::test]
async fn a_process_is_ready_once_every_service_works_or_stands_by_and_else_says_why_not() {
    let bench = Bench::new();
    assert!(bench.health.ready().await.is_err(), "nothing runs");
    bench.health.set("engine", State::Starting);
    bench.health.set("sink", State::Working);
    assert!(bench.health.ready().await.unwrap_err().contains("engine: starting"));
    bench.health.set("engine", State::Failed("the topic has 1 partition, 2 expected".into()));
    let text = bench.health.ready().await.unwrap_err();
    assert!(text.starts_with("not ready\n") && text.contains("engine: the topic has 1 partition"), "{text}");
    bench.assert_metric(r#"tickwire_failures_total{service="engine"} 1"#).await;
    bench.assert_metric(r#"tickwire_working{service="engine"} 0"#).await;
    bench.health.set("engine", State::StandingBy);
    assert!(bench.health.ready().await.unwrap().contains("engine: standing by"));
    bench.health.set("engine", State::Done);
    assert!(bench.health.ready().await.unwrap().contains("engine: done"));
}

/// A status of the live producer while the New York exchanges are open.
fn feed(state: &str, behind: Millis) -> (ServiceStatus, Millis) {
    let noon = time::parse("2024-03-05T17:00:00Z").unwrap();
    let status = ServiceStatus {
        service: "producer".into(),
        state: Activity::of_text(state),
        at: noon,
        watermark: Some(noon - behind),
        planned_lag: Some(15 * MINUTE),
        ..ServiceStatus::default()
    };
    (status, noon)
}

#[tokio::test]
async fn a_refused_feed_is_not_ready_while_the_market_trades_and_is_alive_all_the_same() {
    let bench = Bench::new();
    let producer = bench.health.watched("producer", bench.log.clone());
    let (refused, noon) = feed("waiting for the feed: refused", 15 * MINUTE);
    producer.append(vec![refused.to_append()]).await.unwrap();
    assert_eq!(bench.health.status_problems(noon), ["producer: waiting for the feed: refused"]);
    let night = noon + 12 * HOUR;
    assert!(bench.health.status_problems(night).is_empty(), "the market is closed");
    let (running, _) = feed("running", 20 * MINUTE);
    producer.append(vec![running.to_append()]).await.unwrap();
    assert!(bench.health.status_problems(noon).is_empty());
    let (stalled, _) = feed("running", 40 * MINUTE);
    producer.append(vec![stalled.to_append()]).await.unwrap();
    let text = bench.health.status_problems(noon);
    assert_eq!(text, ["producer: event time is 25 min later than planned"]);
    let answering = bench.health.answer("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert_eq!(get(answering.address, "/livez").await, "200 alive");
}

#[tokio::test]
async fn what_a_service_waits_for_is_the_reason_that_it_is_not_ready() {
    let bench = Bench::new();
    let sink = bench.health.watched("sink", bench.log.clone());
    bench.health.set("sink", State::Working);
    assert!(bench.health.ready().await.is_ok());
    let status = |service: &str, state: &str| ServiceStatus {
        service: service.into(),
        state: Activity::of_text(state),
        ..ServiceStatus::default()
    };
    sink.append(vec![status("sink", "holding: the token is refused").to_append()]).await.unwrap();
    assert!(bench.health.ready().await.unwrap_err().contains("sink: holding: the token is refused"));
    sink.append(vec![status("sink", "running").to_append()]).await.unwrap();
    // A webhook that does not answer delays nothing else.
    sink.append(vec![status("alerts-webhook", "waiting for the webhook").to_append()]).await.unwrap();
    assert!(bench.health.ready().await.is_ok());
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_although_there_is_something_is_stuck() {
    let bench = Bench::new();
    bench.log.append(bars(3)).await.unwrap();
    let sink = bench.health.watched("sink", bench.log.clone());
    let mut reader = sink.reader("sink", &[STOCK_PRICES]).await.unwrap();
    let readiness = bench.health.readiness().await;
    let later = std::time::Instant::now() + Duration::from_secs(301);
    let stuck = |excused: &[&str]| bench.health.0.readers.stuck(&readiness.extents, later, excused);
    assert!(stuck(&[])[0].starts_with("sink: its consumer `sink` has not polled for 301 s, and 3 records"));
    assert!(stuck(&["sink"]).is_empty());
    assert!(bench.health.0.readers.stuck(&readiness.extents, std::time::Instant::now(), &[]).is_empty());
    reader.poll(10, Duration::ZERO).await.unwrap();
    assert!(stuck(&[]).is_empty(), "nothing waits");
}

#[tokio::test]
async fn however_many_ask_the_store_is_asked_once_and_by_no_query() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let router = Router::new().fallback({
        let asked = asked.clone();
        async move |request: Request| {
            locked(&asked).push(request.uri().path().to_owned());
            "{}"
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let token = net::Secret::new("t");
    let address = store::InfluxAddress { url, org: "o".into(), bucket: "b".into(), token };
    let bench = Bench::new();
    bench.health.need_store(Arc::new(store::InfluxStore::new(address).unwrap()));
    bench.health.set("sink", State::Working);
    let questions = (0..300).map(|_| bench.health.ready());
    let answers = futures::future::join_all(questions).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers[0]);
    assert_eq!(*locked(&asked), ["/api/v2/buckets"]);
    bench.assert_metric(r#"tickwire_dependency_up{dependency="store"} 1"#).await;
    server.abort();
}

#[tokio::test]
async fn the_log_and_the_store_that_do_not_answer_are_named_and_counted_as_down() {
    let bench = Bench::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let token = net::Secret::new("t");
    let address = store::InfluxAddress { url, org: "o".into(), bucket: "b".into(), token };
    bench.health.need_store(Arc::new(store::InfluxStore::new(address).unwrap()));
    bench.health.set("sink", State::Working);
    assert!(bench.health.ready().await.unwrap_err().contains("InfluxDB at "));
    bench.assert_metric(r#"tickwire_dependency_up{dependency="store"} 0"#).await;
    bench.assert_metric(r#"tickwire_dependency_up{dependency="log"} 1"#).await;
}

#[tokio::test]
async fn feed_jobs_results_disk_and_process_are_told_under_the_names_that_are_usual() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    bench.health.watch_disk(folder.path().to_owned());
    let sink = bench.health.watched("sink", bench.log.clone());
    let (feed, _) = feed("waiting for the feed: refused", 0);
    let job = |name: &str, state: &str| model::status::JobState {
        name: name.into(),
        state: state.into(),
        restarts: 3,
        last_checkpoint: Some(1_700_000_000_000),
    };
    let engine = ServiceStatus {
        service: "engine".into(),
        state: Activity::new(RunState::Failed, "failed: movers"),
        jobs: vec![job("volatility", "Running"), job("movers", "Failed")],
        ..ServiceStatus::default()
    };
    let results = ServiceStatus {
        service: "sink".into(),
        price_results_until: Some(1_700_000_060_000),
        ..ServiceStatus::default()
    };
    for status in [feed, engine, results] {
        sink.append(vec![status.to_append()]).await.unwrap();
    }
    for line in [
        r#"tickwire_service_at_work{service="producer"} 0"#,
        r#"tickwire_planned_lag_seconds{service="producer"} 900.0"#,
        r#"tickwire_engine_job_up{name="movers"} 0"#,
        r#"tickwire_engine_job_up{name="volatility"} 1"#,
        r#"tickwire_engine_job_restarts_total{name="movers"} 3"#,
        r#"tickwire_engine_job_checkpoint_timestamp_seconds{name="movers"} 1700000000.0"#,
        r#"tickwire_results_timestamp_seconds{jobs="prices"} 1700000060.0"#,
        &format!(r#"tickwire_build_info{{version="{}"}} 1"#, env!("CARGO_PKG_VERSION")),
    ] {
        bench.assert_metric(line).await;
    }
    let metrics_text = bench.health.metrics_text().await;
    for name in [
        "tickwire_disk_free_bytes",
        "tickwire_disk_size_bytes",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "tickwire_log_append_duration_seconds_count{",
    ] {
        assert!(
            metrics_text.lines().any(|line| line.starts_with(name)),
            "{name} is not among\n{metrics_text}"
        );
    }
    assert!(metrics_text.ends_with("# EOF\n") && metrics_text.matches("# EOF").count() == 1);
    // Dashboards without Prometheus read the disk space from the sink's status.
    let text = control::status::last(&*bench.log, Service::Sink).await.unwrap().unwrap();
    assert!(text.counts["disk_free_percent"] <= 100);
}

/// The status line and the first line of the body of a response.
async fn get(address: std::net::SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split_whitespace().nth(1).unwrap();
    format!("{status} {}", answer.lines().last().unwrap())
}
