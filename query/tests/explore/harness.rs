//! An explorer over an embedded store with bars of three symbols.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::schema::Value;
use model::time::{MINUTE, Millis};
use model::{Bar, Source};
use query::explore::{ExploreError, Explorer, Limits};
use store::{Batch, EmbeddedStore, Measurement, Point, Query, Rows, SharedStore, Store, StoreError};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// Friday 2013-10-04, 09:30 in New York.
pub const OPEN: Millis = 1_380_893_400_000;

pub const LIMITS: Limits =
    Limits { time: Duration::from_secs(60), rows: Some(50_000), bytes: None, memory: 64 << 20, at_once: 4 };

pub struct Sandbox {
    pub explorer: Explorer,
    pub watched: Arc<Watched>,
    _folder: TempDir,
}

/// A store that records what is read from it.
pub struct Watched {
    inner: EmbeddedStore,
    pub reads: Mutex<Vec<Query>>,
}

impl Sandbox {
    /// `minutes` bars of each of AAPL, IBM and MSFT; the close of minute n is 100 + n.
    pub async fn new(minutes: i64) -> Sandbox {
        Sandbox::within(LIMITS, minutes).await
    }

    pub async fn within(limits: Limits, minutes: i64) -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        let inner = EmbeddedStore::open(&folder.path().join("store.db")).unwrap();
        let bars = Measurement::bars();
        inner.define(&bars).await.unwrap();
        inner.define(&Measurement::articles()).await.unwrap();
        let points = ["MSFT", "AAPL", "IBM"].iter().flat_map(|symbol| (0..minutes).map(|n| point(symbol, n)));
        let points = vec![(Arc::new(bars), points.collect())];
        inner.write(Batch { points, notes: Vec::new() }.into()).await.unwrap();
        let watched = Arc::new(Watched { inner, reads: Mutex::default() });
        let store: SharedStore = watched.clone();
        Sandbox { explorer: Explorer::new(store, limits), watched, _folder: folder }
    }

    pub async fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        self.explorer.query(sql).await.unwrap().all().await.unwrap()
    }

    /// The single value that a query returns.
    pub async fn value(&self, sql: &str) -> Value {
        let mut rows = self.rows(sql).await;
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}: {rows:?}");
        rows.remove(0).remove(0)
    }

    /// The error of a query that fails at the start or later.
    pub async fn refused(&self, sql: &str) -> ExploreError {
        match self.explorer.query(sql).await {
            Err(error) => error,
            Ok(mut answer) => answer.all().await.expect_err(sql),
        }
    }

    /// The queries of the store since the last call.
    pub async fn reads(&self) -> Vec<Query> {
        std::mem::take(&mut *self.watched.reads.lock().await)
    }
}

#[async_trait]
impl Store for Watched {
    async fn define(&self, measurement: &Measurement) -> Result<(), StoreError> {
        self.inner.define(measurement).await
    }

    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError> {
        self.inner.measurements().await
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.inner.write(batch).await
    }

    async fn read(&self, query: &Query) -> Result<Rows, StoreError> {
        self.reads.lock().await.push(query.clone());
        self.inner.read(query).await
    }

    async fn latest(&self, measurement: &str) -> Result<Rows, StoreError> {
        self.inner.latest(measurement).await
    }

    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.notes(prefix).await
    }

    async fn trimmed_before(&self, measurement: &str) -> Result<Option<Millis>, StoreError> {
        self.inner.trimmed_before(measurement).await
    }
}

fn point(symbol: &str, minute: i64) -> Point {
    let start = OPEN + minute * MINUTE;
    Point::bar(&Bar {
        symbol: symbol.into(),
        open: 100.0,
        high: 1_000_000.0,
        low: 99.0,
        close: 100.0 + minute as f64,
        vwap: None,
        volume: 10.0,
        accumulated_volume: None,
        official_open_price: None,
        aggregate_vwap: None,
        average_size: None,
        start_timestamp: start,
        end_timestamp: start + MINUTE,
        otc: None,
        source: Source::Replay,
        received_timestamp: start + MINUTE,
        complete_until: start,
        position: None,
    })
}
