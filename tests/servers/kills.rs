//! Services that are killed and servers that go away under load: the end is the same.

use log::each_record;
use model::Bar;
use model::topic::STOCK_PRICES;

use crate::harness::{Stack, sample, sample_bars};

#[tokio::test(flavor = "multi_thread")]
async fn every_service_killed_under_load_and_started_again_ends_the_same() {
    let Some(stack) = Stack::of(&sample_bars(2), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let mut services = stack.start_all();
    for service in ["producer", "engine", "sink", "news-watcher"] {
        let process = services.get_mut(service).unwrap();
        process.is_under_load(2_000.0);
        process.kill();
        *process = stack.start(service);
    }
    // Once more, wherever they are by now.
    for (service, process) in &mut services {
        process.is_under_load(1.0);
        process.kill();
        *process = stack.start(service);
    }
    stack.holds_what_is_computed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_everything_waits_and_says_so_and_then_goes_on() {
    let Some(stack) = Stack::on_its_own_kafka(&sample_bars(3), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let mut services = stack.start_all();
    services.get_mut("engine").unwrap().is_under_load(2_000.0);
    stack.kafka.kill();
    for service in ["engine", "sink"] {
        services[service].answers(503, "cannot be reached");
        services[service].said("Kafka does not answer");
    }
    stack.kafka.start_again();
    for service in ["engine", "sink"] {
        services[service].answers(200, "working");
    }
    stack.holds_what_is_computed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_stands_by_and_takes_over_when_the_first_one_dies() {
    let Some(stack) = Stack::of(&sample_bars(8), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let mut services = stack.start_all();
    services["sink"].said("Working");
    let second = stack.start("sink");
    second.answers(200, "sink: standing by");
    let first = services.get_mut("sink").unwrap();
    first.is_under_load(2_000.0);
    first.kill();
    second.answers(200, "sink: working");
    stack.holds_what_is_computed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_was_paused_beyond_its_lease_writes_nothing_that_anybody_reads() {
    let bars = sample_bars(11);
    let Some(mut stack) = Stack::of(&bars, &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    // Slow enough that the pause falls into the work.
    stack.set("TICKWIRE_SPEED", Some("6000"));
    let first = stack.start("producer");
    first.said("Working");
    let second = stack.start("producer");
    second.answers(200, "producer: standing by");
    first.signal("STOP");
    second.answers(200, "producer: working");
    second.is_under_load(2_000.0);
    first.signal("CONT");
    first.said("The lease has gone to another instance");
    let _others = ["sink", "engine", "news-watcher"].map(|service| stack.start(service));
    stack.holds_what_is_computed().await;
    // Each row once, and in order: what was paused had some on its way.
    let log = stack.log(2);
    let mut rows = std::collections::BTreeMap::<u32, Vec<u64>>::new();
    each_record(&*log, &STOCK_PRICES, |record| {
        let bar: Bar = serde_json::from_slice(&record.value).unwrap();
        if !bar.is_heartbeat() {
            rows.entry(record.partition).or_default().extend(bar.position);
        }
    })
    .await
    .unwrap();
    for (partition, rows) in &rows {
        assert!(rows.is_sorted_by(|one, next| one < next), "partition {partition}: {rows:?}");
    }
    let written: usize = rows.values().map(Vec::len).sum();
    assert_eq!(written, bars.lines().count() - 1, "every row of the file, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_was_paused_beyond_its_lease_drops_what_it_held() {
    let Some(stack) = Stack::of(&sample_bars(10), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let mut services = stack.start_all();
    services.get_mut("sink").unwrap().is_under_load(2_000.0);
    let second = stack.start("sink");
    second.answers(200, "sink: standing by");
    services["sink"].signal("STOP");
    second.answers(200, "sink: working");
    stack.holds_what_is_computed().await;
    services["sink"].signal("CONT");
    services["sink"].answers(200, "sink: standing by");
    stack.holds_what_is_computed().await;
}
