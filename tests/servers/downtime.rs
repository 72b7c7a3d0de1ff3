//! Twelve hours without a producer: over Kafka too, what was missed is fetched
//! before its minutes are declared complete.

use std::time::{SystemTime, UNIX_EPOCH};

use test_servers::massive::{Feed, History, KEY, MinuteBar, Script};
use wire::log::{Append, KafkaConfig, KafkaLog, Log, partition_of};
use wire::time::{HOUR, MINUTE, Millis, minute_of};
use wire::topic::{STOCK_PRICES, WATCHLIST};
use wire::watchlist::{self, Entry};
use wire::{Bar, Source, clock};

use crate::harness::{Stack, sample, sample_bars};
use crate::process::wait_for;

/// What the producer of twelve hours ago left: a bar, and its minute complete.
fn left_behind(log: &KafkaLog, at: Millis) -> Vec<Append> {
    let clocks = |at: Millis| {
        (0..log.partitions()).flat_map(move |partition| {
            (0..log.clock_keys()).map(move |key| {
                Append::json(STOCK_PRICES, &clock::symbol(key), &clock::bar(key, at))
                    .into_partition(partition)
            })
        })
    };
    let bar = Bar { symbol: "AAPL".into(), source: Source::Polygon, volume: 100.0, ..clock::bar(0, at) };
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

#[tokio::test(flavor = "multi_thread")]
async fn after_twelve_hours_of_downtime_bars_come_from_history_before_their_minutes_are_complete() {
    let Some(mut stack) = Stack::on_its_own_kafka(&sample_bars(9), &sample("articles.csv")).await else {
        return;
    };
    let config = KafkaConfig { partitions: 2, ..KafkaConfig::new(stack.kafka.bootstrap_servers()) };
    let log = KafkaLog::new(&config).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Millis;
    let (left, now) = (minute_of(now) - 12 * HOUR, minute_of(now));
    let missed: Vec<MinuteBar> =
        (1..720).map(|minute| MinuteBar::new("AAPL", left + minute * MINUTE, 200.0, 10.0)).collect();
    log.make(&[STOCK_PRICES, WATCHLIST]).await.unwrap();
    log.append(left_behind(&log, left)).await.unwrap();
    let apple = Entry { symbol: Some("AAPL".into()), ..Entry::default() };
    watchlist::put(&log, 0, vec![apple], "test").await.unwrap();

    let (feed, history) = (Feed::start(Script::default()).await, History::start(KEY).await);
    history.add(&missed);
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
    let producer = stack.start("producer");
    let runtime = tokio::runtime::Handle::current();
    let records = wait_for(
        "the minutes until now",
        || {
            let records = tokio::task::block_in_place(|| runtime.block_on(records_of(&log)));
            records.iter().any(|record| record.complete_until >= now).then_some(records)
        },
        || producer.lines().join("\n"),
    );
    let goes_on =
        records.iter().position(|record| record.is_clock() && record.complete_until > left + MINUTE);
    let before = &records[..goes_on.unwrap()];
    let fetched = before.iter().filter(|record| record.source == Source::PolygonHistory);
    let fetched: Vec<Millis> = fetched.map(|bar| bar.start_timestamp).collect();
    assert_eq!(fetched, missed.iter().map(|bar| bar.start).collect::<Vec<_>>());
}
