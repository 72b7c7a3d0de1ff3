//! The service: follows the signals, tells of episodes, and keeps what they
//! have come to.
//!
//! An episode is told as soon as its window has been read; the state behind it
//! is kept every few seconds. Whoever was killed in between says the same
//! again, word for word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::foreign::MOST_VERSIONS;
use control::kept::Standing;
use control::rules::{KEY, Rule, Rules};
use control::shutdown::{Shutdown, ShutdownToken};
use control::status::Report;
use log::time_bounds::TimeBounds;
use log::{Append, Log, LogError, Position, Reader, Record, SharedLog, is_another};
use model::service::{Activity, RunState, Service};
use model::status::ServiceStatus;
use model::time::Millis;
use model::topic::{ALERT_RULES, ALERT_RULES_HISTORY, Topic};
use model::{Alert, time};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::error::AlertsError;
use crate::partition::{Counts, Episode, Partition, Row, RuleState, Turn, read, write};
use crate::{explain, signals};

/// The name under which positions are committed, and of the status.
const SERVICE: &str = Service::Alerts.name();
/// How many records of a partition are taken at once.
const POLL: usize = 2_048;
/// How long to wait for records before looking at the wish to stop.
const WAIT: Duration = Duration::from_millis(250);
/// How often the state is kept.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// How many alerts are appended at once.
const APPEND: usize = 1_000;

/// Applies the rules to the signals until `stop` asks for an end; when asked to
/// drain, once everything that the log holds has been taken.
///
/// # Errors
/// When the log fails, or holds a state that cannot be read.
pub async fn run(log: SharedLog, stop: ShutdownToken) -> Result<(), AlertsError> {
    let mut service = Evaluation::start(log).await?;
    let mut kept = Instant::now();
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
        if kept.elapsed() >= CHECKPOINT {
            service.keep().await?;
            kept = Instant::now();
        }
        service.say(RunState::Running).await?;
    }
}

struct Evaluation {
    log: SharedLog,
    reader: Box<dyn Reader>,
    schedule: Schedule,
    partitions: BTreeMap<u32, Partition>,
    /// Partitions that have moved since their state was kept.
    moved: BTreeSet<u32>,
    /// Which times on records are believed.
    bounds: TimeBounds,
    report: Report,
}

/// A reader that begins no later than the state holds: the state is kept before the
/// position is committed, so it is behind only where a state was lost.
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
                && is_another(log.as_ref(), &signals(), *number, offset, at).await?
            {
                tracing::warn!(
                    partition = number,
                    "The signals were made anew, and are read from their start."
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
            moved: BTreeSet::new(),
            report: Report::new(status),
        })
    }

    /// Takes records, and tells what opens and closes.
    async fn take(&mut self, records: &[Record]) -> Result<(), AlertsError> {
        if records.is_empty() {
            return Ok(());
        }
        // After the records: rules that went before one of them are seen with it.
        self.schedule.read_on(&*self.log).await?;
        let mut alerts = Vec::new();
        for record in records {
            let partition = self.partitions.entry(record.partition).or_default();
            // What the state holds already is polled again after a kill.
            if record.offset >= partition.next {
                alerts.extend(partition.take(record, &self.schedule, self.bounds));
                self.moved.insert(record.partition);
            }
        }
        let told: Vec<Append> = alerts.iter().map(Alert::to_append).collect();
        for chunk in told.chunks(APPEND) {
            self.log.append(chunk.to_vec()).await?;
        }
        Ok(())
    }

    /// Keeps the state, then commits the positions behind it.
    async fn keep(&mut self) -> Result<(), AlertsError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        write(&self.log, &mut self.partitions, &self.moved).await?;
        self.moved.clear();
        Ok(self.reader.commit(self.reader.positions()).await?)
    }

    async fn end(&mut self, state: impl Into<Activity>) -> Result<(), AlertsError> {
        self.keep().await?;
        self.report.status.state = state.into();
        self.count();
        Ok(self.log.append(vec![self.report.say()]).await?)
    }

    /// Says what there is to say, about once a second.
    async fn say(&mut self, state: impl Into<Activity>) -> Result<(), AlertsError> {
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

// Which rules were in force when: each version from the moment that it
// entered the log, so that the answer is the same whenever it is asked.

/// Records read at once.
const AT_ONCE: usize = 100;

/// The versions of the rules with the times of their appends.
#[derive(Default)]
pub(crate) struct Schedule {
    versions: BTreeMap<u64, (Millis, Rules)>,
    next: BTreeMap<(Topic, u32), u64>,
    /// The list as it stands: what says that it is newer is not believed.
    standing: Standing<Rule>,
    current: u64,
}

/// What the history and the topic itself have in common.
#[derive(Deserialize)]
struct Version {
    version: u64,
    entries: Vec<Rule>,
}

impl Schedule {
    /// Reads what has come since the last call. The history has every version
    /// that retention has left; the topic itself has the last one in any case.
    pub(crate) async fn read_on(&mut self, log: &dyn Log) -> Result<(), LogError> {
        self.current = self.standing.read_on(log).await?.version;
        for topic in [ALERT_RULES_HISTORY, ALERT_RULES] {
            for extent in log.extents(&topic).await? {
                let next = self.next.entry((topic.clone(), extent.partition)).or_insert(extent.first);
                while *next < extent.next {
                    let records = log.read(&topic, extent.partition, *next, AT_ONCE).await?;
                    *next = records.last().map_or(extent.next, |last| last.offset + 1);
                    for record in records {
                        if topic == ALERT_RULES && record.key != KEY {
                            continue;
                        }
                        match serde_json::from_slice::<Version>(&record.value) {
                            Ok(Version { version, entries }) if version <= MOST_VERSIONS => {
                                let rules = Rules { version, entries };
                                self.versions.entry(version).or_insert((record.appended_at, rules));
                                if self.versions.len() > MOST_HELD {
                                    make_room(&mut self.versions, self.current);
                                }
                            }
                            Ok(Version { version, .. }) => {
                                log::passed_over(&record, &format!("version {version} of the alert rules"));
                            }
                            Err(error) => log::passed_over(&record, &error),
                        }
                    }
                }
            }
        }
        self.current = self.standing.read_on(log).await?.version;
        Ok(())
    }

    /// The rules that are in force for what was appended at `at`, if they are
    /// newer than `version`. Of two appends in one millisecond, the rules count
    /// as the later.
    pub(crate) fn newer_than(&self, version: u64, at: Millis) -> Option<&Rules> {
        // The list and its history are appended together, and may show one after the other.
        let believed = self.current.saturating_add(1);
        let newer = self.versions.range(version.saturating_add(1)..).rev();
        let newer = newer.filter(|(version, _)| **version <= believed);
        newer.map(|(_, held)| held).find(|(appended, _)| *appended < at).map(|(_, rules)| rules)
    }
}

// What is held of one symbol: how far its windows have come, and where each
// rule stands with it.

/// One symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The end of the last window taken.
    pub(crate) until: Millis,
    /// By rule; rules that have nothing to remember are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, RuleState>,
    /// Episodes whose rule has gone: the symbol's next window closes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ending: Vec<Ending>,
}

