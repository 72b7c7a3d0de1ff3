//! Tests of the embedded log beyond those that every log passes (`tests/log`).

use std::sync::Arc;
use std::time::Duration;

use model::time;
use model::topic::Topic;
use proptest::prelude::*;
use rusqlite::Connection;

use super::EmbeddedLog;
use crate::{Append, Log, LogError, Record};

const NO_WAIT: Duration = Duration::ZERO;

fn prices() -> Topic {
    model::topic::STOCK_PRICES
}

fn numbered(range: std::ops::Range<u32>) -> Vec<Append> {
    range.map(|n| Append::json(prices(), &format!("S{}", n % 5), &n)).collect()
}

fn values(records: &[Record]) -> Vec<u32> {
    records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
}

#[tokio::test]
async fn a_compacted_topic_keeps_the_last_value_of_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    let status = model::topic::SERVICE_STATUS;
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
async fn a_reader_that_retention_has_passed_says_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    let mut reader = log.reader("slow", &[prices()]).await.unwrap();
    log.append(numbered(0..3)).await.unwrap();
    assert_eq!(reader.poll(10, NO_WAIT).await.unwrap().len(), 3);
    assert!(reader.skipped().is_empty());
    log.append(numbered(3..10)).await.unwrap();
    log.trim(time::now() + time::DAY).await.unwrap();
    assert_eq!(values(&reader.poll(10, NO_WAIT).await.unwrap()), [9]);
    let missed = reader.skipped();
    assert_eq!(missed.iter().map(|it| (it.partition, it.from, it.to)).collect::<Vec<_>>(), [(0, 3, 9)]);
    assert!(reader.poll(10, NO_WAIT).await.unwrap().is_empty() && reader.skipped().is_empty());
    // A reader without committed offsets has not missed records.
    let mut new = log.reader("new", &[prices()]).await.unwrap();
    new.poll(10, NO_WAIT).await.unwrap();
    assert!(new.skipped().is_empty());
}

#[tokio::test]
async fn histories_and_gaps_outlive_the_data_and_letters_outlive_it_by_months() {
    use model::topic::{ALERT_RULES_HISTORY, DEAD_LETTERS, GAPS, LETTERS_LONGER, WATCHLIST_HISTORY};
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    let kept = [WATCHLIST_HISTORY, ALERT_RULES_HISTORY, GAPS];
    for topic in kept.iter().chain([&DEAD_LETTERS]) {
        for n in 0..3 {
            log.append(vec![Append::json(topic.clone(), "key", &n)]).await.unwrap();
        }
    }
    log.trim(time::now() + time::DAY).await.unwrap();
    assert_eq!(values(&log.read(&DEAD_LETTERS, 0, 0, 9).await.unwrap()), [0, 1, 2]);
    log.trim(time::now() + LETTERS_LONGER + time::DAY).await.unwrap();
    for topic in &kept {
        assert_eq!(values(&log.read(topic, 0, 0, 9).await.unwrap()), [0, 1, 2], "{topic}");
    }
    assert_eq!(values(&log.read(&DEAD_LETTERS, 0, 0, 9).await.unwrap()), [2]);
}

#[tokio::test]
async fn of_many_letters_the_newest_are_kept_within_their_bytes() {
    use model::topic::{DEAD_LETTERS, LETTERS_BYTES};
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
    let big = vec![b'x'; (LETTERS_BYTES / 8) as usize];
    for _ in 0..10 {
        let value = big.clone().into();
        let letter = Append { topic: DEAD_LETTERS, key: "feed".into(), value, partition: None };
        log.append(vec![letter]).await.unwrap();
    }
    log.trim(0).await.unwrap();
    let held = log.extents(&DEAD_LETTERS).await.unwrap()[0];
    assert_eq!((held.first, held.next), (2, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_a_crowd_of_readers_needed_are_closed_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
    log.append(numbered(0..10)).await.unwrap();
    // All of them hold a connection at the same moment.
    let together = Arc::new(std::sync::Barrier::new(24));
    let crowd = (0..24).map(|_| {
        let (log, together) = (log.clone(), together.clone());
        tokio::spawn(async move {
            log.query(move |_| {
                together.wait();
                Ok(())
            })
            .await
        })
    });
    for reader in crowd.collect::<Vec<_>>() {
        reader.await.unwrap().unwrap();
    }
    assert_eq!(log.file.idle().len(), super::file::KEPT_IDLE);
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
    while held().await < super::file::MAX_LAG {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn of_a_log_with_a_torn_end_whole_appends_from_the_first_on_are_kept(cut in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (path, torn) = (folder.path().join("log.db"), folder.path().join("torn.db"));
        let log = EmbeddedLog::open(&path, 1).unwrap();
        for n in 0..20 {
            runtime.block_on(log.append(numbered(3 * n..3 * (n + 1)))).unwrap();
        }
        // As after a power failure: the file, and a part of its write-ahead log.
        let beside = std::fs::read(folder.path().join("log.db-wal")).unwrap();
        std::fs::copy(&path, &torn).unwrap();
        std::fs::write(folder.path().join("torn.db-wal"), &beside[..cut.index(beside.len() + 1)]).unwrap();
        let log = EmbeddedLog::open(&torn, 1).unwrap();
        let kept = values(&runtime.block_on(log.read(&prices(), 0, 0, 1_000)).unwrap());
        assert_eq!(kept, (0..kept.len() as u32).collect::<Vec<_>>());
        assert_eq!(kept.len() % 3, 0, "of an append all or nothing");
        runtime.block_on(log.append(numbered(100..103))).unwrap();
        assert_eq!(runtime.block_on(log.read(&prices(), 0, kept.len() as u64, 9)).unwrap().len(), 3);
    }

    #[test]
    fn a_log_with_bytes_overwritten_is_read_or_refused_with_its_name(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let log = EmbeddedLog::open(&path, 1).unwrap();
        runtime.block_on(log.append(numbered(0..500))).unwrap();
        drop(log);
        let mut bytes = std::fs::read(&path).unwrap();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        let read = EmbeddedLog::open(&path, 1).and_then(|log| runtime.block_on(log.read(&prices(), 0, 0, 1_000)));
        if let Err(error) = read {
            assert!(error.to_string().contains("log.db"), "{error}");
        }
    }
}
