//! Hours without a producer, without Kafka and without InfluxDB: what was missed is
//! fetched before its minutes are declared complete.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use control::watchlist::{self, Entry};
use log::{Append, KafkaConfig, KafkaLog, Log, partition_of};
use model::time::{self, HOUR, MINUTE, Millis, minute_of};
use model::topic::{STOCK_PRICES, WATCHLIST};
use model::{Bar, Source, heartbeat};
use testkit::massive::{Feed, History, KEY, MinuteBar, Script};

use crate::harness::{Stack, sample, sample_bars};
use crate::process::{Process, wait_for};

/// What the producer of twelve hours ago left: a bar, and its minute complete.
fn left_behind(log: &KafkaLog, at: Millis) -> Vec<Append> {
    let clocks = |at: Millis| {
        (0..log.partitions()).flat_map(move |partition| {
            (0..log.clock_keys()).map(move |key| {
                Append::json(STOCK_PRICES, &heartbeat::symbol(key), &heartbeat::bar(key, at))
                    .into_partition(partition)
            })
        })
    };
    let bar = Bar { symbol: "AAPL".into(), source: Source::Polygon, volume: 100.0, ..heartbeat::bar(0, at) };
    clocks(at).chain([Append::json(STOCK_PRICES, "AAPL", &bar)]).chain(clocks(at + MINUTE)).collect()
}

/// Apple's partition.
async fn records_of(log: &KafkaLog) -> Vec<Bar> {
    let (partition, mut from, mut bars) = (partition_of("AAPL", log.partitions()), 0, Vec::new());
    loop {
        let records = log.read(&STOCK_PRICES, partition, from, 1_000).await.unwrap();
        let Some(last) = records.last() else { return bars };
        from = last.offset + 1;
        bars.extend(records.iter().map(|record| serde_json::from_slice::<Bar>(&record.value).unwrap()));
    }
}

/// A live market with one symbol, and a producer's log of some time ago.
struct Market {
    feed: Feed,
    history: History,
    log: KafkaLog,
    left: Millis,
}

impl Market {
    /// The market, `ago` after its producer left; the services of `stack` are to watch it.
    async fn left(ago: Millis, stack: &mut Stack) -> Market {
        let config = KafkaConfig { partitions: 2, ..KafkaConfig::new(stack.kafka.bootstrap_servers()) };
        let log = KafkaLog::new(&config).unwrap();
        let left = now() - ago;
        log.make(&[STOCK_PRICES, WATCHLIST]).await.unwrap();
        log.append(left_behind(&log, left)).await.unwrap();
        let apple = Entry { symbol: Some("AAPL".into()), ..Entry::default() };
        watchlist::put(&log, 0, vec![apple], "test").await.unwrap();
        let (feed, history) = (Feed::start(Script::default()).await, History::start(KEY).await);
        for (name, value) in [
            ("TICKWIRE_PRICES", "polygon"),
            ("TICKWIRE_NEWS", "none"),
            ("TICKWIRE_POLYGON__WEBSOCKET_URL", &feed.url()),
            ("TICKWIRE_POLYGON__REST_URL", &history.url()),
            ("TICKWIRE_POLYGON__FEED_DELAY", "0"),
            ("TICKWIRE_POLYGON__API_KEY", KEY),
        ] {
            stack.set(name, Some(value));
        }
        Market { feed, history, log, left }
    }

    /// The minutes since the producer left until `end`.
    fn missed(&self, end: Millis) -> Vec<MinuteBar> {
        (self.left + MINUTE..end).step_by(MINUTE as usize).map(bar).collect()
    }

    /// What the log holds once every minute before `end` is complete.
    fn complete_until(&self, end: Millis, producer: &Process) -> Vec<Bar> {
        let runtime = tokio::runtime::Handle::current();
        wait_for(
            "the minutes until now",
            || {
                let records = tokio::task::block_in_place(|| runtime.block_on(records_of(&self.log)));
                records.iter().any(|record| record.complete_until >= end).then_some(records)
            },
            || producer.lines().join("\n"),
        )
    }

    /// Lets time pass: whoever is connected is told of each minute that has ended.
    /// Gives the end of the last one.
    async fn goes_on_for(&self, time: Duration) -> Millis {
        let until = Instant::now() + time;
        let mut minute = now();
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if now() > minute {
                self.feed.bars(&[bar(minute)]);
                self.history.add(&[bar(minute)]);
                minute = now();
            }
        }
        minute
    }
}

fn bar(start: Millis) -> MinuteBar {
    MinuteBar::new("AAPL", start, 200.0, 10.0)
}

