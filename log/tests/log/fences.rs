//! Tests of fencing: a process that has lost a lease cannot write, and of concurrent changes
//! each is either written or reported as refused.

use std::sync::Arc;

use log::{Append, KafkaConfig, KafkaLog, Log, LogError, SharedLog, last_records, unread};
use model::topic::{LEASES, LOG_FORMAT};
use testkit::kafka::Kafka;

use crate::bench::{PATIENCE, config, numbered, polled, prices, sorted, values};

fn own(kafka: &Kafka, partitions: u32) -> KafkaConfig {
    config(kafka, &tempfile::tempdir().unwrap(), partitions)
}

fn open(config: &KafkaConfig) -> Arc<KafkaLog> {
    Arc::new(KafkaLog::new(config).unwrap())
}

/// The log of the process that takes over a name.
async fn taken(config: &KafkaConfig, name: &str) -> SharedLog {
    open(config).fenced(name).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_a_holder_appends_after_another_took_over_is_refused_and_read_by_nobody() {
    let Some(kafka) = Kafka::shared() else { return };
    let config = own(kafka, 2);
    let first = taken(&config, "engine").await;
    first.append(numbered(0..100)).await.unwrap();
    let mut reader = first.reader("engine", &[prices()]).await.unwrap();
    polled(&mut *reader, 50).await;
    reader.commit(reader.positions()).await.unwrap();
    let committed = first.committed("engine").await.unwrap();
    assert!(!committed.is_empty(), "positions are committed within transactions");
    // An append in flight during the takeover is written completely or not at all.
    let on_its_way = tokio::spawn({
        let first = first.clone();
        async move { first.append(numbered(100..5_000)).await }
    });
    let second = taken(&config, "engine").await;
    let whole = on_its_way.await.unwrap().is_ok();
    let before = if whole { 5_000 } else { 100 };
    // As after a pause: the old holder does not know of the takeover and continues.
    for _ in 0..2 {
        let error = first.append(numbered(7_000..7_100)).await.unwrap_err();
        assert!(matches!(&error, LogError::Fenced { name } if name == "engine"), "{error}");
    }
    polled(&mut *reader, 1).await;
    assert!(matches!(reader.commit(reader.positions()).await, Err(LogError::Fenced { .. })));
    assert_eq!(second.committed("engine").await.unwrap(), committed);
    second.append(numbered(before..before + 100)).await.unwrap();
    let mut all = open(&config).reader("all", &[prices()]).await.unwrap();
    let read = polled(&mut *all, before as usize + 100).await;
    assert_eq!(sorted(values(&read)), (0..before + 100).collect::<Vec<_>>());
    assert!(all.poll(100, std::time::Duration::from_millis(200)).await.unwrap().is_empty());
    assert!(all.caught_up().await.unwrap());
}

#[tokio::test]
async fn a_log_written_in_transactions_is_read_to_its_end_like_any_other() {
    let Some(kafka) = Kafka::shared() else { return };
    let config = own(kafka, 1);
    let log = taken(&config, "producer").await;
    let mut reader = log.reader("all", &[prices()]).await.unwrap();
    for n in 0..20 {
        log.append(numbered(n..n + 1)).await.unwrap();
        polled(&mut *reader, 1).await;
        let next = reader.positions()[0].offset;
        let extent = log.extents(&prices()).await.unwrap()[0];
        assert!(extent.next > next, "a marker follows the record");
        assert!(reader.caught_up().await.unwrap());
        assert_eq!(unread(&*log, &prices(), extent, next).await.unwrap(), 0);
        assert_eq!(unread(&*log, &prices(), extent, next - 1).await.unwrap(), 1);
        let last = last_records(&*log, &prices()).await.unwrap();
        assert_eq!(values(&[last[0].clone().unwrap()]), [n]);
    }
    assert_eq!(values(&log.read(&prices(), 0, 0, 100).await.unwrap()), (0..20).collect::<Vec<_>>());
    assert!(log.read(&prices(), 0, reader.positions()[0].offset, 10).await.unwrap().is_empty());
    // Plain appends and transactions may alternate in a topic.
    open(&config).append(numbered(20..30)).await.unwrap();
    log.append(numbered(30..40)).await.unwrap();
    assert_eq!(sorted(values(&polled(&mut *reader, 20).await)), (20..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_record_that_kafka_refuses_fails_alone_and_costs_nothing_beside_it() {
    let Some(kafka) = Kafka::shared() else { return };
    let log = taken(&own(kafka, 1), "sink").await;
    let huge = Append { value: vec![b'x'; 9 << 20].into(), ..numbered(0..1).remove(0) };
    let appends = (0..10).map(|n| {
        let (log, huge) = (log.clone(), huge.clone());
        tokio::spawn(async move {
            let records = if n == 5 { vec![huge] } else { numbered(n..n + 1) };
            log.append(records).await.is_ok()
        })
    });
    let mut good = 0;
    for append in appends.collect::<Vec<_>>() {
        good += u32::from(append.await.unwrap());
    }
    assert_eq!(good, 9);
    // Kafka acknowledges a transaction before its marker is in each partition, so readers may
    // see the last record a moment later.
    let all_read = async {
        loop {
            let read = sorted(values(&log.read(&prices(), 0, 0, 100).await.unwrap()));
            if read.len() == 9 {
                return read;
            }
            tokio::task::yield_now().await;
        }
    };
    let read = tokio::time::timeout(PATIENCE, all_read).await.expect("all that was acknowledged is read");
    assert_eq!(read, (0..10).filter(|n| *n != 5).collect::<Vec<_>>());
}

#[tokio::test]
async fn each_holder_of_a_lease_has_a_greater_number_than_the_one_before() {
    let Some(kafka) = Kafka::shared() else { return };
    let config = own(kafka, 1);
    let mut before = 0;
    for _ in 0..3 {
        let lease = tokio::time::timeout(PATIENCE, open(&config).lease("sink")).await.unwrap().unwrap();
        let fence = lease.log().unwrap().fence().unwrap();
        assert!(fence.number() > before && fence.is_certain());
        before = fence.number();
        tokio::task::spawn_blocking(move || drop(lease)).await.unwrap();
    }
    // A number that is not a valid fencing number must not fence later holders.
    open(&config).append(vec![Append::json(LEASES, "sink", &u64::MAX)]).await.unwrap();
    let poison = serde_json::json!({"number": u64::MAX, "at": 0, "version": "x"});
    open(&config).append(vec![Append::json(LEASES, "sink", &poison)]).await.unwrap();
    let lease = open(&config).lease("sink").await.unwrap();
    let number = lease.log().unwrap().fence().unwrap().number();
    assert!(number > before && number < u64::MAX / 2);
    tokio::task::spawn_blocking(move || drop(lease)).await.unwrap();
}

#[tokio::test]
async fn a_log_on_kafka_of_a_later_format_or_begun_with_other_partitions_is_refused() {
    let Some(kafka) = Kafka::shared() else { return };
    let config = own(kafka, 2);
    open(&config).append(numbered(0..1)).await.unwrap();
    // A log of an earlier version, without a format record, is used as it is.
    open(&config).prepare(&[prices(), LOG_FORMAT]).await.unwrap();
    open(&config).prepare(&[prices(), LOG_FORMAT]).await.unwrap();
    assert_eq!(open(&config).read(&LOG_FORMAT, 0, 0, 9).await.unwrap().len(), 1);
    let raised = open(&KafkaConfig { partitions: 3, ..config.clone() });
    let error = raised.prepare(&[]).await.unwrap_err().to_string();
    assert!(error.contains("began with 2 partition(s), 3 asked for"), "{error}");
    let later = serde_json::json!({"format": 99, "partitions": 2, "version": "9.9.9"});
    open(&config).append(vec![Append::json(LOG_FORMAT, "log", &later)]).await.unwrap();
    let log = open(&config);
    let refusals = [
        log.prepare(&[prices()]).await.unwrap_err(),
        log.append(numbered(1..2)).await.unwrap_err(),
        log.reader("engine", &[prices()]).await.err().unwrap(),
        log.lease("engine").await.err().unwrap(),
    ];
    for error in refusals.map(|error| error.to_string()) {
        assert!(error.contains("format 99, written by tickwire 9.9.9"), "{error}");
    }
}

#[tokio::test]
async fn a_holder_of_a_lease_is_shut_out_at_each_of_its_turns_and_keeps_its_order() {
    let Some(kafka) = Kafka::shared() else { return };
    let config = own(kafka, 1);
    let mut written = 0;
    // The transactions of a holder alternate between two ids: whichever is next when another
    // process takes the lease, it is refused.
    for appends in 20..22 {
        let lease = tokio::time::timeout(PATIENCE, open(&config).lease("producer")).await.unwrap().unwrap();
        let log = lease.log().unwrap();
        for _ in 0..appends {
            log.append(numbered(written..written + 3)).await.unwrap();
            written += 3;
        }
        tokio::task::spawn_blocking(move || drop(lease)).await.unwrap();
        let next = tokio::time::timeout(PATIENCE, open(&config).lease("producer")).await.unwrap().unwrap();
        for _ in 0..2 {
            let error = log.append(numbered(90_000..90_001)).await.unwrap_err();
            assert!(matches!(&error, LogError::Fenced { .. }), "{error}");
        }
        next.log().unwrap().append(numbered(written..written + 1)).await.unwrap();
        written += 1;
        tokio::task::spawn_blocking(move || drop(next)).await.unwrap();
    }
    let mut reader = open(&config).reader("all", &[prices()]).await.unwrap();
    let read = polled(&mut *reader, written as usize).await;
    assert_eq!(values(&read), (0..written).collect::<Vec<_>>());
    assert!(reader.caught_up().await.unwrap());
}
