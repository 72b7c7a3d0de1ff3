#![cfg(test)]
//! What is streamed through the log equals what is computed over the same
//! bars at once: in order, interrupted, in one partition or many.

mod market;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{Job, compute, run};
use market::{feed, in_order, late_by, seeded};
use wire::log::{Append, EmbeddedLog, SharedLog};
use wire::schema::Value;
use wire::stop::{self, Wish};
use wire::{Bar, topic};

/// The rows of a job by symbol and window, as the result topic holds them last.
type Rows = BTreeMap<(String, i64), serde_json::Value>;

struct Bench {
    _folder: tempfile::TempDir,
    log: SharedLog,
    job: Job,
}

impl Bench {
    async fn with(records: Vec<Append>, partitions: u32) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), partitions).unwrap());
        for chunk in records.chunks(500) {
            log.append(chunk.to_vec()).await.unwrap();
        }
        Bench { _folder: folder, log, job: Job::named("volatility").unwrap() }
    }

    /// Runs the engine until everything in the log has been taken.
    async fn drain(&self) {
        let (stopper, stop) = stop::channel();
        stopper.ask(Wish::Drain);
        run(self.log.clone(), vec![self.job.clone()], stop).await.unwrap();
    }

    /// Runs the engine and kills it after a while.
    async fn killed_after(&self, wait: Duration) {
        let (_stopper, stop) = stop::channel();
        let running = tokio::spawn(run(self.log.clone(), vec![self.job.clone()], stop));
        tokio::time::sleep(wait).await;
        running.abort();
        let _ = running.await;
    }

    /// Runs the engine for a while and stops it in order, so that it commits.
    async fn stopped_after(&self, wait: Duration) {
        let (stopper, stop) = stop::channel();
        let running = tokio::spawn(run(self.log.clone(), vec![self.job.clone()], stop));
        tokio::time::sleep(wait).await;
        stopper.ask(Wish::Stop);
        running.await.unwrap().unwrap();
    }

    async fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for extent in self.log.extents(&self.job.topic).await.unwrap() {
            for record in self.log.read(&self.job.topic, extent.partition, 0, usize::MAX >> 1).await.unwrap()
            {
                let row: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
                let symbol = row["symbol"].as_str().unwrap().to_owned();
                assert_eq!(record.key, symbol);
                if wire::symbol::is_ours(&symbol) {
                    continue;
                }
                let key = (symbol, row["window_start"].as_i64().unwrap());
                if let Some(earlier) = rows.insert(key, row.clone()) {
                    assert_eq!(earlier, row, "a row that is written again has the same value");
                }
            }
        }
        rows
    }

    async fn late(&self) -> u64 {
        let said = self.log.read(&topic::SERVICE_STATUS, 0, 0, 100).await.unwrap();
        let said = said.iter().find(|record| record.key == "engine").unwrap();
        let said: wire::status::ServiceStatus = serde_json::from_slice(&said.value).unwrap();
        said.counts["late"]
    }

    async fn computed(&self, bars: Vec<Bar>) -> Rows {
        let rows = compute(&self.job, bars, Vec::new()).await.unwrap();
        rows.into_iter()
            .map(|row| {
                let object: serde_json::Map<_, _> = self
                    .job
                    .columns
                    .iter()
                    .zip(&row)
                    .map(|(column, value)| (column.name.clone(), value.to_json()))
                    .collect();
                let Value::Text(symbol) = &row[0] else { panic!("the symbol comes first") };
                ((symbol.clone(), row[1].as_i64().unwrap()), object.into())
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finite_feed_yields_what_is_computed_at_once() {
    let bars = seeded(1);
    let bench = Bench::with(feed(&bars, 1), 1).await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_change_nothing() {
    let bars = seeded(2);
    for partitions in [2, 7] {
        let bench = Bench::with(feed(&bars, partitions), partitions).await;
        bench.drain().await;
        assert_eq!(bench.rows().await, bench.computed(bars.clone()).await, "{partitions} partitions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interruptions_change_nothing() {
    for seed in 3..9 {
        let bars = seeded(seed);
        let bench = Bench::with(feed(&bars, 2), 2).await;
        for round in 0..4 {
            let wait = Duration::from_millis((seed * 7 + round * 13) % 40);
            if (seed + round) % 2 == 0 {
                bench.killed_after(wait).await;
            } else {
                bench.stopped_after(wait).await;
            }
        }
        bench.drain().await;
        assert_eq!(bench.rows().await, bench.computed(bars).await, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_behind_the_watermark_is_counted_once_and_left_to_the_recompute() {
    let bars = seeded(10);
    let (records, in_time, late) = late_by(&bars, 5);
    let bench = Bench::with(records, 1).await;
    bench.stopped_after(Duration::from_millis(20)).await;
    bench.drain().await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(in_time).await);
    assert_eq!(bench.late().await, late);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_leave_in_the_order_of_their_windows() {
    let bench = Bench::with(feed(&seeded(11), 1), 1).await;
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
    let bench = Bench::with(records, 1).await;
    bench.drain().await;
    assert_eq!(bench.rows().await, bench.computed(bars).await);
}