/// The minute that it is.
fn now() -> Millis {
    minute_of(time::now())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_twelve_hours_of_downtime_bars_come_from_history_before_their_minutes_are_complete() {
    let Some(mut stack) = Stack::on_its_own_kafka(&sample_bars(9), &sample("articles.csv")).await else {
        return;
    };
    let market = Market::left(12 * HOUR, &mut stack).await;
    let now = market.left + 12 * HOUR;
    let missed = market.missed(now);
    market.history.add(&missed);
    let records = market.complete_until(now, &stack.start("producer"));
    let goes_on = records
        .iter()
        .position(|record| record.is_heartbeat() && record.complete_until > market.left + MINUTE);
    let before = &records[..goes_on.unwrap()];
    let fetched = before.iter().filter(|record| record.source == Source::PolygonHistory);
    let fetched: Vec<Millis> = fetched.map(|bar| bar.start_timestamp).collect();
    assert_eq!(fetched, missed.iter().map(|bar| bar.start).collect::<Vec<_>>());
}

/// For how many minutes a server is away, when asked otherwise.
const OUTAGE: &str = "OUTAGE_MINUTES";

/// Which one.
enum Away {
    Kafka,
    InfluxDb,
}

impl Away {
    fn goes(&self, stack: &Stack) {
        match self {
            Away::Kafka => stack.kafka.kill(),
            Away::InfluxDb => stack.influxd.kill(),
        }
    }

    async fn comes_back(&self, stack: &Stack) {
        match self {
            Away::Kafka => stack.kafka.start_again(),
            Away::InfluxDb => stack.influxd.run().await,
        }
    }

    /// What those that cannot work say meanwhile.
    fn told_as(&self) -> &'static str {
        match self {
            Away::Kafka => "cannot be reached",
            Away::InfluxDb => "is not available",
        }
    }

    /// How many of sink, engine and producer cannot work meanwhile.
    fn holds_up(&self) -> usize {
        match self {
            Away::Kafka => 3,
            Away::InfluxDb => 1,
        }
    }
}

/// The market goes on while a server is away, and in the end each of its minutes
/// is stored once, with its window.
async fn outage(away: Away, bucket: &str, usual_minutes: u64) {
    let minutes = std::env::var(OUTAGE).map_or(usual_minutes, |typed| typed.parse().unwrap());
    let Some(mut stack) = Stack::on_its_own_kafka(&sample_bars(10), &sample("articles.csv")).await else {
        return;
    };
    stack.bucket = bucket.into();
    stack.set("TICKWIRE_INFLUXDB__BUCKET", Some(bucket));
    stack.make_bucket().await;
    let market = Market::left(HOUR, &mut stack).await;
    market.history.add(&market.missed(now()));
    let services = ["sink", "engine", "producer"].map(|service| stack.start(service));
    market.complete_until(now(), &services[2]);

    away.goes(&stack);
    let end = market.goes_on_for(Duration::from_secs(60 * minutes)).await;
    for service in &services[..away.holds_up()] {
        service.answers(503, away.told_as());
        let said = service.lines().len() as u64;
        assert!(said < 40 + 6 * minutes, "{said} lines in {minutes} minutes");
    }
    away.comes_back(&stack).await;
    market.complete_until(end, &services[2]);
    // A window's point stands at its end.
    for (measurement, after) in [("stock_prices", 0), ("volatility", MINUTE)] {
        stores_each_minute(&stack, measurement, after, market.left..end);
    }
    services.iter().for_each(|service| drop(service.answers(200, "working")));
}

/// Waits until every minute of `span` has one point, which stands `after` its start.
fn stores_each_minute(stack: &Stack, measurement: &str, after: Millis, span: Range<Millis>) {
    let expected: BTreeSet<Millis> = span.step_by(MINUTE as usize).map(|minute| minute + after).collect();
    let runtime = tokio::runtime::Handle::current();
    let stored = || tokio::task::block_in_place(|| runtime.block_on(stack.stored(measurement)));
    let all_there = || {
        let times: Vec<Millis> = stored().iter().map(|row| time::parse(&row["_time"]).unwrap()).collect();
        assert_eq!(times.len(), times.iter().collect::<BTreeSet<_>>().len(), "none twice");
        expected.iter().all(|time| times.contains(time)).then_some(())
    };
    wait_for(measurement, all_there, || format!("{} of {}", stored().len(), expected.len()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour: cargo test --test servers -- --ignored"]
async fn an_hour_without_kafka_is_told_and_then_every_minute_of_it_is_stored() {
    outage(Away::Kafka, "without-kafka", 60).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes: cargo test --test servers -- --ignored"]
async fn ten_minutes_without_influxdb_are_told_and_then_every_minute_of_them_is_stored() {
    outage(Away::InfluxDb, "without-influxdb", 10).await;
}
