//! The alerts service: reads the signals, appends alerts, and stores its state.
//!
//! Alerts are appended as soon as a window has been read; the state is stored every few
//! seconds. After a crash the service repeats the alerts since the last stored state, byte for
//! byte.
//!
//! In this file: the service's loop, the history of the rules, and the state of a symbol.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::foreign::MAX_VERSION;
use control::kept::ListReader;
use control::rules::{KEY, Rule, Rules};
use control::shutdown::{Shutdown, ShutdownToken};
use control::status::Report;
use log::time_bounds::TimeBounds;
use log::{Append, Log, LogError, Position, Reader, Record, SharedLog, was_recreated};
use model::service::{Activity, RunState, Service};
use model::status::ServiceStatus;
use model::time::Millis;
use model::topic::{ALERT_RULES, ALERT_RULES_HISTORY, Topic};
use model::{Alert, time};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::error::AlertsError;
use crate::partition::{Counts, Episode, Partition, Row, RuleState, Transition, read, write};
use crate::{explain, signals};

/// The name of the consumer and of the status.
const SERVICE: &str = Service::Alerts.name();
/// How many records of a partition are read at once.
const POLL: usize = 2_048;
/// How long to wait for records before checking for a shutdown.
const WAIT: Duration = Duration::from_millis(250);
/// How often the state is stored.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// How many alerts are appended at once.
const APPEND: usize = 1_000;

/// Applies the rules to the signals until `stop` requests a shutdown; when draining, until
/// everything in the log has been read.
///
/// # Errors
/// When the log fails.
pub async fn run(log: SharedLog, stop: ShutdownToken) -> Result<(), AlertsError> {
    let mut service = Evaluation::start(log).await?;
    let mut last_checkpoint = Instant::now();
    loop {
        if stop.stopped() {
            return service.end(RunState::Stopped).await;
        }
        let wait = if stop.draining() { Duration::ZERO } else { WAIT };
        let records = tokio::select! {
            records = service.reader.poll(POLL, wait) => records?,
            () = stop.at_least(Shutdown::Stop) => continue,
        };
        if records.is_empty() && stop.draining() && service.reader.caught_up().await? {
            return service.end(RunState::Finished).await;
        }
        service.take(&records).await?;
        if last_checkpoint.elapsed() >= CHECKPOINT {
            service.checkpoint().await?;
            last_checkpoint = Instant::now();
        }
        service.report_status(RunState::Running).await?;
    }
}

struct Evaluation {
    log: SharedLog,
    reader: Box<dyn Reader>,
    schedule: Schedule,
    partitions: BTreeMap<u32, Partition>,
    /// The partitions that have changed since their state was stored.
    changed_partitions: BTreeSet<u32>,
    /// Which times of records are plausible.
    bounds: TimeBounds,
    report: Report,
}

/// A consumer that starts no later than the stored states. The state is stored before the
/// offset is committed, so it can only be behind if a state was lost.
async fn resumed(
    log: &SharedLog,
    partitions: &BTreeMap<u32, Partition>,
) -> Result<Box<dyn Reader>, AlertsError> {
    let mut reader = log.reader(SERVICE, &[signals()]).await?;
    let ahead = |at: &Position| {
        let offset = partitions.get(&at.partition)?.next;
        (offset < at.offset).then(|| Position { offset, ..at.clone() })
    };
    let ahead: Vec<_> = reader.resumed_from().iter().filter_map(ahead).collect();
    if ahead.is_empty() {
        return Ok(reader);
    }
    reader.commit(ahead).await?;
    drop(reader);
    Ok(log.reader(SERVICE, &[signals()]).await?)
}

