//! Tests that every kind of log passes.

use log::{Append, Extent, partition_of};
use model::topic::SERVICE_STATUS;
use model::{Topic, time};

use crate::bench::{Bench, Kind, PATIENCE, SHORT, numbered, polled, prices, sorted, values};

/// Runs the same tests for each kind of log.
macro_rules! for_every_log {
    ($($(#[$about:meta])* async fn $name:ident($bench:ident: $partitions:literal) $body:block)*) => {
        mod embedded { $(#[tokio::test] async fn $name() { super::$name(super::Kind::Embedded).await })* }
        mod brittle { $(#[tokio::test] async fn $name() { super::$name(super::Kind::Brittle).await })* }
        mod kafka { $(#[tokio::test] async fn $name() { super::$name(super::Kind::Kafka).await })* }
        $(async fn $name(kind: Kind) {
            let Some($bench) = Bench::new(kind, $partitions) else { return };
            $body
        })*
    };
}

for_every_log! {
    async fn what_was_appended_is_read_in_order_after_reopening(bench: 1) {
        let log = bench.log();
        log.append(numbered(0..300)).await.unwrap();
        log.append(numbered(300..500)).await.unwrap();
        drop(log);
        let log = bench.log();
        assert_eq!(log.extents(&prices()).await.unwrap(), [Extent { partition: 0, first: 0, next: 500 }]);
        assert_eq!(values(&log.read(&prices(), 0, 0, 1_000).await.unwrap()), (0..500).collect::<Vec<_>>());
    }

    async fn records_are_read_by_their_place_a_page_at_a_time(bench: 1) {
        let log = bench.log();
        log.append(numbered(0..100)).await.unwrap();
        let mut from = 0;
        for page in 0..4 {
            let records = log.read(&prices(), 0, from, 30).await.unwrap();
            assert_eq!(values(&records), (page * 30..((page + 1) * 30).min(100)).collect::<Vec<_>>());
            from = records.last().unwrap().offset + 1;
        }
        assert!(log.read(&prices(), 0, from, 30).await.unwrap().is_empty());
        log.append(numbered(100..102)).await.unwrap();
        assert_eq!(values(&log.read(&prices(), 0, from, 30).await.unwrap()), [100, 101]);
        assert_eq!(values(&log.read(&prices(), 0, 7, 2).await.unwrap()), [7, 8]);
        assert!(log.read(&prices(), 5, 0, 10).await.unwrap().is_empty());
    }

    async fn a_topic_never_written_holds_nothing(bench: 2) {
        let log = bench.log();
        let never = Topic::new("never-written");
        assert_eq!(log.extents(&never).await.unwrap(), []);
        assert!(log.read(&never, 0, 0, 10).await.unwrap().is_empty());
        assert_eq!(log.offset_at(&never, 0, 0).await.unwrap(), 0);
        log.append(numbered(0..1)).await.unwrap();
        assert_eq!(log.topics().await.unwrap(), [prices()]);
        log.health().await.unwrap();
    }

    async fn a_key_has_its_partition_and_every_partition_its_order(bench: 7) {
        let log = bench.log();
        assert_eq!(log.partitions(), 7);
        log.append(numbered(0..100)).await.unwrap();
        log.append(vec![Append::json(prices(), "~clock6", &100).into_partition(6)]).await.unwrap();
        let mut reader = log.reader("all", &[prices()]).await.unwrap();
        let records = polled(&mut *reader, 101).await;
        assert_eq!(sorted(values(&records)), (0..=100).collect::<Vec<_>>());
        for record in &records {
            let named = record.key == "~clock6";
            let partition = if named { 6 } else { partition_of(&record.key, 7) };
            assert_eq!(record.partition, partition, "{}", record.key);
        }
        for partition in 0..7 {
            let of_partition: Vec<_> = records.iter().filter(|r| r.partition == partition).cloned().collect();
            assert!(of_partition.is_sorted_by_key(|record| record.offset));
            assert!(values(&of_partition).is_sorted());
        }
        assert!(reader.caught_up().await.unwrap());
    }

    async fn a_named_reader_goes_on_after_what_it_committed(bench: 2) {
        let log = bench.log();
        log.append(numbered(0..50)).await.unwrap();
        let mut reader = log.reader("engine", &[prices()]).await.unwrap();
        assert!(reader.resumed_from().is_empty());
        polled(&mut *reader, 50).await;
        let mut positions = reader.positions();
        positions.sort_by_key(|position| position.partition);
        positions[1].note = "watermark 7, „Σ“".into();
        reader.commit(positions.clone()).await.unwrap();
        log.append(numbered(50..60)).await.unwrap();
        polled(&mut *reader, 10).await;
        drop((reader, log));

        let log = bench.log();
        let mut committed = log.committed("engine").await.unwrap();
        committed.sort_by_key(|position| position.partition);
        assert_eq!(committed, positions);
        assert_eq!(log.committed("another").await.unwrap(), []);
        let mut reader = log.reader("engine", &[prices()]).await.unwrap();
        assert_eq!(reader.resumed_from().len(), 2);
        assert!(!reader.caught_up().await.unwrap());
        // What was polled but not committed is read again.
        assert_eq!(sorted(values(&polled(&mut *reader, 10).await)), (50..60).collect::<Vec<_>>());
        assert!(reader.poll(10, SHORT).await.unwrap().is_empty());
    }

    async fn readers_of_other_names_stand_elsewhere(bench: 1) {
        let log = bench.log();
        log.append(numbered(0..10)).await.unwrap();
        let mut one = log.reader("one", &[prices()]).await.unwrap();
        polled(&mut *one, 10).await;
        one.commit(one.positions()).await.unwrap();
        let mut other = log.reader("other", &[prices()]).await.unwrap();
        assert_eq!(values(&polled(&mut *other, 10).await), (0..10).collect::<Vec<_>>());
    }

    async fn a_waiting_reader_gets_what_is_appended(bench: 1) {
        let log = bench.log();
        let mut reader = log.reader("late", &[prices()]).await.unwrap();
        let waiting = tokio::spawn(async move { polled(&mut *reader, 1).await });
        tokio::task::yield_now().await;
        log.append(numbered(0..1)).await.unwrap();
        assert_eq!(values(&waiting.await.unwrap()), [0]);
    }

    async fn one_reader_of_several_topics_gets_them_all(bench: 2) {
        let (log, rows) = (bench.log(), Topic::new("rows"));
        let mut reader = log.reader("sink", &[prices(), rows.clone()]).await.unwrap();
        log.append(numbered(0..20)).await.unwrap();
        log.append((20..30).map(|n: u32| Append::json(rows.clone(), "S", &n)).collect()).await.unwrap();
        let records = polled(&mut *reader, 30).await;
        assert!(records.iter().all(|record| (record.topic == rows) == (values(std::slice::from_ref(record))[0] >= 20)));
        assert_eq!(sorted(values(&records)), (0..30).collect::<Vec<_>>());
    }

    async fn a_compacted_topic_has_one_partition_and_the_last_value_of_each_key(bench: 3) {
        let log = bench.log();
        for n in 0..5 {
            log.append(vec![Append::json(SERVICE_STATUS, "engine", &n)]).await.unwrap();
        }
        log.append(vec![Append::json(SERVICE_STATUS, "sink", &9)]).await.unwrap();
        let extents = log.extents(&SERVICE_STATUS).await.unwrap();
        assert_eq!(extents.iter().map(|extent| (extent.partition, extent.next)).collect::<Vec<_>>(), [(0, 6)]);
        let records = log.read(&SERVICE_STATUS, 0, 0, 100).await.unwrap();
        let last = |key: &str| records.iter().rfind(|record| record.key == key).cloned().unwrap();
        assert_eq!(values(&[last("engine"), last("sink")]), [4, 9]);
    }

    async fn records_are_found_by_the_time_of_their_append(bench: 1) {
        let log = bench.log();
        let before = time::now();
        log.append(numbered(0..20)).await.unwrap();
        tokio::time::sleep(SHORT).await;
        let between = time::now();
        log.append(numbered(20..30)).await.unwrap();
        let records = log.read(&prices(), 0, 0, 100).await.unwrap();
        assert!(records.iter().all(|record| record.appended_at >= before), "{before}: {records:?}");
        assert_eq!(log.offset_at(&prices(), 0, between).await.unwrap(), 20);
        assert_eq!(log.offset_at(&prices(), 0, 0).await.unwrap(), 0);
        assert_eq!(log.offset_at(&prices(), 0, i64::MAX).await.unwrap(), 30);
    }

    async fn appends_made_at_once_are_all_kept_each_in_order(bench: 3) {
        let log = bench.log();
        let appends = (0..8).map(|part| {
            let log = log.clone();
            tokio::spawn(async move { log.append(numbered(part * 1_000..(part + 1) * 1_000)).await })
        });
        for append in appends.collect::<Vec<_>>() {
            append.await.unwrap().unwrap();
        }
        let mut reader = log.reader("all", &[prices()]).await.unwrap();
        let records = polled(&mut *reader, 8_000).await;
        for (part, key) in (0..8).flat_map(|part| (0..5).map(move |key| (part, key))) {
            let of_part: Vec<_> =
                values(&records).into_iter().filter(|n| n / 1_000 == part && n % 5 == key).collect();
            assert!(of_part.len() == 200 && of_part.is_sorted(), "{of_part:?}");
        }
    }

    async fn a_lease_is_granted_and_given_back(bench: 1) {
        let log = bench.log();
        for _ in 0..2 {
            let lease = tokio::time::timeout(PATIENCE, log.lease("sink")).await.unwrap().unwrap();
            assert!(tokio::time::timeout(SHORT, lease.lost()).await.is_err(), "it was lost at once");
        }
    }
}
