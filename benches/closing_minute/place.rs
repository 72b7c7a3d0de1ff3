//! A log and a store with the engine and the sink at work between them.

use std::sync::Arc;

use anyhow::Context;
use control::shutdown::{self, Shutdown, ShutdownHandle};
use engine::Job;
use log::{EmbeddedLog, KafkaConfig, KafkaLog, SharedLog};
use model::time::Millis;
use model::topic::{NEWS_ARTICLES, SERVICE_STATUS, STOCK_PRICES};
use net::Secret;
use store::{EmbeddedStore, InfluxAddress, InfluxStore, Query, SharedStore};
use tempfile::TempDir;
use testkit::influxd::{Influxd, ORG};
use testkit::kafka::Kafka;
use tokio::task::JoinSet;

/// The job whose windows are waited for.
const JOB: &str = "volatility";
const BUCKET: &str = "minutes";

pub struct Place {
    pub log: SharedLog,
    store: SharedStore,
    stopper: ShutdownHandle,
    services: JoinSet<anyhow::Result<()>>,
    kept: Kept,
}

/// Where it all lies, and ends with this.
enum Kept {
    Folder { _folder: TempDir },
    Servers { influxd: Box<Influxd>, _kafka: Kafka },
}

impl Place {
    pub async fn embedded() -> anyhow::Result<Place> {
        let folder = tempfile::tempdir()?;
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1)?);
        let store = Arc::new(EmbeddedStore::open(&folder.path().join("store.db"))?);
        Place::at_work(log, store, Kept::Folder { _folder: folder })
    }

    /// `None` where there are no servers.
    pub async fn servers() -> anyhow::Result<Option<Place>> {
        let Some(influxd) = Influxd::start().await else { return Ok(None) };
        let Some(kafka) = Kafka::start() else { return Ok(None) };
        let log = Arc::new(KafkaLog::new(&KafkaConfig::new(kafka.bootstrap_servers()))?);
        log.make(&[STOCK_PRICES, NEWS_ARTICLES, SERVICE_STATUS, Job::named(JOB)?.topic]).await?;
        influxd.make_bucket(BUCKET, None).await;
        let store = Arc::new(InfluxStore::new(InfluxAddress {
            url: influxd.url.parse()?,
            org: ORG.into(),
            bucket: BUCKET.into(),
            token: Secret::new(&influxd.token),
        })?);
        let kept = Kept::Servers { influxd: Box::new(influxd), _kafka: kafka };
        Place::at_work(log, store, kept).map(Some)
    }

    fn at_work(log: SharedLog, store: SharedStore, kept: Kept) -> anyhow::Result<Place> {
        let (stopper, stop) = shutdown::channel();
        let mut services = JoinSet::new();
        let engine = engine::run(log.clone(), vec![Job::named(JOB)?], stop.clone());
        services.spawn(async { Ok(engine.await?) });
        let sink = sink::run(log.clone(), store.clone(), vec![Job::named(JOB)?], stop);
        services.spawn(async { Ok(sink.await?) });
        Ok(Place { log, store, stopper, services, kept })
    }

    /// How many rows of the windows that end at `end` can be read.
    pub async fn rows(&self, end: Millis) -> anyhow::Result<usize> {
        match &self.kept {
            Kept::Folder { .. } => {
                let (from, to) = (Some(end), Some(end + 1));
                let query = Query { measurement: JOB.into(), from, to, ..Query::default() };
                // Before the first write there is no such measurement.
                Ok(self.store.read(&query).await.map_or(0, |rows| rows.rows.len()))
            }
            Kept::Servers { influxd, .. } => {
                let seconds = end / 1_000;
                let flux = format!(
                    "from(bucket: \"{BUCKET}\") |> range(start: {seconds}, stop: {}) |> filter(fn: (r) => r._measurement == \"{JOB}\" and r._field == \"bars\") |> group() |> count()",
                    seconds + 1
                );
                let answer = influxd.query(&flux).await;
                let Some(row) = answer.lines().nth(1).filter(|row| !row.trim().is_empty()) else {
                    return Ok(0);
                };
                let count = row.rsplit(',').next().context("no count")?;
                Ok(count.trim().parse()?)
            }
        }
    }

    /// Stops the services, in order.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.stopper.ask(Shutdown::Stop);
        while let Some(ended) = self.services.join_next().await {
            ended??;
        }
        Ok(())
    }
}
