//! The settings of Kafka's clients and topics, and the format record of the log.
//!
//! A client gets defaults, then the settings of the operator, then those that the guarantees
//! depend on. The format record notes the format of the log and its number of partitions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::topic::{LETTERS_BYTES, LETTERS_LONGER, LOG_FORMAT, Stay, Topic};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use serde::{Deserialize, Serialize};

use super::KafkaLog;
use super::lease::SESSION;
use super::shared::Shared;
use crate::{Append, LogError, each_record};

/// The largest record in bytes: a dead letter in which every character is escaped, or a long
/// watchlist.
const LARGEST: &str = "8388608";
/// How much a reader prefetches per partition.
const AHEAD: [(&str, &str); 3] = [
    ("queued.max.messages.kbytes", "2048"),
    // Bounds one fetch by its compressed size. Heartbeats compress to a fiftieth, so that a
    // larger fetch would bring hundreds of thousands of them.
    ("fetch.message.max.bytes", "65536"),
    // The next fetch begins soon after the queue has been processed.
    ("fetch.queue.backoff.ms", "20"),
];
/// The largest number of records in flight, and their size in kilobytes; further appends wait.
const QUEUED: &str = "100000";
const QUEUED_KB: &str = "65536";

/// How long the client waits for more records before it sends a batch. In a transaction all
/// records are queued at once, and the commit waits for the last batch.
const LINGER: &str = "linger.ms";
/// The timeout of a transaction. Kafka aborts the transaction of a process that died after this
/// time, or when another process takes its name; until then readers of its partitions wait.
const TRANSACTION_MS: &str = "30000";

/// The settings of the log on Kafka.
#[derive(Clone)]
pub struct KafkaConfig {
    /// Host names with ports, separated by commas.
    pub bootstrap_servers: String,
    /// The number of partitions of a data topic.
    pub partitions: u32,
    /// The replication factor of topics; `None` is the default of the cluster.
    pub replication: Option<u16>,
    /// The retention of data topics.
    pub retention: Duration,
    /// The suffix of every topic and consumer group, which separates simulated and replayed
    /// runs from the live one.
    pub suffix: String,
    /// The number of heartbeats per minute and partition, each with a different key: enough for
    /// every task of a distributed engine to receive some.
    pub clock_keys: u32,
    /// Settings of the client library under its own names, such as `security.protocol`.
    pub client: BTreeMap<String, String>,
    /// The timeout of a request of a command; `None` for services, which retry without limit.
    pub patience: Option<Duration>,
}

