//! How soon after the record that closes a minute of the whole market can the
//! windows that end with it be read from the store?

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use control::shutdown::{self, Shutdown, ShutdownHandle};
use engine::Job;
use log::{Append, EmbeddedLog, KafkaConfig, KafkaLog, SharedLog};
use model::heartbeat;
use model::time::{MINUTE, Millis};
use model::topic::{NEWS_ARTICLES, SERVICE_STATUS, STOCK_PRICES};
use net::Secret;
use store::{EmbeddedStore, InfluxAddress, InfluxStore, Query, SharedStore};
use tempfile::TempDir;
use testkit::influxd::{Influxd, ORG};
use testkit::kafka::Kafka;
use tokio::task::JoinSet;

use crate::figures::{FIRST, Figure, Goal, bar, percentile};

/// Appends that bring the bars of a minute, spread over a second.
const APPENDS: usize = 20;
/// How often the store is asked.
const LOOK: Duration = Duration::from_millis(50);
/// How long a minute may take before something must be broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// Minutes that do not count: all symbols are new in the first.
const WARM_UP: usize = 2;

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Symbols of the market
    #[arg(long, default_value_t = 12_000)]
    symbols: usize,
    /// Minutes, one after the other
    #[arg(long, default_value_t = 40)]
    minutes: usize,
}

/// What came out.
pub struct Answer {
    symbols: usize,
    /// Per minute from the closing record on, until all rows could be read.
    embedded: Vec<Duration>,
    /// The same with Kafka and InfluxDB, where there are any.
    servers: Option<Vec<Duration>>,
}

/// Plays the minutes over either log and store.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let embedded = runtime.block_on(async { play(Place::embedded().await?, wanted).await })?;
    let servers = runtime.block_on(async {
        match Place::servers().await? {
            Some(place) => play(place, wanted).await.map(Some),
            None => Ok(None),
        }
    })?;
    Ok(Answer { symbols: wanted.symbols, embedded, servers })
}

async fn play(place: Place, wanted: &Wanted) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for minute in 0..WARM_UP + wanted.minutes {
        send(&place, wanted.symbols, minute).await?;
        let end = FIRST + (minute as Millis + 1) * MINUTE;
        let begun = Instant::now();
        place.log.append(closing(&place, end)).await?;
        while place.rows(end).await? < wanted.symbols {
            ensure!(begun.elapsed() < PATIENCE, "the windows ending at {end} never come whole");
            tokio::time::sleep(LOOK).await;
        }
        times.push(begun.elapsed());
    }
    place.end().await?;
    Ok(times.split_off(WARM_UP))
}

/// The bars of a minute, within a second.
async fn send(place: &Place, symbols: usize, minute: usize) -> anyhow::Result<()> {
    let bars: Vec<Append> = (0..symbols)
        .map(|symbol| bar(symbol, minute))
        .map(|bar| Append::json(STOCK_PRICES, &bar.symbol, &bar))
        .collect();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / APPENDS as u32);
    for part in bars.chunks(symbols.div_ceil(APPENDS)) {
        pace.tick().await;
        place.log.append(part.to_vec()).await?;
    }
    Ok(())
}

/// The heartbeats that say that everything before `at` has come.
fn closing(place: &Place, at: Millis) -> Vec<Append> {
    let keys = 0..place.log.clock_keys();
    let record = |partition, key| {
        let bar = heartbeat::bar(key, at);
        Append::json(STOCK_PRICES, &bar.symbol, &bar).into_partition(partition)
    };
    (0..place.log.partitions())
        .flat_map(|partition| keys.clone().map(move |key| record(partition, key)))
        .collect()
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let what = |place: &str| {
            format!("windows of {} symbols readable after the minute, p99, {place}", self.symbols)
        };
        let p99 = |times: &[Duration]| percentile(times, 0.99).as_secs_f64();
        let servers = match &self.servers {
            Some(times) => Figure::measured(what("Kafka and InfluxDB"), p99(times), "s", Goal::AtMost(2.0)),
            None => Figure::skipped(what("Kafka and InfluxDB"), "TEST_KAFKA_HOME or TEST_INFLUXD names none"),
        };
        vec![Figure::measured(what("embedded"), p99(&self.embedded), "s", Goal::AtMost(2.0)), servers]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} symbols a minute; from the closing record until all rows can be read", self.symbols)?;
        let line = |times: &[Duration]| {
            let at = |share| percentile(times, share).as_secs_f64();
            format!(
                "{:.2} s median, {:.2} s at the 99th percentile, {} minutes",
                at(0.5),
                at(0.99),
                times.len()
            )
        };
        writeln!(f, "  embedded: {}", line(&self.embedded))?;
        match &self.servers {
            Some(times) => writeln!(f, "  Kafka and InfluxDB: {}", line(times)),
            None => writeln!(f, "  Kafka and InfluxDB: skipped, TEST_KAFKA_HOME or TEST_INFLUXD names none"),
        }
    }
}

// A log and a store with the engine and the sink at work between them.

/// The job whose windows are waited for.
const JOB: &str = "volatility";
const BUCKET: &str = "minutes";

struct Place {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_has_its_row_after_every_minute() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { symbols: 60, minutes: 2 }).unwrap();
        assert_eq!(answer.embedded.len(), 2);
        assert!(answer.servers.is_none_or(|times| times.len() == 2));
    }
}
