//! Logs and stores that break the rules on purpose, as a wrong build would: around
//! sound ones, and only here.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use log::{Append, Extent, Fence, Log, LogError, Position, Reader, Record, SharedLog};
use model::schema::Value;
use model::time::{LATEST, MINUTE, Millis};
use model::topic::STOCK_PRICES;
use model::{Bar, Topic};
use store::{Batch, Measurement, Query, Rows, SharedStore, Store, StoreError};
use tokio::sync::Notify;

/// How far a heartbeat that lies is ahead.
const AHEAD: Millis = 10 * MINUTE;

/// A log that does not keep to what it says.
#[derive(Clone)]
pub struct BadLog {
    pub inner: SharedLog,
    /// Positions are committed when records are polled, before anything came of them,
    /// and nobody is told, who could otherwise go back to what the store has noted.
    pub commits_early: bool,
    /// Heartbeats say that more is complete than is.
    pub clocks_lie: bool,
    /// Any time is believed: each record seems to have been appended at the latest of all.
    pub has_no_bound: bool,
    /// Readers begin at the beginning in each life.
    pub starts_over: bool,
    /// Which holder of the sink's lease this is, and what the last one is.
    pub holder: Option<(u64, Arc<AtomicU64>)>,
    /// A poll with rows of results waits for this, with the records in its hands.
    pub paused: Option<Arc<Pause>>,
}

/// Where a process is stopped, and when it goes on.
#[derive(Default)]
pub struct Pause {
    pub reached: Notify,
    pub over: Notify,
    /// Only the first poll with so many rows is stopped.
    was: AtomicBool,
}

/// So many rows of a job at once are of many windows.
const MANY_ROWS: usize = 100;

impl BadLog {
    /// One that keeps to everything.
    pub fn sound(inner: SharedLog) -> BadLog {
        BadLog {
            inner,
            commits_early: false,
            clocks_lie: false,
            has_no_bound: false,
            starts_over: false,
            holder: None,
            paused: None,
        }
    }

    fn is_shut_out(&self) -> bool {
        self.holder.as_ref().is_some_and(|(number, last)| *number != last.load(Ordering::SeqCst))
    }

    fn lie(&self, key: &str, topic: &Topic, value: &[u8]) -> Option<Vec<u8>> {
        if !self.clocks_lie || *topic != STOCK_PRICES || !key.starts_with('~') {
            return None;
        }
        let clock: Bar = serde_json::from_slice(value).ok()?;
        let at = clock.complete_until + AHEAD;
        serde_json::to_vec(&Bar { complete_until: at, start_timestamp: at, ..clock }).ok()
    }

    fn as_told(&self, mut records: Vec<Record>) -> Vec<Record> {
        for record in &mut records {
            if self.has_no_bound {
                record.appended_at = LATEST;
            }
            if let Some(lie) = self.lie(&record.key, &record.topic, &record.value) {
                record.value = lie.into();
            }
        }
        records
    }
}

/// It lies to whoever reads, not in what is written.
#[async_trait]
impl Log for BadLog {
    async fn append(&self, records: Vec<Append>) -> Result<(), LogError> {
        match self.is_shut_out() {
            true => Err(LogError::Fenced { name: "sink".into() }),
            false => self.inner.append(records).await,
        }
    }

    fn fence(&self) -> Option<Fence> {
        let (number, last) = self.holder.clone()?;
        Some(Fence::new(number, move || number == last.load(Ordering::SeqCst)))
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError> {
        self.inner.extents(topic).await
    }

    async fn read(&self, topic: &Topic, part: u32, from: u64, limit: usize) -> Result<Vec<Record>, LogError> {
        Ok(self.as_told(self.inner.read(topic, part, from, limit).await?))
    }

    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError> {
        self.inner.offset_at(topic, partition, at).await
    }

    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError> {
        static LIVES: AtomicU64 = AtomicU64::new(0);
        let name = match self.starts_over {
            true => format!("{name}-{}", LIVES.fetch_add(1, Ordering::Relaxed)),
            false => name.to_owned(),
        };
        Ok(Box::new(BadReader { inner: self.inner.reader(&name, topics).await?, log: self.clone() }))
    }

    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError> {
        self.inner.committed(name).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.inner.topics().await
    }

    async fn appended(&self, wait: Duration) {
        self.inner.appended(wait).await;
    }
}

struct BadReader {
    inner: Box<dyn Reader>,
    log: BadLog,
}

#[async_trait]
impl Reader for BadReader {
    async fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let records = self.inner.poll(limit, wait).await?;
        if self.log.commits_early {
            self.inner.commit(self.inner.positions()).await?;
        }
        if let Some(pause) = &self.log.paused {
            let rows = records.iter().filter(|record| record.topic.name() == "volatility").count();
            if rows >= MANY_ROWS && !pause.was.swap(true, Ordering::SeqCst) {
                pause.reached.notify_one();
                pause.over.notified().await;
            }
        }
        Ok(self.log.as_told(records))
    }

    fn resumed_from(&self) -> &[Position] {
        if self.log.commits_early { &[] } else { self.inner.resumed_from() }
    }

    fn positions(&self) -> Vec<Position> {
        self.inner.positions()
    }

    fn skipped(&mut self) -> Vec<log::Skipped> {
        self.inner.skipped()
    }

    async fn caught_up(&self) -> Result<bool, LogError> {
        self.inner.caught_up().await
    }

    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), LogError> {
        if self.log.is_shut_out() {
            return Err(LogError::Fenced { name: "sink".into() });
        }
        self.inner.commit(positions).await
    }
}

/// What a store does with what it is given to write.
pub enum Write {
    /// Writes it properly.
    Well,
    /// Acknowledges it, and writes the points with the next batch; the notes at once.
    Later(Mutex<Vec<(Arc<Measurement>, Vec<store::Point>)>>),
    /// Gives each point a time of its own, by when it came.
    ByArrival(AtomicI64),
    /// Writes it properly, so many times; then the process is killed, before or
    /// after the write, and `killed` is told.
    Until { left: AtomicI64, after: bool, killed: Arc<Notify> },
}

/// A store that does not keep to what it says.
pub struct BadStore {
    pub inner: SharedStore,
    pub write: Write,
    /// Does not know what it holds where a row is compared with that.
    pub is_blind: bool,
}

#[async_trait]
impl Store for BadStore {
    async fn define(&self, measurement: &Measurement) -> Result<(), StoreError> {
        self.inner.define(measurement).await
    }

    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError> {
        self.inner.measurements().await
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        let mut batch = Arc::unwrap_or_clone(batch);
        match &self.write {
            Write::Well => {}
            Write::Later(held) => std::mem::swap(&mut *held.lock().unwrap(), &mut batch.points),
            Write::ByArrival(next) => {
                for point in batch.points.iter_mut().flat_map(|(_, points)| points) {
                    point.nanos = next.fetch_add(1, Ordering::Relaxed) % 1_000_000;
                }
            }
            Write::Until { left, after, killed } => {
                if left.fetch_sub(1, Ordering::Relaxed) <= 0 {
                    if *after {
                        self.inner.write(batch.into()).await?;
                    }
                    killed.notify_one();
                    return std::future::pending().await;
                }
            }
        }
        self.inner.write(batch.into()).await
    }

    async fn read(&self, query: &Query) -> Result<Rows, StoreError> {
        self.inner.read(query).await
    }

    async fn held(
        &self,
        measurement: &Arc<Measurement>,
        points: &[store::Point],
    ) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        match self.is_blind {
            true => Ok(vec![None; points.len()]),
            false => self.inner.held(measurement, points).await,
        }
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
