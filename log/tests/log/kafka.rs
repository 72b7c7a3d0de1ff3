//! Tests of the log on Kafka: outages, and the topics that it creates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use log::{Append, KafkaConfig, KafkaLog, Log, LogError};
use model::topic::{STOCK_PRICES, WATCHLIST};
use testkit::kafka::Kafka;

use crate::bench::{PATIENCE, SHORT, config, numbered, polled, prices, sorted, values};

fn own_log(kafka: &Kafka, partitions: u32) -> (KafkaConfig, Arc<KafkaLog>) {
    let config = config(kafka, &tempfile::tempdir().unwrap(), partitions);
    let log = Arc::new(KafkaLog::new(&config).unwrap());
    (config, log)
}

#[tokio::test]
async fn appends_wait_for_a_kafka_that_is_killed_and_comes_back_and_nothing_is_lost() {
    let Some(kafka) = Kafka::start() else { return };
    let (_, log) = own_log(&kafka, 2);
    log.append(numbered(0..1_000)).await.unwrap();
    let back = Arc::new(AtomicBool::new(false));
    let appending = tokio::spawn({
        let (log, back) = (log.clone(), back.clone());
        async move {
            let mut end = 1_000;
            // One more append after Kafka is back continues normally.
            loop {
                let last = back.load(SeqCst);
                log.append(numbered(end..end + 1_000)).await.unwrap();
                end += 1_000;
                if last {
                    return end;
                }
            }
        }
    });
    let mut reader = log.reader("all", &[prices()]).await.unwrap();
    let mut records = polled(&mut *reader, 3_000).await;
    kafka.kill();
    assert!(log.health().await.unwrap_err().to_string().contains("cannot be reached"));
    kafka.start_again();
    back.store(true, SeqCst);
    let end = appending.await.unwrap();
    records.extend(polled(&mut *reader, end as usize - records.len()).await);
    assert_eq!(sorted(values(&records)), (0..end).collect::<Vec<_>>());
    for key in 0..5 {
        let of_key: Vec<_> = values(&records).into_iter().filter(|n| n % 5 == key).collect();
        assert!(of_key.is_sorted(), "the records of key {key} came in another order");
    }
    reader.commit(reader.positions()).await.unwrap();
}

#[tokio::test]
async fn what_is_begun_before_kafka_is_there_is_done_once_it_is() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.stop();
    let (config, log) = own_log(&kafka, 1);
    let appending = tokio::spawn({
        let log = log.clone();
        async move { log.append(numbered(0..10)).await }
    });
    let hasty = KafkaLog::new(&KafkaConfig { patience: Some(Duration::ZERO), ..config }).unwrap();
    let error = hasty.topics().await.unwrap_err();
    assert!(matches!(error, LogError::KafkaAway { .. }), "{error}");
    assert!(error.to_string().contains(&kafka.bootstrap_servers()), "{error}");
    assert!(!appending.is_finished());
    kafka.start_again();
    tokio::time::timeout(PATIENCE, appending).await.unwrap().unwrap().unwrap();
    assert_eq!(values(&log.read(&prices(), 0, 0, 100).await.unwrap()), (0..10).collect::<Vec<_>>());
}

