//! From files to the store through every service: what is stored is what is computed.

use std::fmt::Write as _;
use std::path::Path;

use log::{Append, Log};
use model::time::{HOUR, MINUTE, Millis};
use model::topic::{NEWS_ARTICLES, STOCK_PRICES, Topic};
use model::{Bar, heartbeat};

use crate::harness::{JOBS, Stack, sample, sample_bars};
use crate::process::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_holds_exactly_what_is_computed_each_point_once_and_no_clock_record() {
    let Some(stack) = Stack::of(&sample("bars.csv"), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let mut services = stack.start_all();
    stack.holds_what_is_computed().await;
    for measurement in JOBS.into_iter().chain(["stock_prices", "news_articles"]) {
        let stored = stack.stored(measurement).await;
        let clocks =
            stored.iter().filter(|row| row.get("symbol").is_some_and(|symbol| symbol.starts_with('~')));
        assert_eq!(clocks.count(), 0, "{measurement}");
    }
    let exported = stack.out("export volatility").lines().count();
    assert_eq!(exported, stack.stored("volatility").await.len() + 1, "commands read the same store");
    for (service, process) in &mut services {
        if *service == "producer" {
            // Whoever looks after it would start it again and again if it ended by itself.
            process.answers(200, "done, its replay is over");
        }
        assert_eq!(process.stop(), Some(0), "{service} ends in order");
    }
}

/// Recorded minute bars with news among them.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_for_real_bars_over_nights_and_months() {
    let file = testkit::real_bars();
    let bars = std::fs::read_to_string(file).unwrap();
    let Some(stack) = Stack::of(&bars, &news_among(&bars)).await else { return };
    stack.make_bucket().await;
    let _services = stack.start_all();
    stack.holds_what_is_computed().await;
}

