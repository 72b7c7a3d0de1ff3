//! A log of either kind, which a test can open several times.

use std::sync::Arc;
use std::time::Duration;

use log::{Append, EmbeddedLog, FailurePoint, FaultyLog, KafkaConfig, KafkaLog, Record, SharedLog};
use model::Topic;
use model::topic::STOCK_PRICES;
use testkit::kafka::Kafka;

/// How long a test waits before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long an empty poll may take.
pub const SHORT: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
pub enum Kind {
    Embedded,
    Brittle,
    Kafka,
}

/// Where a log is stored; the records outlive the value that `log` returns.
pub struct Bench {
    kind: Kind,
    partitions: u32,
    folder: tempfile::TempDir,
    config: Option<KafkaConfig>,
}

impl Bench {
    /// Storage for a log with `partitions` partitions; `None` if its server is not available.
    pub fn new(kind: Kind, partitions: u32) -> Option<Bench> {
        let folder = tempfile::tempdir().unwrap();
        let config = match kind {
            Kind::Embedded | Kind::Brittle => None,
            Kind::Kafka => Some(config(Kafka::shared()?, &folder, partitions)),
        };
        Some(Bench { kind, partitions, folder, config })
    }

    pub fn log(&self) -> SharedLog {
        let embedded = || EmbeddedLog::open(&self.folder.path().join("log.db"), self.partitions).unwrap();
        match (self.kind, &self.config) {
            (Kind::Kafka, Some(config)) => Arc::new(KafkaLog::new(config).unwrap()),
            (Kind::Brittle, _) => {
                Arc::new(FaultyLog::new(Arc::new(embedded()), usize::MAX, FailurePoint::Before))
            }
            _ => Arc::new(embedded()),
        }
    }
}

/// Topics with a suffix of this test, on a node that other tests use too.
pub fn config(kafka: &Kafka, folder: &tempfile::TempDir, partitions: u32) -> KafkaConfig {
    let own = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.');
    KafkaConfig { partitions, suffix: format!("-{own}"), ..KafkaConfig::new(kafka.bootstrap_servers()) }
}

pub fn prices() -> Topic {
    STOCK_PRICES
}

/// Records with the numbers of `range` as values, under five keys.
pub fn numbered(range: std::ops::Range<u32>) -> Vec<Append> {
    range.map(|n| Append::json(prices(), &format!("S{}", n % 5), &n)).collect()
}

pub fn values(records: &[Record]) -> Vec<u32> {
    records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
}

pub fn sorted(mut values: Vec<u32>) -> Vec<u32> {
    values.sort_unstable();
    values
}

/// Polls until `count` records have arrived.
pub async fn polled(reader: &mut dyn log::Reader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let gathered = async {
        while records.len() < count {
            records.extend(reader.poll(10_000, Duration::from_secs(1)).await.unwrap());
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, gathered).await;
    assert!(outcome.is_ok(), "only {} of {count} records came", records.len());
    records
}