/// An open episode of a rule that is no more what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ending {
    episode: Episode,
    /// The rule as it was.
    rule: Rule,
    reason: Reason,
}

/// Why a rule closes an episode whatever the signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    Removed,
    Off,
    Changed,
}

impl Held {
    pub(crate) fn new() -> Held {
        Held { until: Millis::MIN, rules: BTreeMap::new(), ending: Vec::new() }
    }

    /// Takes the symbol's next window under `rules`; tells what opens and closes.
    pub(crate) fn take(&mut self, rules: &[Rule], row: &Row) -> Vec<Alert> {
        self.until = row.window_end;
        let ended = std::mem::take(&mut self.ending);
        let mut alerts: Vec<_> =
            ended.into_iter().map(|end| end_of(&end.rule, row, end.episode, end.reason)).collect();
        for rule in rules.iter().filter(|rule| rule.is_for(&row.symbol)) {
            let Some(value) = row.signal(&rule.signal) else { continue };
            let mut standing = self.rules.remove(&rule.name).unwrap_or_default();
            if let Some(turn) = standing.step(rule, value, row.window_end) {
                alerts.push(told(rule, row, value, turn));
            }
            if !standing.is_empty() {
                self.rules.insert(rule.name.clone(), standing);
            }
        }
        alerts
    }

    /// The rules change: what was held under one that is no more what it was is given up.
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
            let moved =
                now.is_none_or(|now| (now.threshold, now.hysteresis) != (rule.threshold, rule.hysteresis));
            if ended.is_some() || moved {
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

    /// How many episodes are open.
    pub(crate) fn open(&self) -> usize {
        self.ending.len() + self.rules.values().filter(|standing| standing.open.is_some()).count()
    }
}

fn told(rule: &Rule, row: &Row, value: f64, turn: Turn) -> Alert {
    match turn {
        Turn::Opens(episode) => {
            let explanation = explain::opened(rule, row, &episode);
            alert(rule, row, episode, None, explanation)
        }
        Turn::Closes(episode) => {
            let explanation = explain::closed(rule, row, &episode, value);
            alert(rule, row, episode, Some(row.window_end), explanation)
        }
        Turn::Crosses(episode, side) => {
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

/// Versions held at most, the newest ones: rules that change all the time, or a topic that
/// others write to, take no memory without end. What is older has been in force for nothing
/// that still comes.
const MOST_HELD: usize = 1_000;

/// Forgets a version: one that claims to follow the list before any other, as it is not
/// believed, then the oldest.
fn make_room(versions: &mut BTreeMap<u64, (Millis, Rules)>, current: u64) {
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
        let most = MOST_HELD as u64;
        let ours = (1..=most + 50).map(|n| version(ALERT_RULES_HISTORY, &n.to_string(), n));
        // What somebody else put there claims to be of the far future.
        let foreign = (0..most + 50).map(|n| version(ALERT_RULES_HISTORY, "x", MOST_VERSIONS - n));
        let latest = version(ALERT_RULES, KEY, most + 50);
        log.append(ours.chain(foreign).chain([latest]).collect()).await.unwrap();
        let mut schedule = Schedule::default();
        schedule.read_on(&log).await.unwrap();
        assert_eq!(schedule.versions.len(), MOST_HELD);
        assert_eq!(schedule.current, most + 50);
        assert_eq!(schedule.newer_than(0, Millis::MAX).unwrap().version, most + 50);
    }
}
