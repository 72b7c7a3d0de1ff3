//! Tests that streaming through the log has the results of the batch path over the same bars:
//! without and with interruptions, in one partition or several.

use std::time::Duration;

use log::Append;
use model::Bar;
use model::time::MINUTE;
use model::topic::STOCK_PRICES;

use crate::bench::Bench;
use crate::market::{feed, headlines, in_order, late_by, news_feed, seeded};

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

/// Kills or stops the engine four times, at moments that `seed` chooses.
async fn interrupted(bench: &Bench, seed: u64) {
    for round in 0..4 {
        let wait = Duration::from_millis((seed * 7 + round * 13) % 40);
        if (seed + round).is_multiple_of(2) {
            bench.killed_after(wait).await;
        } else {
            bench.stopped_after(wait).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interruptions_change_nothing() {
    for seed in 3..9 {
        let bars = seeded(seed);
        let bench = Bench::with("volatility", feed(&bars, 2), 2).await;
        interrupted(&bench, seed).await;
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
    // Stopped in between, with a commit.
    bench.stopped_after(Duration::from_millis(300)).await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars, vec![]).await);
}

// Jobs of two topics: streaming equals batch for all partitions, interruptions, and orders in
// which the topics alternate.

const JOBS: [&str; 4] = ["news_impact", "movers", "signals", "news_reaction"];

/// The records of both topics, alternating in groups of `at_once`.
fn mixed(prices: Vec<Append>, news: Vec<Append>, at_once: usize) -> Vec<Append> {
    let (mut prices, mut news) = (prices.into_iter().peekable(), news.into_iter().peekable());
    let mut records = Vec::new();
    while prices.peek().is_some() || news.peek().is_some() {
        records.extend(prices.by_ref().take(at_once));
        records.extend(news.by_ref().take(at_once));
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn two_finite_feeds_yield_what_is_computed_at_once_in_any_number_of_partitions() {
    let (bars, articles) = (seeded(1), headlines(1));
    for job in JOBS {
        for (partitions, at_once) in [(1, 100_000), (2, 7), (7, 900)] {
            let records = mixed(feed(&bars, partitions), news_feed(&articles, partitions), at_once);
            let bench = Bench::with(job, records, partitions).await;
            bench.drain().await;
            let computed = bench.computed(bars.clone(), articles.clone()).await;
            assert!(computed.len() > 300, "{job} has only {} rows", computed.len());
            assert_eq!(bench.rows().await, computed, "{job} in {partitions} partitions");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_two_topics_goes_on_where_it_was_interrupted() {
    for (seed, job) in (20..).zip(JOBS) {
        let (bars, articles) = (seeded(seed), headlines(seed));
        let bench = Bench::with(job, mixed(feed(&bars, 2), news_feed(&articles, 2), 300), 2).await;
        interrupted(&bench, seed).await;
        bench.drain().await;
        assert_eq!(bench.rows().await, bench.computed(bars, articles).await, "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_meets_again_after_a_restart_what_came_before_it() {
    let (bars, articles) = (seeded(30), headlines(30));
    let (prices, news) = (feed(&bars, 1), news_feed(&articles, 1));
    // All prices of the first session, an orderly stop, then everything else.
    let first = prices.len() / 6;
    let bench = Bench::with("news_reaction", prices[..first].to_vec(), 1).await;
    bench.drain().await;
    bench.log.append(news).await.unwrap();
    bench.drain().await;
    bench.log.append(prices[first..].to_vec()).await.unwrap();
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars, articles).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_twice_of_what_had_been_said_before_a_stop_in_order() {
    let (bars, articles) = (seeded(31), headlines(31));
    let bench = Bench::with("news_reaction", mixed(feed(&bars, 1), news_feed(&articles, 1), 50), 1).await;
    bench.drain().await;
    let said = bench.log.extents(&bench.job.topic).await.unwrap()[0].next;
    bench.drain().await;
    assert_eq!(bench.log.extents(&bench.job.topic).await.unwrap()[0].next, said);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_with_news_wait_for_the_news_and_those_without_do_not() {
    let (bars, articles) = (seeded(32), headlines(32));
    let news = news_feed(&articles, 1);
    // The news ends before the first session, so its watermark reaches no window.
    let early: Vec<_> = news[..60].to_vec();
    let bench = Bench::with("news_impact", mixed(feed(&bars, 1), early, 100), 1).await;
    bench.drain().await;
    assert!(bench.rows().await.is_empty());
    bench.log.append(news[60..].to_vec()).await.unwrap();
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars, articles).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_news_for_a_day_windows_close_as_soon_as_the_news_clock_comes_to_their_end() {
    let bars = seeded(33);
    let first = bars[0].start_timestamp;
    let clocks = news_feed(&[], 1);
    // The watermark of the news starts a day before the bars, and ends 40 minutes into them.
    let reached = first / MINUTE * MINUTE + 40 * MINUTE;
    let said = |record: &Append| {
        let clock: model::Article = serde_json::from_slice(&record.value).unwrap();
        clock.complete_until
    };
    let clocks: Vec<_> = clocks.into_iter().filter(|record| said(record) <= reached).collect();
    let bench = Bench::with("news_impact", mixed(feed(&bars, 1), clocks, 100), 1).await;
    bench.drain().await;
    let mut wanted = bench.computed(bars, vec![]).await;
    wanted.retain(|(_, end, _), _| *end <= reached);
    assert!(wanted.len() > 100);
    assert_eq!(bench.rows().await, wanted);
}
