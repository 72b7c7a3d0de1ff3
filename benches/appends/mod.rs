//! What do appends to Kafka cost whose holder can be shut out, which go in transactions,
//! beside plain appends by the same client?

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use log::{Append, KafkaConfig, KafkaLog, Lease, Log, SharedLog};
use model::topic::STOCK_PRICES;
use testkit::kafka::Kafka;
use tokio::runtime::Runtime;

use crate::figures::{Figure, Goal, Spent, Stopwatch, bar, percentile};

/// Symbols that the bars are of.
const SYMBOLS: usize = 500;
/// Who append at once, where several do.
const TOGETHER: usize = 8;
/// How long one record may take until it is read.
const PATIENCE: Duration = Duration::from_secs(60);

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Records of each way, in each round
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// Single records that are appended and then read, in each round
    #[arg(long, default_value_t = 40)]
    singles: usize,
    /// Rounds; each way has its turn in each of them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// How records are appended.
#[derive(Clone, Copy)]
struct Way {
    what: &'static str,
    /// Records of an append.
    at_once: usize,
    appenders: usize,
}

const WAYS: [Way; 3] = [
    Way { what: "appends of 1,000 records", at_once: 1_000, appenders: 1 },
    Way { what: "appends of 4,000 records", at_once: 4_000, appenders: 1 },
    Way { what: "8 appenders at once, 250 records each", at_once: 250, appenders: TOGETHER },
];

/// One of the two logs, with what it took.
struct Side {
    log: SharedLog,
    /// Of each way, a time of each round.
    ways: [Vec<Spent>; WAYS.len()],
    /// From the begin of an append of one record until it was acknowledged.
    acknowledged: Vec<Duration>,
    /// From then until it was read as well.
    read: Vec<Duration>,
}

/// What came out.
pub struct Answer {
    records: usize,
    /// Those in transactions and the plain ones.
    sides: Option<[Side; 2]>,
}

/// Lets both logs take the same records, in turns.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let records = wanted.records;
    let Some(kafka) = Kafka::start() else { return Ok(Answer { records, sides: None }) };
    let runtime = Runtime::new()?;
    let (_lease, mut sides) = runtime.block_on(open(&kafka))?;
    for _ in 0..wanted.rounds {
        for side in &mut sides {
            runtime.block_on(side.measure_singles(wanted.singles))?;
            for (number, way) in WAYS.iter().enumerate() {
                let spent = runtime.block_on(measure(&side.log, way, records))?;
                side.ways[number].push(spent);
            }
        }
    }
    for side in &sides {
        let expected =
            wanted.rounds * (wanted.singles + WAYS.iter().map(|way| way.in_all(records)).sum::<usize>());
        ensure!(runtime.block_on(side.count())? == expected, "not every record was read");
    }
    Ok(Answer { records, sides: Some(sides) })
}

/// The lease goes with the log that it gives.
async fn open(kafka: &Kafka) -> anyhow::Result<(Box<dyn Lease>, [Side; 2])> {
    let log = |suffix: &str| {
        let suffix = suffix.to_owned();
        KafkaLog::new(&KafkaConfig { suffix, ..KafkaConfig::new(kafka.bootstrap_servers()) }).map(Arc::new)
    };
    let (holder, plain) = (log("-holder")?, log("-plain")?);
    for log in [&holder, &plain] {
        log.make(&[STOCK_PRICES]).await?;
    }
    let lease = holder.lease("appends").await?;
    let fenced = lease.log().context("on Kafka the holder of a lease has a log of its own")?;
    Ok((lease, [Side::of(fenced), Side::of(plain)]))
}

impl Way {
    /// Records that are appended, where `records` are asked for: each append is full.
    fn in_all(&self, records: usize) -> usize {
        self.appends(records) * self.appenders * self.at_once
    }

    /// Appends of each appender.
    fn appends(&self, records: usize) -> usize {
        records.div_ceil(self.appenders * self.at_once)
    }
}

fn batch(records: usize) -> Vec<Append> {
    (0..records)
        .map(|number| {
            let bar = bar(number % SYMBOLS, number / SYMBOLS);
            Append::json(STOCK_PRICES, &bar.symbol, &bar)
        })
        .collect()
}

