//! What the log on Kafka and its readers share: the clients, retries, timeouts, and the topics.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use model::topic::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::KafkaConfig;
use super::appender::{Appender, Client, Placed, is_to_repeat};
use super::connectivity::{Connectivity, Context, may_pass};
use super::consumers::{ConsumerPool, TopicPartition};
use crate::{Append, Extent, LogError, partition_of};

/// The interval between two retries.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The factor by which a write of a command may take longer than a read: after a timeout of a
/// write, a person has to find out whether it happened.
const WRITES_LONGER: u32 = 4;
/// How long a new topic may take to appear in the metadata.
const SHOWS_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Shared {
    pub(super) config: KafkaConfig,
    pub(super) connectivity: Arc<Connectivity>,
    pub(super) appender: Appender,
    pub(super) topics: Topics,
    pub(super) consumers: ConsumerPool,
    /// Set when the format of the log has been checked.
    pub(super) format_checked: OnceCell<()>,
}

impl Shared {
    /// Retries transient errors until the operation succeeds, or until the timeout of a
    /// command.
    pub(super) async fn with_retries<T, F>(
        &self,
        doing: &'static str,
        attempt: impl Fn() -> F,
    ) -> Result<T, LogError>
    where
        F: Future<Output = KafkaResult<T>>,
    {
        let begun = Instant::now();
        let patient = || self.config.patience.is_none_or(|patience| begun.elapsed() < patience);
        // A constant interval, because the client itself reconnects with exponential back-off
        // and jitter.
        let value = attempt
            .retry(ConstantBuilder::new().with_delay(TRY_AGAIN).without_max_times())
            .when(|error| may_pass(error) && patient())
            .notify(|error, _| self.connectivity.lost(doing, error))
            .await
            .map_err(|error| self.failed(doing, error))?;
        self.connectivity.found();
        Ok(value)
    }

    pub(super) fn failed(&self, doing: &'static str, source: KafkaError) -> LogError {
        let servers = self.connectivity.servers().to_owned();
        if may_pass(&source) {
            let reason = self.connectivity.reason().unwrap_or_else(|| source.to_string());
            return LogError::KafkaAway { servers, reason };
        }
        LogError::Kafka { servers, doing, source }
    }

    /// Waits for a write: a service without limit, a command until its timeout. Only the client
    /// knows then whether the write happens, so the error says whether it may have been sent
    /// (`sent`).
    pub(super) async fn within_patience<T>(
        &self,
        sent: &AtomicBool,
        write: impl Future<Output = T>,
    ) -> Result<T, LogError> {
        let Some(patience) = self.config.patience else { return Ok(write.await) };
        let patience = patience * WRITES_LONGER;
        tokio::time::timeout(patience, write).await.map_err(|_| {
            let servers = self.connectivity.servers().to_owned();
            let seconds = patience.as_secs();
            let reason = self.connectivity.reason().unwrap_or_else(|| "no answer to a write".to_owned());
            match sent.load(SeqCst) {
                true => LogError::KafkaUnknown { servers, seconds, reason },
                false => LogError::KafkaNotWritten { servers, seconds, reason },
            }
        })
    }