/// The error of an append that Kafka did not answer.
async fn ended(log: &dyn Log, number: u32) -> LogError {
    let append = log.append(numbered(number..number + 1));
    tokio::time::timeout(PATIENCE, append).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_command_whose_kafka_stops_answering_ends_and_says_whether_it_wrote() {
    let Some(kafka) = Kafka::start() else { return };
    let (config, services) = own_log(&kafka, 1);
    services.append(numbered(0..1)).await.unwrap();
    let command = KafkaConfig { patience: Some(Duration::from_secs(1)), ..config };
    let plain = KafkaLog::new(&command).unwrap();
    let fenced = KafkaLog::new(&command).unwrap().fenced("list-watchlist").await.unwrap().unwrap();
    plain.append(numbered(1..2)).await.unwrap();
    fenced.append(numbered(2..3)).await.unwrap();
    kafka.hold();
    // In a transaction nothing is written that was not committed.
    let error = ended(&*fenced, 3).await;
    assert!(matches!(error, LogError::KafkaNotWritten { .. }), "{error}");
    let error = ended(&plain, 4).await;
    assert!(matches!(error, LogError::KafkaUnknown { .. }), "{error}");
    for said in [&kafka.bootstrap_servers(), "4 seconds", "not known whether", "check that Kafka runs"] {
        assert!(error.to_string().contains(said), "{error}");
    }
    // A service keeps waiting.
    let waiting = tokio::spawn(async move { services.append(numbered(5..6)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    kafka.let_go();
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_kafka_that_answers_nobody_for_a_while_loses_nothing() {
    let Some(kafka) = Kafka::start() else { return };
    let (_, log) = own_log(&kafka, 1);
    log.append(numbered(0..10)).await.unwrap();
    kafka.hold();
    let appending = tokio::spawn({
        let log = log.clone();
        async move { log.append(numbered(10..20)).await }
    });
    assert!(log.health().await.is_err());
    assert!(!appending.is_finished());
    kafka.let_go();
    appending.await.unwrap().unwrap();
    assert_eq!(values(&log.read(&prices(), 0, 0, 100).await.unwrap()), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_topic_of_another_number_of_partitions_is_refused_with_the_remedy() {
    let Some(kafka) = Kafka::shared() else { return };
    let (config, log) = own_log(kafka, 2);
    log.append(numbered(0..1)).await.unwrap();
    for partitions in [1, 3] {
        let other = KafkaLog::new(&KafkaConfig { partitions, ..config.clone() }).unwrap();
        let error = other.append(numbered(0..1)).await.unwrap_err().to_string();
        let said = format!("has 2 partition(s), {partitions} expected: set kafka.partitions");
        assert!(error.contains(&said) && error.contains("stock-prices-"), "{error}");
        // Compacted topics have one partition, whatever the settings say.
        other.append(vec![Append::json(WATCHLIST, "watchlist", &0)]).await.unwrap();
    }
}

#[tokio::test]
async fn logs_of_different_suffixes_know_nothing_of_each_other() {
    let Some(kafka) = Kafka::shared() else { return };
    let (_, one) = own_log(kafka, 1);
    let (_, other) = own_log(kafka, 1);
    one.append(numbered(0..5)).await.unwrap();
    let mut reader = one.reader("engine", &[prices()]).await.unwrap();
    polled(&mut *reader, 5).await;
    reader.commit(reader.positions()).await.unwrap();
    assert_eq!(other.topics().await.unwrap(), []);
    assert_eq!(other.extents(&prices()).await.unwrap(), []);
    assert_eq!(other.reader("engine", &[prices()]).await.unwrap().resumed_from(), []);
}

#[tokio::test]
async fn old_records_stay_for_their_retention_by_the_time_of_their_append() {
    let Some(kafka) = Kafka::shared() else { return };
    let (_, log) = own_log(kafka, 1);
    let before = model::time::now();
    log.append(numbered(0..5)).await.unwrap();
    let records = log.read(&STOCK_PRICES, 0, 0, 10).await.unwrap();
    assert!(records.iter().all(|record| (before..before + 60_000).contains(&record.appended_at)));
}

#[tokio::test]
async fn of_two_instances_one_has_the_lease_and_the_other_takes_over_where_it_committed() {
    let Some(kafka) = Kafka::shared() else { return };
    let (config, one) = own_log(kafka, 2);
    let other = Arc::new(KafkaLog::new(&config).unwrap());
    one.append(numbered(0..100)).await.unwrap();
    let lease = one.lease("engine").await.unwrap();
    let mut reader = one.reader("engine", &[prices()]).await.unwrap();
    polled(&mut *reader, 100).await;

    let standing_by = tokio::spawn(async move {
        let lease = other.lease("engine").await.unwrap();
        let mut reader = other.reader("engine", &[prices()]).await.unwrap();
        let records = polled(&mut *reader, 50).await;
        drop(lease);
        values(&records)
    });
    // The second process has joined the group once the holder had to rebalance and did not
    // release the lease.
    tokio::time::sleep(SHORT * 40).await;
    assert!(!standing_by.is_finished());
    reader.commit(reader.positions()).await.unwrap();
    one.append(numbered(100..150)).await.unwrap();
    tokio::task::spawn_blocking(move || drop(lease)).await.unwrap();
    assert_eq!(sorted(standing_by.await.unwrap()), (100..150).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_note_that_is_too_long_is_an_error_that_says_so() {
    let Some(kafka) = Kafka::shared() else { return };
    let (_, log) = own_log(kafka, 1);
    log.append(numbered(0..1)).await.unwrap();
    let mut reader = log.reader("engine", &[prices()]).await.unwrap();
    polled(&mut *reader, 1).await;
    let mut positions = reader.positions();
    positions[0].note = "x".repeat(4_096);
    reader.commit(positions.clone()).await.unwrap();
    positions[0].note = "x".repeat(4_097);
    let error = reader.commit(positions).await.unwrap_err().to_string();
    assert!(error.contains("has 4097 bytes, the log accepts 4096"), "{error}");
}

#[tokio::test]
async fn a_reader_that_kafkas_retention_has_passed_says_what_it_missed() {
    let Some(kafka) = Kafka::shared() else { return };
    let (config, log) = own_log(kafka, 1);
    log.append(numbered(0..10)).await.unwrap();
    let mut reader = log.reader("engine", &[prices()]).await.unwrap();
    polled(&mut *reader, 10).await;
    let positions = reader.positions();
    reader.commit(positions.clone()).await.unwrap();
    drop(reader);
    log.append(numbered(10..100)).await.unwrap();
    delete_before(&config, 60).await;
    let mut reader = log.reader("engine", &[prices()]).await.unwrap();
    assert_eq!(values(&polled(&mut *reader, 40).await), (60..100).collect::<Vec<_>>());
    let missed = reader.skipped();
    assert_eq!(missed.iter().map(|it| (it.partition, it.from, it.to)).collect::<Vec<_>>(), [(0, 10, 60)]);
}

/// Deletes records as retention does.
async fn delete_before(config: &KafkaConfig, offset: i64) {
    use rdkafka::admin::{AdminClient, AdminOptions};
    let admin: AdminClient<_> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &config.bootstrap_servers).create().unwrap();
    let mut until = rdkafka::TopicPartitionList::new();
    let topic = format!("stock-prices{}", config.suffix);
    until.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(offset)).unwrap();
    admin.delete_records(&until, &AdminOptions::new()).await.unwrap();
}

#[test]
fn a_client_setting_that_there_is_none_of_is_named() {
    let mut config = KafkaConfig::new("localhost:9092");
    config.client.insert("linger.millis".into(), "5".into());
    let error = KafkaLog::new(&config).err().unwrap().to_string();
    assert!(error.contains("kafka.client") && error.contains("linger.millis"), "{error}");
}
