//! How far the readers of this process are behind what the log holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use wire::Topic;
use wire::log::{LogError, SharedLog};

use crate::locked;

/// A log that takes longer to say what it holds is away.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// One reader's distance from the end of one partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) service: &'static str,
    pub(crate) reader: String,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) records: i64,
}

/// The readers at work.
#[derive(Default)]
pub(crate) struct Readers(Mutex<BTreeMap<(&'static str, String), Read>>);

/// What one reader has read.
#[derive(Default)]
struct Read {
    topics: BTreeSet<Topic>,
    next: BTreeMap<(Topic, u32), u64>,
}

impl Readers {
    pub(crate) fn opened(&self, service: &'static str, reader: &str, topics: &[Topic]) {
        let read = Read { topics: topics.iter().cloned().collect(), next: BTreeMap::new() };
        locked(&self.0).insert((service, reader.to_owned()), read);
    }

    pub(crate) fn closed(&self, service: &'static str, reader: &str) {
        locked(&self.0).remove(&(service, reader.to_owned()));
    }

    pub(crate) fn reached(
        &self,
        service: &'static str,
        reader: &str,
        topic: &Topic,
        partition: u32,
        next: u64,
    ) {
        if let Some(read) = locked(&self.0).get_mut(&(service, reader.to_owned())) {
            read.next.insert((topic.clone(), partition), next);
        }
    }

    /// How far each is behind; nothing where the log does not answer.
    pub(crate) async fn behind(&self, log: &SharedLog) -> Vec<Behind> {
        match tokio::time::timeout(ANSWERS_WITHIN, self.ask(log)).await {
            Ok(Ok(behind)) => behind,
            Ok(Err(error)) => {
                tracing::debug!(%error, "Lags are not known.");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn ask(&self, log: &SharedLog) -> Result<Vec<Behind>, LogError> {
        let topics: BTreeSet<_> = locked(&self.0).values().flat_map(|read| read.topics.clone()).collect();
        let mut held = Vec::new();
        for topic in topics {
            held.push((log.extents(&topic).await?, topic));
        }
        let readers = locked(&self.0);
        let mut behind = Vec::new();
        for ((service, reader), read) in &*readers {
            for (extents, topic) in held.iter().filter(|(_, topic)| read.topics.contains(topic)) {
                behind.extend(extents.iter().map(|extent| {
                    let next = read.next.get(&(topic.clone(), extent.partition)).copied();
                    Behind {
                        service,
                        reader: reader.clone(),
                        topic: topic.name().to_owned(),
                        partition: extent.partition,
                        records: extent.next.saturating_sub(next.unwrap_or(extent.first)) as i64,
                    }
                }));
            }
        }
        Ok(behind)
    }
}
