//! Tests of the whole service; what several need is here.

mod changes;
mod oracle;
mod restart;
mod windows;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use control::rules::{self, Rule};
use control::shutdown::{self, Shutdown};
use log::{Append, EmbeddedLog, SharedLog};
use model::Alert;
use model::alert::Comparison;
use model::time::{self, MINUTE, Millis};
use model::topic::ALERTS;
use serde_json::json;

use crate::row::Row;
use crate::signals;

/// 2013-10-04 14:00 UTC.
pub(crate) const START: Millis = 1_380_895_200_000;

/// A rule on the signal `x`, as `above 0.5`.
pub(crate) fn rule(name: &str, condition: &str) -> Rule {
    let (word, threshold) = condition.split_once(' ').unwrap();
    Rule {
        name: name.into(),
        signal: "x".into(),
        comparison: Comparison::ALL.into_iter().find(|known| known.as_str() == word).unwrap(),
        threshold: threshold.parse().unwrap(),
        hysteresis: 0.0,
        enabled: true,
        symbols: Vec::new(),
        meaning: String::new(),
    }
}

/// A row of the window of 30 minutes that starts at `start`.
pub(crate) fn row(symbol: &str, start: Millis, values: &[(&str, f64)]) -> Row {
    Row::read(&serde_json::to_vec(&row_json(symbol, start, values)).unwrap()).unwrap()
}

fn row_json(symbol: &str, start: Millis, values: &[(&str, f64)]) -> serde_json::Value {
    let mut row = json!({ "symbol": symbol, "window_start": start, "window_end": start + 30 * MINUTE });
    for (name, value) in values {
        row[name] = json!(value);
    }
    row
}

/// The record of a window: the `minute`th, with the signal `x`; NaN stands for null.
pub(crate) fn record(symbol: &str, minute: i64, x: f64) -> Append {
    Append::json(signals(), symbol, &row_json(symbol, START + minute * MINUTE, &[("x", x)]))
}

/// The end of the `minute`th window.
pub(crate) fn end(minute: i64) -> Millis {
    START + (minute + 30) * MINUTE
}

/// A log in a folder of its own, with these rules.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    pub(crate) log: SharedLog,
}

impl Sandbox {
    pub(crate) async fn new(partitions: u32, rules: Vec<Rule>) -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = open(folder.path(), partitions);
        let sandbox = Sandbox { folder, log };
        sandbox.put(rules).await;
        sandbox
    }

    /// Puts other rules; what is appended from now on is under them.
    pub(crate) async fn put(&self, rules: Vec<Rule>) {
        let version = rules::read(&*self.log).await.unwrap().version;
        rules::put(&*self.log, version, rules, "test").await.unwrap();
        let put_at = time::now();
        while time::now() <= put_at {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn append(&self, records: Vec<Append>) {
        self.log.append(records).await.unwrap();
    }

    /// One symbol's windows, one a minute from the `first` on.
    pub(crate) async fn signal(&self, symbol: &str, first: i64, values: &[f64]) {
        let windows = (first..).zip(values);
        self.append(windows.map(|(minute, x)| record(symbol, minute, *x)).collect()).await;
    }

    /// Runs the service over everything that the log holds.
    pub(crate) async fn run(&self) {
        drained(self.log.clone()).await.unwrap();
    }

    /// The log as the next process finds it.
    pub(crate) fn reopened(self) -> Sandbox {
        let partitions = self.log.partitions();
        let Sandbox { folder, log } = self;
        drop(log);
        Sandbox { log: open(folder.path(), partitions), folder }
    }

    /// Everything that was told, in the order of each partition.
    pub(crate) async fn told(&self) -> Vec<Alert> {
        let mut told = Vec::new();
        for extent in self.log.extents(&ALERTS).await.unwrap() {
            for record in self.log.read(&ALERTS, extent.partition, 0, 100_000).await.unwrap() {
                told.push(serde_json::from_slice(&record.value).unwrap());
            }
        }
        told
    }

    /// What is known in the end: the last word about each episode.
    pub(crate) async fn episodes(&self) -> BTreeMap<String, Alert> {
        self.told().await.into_iter().map(|alert| (alert.episode.clone(), alert)).collect()
    }

    /// Rule, opening and closing of every episode of a symbol, as minutes of its windows.
    pub(crate) async fn spans(&self, symbol: &str) -> Vec<(String, i64, Option<i64>)> {
        let minute = |at: Millis| (at - end(0)) / MINUTE;
        let episodes = self.episodes().await.into_values().filter(|alert| alert.symbol == symbol);
        episodes.map(|alert| (alert.rule, minute(alert.opened), alert.closed.map(minute))).collect()
    }
}

fn open(folder: &Path, partitions: u32) -> Arc<EmbeddedLog> {
    Arc::new(EmbeddedLog::open(&folder.join("log.db"), partitions).unwrap())
}

/// Runs the service on a log until it has taken everything.
pub(crate) async fn drained(log: SharedLog) -> Result<(), crate::AlertsError> {
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    crate::run(log, stop).await
}
