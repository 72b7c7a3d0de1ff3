//! Settings that make sense.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use engine::Job;
use log::KafkaConfig;
use model::AssetClass;
use model::time::{DAY, Millis};
use producer::{FeedKind, FeedSettings, Speed};

use super::Raw;
use super::above_zero;
use super::alerts::Webhook;
use super::arroyo::Arroyo;
use super::kafka::{self, LogKind};
use super::live::Guardian;
use super::raw;
use super::secret::Environment;
use super::stores::{self, Influxdb, StoreKind};
use super::web::Web;

const LISTEN: &str = "127.0.0.1:8080";
const SEED: u64 = 1;
const LOG_DAYS: u32 = 7;
const BARS_DAYS: u32 = 90;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// Who may reach the page.
    pub web: Web,
    /// Where records are kept.
    pub log: LogKind,
    pub kafka: KafkaConfig,
    /// The distributed engine, for `tickwire deploy`.
    pub arroyo: Arroyo,
    /// The address at which health and metrics are told, if anywhere.
    pub metrics: Option<SocketAddr>,
    pub prices: Option<String>,
    pub news: Option<String>,
    pub speed: Speed,
    pub seed: u64,
    /// The folder of jobs, if not those that are built in.
    pub sql: Option<PathBuf>,
    /// How long records stay in the embedded log.
    pub keep_log: Millis,
    /// How long bars stay in the embedded store.
    pub keep_bars: Millis,
    /// How often the sink computes windows again that late records touch.
    pub recompute_every: Duration,
    /// The live price feeds that there are, with their settings.
    pub feeds: Vec<(&'static dyn FeedKind, FeedSettings)>,
    pub guardian: Guardian,
    /// Where points are kept.
    pub store: StoreKind,
    pub influxdb: Influxdb,
    /// Where alerts are posted, if anywhere.
    pub webhook: Option<Webhook>,
}

impl raw::Metrics {
    /// The address at which health and metrics are told, if anywhere.
    ///
    /// # Errors
    /// When it is none.
    pub fn listening(&self) -> anyhow::Result<Option<SocketAddr>> {
        let Some(typed) = self.listen.as_deref().filter(|typed| !typed.is_empty()) else { return Ok(None) };
        let address = typed.parse().with_context(|| {
            format!("metrics.listen is `{typed}`: it takes an address with a port, as 127.0.0.1:9100")
        })?;
        Ok(Some(address))
    }
}

impl Config {
    /// The jobs of the folder that is named, else those that are built in, each once for
    /// each of `classes`.
    ///
    /// # Errors
    /// When a file cannot be read, does not parse, or asks for what is not supported.
    pub fn jobs(&self, classes: &[AssetClass]) -> anyhow::Result<Vec<Job>> {
        let jobs = match &self.sql {
            None => Job::all()?,
            Some(folder) => Job::in_folder(folder)
                .with_context(|| format!("sql names the folder {}", folder.display()))?,
        };
        Ok(Job::for_classes(&jobs, classes))
    }
}

impl Raw {
    /// Checks every value, finds the secrets, and fills in what is missing.
    ///
    /// # Errors
    /// Names the key, its value and what it takes.
    pub fn check(self, environment: Environment<'_>) -> anyhow::Result<Config> {
        let listen = self.web.listen.clone().unwrap_or_else(|| LISTEN.to_owned());
        let data_dir = match self.data_dir {
            Some(folder) if folder.as_os_str().is_empty() => {
                bail!("data_dir is empty: name a folder, or leave it out for the platform's own")
            }
            Some(folder) => folder,
            None => dirs::data_dir()
                .context("this platform names no data folder: name one with --data-dir or data_dir")?
                .join("tickwire"),
        };
        let arroyo = self.arroyo.check(environment)?;
        let mut typed = self.feeds;
        let feeds = producer::FEEDS.iter().map(|feed| {
            let about = feed.description();
            Ok((*feed, typed.remove(about.name).unwrap_or_default().check(about, environment)?))
        });
        let feeds = feeds.collect::<anyhow::Result<_>>()?;
        let days =
            |key, days, default| Ok::<_, anyhow::Error>(Millis::from(above_zero(key, days, default)?) * DAY);
        Ok(Config {
            data_dir,
            listen: listen.parse().with_context(|| {
                format!("web.listen is `{listen}`: it takes an address with a port, as {LISTEN}")
            })?,
            web: self.web.check(environment)?,
            log: kafka::kind(self.log.as_deref())?,
            kafka: self.kafka.check(arroyo.parallelism, environment)?,
            arroyo,
            metrics: self.metrics.listening()?,
            prices: self.prices,
            news: self.news,
            speed: match self.speed {
                None => Speed::default(),
                Some(typed) => typed.to_string().parse().context("speed")?,
            },
            seed: self.simulation.seed.unwrap_or(SEED),
            sql: self.sql,
            keep_log: days("retention.log", self.retention.log, LOG_DAYS)?,
            keep_bars: days("retention.bars", self.retention.bars, BARS_DAYS)?,
            recompute_every: self
                .recompute_every
                .map_or(sink::RECOMPUTE_EVERY, |seconds| Duration::from_secs(seconds.get().into())),
            feeds,
            guardian: self.guardian.check(environment)?,
            store: stores::kind(self.store.as_deref())?,
            influxdb: self.influxdb.check(environment)?,
            webhook: self.alerts.check(environment)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_makes_no_sense_is_named_with_its_key() {
        let raw =
            Raw { web: raw::Web { listen: Some("8080".into()), ..Default::default() }, ..Raw::default() };
        let error = format!("{:#}", raw.check(&|_| None).unwrap_err());
        assert!(error.contains("web.listen is `8080`"), "{error}");
        let metrics = raw::Metrics { listen: Some("9100".into()) };
        let error = format!("{:#}", Raw { metrics, ..Raw::default() }.check(&|_| None).unwrap_err());
        assert!(error.contains("metrics.listen is `9100`"), "{error}");
    }

    #[test]
    fn a_retention_of_no_days_is_refused() {
        let zero = Some(0);
        for (retention, key) in [
            (raw::Retention { log: zero, bars: None }, "retention.log is 0"),
            (raw::Retention { log: None, bars: zero }, "retention.bars is 0"),
        ] {
            let error = Raw { retention, ..Raw::default() }.check(&|_| None).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