impl Evaluation {
    async fn start(log: SharedLog) -> Result<Evaluation, AlertsError> {
        let status = ServiceStatus { service: SERVICE.into(), ..ServiceStatus::default() };
        let (mut partitions, now) = (read(&*log).await?, time::now());
        let bounds = TimeBounds::of(log.as_ref());
        for (number, partition) in &mut partitions {
            partition.reached = bounds.noted(partition.reached, now);
            if let Some((offset, at)) = partition.last
                && was_recreated(log.as_ref(), &signals(), *number, offset, at).await?
            {
                tracing::warn!(
                    partition = number,
                    "The topic `signals` was recreated and is read from the beginning."
                );
                partition.next = 0;
            }
        }
        Ok(Evaluation {
            reader: resumed(&log, &partitions).await?,
            partitions,
            bounds,
            log,
            schedule: Schedule::default(),
            changed_partitions: BTreeSet::new(),
            report: Report::new(status),
        })
    }

    /// Applies records and appends the alerts that follow.
    async fn take(&mut self, records: &[Record]) -> Result<(), AlertsError> {
        if records.is_empty() {
            return Ok(());
        }
        // Read after the records, so that every rule appended before one of them is known.
        self.schedule.update(&*self.log).await?;
        let mut alerts = Vec::new();
        for record in records {
            let partition = self.partitions.entry(record.partition).or_default();
            // After a crash, records that the state already includes are read again.
            if record.offset >= partition.next {
                alerts.extend(partition.take(record, &self.schedule, self.bounds));
                self.changed_partitions.insert(record.partition);
            }
        }
        let appends: Vec<Append> = alerts.iter().map(Alert::to_append).collect();
        for chunk in appends.chunks(APPEND) {
            self.log.append(chunk.to_vec()).await?;
        }
        Ok(())
    }

    /// Stores the state, then commits the offsets that it includes.
    async fn checkpoint(&mut self) -> Result<(), AlertsError> {
        if self.changed_partitions.is_empty() {
            return Ok(());
        }
        write(&self.log, &mut self.partitions, &self.changed_partitions).await?;
        self.changed_partitions.clear();
        Ok(self.reader.commit(self.reader.positions()).await?)
    }

    async fn end(&mut self, state: impl Into<Activity>) -> Result<(), AlertsError> {
        self.checkpoint().await?;
        self.report.status.state = state.into();
        self.count();
        Ok(self.log.append(vec![self.report.say()]).await?)
    }

    /// Appends the status, at most about once a second.
    async fn report_status(&mut self, state: impl Into<Activity>) -> Result<(), AlertsError> {
        self.report.status.state = state.into();
        self.count();
        if self.report.is_due() {
            self.log.append(vec![self.report.say()]).await?;
        }
        Ok(())
    }

    fn count(&mut self) {
        let sum = |count: fn(&Counts) -> u64| self.partitions.values().map(|held| count(&held.counts)).sum();
        let open = self.partitions.values().map(|held| held.open() as u64).sum();
        self.report.status.watermark = self.partitions.values().filter_map(|held| held.reached).max();
        self.report.status.counts = [
            ("opened", sum(|counts| counts.opened)),
            ("closed", sum(|counts| counts.closed)),
            ("open", open),
            ("passed_over", sum(|counts| counts.passed_over)),
            ("refused", sum(|counts| counts.refused)),
            ("forgotten", sum(|counts| counts.forgotten)),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into();
    }
}

// The history of the rules: each version with the time of its append, so that the rules in
// force for a window can be determined at any later time.

/// How many records are read at once.
const BATCH: usize = 100;

/// The versions of the rules with the times of their appends.
#[derive(Default)]
pub(crate) struct Schedule {
    versions: BTreeMap<u64, (Millis, Rules)>,
    next: BTreeMap<(Topic, u32), u64>,
    /// The current list; a record that claims to be a newer version is not believed.
    standing: ListReader<Rule>,
    current: u64,
}

/// The fields common to the topic of the list and the topic of its history.
#[derive(Deserialize)]
struct Version {
    version: u64,
    entries: Vec<Rule>,
}

impl Schedule {
    /// Reads new versions. The history topic has every version within retention, the compacted
    /// topic always has the last.
    pub(crate) async fn update(&mut self, log: &dyn Log) -> Result<(), LogError> {
        self.current = self.standing.read_on(log).await?.version;
        for topic in [ALERT_RULES_HISTORY, ALERT_RULES] {
            for extent in log.extents(&topic).await? {
                let next = self.next.entry((topic.clone(), extent.partition)).or_insert(extent.first);
                while *next < extent.next {
                    let records = log.read(&topic, extent.partition, *next, BATCH).await?;
                    *next = records.last().map_or(extent.next, |last| last.offset + 1);
                    for record in records {
                        if topic == ALERT_RULES && record.key != KEY {
                            continue;
                        }
                        match serde_json::from_slice::<Version>(&record.value) {
                            Ok(Version { version, entries }) if version <= MAX_VERSION => {
                                let rules = Rules { version, entries };
                                self.versions.entry(version).or_insert((record.appended_at, rules));
                                if self.versions.len() > MAX_HELD_VERSIONS {
                                    drop_one_version(&mut self.versions, self.current);
                                }
                            }
                            Ok(Version { version, .. }) => {
                                log::warn_skipped(&record, &format!("version {version} of the alert rules"));
                            }
                            Err(error) => log::warn_skipped(&record, &error),
                        }
                    }
                }
            }
        }
        self.current = self.standing.read_on(log).await?.version;
        Ok(())
    }

