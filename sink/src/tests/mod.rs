//! Tests of the sink with a real log and store, and a simple computation: the number of bars in
//! a window, and their volume.

mod aggregates;
mod convergence;
mod jobs;
mod late;
mod points;
mod restart;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use control::shutdown::{self, Shutdown};
use engine::Hop;
use log::{Append, EmbeddedLog, Fence, SharedLog};
use model::schema::{Column, ColumnType, Value};
use model::time::{MINUTE, Millis};
use model::topic::{STOCK_PRICES, Topic};
use model::{Article, Bar, Source};
use serde_json::json;
use store::{EmbeddedStore, Measurement, Query, SharedStore};

use crate::delivery::{Delivery, Waits};
use crate::error::SinkError;
use crate::pipeline::Status;
use crate::recompute::Compute;
use crate::sink::{Due, Sink};
use crate::table::{Layout, Table};

/// Windows of three minutes, one per minute.
const HOP: Hop = Hop { size: 3 * MINUTE, slide: MINUTE };

/// A log and a store in a temporary folder.
struct Folder {
    log: SharedLog,
    store: SharedStore,
    calls: Arc<AtomicUsize>,
    path: tempfile::TempDir,
}

/// The bars and the volume of each window, by symbol and the first minute of the window.
type Totals = BTreeMap<(String, i64), (i64, f64)>;

impl Folder {
    fn new() -> Folder {
        let path = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&path.path().join("log.db"), 1).unwrap());
        let store = Arc::new(EmbeddedStore::open(&path.path().join("store.db")).unwrap());
        Folder { log, store, calls: Arc::default(), path }
    }

    /// Opens the sink as a new process would.
    async fn sink(&self) -> Sink {
        self.sink_with(vec![totals()], Box::new(Sums(self.calls.clone()))).await
    }

    async fn sink_with(&self, tables: Vec<Table>, compute: Box<dyn Compute>) -> Sink {
        self.open_sink(None, tables, compute).await.unwrap()
    }

    /// Opens a sink that holds a lease.
    async fn sink_under(&self, fence: Option<Fence>) -> Result<Sink, SinkError> {
        self.open_sink(fence, vec![totals()], Box::new(Sums(self.calls.clone()))).await
    }

    async fn open_sink(
        &self,
        fence: Option<Fence>,
        tables: Vec<Table>,
        compute: Box<dyn Compute>,
    ) -> Result<Sink, SinkError> {
        let (_, stop) = shutdown::channel();
        let status = Status::new(self.log.clone());
        let delivery = Delivery::new(self.store.clone(), status, Waits::USUAL, stop);
        let delivery = Arc::new(delivery.under_lease(fence).await?);
        Sink::open(self.log.clone(), delivery, tables, compute).await
    }

    /// A sink that has read and stored everything in the log.
    async fn sink_caught_up(&self) -> Sink {
        let mut sink = self.sink().await;
        catch_up(&mut sink).await;
        sink
    }

    /// Runs a sink until everything in the log is stored.
    async fn drain(&self) {
        let (stopper, stop) = shutdown::channel();
        stopper.ask(Shutdown::Drain);
        self.sink()
            .await
            .run(Duration::from_secs(3_600), control::recompute::channel().1, &stop)
            .await
            .unwrap();
    }

    async fn append(&self, records: Vec<Append>) {
        self.log.append(records).await.unwrap();
    }

    /// The stored windows.
    async fn totals(&self) -> Totals {
        let query = Query { measurement: "totals".into(), ..Query::default() };
        let rows = self.store.read(&query).await.unwrap().rows;
        let total = |row: &Vec<Value>| {
            let key = (row[0].as_str().unwrap().to_owned(), row[1].as_i64().unwrap() / MINUTE);
            (key, (row[3].as_i64().unwrap(), row[4].as_f64().unwrap()))
        };
        rows.iter().map(total).collect()
    }

    async fn bars(&self) -> Vec<Bar> {
        let query = Query { measurement: "stock_prices".into(), ..Query::default() };
        self.store.read(&query).await.unwrap().to_bars().unwrap()
    }
}

