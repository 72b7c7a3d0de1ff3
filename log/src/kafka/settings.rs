//! How Kafka is reached and used: what is ours to decide, and what is the operator's.

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

/// The largest record: a dead letter whose every character is escaped, or a long watchlist.
const LARGEST: &str = "8388608";
/// What a reader keeps ahead of its work, of each partition.
const AHEAD: [(&str, &str); 3] = [
    ("queued.max.messages.kbytes", "2048"),
    // A bound on what comes at once, as it lies in Kafka: heartbeats, which are
    // compressed to a fiftieth, would else come by the hundred thousand.
    ("fetch.message.max.bytes", "65536"),
    // Who has worked that off need not wait for more.
    ("fetch.queue.backoff.ms", "20"),
];
/// Appends that are under way at most, in records and in kilobytes; more of them wait.
const QUEUED: &str = "100000";
const QUEUED_KB: &str = "65536";

/// How long the client waits for more records before it sends a batch. A transaction
/// holds all records that there are, and its commit waits for the last batch.
const LINGER: &str = "linger.ms";
/// How long a transaction may take. One whose process died is aborted by Kafka then, or
/// as soon as another takes its name; until then readers of its partitions wait.
const TRANSACTION_MS: &str = "30000";

/// How Kafka is reached and used.
#[derive(Clone)]
pub struct KafkaConfig {
    /// Hosts with their ports, separated by commas.
    pub bootstrap_servers: String,
    /// How many partitions data topics have.
    pub partitions: u32,
    /// On how many brokers each record is; `None` is what the cluster does by default.
    pub replication: Option<u16>,
    /// How long records of data topics stay.
    pub retention: Duration,
    /// Stands behind the name of every topic and reader: what is simulated lies beside what is live.
    pub suffix: String,
    /// Heartbeats a minute and partition, each of another key: as many as
    /// make sure that every task of a distributed engine gets some.
    pub clock_keys: u32,
    /// Settings of the client library, by its names, such as `security.protocol`.
    pub client: BTreeMap<String, String>,
    /// How long a question may wait for a Kafka that does not answer, before it
    /// is an error; services wait for as long as it takes.
    pub patience: Option<Duration>,
}

impl KafkaConfig {
    /// One node at `bootstrap_servers`, with what the settings default to.
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

    /// The client that appends: order and no repeats in each partition, and
    /// nothing acknowledged that is not on all replicas. It never gives up.
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

    /// A client that appends in transactions, under a name that one has at a time.
    pub(super) fn fenced(&self, name: &str) -> ClientConfig {
        let mut config = self.producer();
        if !self.client.contains_key(LINGER) {
            config.set(LINGER, "0");
        }
        config
            .set("transactional.id", self.group(name))
            .set("transaction.timeout.ms", TRANSACTION_MS)
            // What cannot be sent for so long is taken back and sent again in another one.
            .set("message.timeout.ms", TRANSACTION_MS)
            .set("socket.timeout.ms", TRANSACTION_MS);
        config
    }

    /// A client that reads under a name, and commits by word only.
    pub(super) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.with(&AHEAD, &COMMITS_BY_WORD);
        config.set("group.id", group);
        config
    }

    /// A client that looks at a place in a topic, and sees where the topic ends.
    pub(super) fn random_access(&self) -> ClientConfig {
        let mut config = self.with(&AHEAD, &COMMITS_BY_WORD);
        config.set("group.id", self.group("look")).set("enable.partition.eof", "true");
        // At the end of a topic the broker answers soon: a reader finds out there that
        // what is left are markers of transactions.
        config.set("fetch.wait.max.ms", "50");
        config
    }

    /// A client that shares a partition with nobody: whoever is given it holds the lease.
    pub(super) fn lease(&self, name: &str) -> ClientConfig {
        let mut config = self.with(&[], &COMMITS_BY_WORD);
        config.set("session.timeout.ms", SESSION.as_millis().to_string());
        let strategy = ("partition.assignment.strategy", "cooperative-sticky");
        config.set("group.id", self.group(&format!("lease-{name}"))).set(strategy.0, strategy.1);
        config
    }

    /// A client for making topics.
    pub(super) fn admin(&self) -> ClientConfig {
        self.with(&[], &[])
    }

    /// The settings of a topic.
    pub(super) fn of_topic(&self, topic: &Topic) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", LARGEST.into()),
        ];
        if topic.is_compacted() {
            // Small segments, soon closed: a reader from the start finds little more than the last values.
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

    /// The name of a reader among Kafka's groups.
    pub(super) fn group(&self, name: &str) -> String {
        format!("tickwire-{name}{}", self.suffix)
    }

    /// Ours by default, then the operator's, then what nobody may change.
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

/// What was aborted is read by nobody: not the operator's to change, neither for readers
/// nor for clients that ask where a topic ends.
const ISOLATION: &str = "isolation.level";

const COMMITS_BY_WORD: [(&str, &str); 5] = [
    (ISOLATION, "read_committed"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("allow.auto.create.topics", "false"),
];

impl fmt::Debug for KafkaConfig {
    /// Client settings by name only: some of them are secrets.
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

// In which format a log on Kafka is written, and with how many partitions: one record
// beside the data, so that a program that does not know the format, or would spread
// keys otherwise, leaves the log alone.
//
// | format | what a reader must know |
// | --- | --- |
// | 1 | the log of versions that wrote no record of the format |
// | 2 | services append in transactions: not every offset holds a record |

/// The format that this program writes; a higher one is refused.
const FORMAT: u32 = 2;
/// The one key of the topic.
const KEY: &str = "log";

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    format: u32,
    /// How many partitions data topics have.
    partitions: u32,
    /// Which version noted it.
    version: String,
}

impl Shared {
    /// Makes sure, once, that this program may use the log.
    pub(super) async fn check_format(self: &Arc<Self>) -> Result<(), LogError> {
        self.format_checked.get_or_try_init(|| async { self.noted_format().await.map(drop) }).await.copied()
    }

    /// Makes sure of it and notes the format, where it is not noted or an earlier one is.
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
                Err(error) => crate::passed_over(&record, &error),
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