    /// The rules in force for a record appended at `at` (wall clock, epoch milliseconds), if
    /// they are newer than `version`. With equal append times, the record precedes the rules.
    pub(crate) fn newer_than(&self, version: u64, at: Millis) -> Option<&Rules> {
        // A list and its history are appended together, but may become visible one after the
        // other.
        let newest_accepted = self.current.saturating_add(1);
        let newer = self.versions.range(version.saturating_add(1)..).rev();
        let newer = newer.filter(|(version, _)| **version <= newest_accepted);
        newer.map(|(_, held)| held).find(|(appended, _)| *appended < at).map(|(_, rules)| rules)
    }
}

// The state of one symbol: its last window, and the state of each rule.

/// The state of one symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SymbolState {
    /// The end of the last window that was applied, epoch milliseconds.
    pub(crate) until: Millis,
    /// By rule name; rules in their initial state are omitted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, RuleState>,
    /// Open episodes of rules that are gone; the symbol's next window closes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ending: Vec<Ending>,
}

/// An open episode of a rule that no longer applies in its earlier form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ending {
    episode: Episode,
    /// The rule before the change.
    rule: Rule,
    reason: Reason,
}

/// Why an episode ends regardless of the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    Removed,
    Off,
    Changed,
}

impl SymbolState {
    pub(crate) fn new() -> SymbolState {
        SymbolState { until: Millis::MIN, rules: BTreeMap::new(), ending: Vec::new() }
    }

    /// Applies the symbol's next window under `rules`; returns the alerts of episodes that open
    /// or close.
    pub(crate) fn take(&mut self, rules: &[Rule], row: &Row) -> Vec<Alert> {
        self.until = row.window_end;
        let ended = std::mem::take(&mut self.ending);
        let mut alerts: Vec<_> =
            ended.into_iter().map(|end| end_of(&end.rule, row, end.episode, end.reason)).collect();
        for rule in rules.iter().filter(|rule| rule.is_for(&row.symbol)) {
            let Some(value) = row.signal(&rule.signal) else { continue };
            let mut standing = self.rules.remove(&rule.name).unwrap_or_default();
            if let Some(turn) = standing.step(rule, value, row.window_end) {
                alerts.push(alert_of(rule, row, value, turn));
            }
            if !standing.is_empty() {
                self.rules.insert(rule.name.clone(), standing);
            }
        }
        alerts
    }

