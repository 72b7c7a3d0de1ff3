//! Services that are killed and servers that go away under load: the end is the same.

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
