//! Topics as Kafka has them: their names, their partitions, and how they are made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::topic::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;

use super::KafkaConfig;
use super::appender::Client;
use super::connectivity::{Connectivity, Context};

/// How long a single question may take.
pub(super) const REQUEST: Duration = Duration::from_secs(5);
/// The number of replicas is the cluster's to say.
const CLUSTERS_OWN: i32 = -1;
/// The suffixes that other kinds of runs have.
const OTHER_RUNS: [&str; 2] = ["-simulated", "-replayed"];

/// The topics of one log, by Kafka's names, as far as they are known.
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

    /// What Kafka calls a topic.
    pub(super) fn name(&self, topic: &Topic) -> String {
        format!("{}{}", topic.name(), self.config.suffix)
    }

    /// How many partitions a topic is to have.
    pub(super) fn partitions(&self, topic: &Topic) -> u32 {
        if topic.is_compacted() { 1 } else { self.config.partitions }
    }

    /// How many partitions a topic has, as far as that is known.
    pub(super) fn known_partitions(&self, topic: &Topic) -> Option<u32> {
        self.known().get(&self.name(topic)).copied()
    }

    /// The topics of this log, as far as they are known.
    pub(super) fn all(&self) -> Vec<Topic> {
        self.known().keys().filter_map(|name| self.topic(name)).collect()
    }

    /// Asks what topics there are.
    pub(super) fn ask(&self, client: &Client) -> KafkaResult<()> {
        let found = client.client().fetch_metadata(None, REQUEST)?;
        let usable = found.topics().iter().filter(|topic| topic.error().is_none());
        *self.known() =
            usable.map(|topic| (topic.name().to_owned(), topic.partitions().len() as u32)).collect();
        Ok(())
    }

    /// Makes topics that are not there.
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
                // Another service was faster.
                Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }

    /// What was known may be so no longer.
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