    /// Applies a change of the rules: episodes of rules that no longer apply are to be closed.
    pub(crate) fn change(&mut self, symbol: &str, old: &Rules, new: &Rules) {
        for rule in &old.entries {
            let now = new.entries.iter().find(|now| now.name == rule.name);
            let Some(standing) = self.rules.get_mut(&rule.name) else { continue };
            let ended = match now {
                None => Some(Reason::Removed),
                Some(now) if !now.is_for(symbol) => Some(Reason::Off),
                Some(now) if (&now.signal, now.comparison) != (&rule.signal, rule.comparison) => {
                    Some(Reason::Changed)
                }
                Some(_) => None,
            };
            let threshold_changed =
                now.is_none_or(|now| (now.threshold, now.hysteresis) != (rule.threshold, rule.hysteresis));
            if ended.is_some() || threshold_changed {
                standing.side = None;
            }
            if let Some(reason) = ended
                && let Some(episode) = standing.open.take()
            {
                self.ending.push(Ending { episode, rule: rule.clone(), reason });
            }
        }
        self.rules.retain(|_, standing| !standing.is_empty());
    }

    /// The number of open episodes.
    pub(crate) fn open(&self) -> usize {
        self.ending.len() + self.rules.values().filter(|standing| standing.open.is_some()).count()
    }
}

fn alert_of(rule: &Rule, row: &Row, value: f64, turn: Transition) -> Alert {
    match turn {
        Transition::Opens(episode) => {
            let explanation = explain::opened(rule, row, &episode);
            alert(rule, row, episode, None, explanation)
        }
        Transition::Closes(episode) => {
            let explanation = explain::closed(rule, row, &episode, value);
            alert(rule, row, episode, Some(row.window_end), explanation)
        }
        Transition::Crosses(episode, side) => {
            let explanation = explain::crossed(rule, row, &episode, side);
            alert(rule, row, episode, Some(row.window_end), explanation)
        }
    }
}

fn end_of(rule: &Rule, row: &Row, episode: Episode, reason: Reason) -> Alert {
    let explanation = explain::ended(rule, row, &episode, reason);
    alert(rule, row, episode, Some(row.window_end), explanation)
}

fn alert(rule: &Rule, row: &Row, episode: Episode, closed: Option<Millis>, explanation: String) -> Alert {
    let Episode { opened, value, extreme, threshold } = episode;
    Alert {
        symbol: row.symbol.clone(),
        rule: rule.name.clone(),
        episode: Alert::episode_of(&rule.name, &row.symbol, opened),
        opened,
        closed,
        signal: rule.signal.clone(),
        comparison: rule.comparison,
        value,
        extreme,
        threshold,
        explanation,
    }
}

/// The maximum number of versions held, which bounds the memory if rules change constantly or
/// another program writes to the topic. Older versions are not needed: later ones apply to all
/// windows that are still to come.
const MAX_HELD_VERSIONS: usize = 1_000;

/// Drops a version: one that is too new to be believed if there is any, otherwise the oldest.
fn drop_one_version(versions: &mut BTreeMap<u64, (Millis, Rules)>, current: u64) {
    match versions.last_key_value() {
        Some((newest, _)) if *newest > current.saturating_add(1) => drop(versions.pop_last()),
        _ => drop(versions.pop_first()),
    }
}

#[cfg(test)]
mod schedule_tests {
    use super::*;
    use log::{Append, EmbeddedLog};
    use serde_json::json;

    #[tokio::test]
    async fn of_versions_without_end_the_newest_that_are_believed_are_held() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
        let version = |topic: Topic, key: &str, version: u64| {
            Append::json(
                topic,
                key,
                &json!({"version": version, "entries": [], "at": 0, "by": "", "summary": ""}),
            )
        };
        let most = MAX_HELD_VERSIONS as u64;
        let ours = (1..=most + 50).map(|n| version(ALERT_RULES_HISTORY, &n.to_string(), n));
        // Records of another program that claim very high version numbers.
        let foreign = (0..most + 50).map(|n| version(ALERT_RULES_HISTORY, "x", MAX_VERSION - n));
        let latest = version(ALERT_RULES, KEY, most + 50);
        log.append(ours.chain(foreign).chain([latest]).collect()).await.unwrap();
        let mut schedule = Schedule::default();
        schedule.update(&log).await.unwrap();
        assert_eq!(schedule.versions.len(), MAX_HELD_VERSIONS);
        assert_eq!(schedule.current, most + 50);
        assert_eq!(schedule.newer_than(0, Millis::MAX).unwrap().version, most + 50);
    }
}