impl KafkaConfig {
    /// The settings for one node at `bootstrap_servers`, otherwise with defaults.
    pub fn new(bootstrap_servers: impl Into<String>) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: bootstrap_servers.into(),
            partitions: 2,
            replication: None,
            retention: Duration::from_secs(30 * 24 * 3_600),
            suffix: String::new(),
            clock_keys: 16,
            client: BTreeMap::new(),
            patience: None,
        }
    }

    /// The idempotent producer: no reordering and no duplicates in a partition, acknowledgement
    /// by all in-sync replicas, retries without limit.
    pub(super) fn producer(&self) -> ClientConfig {
        self.with(
            &[(LINGER, "5"), ("compression.type", "lz4")],
            &[
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("message.timeout.ms", "0"),
                ("message.max.bytes", LARGEST),
                ("queue.buffering.max.messages", QUEUED),
                ("queue.buffering.max.kbytes", QUEUED_KB),
            ],
        )
    }

    /// The transactional producer under a name, which one process holds at a time.
    pub(super) fn fenced(&self, name: &str) -> ClientConfig {
        let mut config = self.producer();
        if !self.client.contains_key(LINGER) {
            config.set(LINGER, "0");
        }
        config
            .set("transactional.id", self.group(name))
            .set("transaction.timeout.ms", TRANSACTION_MS)
            // A batch that cannot be sent in this time is sent again in another transaction.
            .set("message.timeout.ms", TRANSACTION_MS)
            .set("socket.timeout.ms", TRANSACTION_MS);
        config
    }

    /// A consumer under a group name, which commits only explicitly.
    pub(super) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.with(&AHEAD, &MANUAL_COMMIT);
        config.set("group.id", group);
        config
    }

    /// A consumer that reads at given offsets and reports the end of a partition.
    pub(super) fn random_access(&self) -> ClientConfig {
        let mut config = self.with(&AHEAD, &MANUAL_COMMIT);
        config.set("group.id", self.group("look")).set("enable.partition.eof", "true");
        // A short wait of the broker at the end of a partition: a reader learns there that only
        // transaction markers are left.
        config.set("fetch.wait.max.ms", "50");
        config
    }

    /// The group member of a lease: the member to which the partition is assigned holds it.
    pub(super) fn lease(&self, name: &str) -> ClientConfig {
        let mut config = self.with(&[], &MANUAL_COMMIT);
        config.set("session.timeout.ms", SESSION.as_millis().to_string());
        let strategy = ("partition.assignment.strategy", "cooperative-sticky");
        config.set("group.id", self.group(&format!("lease-{name}"))).set(strategy.0, strategy.1);
        config
    }

    /// The client that creates topics.
    pub(super) fn admin(&self) -> ClientConfig {
        self.with(&[], &[])
    }

    /// The settings of a topic, by Kafka's names.
    pub(super) fn of_topic(&self, topic: &Topic) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", LARGEST.into()),
        ];
        if topic.is_compacted() {
            // Small segments that are closed soon, so that a reader from the beginning finds
            // little more than the last values.
            settings.extend([
                ("cleanup.policy", "compact".to_owned()),
                ("segment.ms", "600000".to_owned()),
                ("segment.bytes", "16777216".to_owned()),
                ("max.compaction.lag.ms", "600000".to_owned()),
                ("min.cleanable.dirty.ratio", "0.1".to_owned()),
            ]);
        } else {
            let data = self.retention.as_millis();
            let retention = match topic.stay() {
                Stay::Data => data.to_string(),
                Stay::ForEver => "-1".to_owned(),
                Stay::Letters => (data + LETTERS_LONGER as u128).to_string(),
            };
            settings.extend([("cleanup.policy", "delete".to_owned()), ("retention.ms", retention)]);
            if topic.stay() == Stay::Letters {
                settings.push(("retention.bytes", LETTERS_BYTES.to_string()));
            }
        }
        settings
    }

    /// The name of the consumer group of a reader.
    pub(super) fn group(&self, name: &str) -> String {
        format!("tickwire-{name}{}", self.suffix)
    }

    /// Builds client settings: common defaults and `tunable`, then those of the operator, then
    /// `fixed`.
    fn with(&self, tunable: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set_log_level(RDKafkaLogLevel::Warning)
            .set("client.id", "tickwire")
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true");
        for (key, value) in tunable {
            config.set(*key, *value);
        }
        for (key, value) in self.client.iter().filter(|(key, _)| *key != ISOLATION) {
            config.set(key, value);
        }
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config
    }
}

/// Aborted records must never be read: the operator cannot change this setting, neither for
/// readers nor for clients that look up the end of a topic.
const ISOLATION: &str = "isolation.level";

const MANUAL_COMMIT: [(&str, &str); 5] = [
    (ISOLATION, "read_committed"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("allow.auto.create.topics", "false"),
];

impl fmt::Debug for KafkaConfig {
    /// Shows client settings by name only, because some values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("partitions", &self.partitions)
            .field("replication", &self.replication)
            .field("retention", &self.retention)
            .field("suffix", &self.suffix)
            .field("clock_keys", &self.clock_keys)
            .field("client", &self.client.keys().collect::<Vec<_>>())
            .field("patience", &self.patience)
            .finish()
    }
}

// The format record: one record in a topic of its own with the format of the log and its number
// of partitions. A program that does not know the format, or would assign keys to other
// partitions, refuses to use the log.
//
// | format | what a reader must know |
// | --- | --- |
// | 1 | the log of versions that wrote no format record |
// | 2 | services append in transactions: not every offset holds a record |

/// The format that this program writes; a later one is refused.
const FORMAT: u32 = 2;
/// The single key of the topic.
const KEY: &str = "log";

/// The format record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    format: u32,
    /// The number of partitions of a data topic.
    partitions: u32,
    /// The version of Tickwire that wrote the record.
    version: String,
}

impl Shared {
    /// Checks, once, that this program can use the log.
    ///
    /// # Errors
    /// [`LogError::KafkaNewer`] and [`LogError::KafkaRepartitioned`].
    pub(super) async fn check_format(self: &Arc<Self>) -> Result<(), LogError> {
        self.format_checked.get_or_try_init(|| async { self.noted_format().await.map(drop) }).await.copied()
    }

