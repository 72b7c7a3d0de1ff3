//! What is streamed through the log equals what is computed over the same
//! bars at once: in order, interrupted, in one partition or many.

use std::time::Duration;

use log::Append;
use model::Bar;
use model::topic::STOCK_PRICES;

use crate::bench::Bench;
use crate::market::{feed, in_order, late_by, seeded};

#[tokio::test(flavor = "multi_thread")]
async fn a_finite_feed_yields_what_is_computed_at_once() {
    let bars = seeded(1);
    let bench = Bench::with("volatility", feed(&bars, 1), 1).await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars, vec![]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_change_nothing() {
    let bars = seeded(2);
    for partitions in [2, 7] {
        let bench = Bench::with("volatility", feed(&bars, partitions), partitions).await;
        bench.drain().await;
        assert_eq!(bench.rows().await, bench.computed(bars.clone(), vec![]).await, "{partitions} partitions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interruptions_change_nothing() {
    for seed in 3..9 {
        let bars = seeded(seed);
        let bench = Bench::with("volatility", feed(&bars, 2), 2).await;
        for round in 0..4 {
            let wait = Duration::from_millis((seed * 7 + round * 13) % 40);
            if (seed + round) % 2 == 0 {
                bench.killed_after(wait).await;
            } else {
                bench.stopped_after(wait).await;
            }
        }
        bench.drain().await;
        assert_eq!(bench.rows().await, bench.computed(bars, vec![]).await, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_behind_the_watermark_is_counted_once_and_left_to_the_recompute() {
    let bars = seeded(10);
    let (records, in_time, late) = late_by(&bars, 5);
    let bench = Bench::with("volatility", records, 1).await;
    bench.stopped_after(Duration::from_millis(20)).await;
    bench.drain().await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(in_time, vec![]).await);
    assert_eq!(bench.late().await, late);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_leave_in_the_order_of_their_windows() {
    let bench = Bench::with("volatility", feed(&seeded(11), 1), 1).await;
    bench.drain().await;
    let records = bench.log.read(&bench.job.topic, 0, 0, usize::MAX >> 1).await.unwrap();
    let ends: Vec<i64> = records
        .iter()
        .map(|record| {
            serde_json::from_slice::<serde_json::Value>(&record.value).unwrap()["window_end"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert!(ends.len() > 1_000 && ends.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_decode_stops_nothing() {
    let bars = seeded(12);
    let mut records = feed(&bars, 1);
    let poison =
        [&b"{\"symbol\": \"AAPL\""[..], b"", b"null", b"{}", b"{\"symbol\": 1} {\"symbol\": 2}", b"\xff"];
    for (at, bytes) in poison.into_iter().enumerate() {
        let record = Append { value: bytes.to_vec().into(), ..in_order(&bars[..1]).remove(0) };
        records.insert(at * 100, record);
    }
    let bench = Bench::with("volatility", records, 1).await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars, vec![]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_beyond_reason_close_no_window_and_cost_no_other_record() {
    let bars = seeded(61);
    let mut records = feed(&bars, 2);
    let year_2262 = 9_223_372_036_000;
    for (at, partition) in [(0, 0), (0, 1), (700, 0), (900, 1)] {
        for start in [bars[0].start_timestamp, year_2262] {
            let poison = Bar { start_timestamp: start, complete_until: year_2262, ..bars[0].clone() };
            records.insert(at, Append::json(STOCK_PRICES, &poison.symbol, &poison).into_partition(partition));
        }
    }
    let bench = Bench::with("volatility", records, 2).await;
    // Stopped in between: what it commits is sound.
    bench.stopped_after(Duration::from_millis(300)).await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars, vec![]).await);
}
