//! Settings as they are typed: every key optional, nothing checked but its type.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use figment::value::Value;
use net::Secret;
use serde::{Deserialize, Deserializer, de};

/// All keys of `tickwire.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    /// Where the embedded log and store are kept.
    pub data_dir: Option<PathBuf>,
    /// Where points are kept.
    pub store: Option<String>,
    /// Where records are kept.
    pub log: Option<String>,
    /// Where prices come from.
    pub prices: Option<String>,
    /// Where news comes from.
    pub news: Option<String>,
    /// How fast replays and the simulation run.
    pub speed: Option<Text>,
    /// The folder of jobs.
    pub sql: Option<PathBuf>,
    /// The simulated market.
    pub simulation: Simulation,
    /// How long data is kept.
    pub retention: Retention,
    /// Seconds between two computations of windows that late records touch.
    pub recompute_every: Option<NonZeroU32>,
    /// The log on Kafka.
    pub kafka: Kafka,
    /// The distributed engine.
    pub arroyo: Arroyo,
    /// Health and metrics.
    pub metrics: Metrics,
    /// The web app.
    pub web: Web,
    /// Live prices: the sections of the feeds that there are, by their names.
    #[serde(skip)]
    pub feeds: BTreeMap<&'static str, PriceFeed>,
    /// Live news.
    pub guardian: Guardian,
    /// The store on InfluxDB.
    pub influxdb: Influxdb,
    /// Alerts.
    pub alerts: Alerts,
}

/// A word, a number or a truth, as text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// Typed as `true` or `false`.
    Truth(bool),
    /// Typed as a number.
    Number(f64),
    /// Typed as text.
    Word(String),
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Text::Truth(truth) => truth.fmt(f),
            Text::Number(number) => number.fmt(f),
            Text::Word(word) => word.fmt(f),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Simulation {
    /// Which of the possible markets is played.
    pub seed: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days that records stay in the embedded log.
    pub log: Option<u32>,
    /// Days that bars stay in the embedded store; results are kept.
    pub bars: Option<u32>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// Hosts with their ports.
    pub bootstrap_servers: Option<String>,
    /// Partitions of each data topic.
    pub partitions: Option<u32>,
    /// Copies of each topic's records.
    pub replication: Option<u16>,
    /// Days that records stay in data topics.
    pub retention: Option<u32>,
    /// The password of a user that `client` names.
    pub password: Option<TypedSecret>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// Settings of the client library, by its names; some are secrets.
    pub client: BTreeMap<String, Text>,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let client: Vec<_> = self.client.keys().collect();
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client", &client)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arroyo {
    /// Where its API is.
    pub url: Option<String>,
    /// The key of its API.
    pub api_key: Option<TypedSecret>,
    /// A file that holds the key.
    pub api_key_file: Option<PathBuf>,
    /// Tasks of each operator.
    pub parallelism: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The address at which health and metrics are told.
    pub listen: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// The address that the live page is served at.
    pub listen: Option<String>,
    /// The address that browsers know, where a proxy stands in front.
    pub public_url: Option<String>,
    /// The hash of the password that the page asks for.
    pub password_hash: Option<TypedSecret>,
    /// A file that holds the hash.
    pub password_hash_file: Option<PathBuf>,
    /// Proxies that are believed where a request comes from, by address or network.
    pub trusted_proxies: Vec<String>,
    /// The header in which these proxies say who has signed in.
    pub proxy_user_header: Option<String>,
    /// Who of them may change things.
    pub proxy_owners: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceFeed {
    /// Where bars are sent from.
    pub websocket_url: Option<String>,
    /// Where history is asked for.
    pub rest_url: Option<String>,
    /// The key.
    pub api_key: Option<TypedSecret>,
    /// A file that holds the key.
    pub api_key_file: Option<PathBuf>,
    /// How late the feed is by its plan.
    pub feed_delay: Option<Text>,
    /// How long after its end a minute may still get bars.
    pub settle: Option<Text>,
    /// How long the clock waits for a hole to be filled.
    pub fill_wait: Option<Text>,
    /// History calls that the plan allows.
    pub calls_per_minute: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guardian {
    /// Where headlines are asked for.
    pub url: Option<String>,
    /// The key.
    pub api_key: Option<TypedSecret>,
    /// A file that holds the key.
    pub api_key_file: Option<PathBuf>,
    /// Calls that the key allows.
    pub calls_per_day: Option<u32>,
    /// Calls that the key allows at once.
    pub calls_per_second: Option<u32>,
    /// How long the clock waits for a term that cannot be asked.
    pub max_wait: Option<Text>,
    /// Sections for entries of the watchlist that name none.
    pub sections: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Influxdb {
    /// Where the server is.
    pub url: Option<String>,
    /// The organization.
    pub org: Option<String>,
    /// The bucket of live data.
    pub bucket: Option<String>,
    /// The token.
    pub token: Option<TypedSecret>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// Days that points stay in the bucket.
    pub retention: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Where alerts are posted.
    pub webhook_url: Option<String>,
    /// What posts are signed with.
    pub webhook_secret: Option<TypedSecret>,
    /// A file that holds it.
    pub webhook_secret_file: Option<PathBuf>,
}

/// A secret in the settings file; an error about it does not repeat it.
#[derive(Clone, Debug)]
pub struct TypedSecret(pub Secret);

impl<'de> Deserialize<'de> for TypedSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TypedSecret, D::Error> {
        match <Value as Deserialize>::deserialize(deserializer)?.as_str() {
            Some(text) => Ok(TypedSecret(Secret::new(text))),
            None => Err(de::Error::custom("a key is text: put it between quotes")),
        }
    }
}
