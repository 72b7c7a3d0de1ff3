//! How soon after the record that closes a minute of the whole market can the
//! windows that end with it be read from the store?

mod place;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use log::Append;
use model::heartbeat;
use model::time::{MINUTE, Millis};
use model::topic::STOCK_PRICES;

use crate::bars::{FIRST, bar};
use crate::figures::{Figure, Goal};
use crate::usage;
use place::Place;

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
        let p99 = |times: &[Duration]| usage::percentile(times, 0.99).as_secs_f64();
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
            let at = |share| usage::percentile(times, share).as_secs_f64();
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
