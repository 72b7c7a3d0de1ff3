//! A wrapper of the log that counts what one service reads and writes.

use model::service::Service;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use log::{Append, Extent, Fence, Lease, Log, LogError, Position, Reader, Record, SharedLog, Skipped};
use model::status::ServiceStatus;
use model::time::Millis;
use model::topic::{DEAD_LETTERS, SERVICE_STATUS, Topic};

use crate::health::{Health, locked};

/// The service whose statuses are stored as points.
const SINK: &str = Service::Sink.name();

pub(crate) struct InstrumentedLog {
    service: &'static str,
    inner: SharedLog,
    health: Health,
}

struct InstrumentedReader {
    service: &'static str,
    name: String,
    inner: Box<dyn Reader>,
    health: Health,
}

/// The contents of an append, counted when it has succeeded.
#[derive(Default)]
struct Tally {
    topics: Vec<(Topic, usize)>,
    dead_letters: Vec<String>,
    status: Option<ServiceStatus>,
}

impl InstrumentedLog {
    pub(crate) fn new(service: &'static str, inner: SharedLog, health: Health) -> InstrumentedLog {
        InstrumentedLog { service, inner, health }
    }

    fn count_error<T>(&self, outcome: Result<T, LogError>) -> Result<T, LogError> {
        count_error(&self.health, self.service, outcome)
    }

    /// Adds the free disk space to the sink's status. Its statuses are stored as points, so
    /// that dashboards show the space without Prometheus.
    fn add_disk(&self, records: &mut [Append]) {
        if self.service != SINK {
            return;
        }
        let Some(disk) = self.health.disk() else { return };
        for record in records.iter_mut().filter(|record| record.topic == SERVICE_STATUS) {
            if let Ok(mut status) = serde_json::from_slice::<ServiceStatus>(&record.value) {
                status.counts.insert("disk_free_percent".to_owned(), disk.percent_free());
                record.value = status.to_append().value;
            }
        }
    }

    fn count(&self, tally: Tally) {
        let meters = &self.health.0.meters;
        for (topic, records) in tally.topics {
            meters.appended(self.service, topic.name(), records);
        }
        for source in tally.dead_letters {
            meters.dead_letter(self.service, &source);
        }
        if let Some(status) = tally.status {
            locked(&self.health.0.said).insert(status.service.clone(), status);
        }
    }
}

impl Tally {
    fn of(records: &[Append]) -> Tally {
        let mut tally = Tally::default();
        for run in records.chunk_by(|a, b| a.topic == b.topic) {
            let topic = &run[0].topic;
            tally.topics.push((topic.clone(), run.len()));
            if *topic == DEAD_LETTERS {
                tally.dead_letters.extend(run.iter().map(|letter| letter.key.clone()));
            }
            if *topic == SERVICE_STATUS {
                let said = run.iter().rev().find_map(|record| serde_json::from_slice(&record.value).ok());
                tally.status = said.or(tally.status);
            }
        }
        tally
    }
}

fn count_error<T>(health: &Health, service: &str, outcome: Result<T, LogError>) -> Result<T, LogError> {
    if outcome.is_err() {
        health.0.meters.error(service);
    }
    outcome
}

#[async_trait]
impl Log for InstrumentedLog {
    async fn append(&self, mut records: Vec<Append>) -> Result<(), LogError> {
        self.add_disk(&mut records);
        let (tally, began) = (Tally::of(&records), Instant::now());
        let outcome = self.inner.append(records).await;
        self.health.0.meters.append_took(self.service, began.elapsed());
        self.count_error(outcome)?;
        self.count(tally);
        Ok(())
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn clock_keys(&self) -> u32 {
        self.inner.clock_keys()
    }

    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError> {
        self.count_error(self.inner.extents(topic).await)
    }

    async fn read(&self, topic: &Topic, part: u32, from: u64, limit: usize) -> Result<Vec<Record>, LogError> {
        let began = Instant::now();
        let outcome = self.inner.read(topic, part, from, limit).await;
        self.health.0.meters.read_took(self.service, began.elapsed());
        self.count_error(outcome)
    }

    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError> {
        self.count_error(self.inner.offset_at(topic, partition, at).await)
    }

    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError> {
        let inner = self.count_error(self.inner.reader(name, topics).await)?;
        let readers = &self.health.0.readers;
        readers.opened(self.service, name, topics);
        for position in inner.resumed_from() {
            readers.reached(self.service, name, &position.topic, position.partition, position.offset);
        }
        let (service, health) = (self.service, self.health.clone());
        Ok(Box::new(InstrumentedReader { service, name: name.to_owned(), inner, health }))
    }

    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError> {
        self.count_error(self.inner.committed(name).await)
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.count_error(self.inner.topics().await)
    }

    async fn appended(&self, wait: Duration) {
        self.inner.appended(wait).await;
    }

    async fn lease(&self, name: &str) -> Result<Box<dyn Lease>, LogError> {
        self.count_error(self.inner.lease(name).await)
    }

    fn fence(&self) -> Option<Fence> {
        self.inner.fence()
    }

    async fn fenced(&self, name: &str) -> Result<Option<SharedLog>, LogError> {
        self.count_error(self.inner.fenced(name).await)
    }

    async fn health(&self) -> Result<(), LogError> {
        self.inner.health().await
    }
}

#[async_trait]
impl Reader for InstrumentedReader {
    async fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let records = count_error(&self.health, self.service, self.inner.poll(limit, wait).await)?;
        self.health.0.readers.polled(self.service, &self.name);
        for run in records.chunk_by(|a, b| a.topic == b.topic && a.partition == b.partition) {
            let Record { topic, partition, .. } = &run[0];
            let next = run[run.len() - 1].offset + 1;
            self.health.0.meters.read(self.service, topic.name(), run.len());
            self.health.0.readers.reached(self.service, &self.name, topic, *partition, next);
        }
        Ok(records)
    }

    fn resumed_from(&self) -> &[Position] {
        self.inner.resumed_from()
    }

    fn positions(&self) -> Vec<Position> {
        self.inner.positions()
    }

    fn skipped(&mut self) -> Vec<Skipped> {
        self.inner.skipped()
    }

    async fn caught_up(&self) -> Result<bool, LogError> {
        count_error(&self.health, self.service, self.inner.caught_up().await)
    }

    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), LogError> {
        let outcome = self.inner.commit(positions).await;
        count_error(&self.health, self.service, outcome)
    }
}

impl Drop for InstrumentedReader {
    fn drop(&mut self) {
        self.health.0.readers.closed(self.service, &self.name);
    }
}
