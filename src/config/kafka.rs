//! The settings of the log, checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use log::{KafkaConfig, KafkaLog};

use super::raw;
use super::secret::{Environment, Place};
use super::{Config, above_zero};
use crate::data_folder::LIVE;

const SERVERS: &str = "localhost:9092";
const PARTITIONS: u32 = 2;
const DAYS: u32 = 30;
/// So many clock keys for each task of a distributed engine give every task some.
const CLOCK_KEYS: u32 = 8;
/// How long a command waits for a Kafka that does not answer.
const COMMANDS_WAIT: Duration = Duration::from_secs(5);

/// Where records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// In the data folder.
    Embedded,
    /// On servers of its own.
    Kafka,
}

/// Which kind of log is asked for.
pub fn kind(typed: Option<&str>) -> anyhow::Result<LogKind> {
    match typed {
        None | Some("embedded") => Ok(LogKind::Embedded),
        Some("kafka") => Ok(LogKind::Kafka),
        Some(other) => bail!("log is `{other}`: it takes `embedded` or `kafka`"),
    }
}

/// Where the password to Kafka may stand.
fn password(raw: &raw::Kafka) -> Place<'_> {
    let (typed, file) = (raw.password.as_ref().map(|typed| &typed.0), raw.password_file.as_deref());
    Place { key: "kafka.password", common: "KAFKA_PASSWORD", typed, file }
}

impl raw::Kafka {
    /// Checks every value, and fills in what is missing; topics are those of the live run.
    pub fn check(self, parallelism: u32, environment: Environment<'_>) -> anyhow::Result<KafkaConfig> {
        let password = password(&self).find(environment)?;
        let servers = self.bootstrap_servers.unwrap_or_else(|| SERVERS.to_owned());
        let has_port = |server: &str| {
            server
                .trim()
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !servers.split(',').all(has_port) {
            bail!(
                "kafka.bootstrap_servers is `{servers}`: it takes hosts with ports, as {SERVERS}, separated by commas"
            );
        }
        let partitions = above_zero("kafka.partitions", self.partitions, PARTITIONS)?;
        let days = above_zero("kafka.retention", self.retention, DAYS)?;
        if self.replication == Some(0) {
            bail!(
                "kafka.replication is 0: it takes a number of brokers; leave it out for what the cluster does by default"
            );
        }
        // The client library's names have points, which a variable cannot have.
        let mut client: BTreeMap<_, _> =
            self.client.into_iter().map(|(key, value)| (key.replace('_', "."), value.to_string())).collect();
        if let Some(password) = password {
            client.insert("sasl.password".into(), password.expose().to_owned());
        }
        Ok(KafkaConfig {
            partitions,
            replication: self.replication,
            retention: Duration::from_secs(u64::from(days) * 86_400),
            clock_keys: CLOCK_KEYS * parallelism.max(partitions),
            client,
            ..KafkaConfig::new(servers)
        })
    }
}

impl Config {
    /// The log on Kafka for a run, `live`, `simulated` or `replayed/HASH`: each
    /// has topics of its own. It waits for Kafka for as long as it takes.
    ///
    /// # Errors
    /// When a client setting is none.
    pub fn kafka_log(&self, run: &str) -> anyhow::Result<Arc<KafkaLog>> {
        self.kafka_log_with(run, None)
    }

    /// The same for commands and pages, for which somebody waits: they soon give up.
    ///
    /// # Errors
    /// When a client setting is none.
    pub fn kafka_log_to_ask(&self, run: &str) -> anyhow::Result<Arc<KafkaLog>> {
        self.kafka_log_with(run, Some(COMMANDS_WAIT))
    }

    fn kafka_log_with(&self, run: &str, patience: Option<Duration>) -> anyhow::Result<Arc<KafkaLog>> {
        let config = KafkaConfig { suffix: suffix(run), patience, ..self.kafka.clone() };
        Ok(Arc::new(KafkaLog::new(&config)?))
    }
}

/// What stands behind the names of a run's topics.
pub fn suffix(run: &str) -> String {
    match run {
        LIVE => String::new(),
        run => format!("-{}", run.replace('/', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Text;

    fn kafka(raw: raw::Kafka) -> Result<KafkaConfig, String> {
        raw.check(2, &|_| None).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn client_settings_keep_their_names_also_when_they_come_from_variables() {
        let client = [("security_protocol", "sasl_ssl"), ("sasl.username", "me")];
        let client = client.map(|(key, value)| (key.to_owned(), Text::Word(value.into()))).into();
        let config = kafka(raw::Kafka { client, ..Default::default() }).unwrap();
        let named: Vec<_> = config.client.keys().map(String::as_str).collect();
        assert_eq!(named, ["sasl.username", "security.protocol"]);
        assert_eq!((config.partitions, config.clock_keys), (2, 16));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_key() {
        for (raw, said) in [
            (raw::Kafka { partitions: Some(0), ..Default::default() }, "kafka.partitions is 0"),
            (raw::Kafka { replication: Some(0), ..Default::default() }, "kafka.replication is 0"),
            (raw::Kafka { retention: Some(0), ..Default::default() }, "kafka.retention is 0"),
            (
                raw::Kafka { bootstrap_servers: Some("one:9092,two".into()), ..Default::default() },
                "kafka.bootstrap_servers is `one:9092,two`",
            ),
        ] {
            let error = kafka(raw).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(kind(Some("pulsar")).unwrap_err().to_string().contains("`embedded` or `kafka`"));
    }

    #[test]
    fn every_kind_of_run_has_topics_of_its_own() {
        let suffixes = [LIVE, "simulated", "replayed/0123"].map(suffix);
        assert_eq!(suffixes, ["", "-simulated", "-replayed-0123"]);
    }
}