    /// Runs a request on the producer client, with retries.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        question: impl Fn(&Shared, &Client) -> KafkaResult<T> + Clone + Send + Sync + 'static,
    ) -> Result<T, LogError> {
        self.with_retries(doing, || {
            let (shared, question) = (self.clone(), question.clone());
            blocking(move || question(&shared, &shared.appender.client()))
        })
        .await
    }

    /// Creates missing topics and checks the number of partitions of existing ones.
    pub(super) async fn make(self: &Arc<Self>, topics: &[&Topic]) -> Result<(), LogError> {
        let until = Instant::now() + SHOWS_WITHIN;
        loop {
            let mut missing = Vec::new();
            for &topic in topics {
                let asked = self.topics.partitions(topic);
                match self.existing_partitions(topic).await? {
                    Some(found) if found == asked => {}
                    Some(found) => {
                        return Err(LogError::KafkaPartitions {
                            topic: self.topics.name(topic),
                            found,
                            asked,
                        });
                    }
                    None => missing.push(topic),
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(self.failed("making topics", KafkaError::AdminOp(Code::UnknownTopicOrPartition)));
            }
            self.with_retries("making topics", || self.topics.make(&missing)).await?;
        }
    }

    /// The number of partitions of a topic, or `None` if it does not exist.
    async fn existing_partitions(self: &Arc<Self>, topic: &Topic) -> Result<Option<u32>, LogError> {
        if let Some(found) = self.topics.known_partitions(topic) {
            return Ok(Some(found));
        }
        let topic = topic.clone();
        self.ask("looking up topics", move |shared, client| {
            shared.topics.ask(client)?;
            Ok(shared.topics.known_partitions(&topic))
        })
        .await
    }

    /// Appends in order, and sends records again that the broker refused for a transient
    /// reason.
    ///
    /// # Errors
    /// If the broker refuses a record permanently, or does not answer within the timeout of a
    /// command.
    pub(super) async fn append(self: &Arc<Self>, records: &[Append]) -> Result<(), LogError> {
        let sent = AtomicBool::new(false);
        self.within_patience(&sent, self.append_with_retries(records, &sent)).await?
    }

    async fn append_with_retries(
        self: &Arc<Self>,
        records: &[Append],
        sent: &AtomicBool,
    ) -> Result<(), LogError> {
        let mut left: Vec<&Append> = records.iter().collect();
        loop {
            let names = self.places(&left).await?;
            let placed: Vec<_> = left.iter().map(|record| names.place(record)).collect();
            sent.store(true, SeqCst);
            let refused = self.appender.send(&placed).await;
            let Some((_, first)) = refused.first() else { return Ok(()) };
            if let Some((_, error)) = refused.iter().find(|(_, error)| !is_to_repeat(error)) {
                return Err(self.failed("appending", error.clone()));
            }
            self.connectivity.lost("appending", first);
            self.topics.forget();
            left = refused.iter().map(|(at, _)| left[*at]).collect();
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Creates the topics of some records if missing, and returns where each record goes.
    pub(super) async fn places(self: &Arc<Self>, records: &[&Append]) -> Result<Places, LogError> {
        let mut topics: Vec<&Topic> = records.iter().map(|record| &record.topic).collect();
        topics.sort();
        topics.dedup();
        self.make(&topics).await?;
        let place =
            |topic: &&Topic| ((*topic).clone(), (self.topics.name(topic), self.topics.partitions(topic)));
        Ok(Places(topics.iter().map(place).collect()))
    }

    /// The extents of the partitions that have ever held a record.
    pub(super) async fn extents(self: &Arc<Self>, topic: &Topic) -> Result<Vec<Extent>, LogError> {
        let Some(partitions) = self.existing_partitions(topic).await? else { return Ok(Vec::new()) };
        let name = self.topics.name(topic);
        self.ask("looking up offsets", move |shared, client| {
            shared.consumers.tidy();
            let mut extents = Vec::with_capacity(partitions as usize);
            for partition in 0..partitions {
                let extent = extent(client, &TopicPartition { name: name.clone(), partition })?;
                extents.extend((extent.next > 0).then_some(extent));
            }
            Ok(extents)
        })
        .await
    }

    /// The partition by its name on Kafka, if its topic exists.
    pub(super) async fn lane(
        self: &Arc<Self>,
        topic: &Topic,
        partition: u32,
    ) -> Result<Option<TopicPartition>, LogError> {
        let there = self.existing_partitions(topic).await?.is_some_and(|partitions| partition < partitions);
        Ok(there.then(|| TopicPartition { name: self.topics.name(topic), partition }))
    }
}

/// The Kafka names and numbers of partitions of some topics.
pub(super) struct Places(BTreeMap<Topic, (String, u32)>);

impl Places {
    /// The partition of a record, whose topic must be among them.
    pub(super) fn place<'a>(&'a self, record: &'a Append) -> Placed<'a> {
        let (name, partitions) = &self.0[&record.topic];
        let partition = record.partition.unwrap_or_else(|| partition_of(&record.key, *partitions));
        Placed { topic: name, partition, key: &record.key, value: &record.value }
    }
}

/// The offsets that a partition holds.
pub(super) fn extent(client: &Client, lane: &TopicPartition) -> KafkaResult<Extent> {
    let TopicPartition { name, partition } = lane;
    let (first, next) = client.client().fetch_watermarks(name, *partition as i32, REQUEST)?;
    Ok(Extent { partition: *partition, first: first as u64, next: next as u64 })
}

/// Runs blocking work on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(KafkaError::Canceled))
}

// Topics on Kafka: their names, their partitions, and their creation.

/// The timeout of a single request.
pub(super) const REQUEST: Duration = Duration::from_secs(5);
/// The default replication factor of the cluster, in Kafka's protocol.
const CLUSTERS_OWN: i32 = -1;
/// The suffixes of other kinds of runs.
const OTHER_RUNS: [&str; 2] = ["-simulated", "-replayed"];

/// The topics of one log, with cached metadata.
pub(super) struct Topics {
    config: KafkaConfig,
    admin: AdminClient<Context>,
    known: Mutex<BTreeMap<String, u32>>,
}

impl Topics {
    pub(super) fn new(config: &KafkaConfig, connectivity: &Arc<Connectivity>) -> KafkaResult<Topics> {
        let admin = config.admin().create_with_context(Context(connectivity.clone()))?;
        Ok(Topics { config: config.clone(), admin, known: Mutex::default() })
    }

    /// The name of a topic on Kafka.
    pub(super) fn name(&self, topic: &Topic) -> String {
        format!("{}{}", topic.name(), self.config.suffix)
    }

    /// The number of partitions that a topic should have.
    pub(super) fn partitions(&self, topic: &Topic) -> u32 {
        if topic.is_compacted() { 1 } else { self.config.partitions }
    }

    /// The number of partitions of a topic, if cached.
    pub(super) fn known_partitions(&self, topic: &Topic) -> Option<u32> {
        self.known().get(&self.name(topic)).copied()
    }

    /// The cached topics of this log.
    pub(super) fn all(&self) -> Vec<Topic> {
        self.known().keys().filter_map(|name| self.topic(name)).collect()
    }

    /// Refreshes the metadata.
    pub(super) fn ask(&self, client: &Client) -> KafkaResult<()> {
        let found = client.client().fetch_metadata(None, REQUEST)?;
        let usable = found.topics().iter().filter(|topic| topic.error().is_none());
        *self.known() =
            usable.map(|topic| (topic.name().to_owned(), topic.partitions().len() as u32)).collect();
        Ok(())
    }

    /// Creates topics.
    pub(super) async fn make(&self, topics: &[&Topic]) -> KafkaResult<()> {
        let texts: Vec<_> = topics
            .iter()
            .map(|topic| (self.name(topic), self.partitions(topic), self.config.of_topic(topic)))
            .collect();
        let copies = self.config.replication.map_or(CLUSTERS_OWN, i32::from);
        let new: Vec<_> = texts
            .iter()
            .map(|(name, partitions, settings)| {
                let new = NewTopic::new(name, *partitions as i32, TopicReplication::Fixed(copies));
                settings.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
        for made in self.admin.create_topics(&new, &options).await? {
            match made {
                Ok(name) => tracing::info!(topic = name, "Made a topic."),
                // Another service created it in the meantime.
                Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }

    /// Empties the cache.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn topic(&self, name: &str) -> Option<Topic> {
        let name = name.strip_suffix(&self.config.suffix)?;
        let others = |suffix: &&str| name.ends_with(*suffix);
        (!name.starts_with('_') && !OTHER_RUNS.iter().any(others)).then(|| Topic::new(name.to_owned()))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