/// An article after every fiftieth bar, in order of time.
fn news_among(bars: &str) -> String {
    let column =
        |name: &str| bars.lines().next().unwrap().split(',').position(|heading| heading == name).unwrap();
    let (start, symbol) = (column("start_ms"), column("symbol"));
    let mut news: Vec<(i64, &str)> = bars
        .lines()
        .skip(1)
        .step_by(50)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| (cells[start].parse::<i64>().unwrap() + 20_000, cells[symbol]))
        .collect();
    news.sort_unstable();
    let mut text = "id,symbol,search_term,headline,url,published_timestamp\n".to_owned();
    for (number, (published, symbol)) in news.iter().enumerate() {
        let _ = writeln!(text, "planted/{number},{symbol},term,Something,https://example.org,{published}");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_read_and_change_over_kafka_beside_the_services() {
    let Some(mut stack) = Stack::of(&sample_bars(1), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let services = stack.start_all();
    services["sink"].said("Working");
    stack.set("TICKWIRE_WEB__LISTEN", Some("127.0.0.1:0"));
    let (mut page, mut alerts) = (stack.start("web"), stack.start("alerts"));
    page.answers(200, "web: working");
    alerts.answers(200, "alerts: working");
    assert!(stack.out("watch add AAPL --term apple").contains("version 1"));
    assert!(stack.out("watch list --json").contains("AAPL"));
    stack.out("rules add mine --signal jump_share --above 0.5");
    assert!(stack.out("rules list").contains("mine"));
    stack.holds_what_is_computed().await;
    let topics = stack.out("topics");
    assert!(topics.lines().any(|line| line.contains("\"stock-prices\"")), "{topics}");
    assert!(stack.out("tail stock-prices --key AAPL").lines().count() > 10);
    assert_eq!(stack.out("dead-letters list"), "");
    let counted = stack.asked("SELECT count(*) AS bars FROM stock_prices");
    assert!(counted.contains(&(sample_bars(1).lines().count() - 1).to_string()), "{counted}");
    assert_eq!((page.stop(), alerts.stop()), (Some(0), Some(0)));
}

// Jobs in a folder: a new one gets its topic and its points with no new build.

#[tokio::test(flavor = "multi_thread")]
async fn a_new_job_in_the_folder_gets_its_topic_and_its_points() {
    let Some(mut stack) = Stack::of(&sample_bars(9), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let folder = stack.path("sql");
    std::fs::create_dir(&folder).unwrap();
    for file in Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").read_dir().unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    let other = sample_of_sql("volatility").replace("volatility", "calm").replace("30 minutes", "10 minutes");
    std::fs::write(folder.join("calm.sql"), other).unwrap();
    stack.set("TICKWIRE_SQL", Some(&folder.display().to_string()));
    let services = stack.start_all();
    let runtime = tokio::runtime::Handle::current();
    let stored = |job| tokio::task::block_in_place(|| runtime.block_on(stack.stored(job)));
    stack.holds_what_is_computed().await;
    let calm = wait_for(
        "points of the new job",
        || Some(stored("calm")).filter(|calm| !calm.is_empty()),
        || services["sink"].lines().join("\n"),
    );
    assert!(calm.iter().all(|row| row["bars"].parse::<f64>().unwrap() <= 10.0), "of windows of ten minutes");
    assert!(stack.out("topics").contains("\"calm\""));
}

fn sample_of_sql(job: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(job).with_extension("sql");
    std::fs::read_to_string(file).unwrap()
}

// Silence: with nothing but heartbeats on the topics, windows close on time.

const OPENS: Millis = 1_700_000_000_000 / MINUTE * MINUTE;

/// A minute of one symbol.
fn bar(minute: Millis) -> Append {
    let start = OPENS + minute * MINUTE;
    let bar = Bar { symbol: "ACME".into(), volume: 100.0, ..heartbeat::bar(0, start) };
    let bar = Bar { source: model::Source::Replay, close: 1.0 + minute as f64 / 100.0, high: 2.0, ..bar };
    Append::json(STOCK_PRICES, "ACME", &bar)
}

/// What a source writes at the end of a silent minute.
fn silence(at: Millis, keys: u32) -> Vec<Append> {
    let records = |partition: u32| {
        (0..keys).flat_map(move |key| {
            let (bar, article) = (heartbeat::bar(key, at), heartbeat::article(key, at));
            [
                Append::json(STOCK_PRICES, &heartbeat::symbol(key), &bar).into_partition(partition),
                Append::json(NEWS_ARTICLES, &heartbeat::symbol(key), &article).into_partition(partition),
            ]
        })
    };
    (0..2).flat_map(records).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_sources_silent_for_an_hour_windows_close_and_no_clock_record_shows() {
    // Only the engine and the sink run: the test is the source.
    let Some(stack) = Stack::of(&sample_bars(7), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let (_sink, engine) = (stack.start("sink"), stack.start("engine"));
    engine.said("Working");
    let log = stack.log(2);
    log.append((0..5).map(bar).collect()).await.unwrap();
    for minute in 1..=(HOUR / MINUTE) {
        log.append(silence(OPENS + (5 + minute) * MINUTE, 2)).await.unwrap();
    }
    // Bars in minutes 0 to 4, windows of 30 minutes that begin at every minute.
    let windows = 29 + 5;
    let runtime = tokio::runtime::Handle::current();
    let stored = wait_for(
        "the windows",
        || {
            let stored = tokio::task::block_in_place(|| runtime.block_on(stack.stored("volatility")));
            (stored.len() >= windows).then_some(stored)
        },
        || engine.lines().join("\n"),
    );
    assert_eq!(stored.len(), windows);
    assert!(stored.iter().all(|row| row["symbol"] == "ACME"), "{stored:?}");
}

// What keeps a service from working is told in one clear line and at `/readyz`,
// and once it is put right the service works, with nothing lost.

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_without_its_token_or_bucket_holds_says_so_and_then_misses_nothing() {
    let Some(mut stack) = Stack::of(&sample_bars(4), &sample("articles.csv")).await else { return };
    let file = stack.path("token");
    stack.set("TICKWIRE_INFLUXDB__TOKEN", None);
    stack.set("TICKWIRE_INFLUXDB__TOKEN_FILE", Some(&file.display().to_string()));
    let mut services = stack.start_all();
    let sink = services.get_mut("sink").unwrap();
    sink.answers(503, "TICKWIRE_INFLUXDB__TOKEN_FILE names");
    std::fs::write(&file, "wrong-token").unwrap();
    sink.answers(503, "Check the token");
    assert!(sink.lines().iter().all(|line| !line.contains("wrong-token")), "no log line holds the token");
    assert_eq!(sink.times_said("Starting."), 0, "before there is a token there is only that to say");
    std::fs::write(&file, &stack.influxd.token).unwrap();
    sink.said("Goes on with another token");
    sink.said("influxdb.bucket");
    sink.answers(503, "influxdb.bucket");
    stack.make_bucket().await;
    sink.answers(200, "sink: working");
    stack.holds_what_is_computed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_than_expected_is_told_and_nothing_is_written_to_it() {
    let Some(stack) = Stack::of(&sample_bars(5), &sample("articles.csv")).await else { return };
    stack.log(1).make(&[STOCK_PRICES]).await.unwrap();
    let producer = stack.start("producer");
    let told = producer.answers(503, "1 partition(s), 2 expected");
    assert!(told.contains("kafka.partitions"), "{told}");
    assert_eq!(producer.times_said("1 partition(s), 2 expected"), 1);
    assert_eq!(stack.log_records(&STOCK_PRICES).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_at_the_end_of_every_partition_goes_to_the_dead_letters_and_holds_nobody_up() {
    let Some(stack) = Stack::of(&sample_bars(6), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let services = stack.start_all();
    services["sink"].said("Working");
    services["engine"].said("Working");
    stack.poison(STOCK_PRICES, "{\"symbol\": 7}").await;
    stack.poison(Topic::new("signals"), "no JSON at all").await;
    stack.holds_what_is_computed().await;
    stack.poison(STOCK_PRICES, "\u{0}\u{1}").await;
    let letters = wait_for(
        "the letters",
        || Some(stack.out("dead-letters list")).filter(|list| list.lines().count() >= 6),
        || services["sink"].lines().join("\n"),
    );
    assert!(letters.contains("signals") && letters.contains("stock-prices"), "{letters}");
    services["sink"].answers(200, "working");
    services["engine"].answers(200, "working");
}
