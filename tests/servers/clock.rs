//! Silence: with nothing but heartbeats on the topics, windows close on time.

use log::{Append, Log};
use model::time::{HOUR, MINUTE, Millis};
use model::topic::{NEWS_ARTICLES, STOCK_PRICES};
use model::{Bar, heartbeat};

use crate::harness::{Stack, sample, sample_bars};
use crate::process::wait_for;

const OPENS: Millis = 1_700_000_000_000 / MINUTE * MINUTE;

/// A minute of one symbol.
fn bar(minute: Millis) -> Append {
    let start = OPENS + minute * MINUTE;
    let bar = Bar { symbol: "ACME".into(), volume: 100.0, ..heartbeat::bar(0, start) };
    let bar = Bar { source: model::Source::Replay, close: 1.0 + minute as f64 / 100.0, high: 2.0, ..bar };
    Append::json(STOCK_PRICES, "ACME", &bar)
}

/// What a source writes at the end of a silent minute.
fn silence(at: Millis, keys: u32) -> Vec<Append> {
    let records = |partition: u32| {
        (0..keys).flat_map(move |key| {
            let (bar, article) = (heartbeat::bar(key, at), heartbeat::article(key, at));
            [
                Append::json(STOCK_PRICES, &heartbeat::symbol(key), &bar).into_partition(partition),
                Append::json(NEWS_ARTICLES, &heartbeat::symbol(key), &article).into_partition(partition),
            ]
        })
    };
    (0..2).flat_map(records).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_sources_silent_for_an_hour_windows_close_and_no_clock_record_shows() {
    // Only the engine and the sink run: the test is the source.
    let Some(stack) = Stack::of(&sample_bars(7), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let (_sink, engine) = (stack.start("sink"), stack.start("engine"));
    engine.said("Working");
    let log = stack.log(2);
    log.append((0..5).map(bar).collect()).await.unwrap();
    for minute in 1..=(HOUR / MINUTE) {
        log.append(silence(OPENS + (5 + minute) * MINUTE, 2)).await.unwrap();
    }
    // Bars in minutes 0 to 4, windows of 30 minutes that begin at every minute.
    let windows = 29 + 5;
    let runtime = tokio::runtime::Handle::current();
    let stored = wait_for(
        "the windows",
        || {
            let stored = tokio::task::block_in_place(|| runtime.block_on(stack.stored("volatility")));
            (stored.len() >= windows).then_some(stored)
        },
        || engine.lines().join("\n"),
    );
    assert_eq!(stored.len(), windows);
    assert!(stored.iter().all(|row| row["symbol"] == "ACME"), "{stored:?}");
}
