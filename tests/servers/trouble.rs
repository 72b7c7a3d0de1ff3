//! What keeps a service from working is told in one clear line and at `/readyz`,
//! and once it is put right the service works, with nothing lost.

use model::topic::{STOCK_PRICES, Topic};

use crate::harness::{Stack, sample, sample_bars};

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
    let letters = crate::process::wait_for(
        "the letters",
        || Some(stack.out("dead-letters list")).filter(|list| list.lines().count() >= 6),
        || services["sink"].lines().join("\n"),
    );
    assert!(letters.contains("signals") && letters.contains("stock-prices"), "{letters}");
    services["sink"].answers(200, "working");
    services["engine"].answers(200, "working");
}
