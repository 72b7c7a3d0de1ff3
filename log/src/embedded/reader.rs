//! The named reader of the embedded log.

use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use model::topic::Topic;
use tokio::sync::watch;

use super::file::{LogFile, NextOffsets, extents, lock, read};
use super::request;
use super::writer::Request;
use crate::{LogError, Position, Reader, Record, Skipped};

/// How often a reader without a writer in its process looks for new records.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) struct EmbeddedReader {
    pub(super) name: String,
    pub(super) file: LogFile,
    pub(super) topics: Vec<Topic>,
    pub(super) resumed: Vec<Position>,
    pub(super) next: NextOffsets,
    pub(super) requests: Option<mpsc::Sender<Request>>,
    pub(super) version: watch::Receiver<u64>,
    pub(super) skipped: Vec<Skipped>,
}

impl EmbeddedReader {
    /// Reads up to `limit` records of every partition, so that a busy topic does not starve
    /// another.
    async fn read_available(&mut self, limit: usize) -> Result<Vec<Record>, LogError> {
        let (topics, next) = (self.topics.clone(), lock(&self.next).clone());
        let (records, skipped) = self
            .file
            .query(move |connection| {
                let (mut records, mut skipped) = (Vec::new(), Vec::new());
                for topic in &topics {
                    for extent in extents(connection, topic.name())? {
                        let key = (topic.clone(), extent.partition);
                        let stands = next.get(&key).copied();
                        let from = stands.unwrap_or(0).max(extent.first);
                        if let Some(stands) = stands.filter(|&stands| stands < from) {
                            let (topic, partition) = key;
                            skipped.push(Skipped { topic, partition, from: stands, to: from });
                        }
                        if from < extent.next {
                            records.extend(read(connection, topic, extent.partition, from, limit)?);
                        }
                    }
                }
                Ok((records, skipped))
            })
            .await?;
        let mut next = lock(&self.next);
        for skipped in skipped {
            skipped.warn(&self.name);
            next.insert((skipped.topic.clone(), skipped.partition), skipped.to);
            self.skipped.push(skipped);
        }
        for record in &records {
            next.insert((record.topic.clone(), record.partition), record.offset + 1);
        }
        drop(next);
        Ok(records)
    }
}

#[async_trait]
impl Reader for EmbeddedReader {
    async fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let until = tokio::time::Instant::now() + wait;
        loop {
            self.version.mark_unchanged();
            let records = self.read_available(limit).await?;
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if !records.is_empty() || left.is_zero() {
                return Ok(records);
            }
            wait_for_append(&mut self.version, left.min(LOOK_AGAIN)).await;
        }
    }

    fn resumed_from(&self) -> &[Position] {
        &self.resumed
    }

    fn positions(&self) -> Vec<Position> {
        lock(&self.next)
            .iter()
            .map(|((topic, partition), offset)| Position {
                topic: topic.clone(),
                partition: *partition,
                offset: *offset,
                note: String::new(),
            })
            .collect()
    }

    fn skipped(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.skipped)
    }

    async fn caught_up(&self) -> Result<bool, LogError> {
        let (topics, next) = (self.topics.clone(), lock(&self.next).clone());
        self.file
            .query(move |connection| {
                for topic in &topics {
                    for extent in extents(connection, topic.name())? {
                        let polled = next.get(&(topic.clone(), extent.partition)).copied().unwrap_or(0);
                        if polled < extent.next && extent.first < extent.next {
                            return Ok(false);
                        }
                    }
                }
                Ok(true)
            })
            .await
    }

    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), LogError> {
        let name = self.name.clone();
        request(self.requests.as_ref(), |reply| Request::Commit(name, positions, reply)).await
    }
}

pub(super) async fn wait_for_append(version: &mut watch::Receiver<u64>, wait: Duration) {
    // Without a writer in this process no append wakes the reader.
    if let Ok(Err(_closed)) = tokio::time::timeout(wait, version.changed()).await {
        tokio::time::sleep(wait).await;
    }
}
