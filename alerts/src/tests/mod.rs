//! Tests of the service over an embedded log, with the helpers that they share.

mod restart;

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
use proptest::prelude::*;
use serde_json::json;

use crate::partition::Row;
use crate::service::SymbolState;
use crate::signals;

/// 2013-10-04 14:00 UTC.
pub(crate) const START: Millis = 1_380_895_200_000;

/// A rule on the signal `x`, with a condition such as `above 0.5`.
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

/// A row of the 30-minute window that starts at `start`.
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

/// The record of the window number `minute` with the signal `x`; NaN stands for null.
pub(crate) fn record(symbol: &str, minute: i64, x: f64) -> Append {
    Append::json(signals(), symbol, &row_json(symbol, START + minute * MINUTE, &[("x", x)]))
}

/// The end of the window number `minute`.
pub(crate) fn end(minute: i64) -> Millis {
    START + (minute + 30) * MINUTE
}

/// An embedded log that contains these rules.
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

    /// Replaces the rules; records appended from now on are under them.
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

    /// Appends windows of one symbol, one a minute from `first` on.
    pub(crate) async fn signal(&self, symbol: &str, first: i64, values: &[f64]) {
        let windows = (first..).zip(values);
        self.append(windows.map(|(minute, x)| record(symbol, minute, *x)).collect()).await;
    }

    /// Runs the service over everything in the log.
    pub(crate) async fn run(&self) {
        drained(self.log.clone()).await.unwrap();
    }

    /// Reopens the log as a new process would.
    pub(crate) fn reopened(self) -> Sandbox {
        let partitions = self.log.partitions();
        let Sandbox { folder, log } = self;
        drop(log);
        Sandbox { log: open(folder.path(), partitions), folder }
    }

    /// All alerts, in the order of each partition.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for extent in self.log.extents(&ALERTS).await.unwrap() {
            for record in self.log.read(&ALERTS, extent.partition, 0, 100_000).await.unwrap() {
                alerts.push(serde_json::from_slice(&record.value).unwrap());
            }
        }
        alerts
    }

    /// The last alert of each episode.
    pub(crate) async fn episodes(&self) -> BTreeMap<String, Alert> {
        self.alerts().await.into_iter().map(|alert| (alert.episode.clone(), alert)).collect()
    }

    /// Rule, opening and closing of every episode of a symbol, as numbers of its windows.
    pub(crate) async fn spans(&self, symbol: &str) -> Vec<(String, i64, Option<i64>)> {
        let minute = |at: Millis| (at - end(0)) / MINUTE;
        let episodes = self.episodes().await.into_values().filter(|alert| alert.symbol == symbol);
        episodes.map(|alert| (alert.rule, minute(alert.opened), alert.closed.map(minute))).collect()
    }
}

fn open(folder: &Path, partitions: u32) -> Arc<EmbeddedLog> {
    Arc::new(EmbeddedLog::open(&folder.join("log.db"), partitions).unwrap())
}

/// Runs the service on a log until it has read everything.
pub(crate) async fn drained(log: SharedLog) -> Result<(), crate::AlertsError> {
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    crate::run(log, stop).await
}

// Episodes compared with a direct implementation of their definition.

/// The opening and closing windows, found by scanning the whole list repeatedly.
fn expected(rule: &Rule, values: &[Option<f64>]) -> Vec<(usize, Option<usize>)> {
    let (t, h) = (rule.threshold, rule.hysteresis);
    if rule.comparison == Comparison::Crosses {
        let clear: Vec<(usize, bool)> = (0..values.len())
            .filter_map(|at| values[at].filter(|x| *x > t + h || *x < t - h).map(|x| (at, x > t)))
            .collect();
        let passages = clear.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        return passages.map(|pair| (pair[1].0, Some(pair[1].0))).collect();
    }
    let turned = if rule.comparison == Comparison::Above { 1.0 } else { -1.0 };
    let opens = |x: f64| x * turned > t * turned;
    let closes = |x: f64| x <= t - h && turned > 0.0 || x >= t + h && turned < 0.0;
    let mut episodes = Vec::new();
    let mut from = 0;
    while let Some(opened) = (from..values.len()).find(|&at| values[at].is_some_and(opens)) {
        let closed = (opened..values.len()).find(|&at| values[at].is_some_and(closes));
        episodes.push((opened, closed));
        match closed {
            Some(closed) => from = closed,
            None => break,
        }
    }
    episodes
}

/// The same from the service's state machine.
fn found(rule: &Rule, values: &[Option<f64>]) -> Vec<(usize, Option<usize>)> {
    let mut held = SymbolState::new();
    let mut episodes: Vec<(usize, Option<usize>)> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let signal: Vec<_> = value.iter().map(|value| ("x", *value)).collect();
        let row = row("A", START + at as i64 * MINUTE, &signal);
        for alert in held.take(std::slice::from_ref(rule), &row) {
            let opened = at - ((row.window_end - alert.opened) / MINUTE) as usize;
            match alert.closed {
                Some(closed) if closed > alert.opened => {
                    let open = episodes.last_mut().unwrap();
                    assert_eq!((*open, closed), ((opened, None), row.window_end));
                    open.1 = Some(at);
                }
                Some(_) => episodes.push((at, Some(at))),
                None => episodes.push((opened, None)),
            }
            // A state that was stored and read again must be equal.
            held = serde_json::from_str(&serde_json::to_string(&held).unwrap()).unwrap();
        }
    }
    episodes
}