async fn measure(log: &SharedLog, way: &Way, records: usize) -> anyhow::Result<Spent> {
    let (batch, appends) = (batch(way.at_once), way.appends(records));
    let watch = Stopwatch::start()?;
    let appending: Vec<_> = (0..way.appenders)
        .map(|_| {
            let (log, batch) = (log.clone(), batch.clone());
            tokio::spawn(async move {
                for _ in 0..appends {
                    log.append(batch.clone()).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for appender in appending {
        appender.await??;
    }
    watch.stop()
}

impl Side {
    fn of(log: SharedLog) -> Side {
        Side { log, ways: [const { Vec::new() }; WAYS.len()], acknowledged: Vec::new(), read: Vec::new() }
    }

    /// One record after the other, each read before the next one is appended.
    async fn measure_singles(&mut self, singles: usize) -> anyhow::Result<()> {
        let mut reader = self.log.reader("reads", &[STOCK_PRICES]).await?;
        while !reader.caught_up().await? {
            reader.poll(10_000, Duration::from_millis(100)).await?;
        }
        for _ in 0..singles {
            let begun = Instant::now();
            self.log.append(batch(1)).await?;
            self.acknowledged.push(begun.elapsed());
            let read = reader.poll(1, PATIENCE).await?;
            ensure!(read.len() == 1, "a record that was acknowledged is not read");
            self.read.push(begun.elapsed());
        }
        reader.commit(reader.positions()).await?;
        Ok(())
    }

    async fn count(&self) -> anyhow::Result<usize> {
        let mut reader = self.log.reader("counts", &[STOCK_PRICES]).await?;
        let mut count = 0;
        while !reader.caught_up().await? {
            count += reader.poll(10_000, Duration::from_millis(100)).await?.len();
        }
        Ok(count)
    }
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let Some([fenced, plain]) = &self.sides else {
            return vec![Figure::skipped("appends to Kafka", "TEST_KAFKA_HOME names no Kafka")];
        };
        let mut figures = Vec::new();
        for (number, way) in WAYS.iter().enumerate() {
            let records = way.in_all(self.records);
            let times = |side: &Side| {
                (
                    median(&side.ways[number], |spent| spent.wall),
                    median(&side.ways[number], |spent| spent.processor),
                )
            };
            let ((ours, ours_processor), (theirs, theirs_processor)) = (times(fenced), times(plain));
            let a_second = records as f64 / ours.as_secs_f64();
            figures.push(Figure::measured(way.what, a_second, "records/s", Goal::None));
            let share = theirs.as_secs_f64() / ours.as_secs_f64();
            figures.push(Figure::measured("… of plain appends, by the clock", share, "", Goal::AtLeast(0.5)));
            let cost = ours_processor.as_secs_f64() / theirs_processor.as_secs_f64().max(1e-9);
            figures.push(Figure::measured("… their processor time, of plain appends", cost, "", Goal::None));
        }
        for (what, ours, theirs) in [
            ("one record acknowledged", &fenced.acknowledged, &plain.acknowledged),
            ("one record read", &fenced.read, &plain.read),
        ] {
            for (name, share) in [("median", 0.5), ("p99", 0.99)] {
                let ms = |times| percentile(times, share).as_secs_f64() * 1e3;
                figures.push(Figure::measured(format!("{what}, {name}"), ms(ours), "ms", Goal::None));
                figures.push(Figure::measured("… by a plain append", ms(theirs), "ms", Goal::None));
            }
        }
        figures
    }
}

fn median(spent: &[Spent], of: impl Fn(&Spent) -> Duration) -> Duration {
    percentile(&spent.iter().map(of).collect::<Vec<_>>(), 0.5)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "appends to Kafka, in transactions and plain")?;
        crate::Answer::figures(self).iter().try_for_each(|figure| writeln!(f, "  {figure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_of_both_ways_is_read() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { records: 100, singles: 2, rounds: 1 }).unwrap();
        // Kafka may be absent here, which is said; a run counts what can be read.
        assert!(!crate::Answer::figures(&answer).is_empty());
    }
}