async fn catch_up(sink: &mut Sink) {
    while sink.read(Duration::ZERO).await.unwrap() {}
    sink.flush().await.unwrap();
}

async fn recompute(sink: &mut Sink, due: Due) {
    let (_stopper, stop) = shutdown::channel();
    sink.recompute(due, &stop).await.unwrap();
}

/// A job that counts bars.
fn totals() -> Table {
    use ColumnType::{Float, Int, Text, Time};
    let columns =
        [("symbol", Text), ("window_start", Time), ("window_end", Time), ("bars", Int), ("volume", Float)]
            .map(|(name, kind)| Column::new(name, kind));
    let topic = Topic::new("totals");
    let measurement = Measurement::results(&topic, &columns);
    Table::new(topic, measurement, vec![STOCK_PRICES], Some(Layout::Windows(HOP)))
}

/// The batch path of [`totals`], with a count of its calls.
struct Sums(Arc<AtomicUsize>);

#[async_trait]
impl Compute for Sums {
    async fn compute(
        &self,
        _: &Table,
        bars: Vec<Bar>,
        _: Vec<Article>,
    ) -> Result<Vec<Vec<Value>>, SinkError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let row = |((symbol, start), (bars, volume)): ((String, i64), (i64, f64))| {
            let (from, to) = (start * MINUTE, start * MINUTE + HOP.size);
            vec![
                Value::Text(symbol),
                Value::Int(from),
                Value::Int(to),
                Value::Int(bars),
                Value::Float(volume),
            ]
        };
        Ok(sums(&bars).into_iter().map(row).collect())
    }
}

/// Every window over some bars in their order of arrival: of several versions the latest
/// counts, and of equal ones the last.
fn sums(bars: &[Bar]) -> Totals {
    let mut settled: BTreeMap<(&str, Millis), &Bar> = BTreeMap::new();
    for bar in bars {
        let held = settled.entry((&bar.symbol, bar.start_timestamp)).or_insert(bar);
        if bar.received_timestamp >= held.received_timestamp {
            *held = bar;
        }
    }
    let mut totals = Totals::new();
    for ((symbol, start), bar) in settled {
        let last = start / MINUTE;
        for first in last - 2..=last {
            let total = totals.entry((symbol.to_owned(), first)).or_default();
            *total = (total.0 + 1, total.1 + bar.volume);
        }
    }
    totals
}

/// A bar of a minute, with the watermark `complete`.
fn bar(symbol: &str, minute: i64, volume: f64, complete: i64) -> Bar {
    Bar {
        symbol: symbol.into(),
        volume,
        source: Source::Replay,
        start_timestamp: minute * MINUTE,
        end_timestamp: (minute + 1) * MINUTE,
        received_timestamp: (minute + 1) * MINUTE,
        complete_until: complete * MINUTE,
        ..model::heartbeat::bar(0, 0)
    }
}

fn bar_record(bar: &Bar) -> Append {
    Append::json(STOCK_PRICES, &bar.symbol, bar)
}

fn clock_record(minute: i64) -> Append {
    bar_record(&model::heartbeat::bar(0, minute * MINUTE))
}

/// A row as the engine writes it, of the window that begins with the minute `start`.
fn row_record(symbol: &str, start: i64, bars: i64, volume: f64) -> Append {
    let (from, to) = (start * MINUTE, start * MINUTE + HOP.size);
    let row =
        json!({"symbol": symbol, "window_start": from, "window_end": to, "bars": bars, "volume": volume});
    Append::json(Topic::new("totals"), symbol, &row)
}

fn window(symbol: &str, start: i64, bars: i64, volume: f64) -> ((String, i64), (i64, f64)) {
    ((symbol.to_owned(), start), (bars, volume))
}
