use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::EmbeddedLog;
use crate::log::{Append, Extent, Log, LogError, Record};
use crate::time;
use crate::topic::Topic;

const NO_WAIT: Duration = Duration::ZERO;

fn prices() -> Topic {
    crate::topic::STOCK_PRICES
}

fn numbered(range: std::ops::Range<u32>) -> Vec<Append> {
    range.map(|n| Append::json(prices(), &format!("S{}", n % 5), &n)).collect()
}

fn values(records: &[Record]) -> Vec<u32> {
    records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
}

#[tokio::test]
async fn what_was_appended_is_read_in_order_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = EmbeddedLog::open(&path, 1).unwrap();
    log.append(numbered(0..300)).await.unwrap();
    log.append(numbered(300..500)).await.unwrap();
    drop(log);
    let log = EmbeddedLog::open(&path, 1).unwrap();
    let records = log.read(&prices(), 0, 0, 1_000).await.unwrap();
    assert_eq!(values(&records), (0..500).collect::<Vec<_>>());
    assert_eq!(log.extents(&prices()).await.unwrap(), [Extent { partition: 0, first: 0, next: 500 }]);
}

#[tokio::test]
async fn a_named_reader_goes_on_after_what_it_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = EmbeddedLog::open(&path, 1).unwrap();
    log.append(numbered(0..10)).await.unwrap();
    let mut reader = log.reader("engine", &[prices()]).await.unwrap();
    assert_eq!(values(&reader.poll(4, NO_WAIT).await.unwrap()), [0, 1, 2, 3]);
    let mut positions = reader.positions();
    positions[0].note = "watermark 7".into();
    reader.commit(positions.clone()).await.unwrap();
    assert_eq!(values(&reader.poll(2, NO_WAIT).await.unwrap()), [4, 5]);
    assert!(!reader.caught_up().await.unwrap());
    drop((reader, log));

    let log = EmbeddedLog::open(&path, 1).unwrap();
    let mut reader = log.reader("engine", &[prices()]).await.unwrap();
    assert_eq!(reader.resumed_from(), positions);
    assert_eq!(values(&reader.poll(100, NO_WAIT).await.unwrap()), [4, 5, 6, 7, 8, 9]);
    assert!(reader.caught_up().await.unwrap());
}

#[tokio::test]
async fn every_partition_keeps_its_order_and_a_key_its_partition() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 7).unwrap();
    log.append(numbered(0..100)).await.unwrap();
    log.append(vec![Append::json(prices(), "~clock6", &100).into_partition(6)]).await.unwrap();
    let mut reader = log.reader("all", &[prices()]).await.unwrap();
    let records = reader.poll(1_000, NO_WAIT).await.unwrap();
    assert_eq!(records.len(), 101);
    for key in 0..5 {
        let of_key: Vec<_> = records.iter().filter(|r| r.key == format!("S{key}")).collect();
        assert!(of_key.windows(2).all(|pair| pair[0].partition == pair[1].partition));
        assert!(of_key.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    }
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_an_append() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
    let mut reader = log.reader("late", &[prices()]).await.unwrap();
    let waiting = tokio::spawn(async move { reader.poll(10, Duration::from_secs(60)).await.unwrap() });
    tokio::task::yield_now().await;
    log.append(numbered(0..1)).await.unwrap();
    assert_eq!(values(&waiting.await.unwrap()), [0]);
}

#[tokio::test]
async fn a_compacted_topic_keeps_the_last_value_of_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    let status = crate::topic::SERVICE_STATUS;
    for n in 0..5 {
        log.append(vec![Append::json(status.clone(), "engine", &n)]).await.unwrap();
    }
    log.append(vec![Append::json(status.clone(), "sink", &9)]).await.unwrap();
    assert_eq!(values(&log.read(&status, 0, 0, 100).await.unwrap()), [4, 9]);
}

#[tokio::test]
async fn trimming_removes_what_is_old_and_keeps_the_tail() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    log.append(numbered(0..10)).await.unwrap();
    assert_eq!(log.trim(time::now() + time::DAY).await.unwrap(), 9);
    assert_eq!(values(&log.read(&prices(), 0, 0, 100).await.unwrap()), [9]);
    let mut reader = log.reader("new", &[prices()]).await.unwrap();
    assert_eq!(values(&reader.poll(10, NO_WAIT).await.unwrap()), [9]);
    log.append(numbered(10..11)).await.unwrap();
    assert_eq!(values(&reader.poll(10, NO_WAIT).await.unwrap()), [10]);
}

#[tokio::test]
async fn records_are_found_by_the_time_of_their_append() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    log.append(numbered(0..20)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let between = time::now();
    log.append(numbered(20..30)).await.unwrap();
    assert_eq!(log.offset_at(&prices(), 0, between).await.unwrap(), 20);
    assert_eq!(log.offset_at(&prices(), 0, 0).await.unwrap(), 0);
    assert_eq!(log.offset_at(&prices(), 0, i64::MAX).await.unwrap(), 30);
}

#[tokio::test]
async fn another_process_may_read_beside_the_owner_but_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let owner = EmbeddedLog::open(&path, 1).unwrap();
    owner.append(numbered(0..3)).await.unwrap();
    let guest = EmbeddedLog::open_to_read(&path).unwrap();
    assert_eq!(values(&guest.read(&prices(), 0, 0, 10).await.unwrap()), [0, 1, 2]);
    assert!(matches!(guest.append(numbered(3..4)).await, Err(LogError::Closed)));
}

#[tokio::test]
async fn a_log_of_a_later_format_or_other_partitions_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    drop(EmbeddedLog::open(&path, 2).unwrap());
    let error = EmbeddedLog::open(&path, 3).err().unwrap().to_string();
    assert!(error.contains("has 2 partition(s), 3 asked for"), "{error}");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = EmbeddedLog::open(&path, 2).err().unwrap().to_string();
    assert!(error.contains("format 99") && error.contains("newer tickwire"), "{error}");
}

#[tokio::test]
async fn a_log_is_closed_even_while_a_reader_of_it_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    log.append(numbered(0..3)).await.unwrap();
    let mut reader = log.reader("late", &[prices()]).await.unwrap();
    assert_eq!(values(&reader.poll(10, NO_WAIT).await.unwrap()), [0, 1, 2]);
    let positions = reader.positions();
    tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    assert!(matches!(reader.commit(positions).await, Err(LogError::Closed)));
}

#[tokio::test]
async fn appends_wait_for_a_reader_that_is_far_behind() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
    let mut reader = log.reader("slow", &[prices()]).await.unwrap();
    let appending = {
        let log = log.clone();
        tokio::spawn(async move {
            for chunk in 0..80 {
                log.append(numbered(chunk * 1_000..(chunk + 1) * 1_000)).await.unwrap();
            }
        })
    };
    let held = || async { log.extents(&prices()).await.unwrap().first().map_or(0, |extent| extent.next) };
    while held().await < super::pressure::FAR_BEHIND {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(held().await < 80_000 && !appending.is_finished());
    let mut read = 0;
    while read < 80_000 {
        read += reader.poll(10_000, Duration::from_secs(10)).await.unwrap().len();
    }
    appending.await.unwrap();
}

#[tokio::test]
async fn a_reader_that_is_gone_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    drop(log.reader("gone", &[prices()]).await.unwrap());
    for chunk in 0..80 {
        log.append(numbered(chunk * 1_000..(chunk + 1) * 1_000)).await.unwrap();
    }
}