proptest! {
    #[test]
    fn episodes_are_what_a_plain_account_says(
        // Few distinct values, so that thresholds are met exactly.
        values in prop::collection::vec(prop::option::weighted(0.9, (-6..=6_i32).prop_map(|n| f64::from(n) / 2.0)), 0..60),
        comparison in prop::sample::select(Comparison::ALL.to_vec()),
        threshold in (-3..=3_i32).prop_map(|n| f64::from(n) / 2.0),
        hysteresis in (0..=4_i32).prop_map(|n| f64::from(n) / 2.0),
    ) {
        let rule = Rule { comparison, threshold, hysteresis, ..rule("r", "above 0") };
        prop_assert_eq!(found(&rule, &values), expected(&rule, &values));
    }
}

#[test]
fn the_account_itself_finds_what_can_be_seen_at_a_glance() {
    let values = [1.0, 3.0, 2.5, 2.0, 3.0, 1.0, 2.6].map(Some);
    let above = Rule { hysteresis: 1.0, ..rule("r", "above 2.5") };
    assert_eq!(expected(&above, &values), [(1, Some(5)), (6, None)]);
    let below = Rule { hysteresis: 1.0, ..rule("r", "below 1.5") };
    assert_eq!(expected(&below, &values), [(0, Some(1)), (5, Some(6))]);
    assert_eq!(expected(&rule("r", "crosses 2"), &values), [(1, Some(1)), (5, Some(5)), (6, Some(6))]);
}

// Rules that change while the service runs, and while it does not.

#[tokio::test]
async fn a_changed_rule_applies_to_the_windows_after_it_whenever_they_are_read() {
    let mut seen = Vec::new();
    for runs_between in [true, false] {
        let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
        sandbox.signal("AAPL", 0, &[1.0, 1.5, 3.0, 1.0]).await;
        if runs_between {
            sandbox.run().await;
        }
        sandbox.put(vec![rule("high", "above 1")]).await;
        sandbox.signal("AAPL", 4, &[1.0, 1.5, 1.0]).await;
        sandbox.run().await;
        seen.push((sandbox.spans("AAPL").await, sandbox.alerts().await));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].0, [("high".into(), 2, Some(3)), ("high".into(), 5, Some(6))]);
}

#[tokio::test]
async fn every_version_between_has_its_windows() {
    let sandbox = Sandbox::new(1, vec![rule("a", "above 2")]).await;
    for (minute, name) in (0..).zip(["a", "b", "c"]) {
        sandbox.put(vec![rule(name, "crosses 0")]).await;
        sandbox.signal("AAPL", 2 * minute, &[-1.0, 1.0]).await;
    }
    sandbox.run().await;
    let spans = [("a".to_owned(), 1, Some(1)), ("b".into(), 3, Some(3)), ("c".into(), 5, Some(5))];
    assert_eq!(sandbox.spans("AAPL").await, spans);
}

#[tokio::test]
async fn an_open_episode_ends_with_its_rule_at_the_next_window() {
    let high = || rule("high", "above 2");
    for (after, why) in [
        (vec![], "removed"),
        (vec![Rule { enabled: false, ..high() }], "switched off"),
        (vec![Rule { symbols: vec!["MSFT".into()], ..high() }], "switched off for it"),
        (vec![Rule { signal: "y".into(), ..high() }], "changed"),
    ] {
        let sandbox = Sandbox::new(1, vec![high()]).await;
        sandbox.signal("AAPL", 0, &[3.0]).await;
        sandbox.run().await;
        sandbox.put(after).await;
        // A window of another symbol does not close the episode.
        sandbox.signal("IBM", 1, &[1.0]).await;
        sandbox.run().await;
        assert_eq!(sandbox.spans("AAPL").await, [("high".into(), 0, None)]);
        sandbox.signal("AAPL", 1, &[4.0, 4.0]).await;
        let sandbox = sandbox.reopened();
        sandbox.run().await;
        let alerts = sandbox.alerts().await;
        assert_eq!((alerts.len(), alerts[1].closed), (2, Some(end(1))), "{why}");
        assert!(alerts[1].explanation.contains(why), "{}", alerts[1].explanation);
    }
}

#[tokio::test]
async fn another_threshold_closes_what_it_no_longer_holds_and_keeps_what_it_does() {
    let sandbox = Sandbox::new(1, vec![rule("a", "above 2"), rule("b", "above 2")]).await;
    sandbox.signal("AAPL", 0, &[3.0]).await;
    sandbox.run().await;
    sandbox.put(vec![rule("a", "above 2.5"), rule("b", "above 4")]).await;
    sandbox.signal("AAPL", 1, &[3.0]).await;
    sandbox.run().await;
    assert_eq!(sandbox.spans("AAPL").await, [("a".into(), 0, None), ("b".into(), 0, Some(1))]);
}

#[tokio::test]
async fn a_fresh_log_is_under_the_rules_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox { log: open(folder.path(), 1), folder };
    let first = rules::defaults().remove(0);
    let json = json!({
        "symbol": "AAPL", "window_start": START, "window_end": end(0), first.signal.as_str(): first.threshold + 1.0,
    });
    sandbox.append(vec![Append::json(signals(), "AAPL", &json)]).await;
    sandbox.run().await;
    let alerts = sandbox.alerts().await;
    assert_eq!((alerts.len(), &alerts[0].rule), (1, &first.name));
    assert!(alerts[0].explanation.ends_with(&first.meaning));
}