    /// Checks the format and appends the format record if it is missing or has an earlier
    /// format.
    pub(super) async fn note_format(self: &Arc<Self>) -> Result<(), LogError> {
        let ours = Written {
            format: FORMAT,
            partitions: self.config.partitions,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let noted = self.noted_format().await?;
        if noted.is_some_and(|noted| noted.format == FORMAT) {
            return Ok(());
        }
        self.append(&[Append::json(LOG_FORMAT, KEY, &ours)]).await
    }

    async fn noted_format(self: &Arc<Self>) -> Result<Option<Written>, LogError> {
        let mut noted: Option<Written> = None;
        each_record(&KafkaLog::of(self.clone()), &LOG_FORMAT, |record| {
            match serde_json::from_slice(&record.value) {
                Ok(written) if record.key == KEY => noted = Some(written),
                Ok(Written { .. }) => {}
                Err(error) => crate::warn_skipped(&record, &error),
            }
        })
        .await?;
        let Some(written) = noted else { return Ok(None) };
        let servers = self.connectivity.servers().to_owned();
        if written.format > FORMAT {
            let Written { format: found, version, .. } = written;
            return Err(LogError::KafkaNewer { servers, found, version, known: FORMAT });
        }
        if written.partitions != self.config.partitions {
            let (found, asked) = (written.partitions, self.config.partitions);
            return Err(LogError::KafkaRepartitioned { servers, found, asked });
        }
        Ok(Some(written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::topic::{ALERT_RULES_HISTORY, DEAD_LETTERS, GAPS, STOCK_PRICES, WATCHLIST_HISTORY};

    #[test]
    fn histories_stay_for_ever_and_dead_letters_longer_than_data_within_a_bound() {
        let config = KafkaConfig::new("localhost:9092");
        let of = |topic: &Topic, name| {
            config.of_topic(topic).into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let days = |days: u64| Some((days * 86_400_000).to_string());
        assert_eq!(of(&STOCK_PRICES, "retention.ms"), days(30));
        for topic in [WATCHLIST_HISTORY, ALERT_RULES_HISTORY, GAPS] {
            assert_eq!(of(&topic, "retention.ms").as_deref(), Some("-1"), "{topic}");
        }
        assert_eq!(of(&DEAD_LETTERS, "retention.ms"), days(120));
        assert_eq!(of(&DEAD_LETTERS, "retention.bytes"), Some(LETTERS_BYTES.to_string()));
        assert_eq!(of(&STOCK_PRICES, "retention.bytes"), None);
    }

    #[test]
    fn operators_are_told_the_retention_of_topics_that_an_earlier_version_made() {
        let page = include_str!("../../../docs/operations.md");
        let settings = KafkaConfig::new("localhost:9092").of_topic(&DEAD_LETTERS);
        let letters: Vec<_> = settings
            .iter()
            .filter(|(key, _)| key.starts_with("retention."))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let command = format!("--alter --topic {DEAD_LETTERS} --add-config {}", letters.join(","));
        assert!(page.contains(&command), "docs/operations.md lacks: {command}");
        for topic in [ALERT_RULES_HISTORY, GAPS] {
            let listed = page.lines().any(|line| {
                line.starts_with("for topic in") && line.split([' ', ';']).any(|word| word == topic.name())
            });
            assert!(listed, "docs/operations.md lacks {topic}");
        }
    }

    #[test]
    fn a_transaction_waits_for_no_more_records_unless_the_operator_says_so() {
        let mut config = KafkaConfig::new("localhost:9092");
        assert_eq!(config.fenced("lease-engine").get(LINGER), Some("0"));
        config.client.insert(LINGER.to_owned(), "20".to_owned());
        assert_eq!(config.fenced("lease-engine").get(LINGER), Some("20"));
    }

    #[test]
    fn what_nothing_may_be_lost_by_is_not_the_operators_to_change() {
        let mut config = KafkaConfig::new("localhost:9092");
        config.client = [("acks", "0"), ("linger.ms", "50"), ("sasl.password", "p-4711")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let producer = config.producer();
        assert_eq!((producer.get("acks"), producer.get("linger.ms")), (Some("all"), Some("50")));
        assert_eq!(config.reader("sink").get("enable.auto.commit"), Some("false"));
        let shown = format!("{config:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("4711"), "{shown}");
    }
}
