//! What stands on the topics after a producer has run, been killed, and run again.

mod pace;
mod polygon;
mod real_file;
mod replay;
mod resume;
mod simulation;

use model::service::Service;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use control::shutdown::{Shutdown, ShutdownHandle, ShutdownToken, channel};
use feed::Clock;
use log::{EmbeddedLog, FailurePoint, FaultyLog, SharedLog};
use model::status::ServiceStatus;
use model::time::{MINUTE, Millis};
use model::topic::{DEAD_LETTERS, STOCK_PRICES};
use model::{Bar, DeadLetter, Topic};
use tempfile::TempDir;

use crate::{PriceSource, ProducerError, Speed, run_by};

/// Minute zero of the files here: no bar may be as old as the epoch.
const ZERO: Millis = 1_380_844_800_000;

const HEADER: &str = "start_ms,symbol,open,high,low,close,volume\n";

/// A data folder with its log, and files to replay.
struct Place {
    folder: TempDir,
    log: SharedLog,
}

impl Place {
    fn new(partitions: u32) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), partitions).unwrap());
        Place { folder, log }
    }

    /// A file of rows, each `minute symbol`; anything else is a bad row.
    fn file(&self, rows: &[String]) -> PathBuf {
        let line = |row: &String| match row.split_once(' ') {
            Some((minute, symbol)) => {
                format!("{},{symbol},2,3,1,2,7\n", ZERO + minute.parse::<Millis>().unwrap() * MINUTE)
            }
            None => format!("{row}\n"),
        };
        let path = self.folder.path().join("bars.csv");
        fs::write(&path, rows.iter().map(line).fold(HEADER.to_owned(), |text, line| text + &line)).unwrap();
        path
    }

    async fn replay(&self, file: PathBuf) -> Result<(), ProducerError> {
        let (_stopper, stop) = channel();
        self.run(self.log.clone(), PriceSource::Replay { file, speed: Speed::Max }, stop).await
    }

    /// Runs at a clock that jumps to whatever is waited for.
    async fn run(
        &self,
        log: SharedLog,
        source: PriceSource,
        stop: ShutdownToken,
    ) -> Result<(), ProducerError> {
        run_by(Arc::new(Jumps::default()), log, source, stop).await
    }

    /// Runs until killed in the append after so many.
    async fn run_until_killed(
        &self,
        source: &PriceSource,
        appends: usize,
        broken: FailurePoint,
    ) -> Result<(), ProducerError> {
        let (_stopper, stop) = channel();
        let log = Arc::new(FaultyLog::new(self.log.clone(), appends, broken));
        self.run(log, source.clone(), stop).await
    }

    /// Every record of a topic, partition after partition.
    async fn records<T: serde::de::DeserializeOwned>(&self, topic: &Topic) -> Vec<Vec<T>> {
        let mut partitions = Vec::new();
        for partition in 0..self.log.partitions() {
            let records = self.log.read(topic, partition, 0, usize::MAX >> 1).await.unwrap();
            partitions.push(records.iter().map(|r| serde_json::from_slice(&r.value).unwrap()).collect());
        }
        partitions
    }

    async fn prices(&self) -> Vec<Vec<Bar>> {
        self.records(&STOCK_PRICES).await
    }

    /// The only partition, each record as `minute symbol <complete_until #position`.
    async fn outline(&self) -> Vec<String> {
        let only = self.prices().await.remove(0);
        only.iter()
            .map(|bar| {
                let minute = |at: Millis| (at - ZERO) / MINUTE;
                let (minute, until) = (minute(bar.start_timestamp), minute(bar.complete_until));
                format!("{minute} {} <{until} #{}", bar.symbol, bar.position.unwrap_or_default())
            })
            .collect()
    }

    /// Source and reason of every dead letter, in order.
    async fn letters(&self) -> Vec<(String, String)> {
        let letters = self.records::<DeadLetter>(&DEAD_LETTERS).await;
        let mut letters: Vec<_> = letters.into_iter().flatten().map(|l| (l.source, l.reason)).collect();
        letters.sort();
        letters
    }

    async fn status(&self) -> ServiceStatus {
        control::status::last(&*self.log, Service::Producer).await.unwrap().unwrap()
    }

    async fn count(&self, name: &str) -> u64 {
        self.status().await.counts[name]
    }
}

fn rows(rows: &[&str]) -> Vec<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}

/// A clock on which waiting takes no time; it remembers what was waited for,
/// and asks for an end after so many waits.
#[derive(Default)]
struct Jumps {
    waits: Mutex<Vec<Duration>>,
    /// How much later than asked every wait ends.
    overshoot: Duration,
    end: Option<(usize, ShutdownHandle)>,
}

#[async_trait]
impl Clock for Jumps {
    fn now(&self) -> Millis {
        self.waits.lock().unwrap().last().map_or(0, |last| feed::millis(*last + self.overshoot))
    }

    async fn sleep_until(&self, at: Millis) {
        let mut waits = self.waits.lock().unwrap();
        let at = Duration::from_millis(at.unsigned_abs());
        waits.push(at);
        if let Some((after, stopper)) = &self.end
            && waits.len() > *after
        {
            stopper.ask(Shutdown::Drain);
        }
    }
}
