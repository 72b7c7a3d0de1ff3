//! How fast do bars of Kafka become points of a store: against a server that does
//! nothing but count, and against InfluxDB; beside Telegraf, a bare loader, and a
//! writer that sends one point at a time?

mod counting_server;
mod influxdb;
mod records;
mod telegraf;

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use testkit::influxd::Influxd;
use testkit::kafka::Kafka;
use tokio::runtime::{Builder, Runtime};

use crate::figures::{Figure, Goal, Spent};

/// What the threads of the servers that are played here are called.
const PLAYED: &str = "played";

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Bars that a server which only counts gets
    #[arg(long, default_value_t = 1_000_000)]
    bars: usize,
    /// Bars that InfluxDB gets
    #[arg(long, default_value_t = 1_000_000)]
    influxdb_bars: usize,
    /// A Telegraf to compare with; see the README
    #[arg(long, env = "BENCH_TELEGRAF", value_name = "PROGRAM")]
    telegraf: Option<PathBuf>,
}

/// What came out.
pub struct Answer {
    counted: Option<Counted>,
    stored: Option<influxdb::Stored>,
}

/// Against the server that only counts.
struct Counted {
    bars: usize,
    ours: Spent,
    /// Or why it has none.
    telegraf: Result<Spent, String>,
}

/// Where everything runs.
struct Place {
    /// The servers that are played.
    outside: Runtime,
    product: Runtime,
    kafka: Kafka,
}

/// Fills Kafka, then lets each take it all.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let Some(kafka) = Kafka::start() else { return Ok(Answer { counted: None, stored: None }) };
    let outside = Builder::new_multi_thread().worker_threads(1).thread_name(PLAYED).enable_all().build()?;
    let product = Builder::new_multi_thread().enable_all().build()?;
    let place = Place { outside, product, kafka };
    let counted = counted(&place, wanted)?;
    let stored = match place.outside.block_on(Influxd::start()) {
        Some(server) => Some(influxdb::run(&place, &server, wanted.influxdb_bars)?),
        None => None,
    };
    Ok(Answer { counted: Some(counted), stored })
}

fn counted(place: &Place, wanted: &Wanted) -> anyhow::Result<Counted> {
    let log = records::fill(place, "-counted", wanted.bars)?;
    let ours = counting_server::sink(place, log, wanted.bars).context("the sink")?;
    let telegraf = match &wanted.telegraf {
        // A peer that fails keeps nobody else from being measured.
        Some(program) => {
            telegraf::run(place, program, "-counted", wanted.bars).map_err(|error| format!("{error:#}"))
        }
        None => Err("BENCH_TELEGRAF names no program".to_owned()),
    };
    Ok(Counted { bars: wanted.bars, ours, telegraf })
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let Some(counted) = &self.counted else {
            return vec![Figure::skipped("Kafka to a store", "TEST_KAFKA_HOME names no Kafka")];
        };
        let mut figures = counted.figures();
        match &self.stored {
            Some(stored) => figures.extend(stored.figures()),
            None => figures.push(Figure::skipped("Kafka to InfluxDB", "TEST_INFLUXD names no influxd")),
        }
        figures
    }
}

impl Counted {
    fn figures(&self) -> Vec<Figure> {
        let ours = self.ours.a_core(self.bars);
        let mut figures = vec![Figure::measured(
            "Kafka to a server that counts, a core",
            ours,
            "points/s",
            Goal::AtLeast(400e3),
        )];
        match &self.telegraf {
            Ok(telegraf) => {
                let theirs = telegraf.a_core(self.bars);
                figures.push(Figure::measured(
                    "the same by Telegraf, a core",
                    theirs,
                    "points/s",
                    Goal::None,
                ));
                figures.push(Figure::measured("times as fast", ours / theirs, "", Goal::AtLeast(5.0)));
            }
            Err(why) => figures.push(Figure::skipped("Telegraf", why)),
        }
        figures
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = crate::Answer::figures(self);
        writeln!(f, "bars from Kafka to a store")?;
        figures.iter().try_for_each(|figure| writeln!(f, "  {figure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_reaches_both_servers() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { bars: 3_000, influxdb_bars: 3_000, telegraf: None }).unwrap();
        // Either server may be absent here, which is said; each run counts what arrived.
        assert!(!crate::Answer::figures(&answer).is_empty());
    }
}
