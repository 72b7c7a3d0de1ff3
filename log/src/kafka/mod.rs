//! The log on Kafka.
//!
//! All in-sync replicas have acknowledged a record when `append` returns. While Kafka is
//! unreachable, services wait and retry without limit, and log warnings.

mod appender;
mod connectivity;
mod consumers;
mod fenced;
mod lease;
mod reader;
mod settings;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::time::Millis;
use model::topic::{LEASES, SERVICE_STATUS, Topic};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use tokio::sync::OnceCell;

use super::{Append, Extent, Fence, Lease, Log, LogError, Position, Reader, Record, SharedLog};
use appender::Appender;
use connectivity::Connectivity;
use consumers::ConsumerPool;
use fenced::{Fenced, Turns};
use lease::KafkaLease;
use reader::{KafkaReader, committed};
use shared::{Shared, Topics, blocking, extent};

pub use settings::KafkaConfig;

/// The interval between two checks for new records.
const LOOK: Duration = Duration::from_millis(100);
/// The timeout of a health check.
const HEALTH: Duration = Duration::from_secs(2);

/// The log on Kafka. [`Log::lease`] and [`Log::fenced`] return further ones that share its
/// clients.
pub struct KafkaLog {
    shared: Arc<Shared>,
    /// Appends and commits go through this fence, if there is one.
    fence: Option<Fenced>,
    /// The fence of the lease through which this log was obtained.
    holder: Option<Fence>,
}

impl KafkaLog {
    /// Makes the log that `config` describes. Kafka need not be reachable yet.
    ///
    /// # Errors
    /// If the client library does not accept a setting.
    pub fn new(config: &KafkaConfig) -> Result<KafkaLog, LogError> {
        let connectivity = Connectivity::of(&config.bootstrap_servers, config.patience.is_some());
        let wrong = |error: KafkaError| LogError::KafkaSetting { reason: error.to_string() };
        Ok(KafkaLog::of(Arc::new(Shared {
            appender: Appender::new(config.producer(), connectivity.clone()).map_err(wrong)?,
            topics: Topics::new(config, &connectivity).map_err(wrong)?,
            consumers: ConsumerPool::new(config, &connectivity),
            format_checked: OnceCell::new(),
            config: config.clone(),
            connectivity,
        })))
    }

    fn of(shared: Arc<Shared>) -> KafkaLog {
        KafkaLog { shared, fence: None, holder: None }
    }

    /// Creates missing topics and checks the existing ones.
    ///
    /// # Errors
    /// If a topic has a different number of partitions than the settings, or cannot be created.
    pub async fn make(&self, topics: &[Topic]) -> Result<(), LogError> {
        self.shared.make(&topics.iter().collect::<Vec<_>>()).await
    }

    /// Creates and checks the topics of a service before it starts, and records the format of
    /// the log.
    ///
    /// # Errors
    /// As [`KafkaLog::make`], and if the log has the format of a later version or was begun
    /// with a different number of partitions.
    pub async fn prepare(&self, topics: &[Topic]) -> Result<(), LogError> {
        self.shared.check_format().await?;
        self.make(topics).await?;
        self.shared.note_format().await
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn append(&self, records: Vec<Append>) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        self.shared.check_format().await?;
        match &self.fence {
            Some(fence) => fence.append(records).await,
            None => self.shared.append(&records).await,
        }
    }

    fn is_live(&self) -> bool {
        self.shared.config.suffix.is_empty()
    }

    fn partitions(&self) -> u32 {
        self.shared.config.partitions
    }

    fn clock_keys(&self) -> u32 {
        self.shared.config.clock_keys
    }

    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError> {
        self.shared.extents(topic).await
    }

    async fn read(
        &self,
        topic: &Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, LogError> {
        let Some(lane) = self.shared.lane(topic, partition).await? else { return Ok(Vec::new()) };
        let topic = topic.clone();
        let read = move |shared: &Shared, client: &_| {
            let held = extent(client, &lane)?;
            let from = from.max(held.first);
            if from >= held.next || limit == 0 {
                return Ok(Vec::new());
            }
            shared.consumers.read(&topic, &lane, from, held.next, limit)
        };
        self.shared.ask("reading", read).await
    }

    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError> {
        let Some(lane) = self.shared.lane(topic, partition).await? else { return Ok(0) };
        let look = move |shared: &Shared, client: &_| match shared.consumers.offset_at(&lane, at)? {
            Some(offset) => Ok(offset),
            None => Ok(extent(client, &lane)?.next),
        };
        self.shared.ask("looking up a time", look).await
    }

    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError> {
        self.shared.check_format().await?;
        self.make(topics).await?;
        Ok(Box::new(KafkaReader::open(self.shared.clone(), self.fence.clone(), name, topics).await?))
    }

    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError> {
        let topics = self.topics().await?;
        committed(&self.shared, name, &topics).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        let look = |shared: &Shared, client: &_| {
            shared.topics.ask(client)?;
            Ok(shared.topics.all())
        };
        self.shared.ask("looking up topics", look).await
    }

    /// Kafka does not notify of appends by other processes, so this returns after a short wait.
    async fn appended(&self, wait: Duration) {
        tokio::time::sleep(wait.min(LOOK)).await;
    }

    async fn lease(&self, name: &str) -> Result<Box<dyn Lease>, LogError> {
        self.shared.check_format().await?;
        self.make(&[SERVICE_STATUS, LEASES]).await?;
        Ok(Box::new(KafkaLease::acquire(&self.shared, name).await?))
    }

    fn fence(&self) -> Option<Fence> {
        self.holder.clone()
    }

    async fn fenced(&self, name: &str) -> Result<Option<SharedLog>, LogError> {
        self.shared.check_format().await?;
        let fence = Some(Fenced::take(&self.shared, name, Turns::One).await?);
        Ok(Some(Arc::new(KafkaLog { shared: self.shared.clone(), fence, holder: None })))
    }

    async fn health(&self) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let asked = blocking(move || shared.appender.client().client().fetch_metadata(None, HEALTH));
        match asked.await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.shared.failed("answering", error)),
        }
    }
}
