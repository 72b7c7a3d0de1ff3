//! The state of one partition of the signals: applies records to it, and stores it in the log.
//!
//! In this file: the partition, its serialization into the topic of states, the episodes of a
//! rule, and the rows of the job `signals`.

use std::collections::{BTreeMap, BTreeSet};

use control::rules::{Rule, Rules};
use log::time_bounds::TimeBounds;
use log::{Append, Log, LogError, Record, SharedLog, each_record, partition_of};
use model::alert::Comparison;
use model::time::Millis;
use model::topic::ALERT_STATE;
use model::{Alert, symbol};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::AlertsError;
use crate::service::{Schedule, SymbolState};

/// The state after all records before `next`, each under the rules in force at its append.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partition {
    /// The offset of the next record.
    pub(crate) next: u64,
    /// The latest window end of any symbol, epoch milliseconds.
    pub(crate) reached: Option<Millis>,
    pub(crate) counts: Counts,
    /// The rules in force at `next`.
    rules: Rules,
    /// Stored separately in parts; only a state written by an earlier version has them here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) symbols: BTreeMap<String, SymbolState>,
    /// Whether the symbols are stored in parts.
    #[serde(default)]
    pub(crate) in_parts: bool,
    /// Offset and append time of the last record. If the log has another record at this offset,
    /// the topic was recreated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<(u64, Millis)>,
    /// The parts that have changed since they were last stored.
    #[serde(skip)]
    changed: BTreeSet<u32>,
}

/// The maximum number of symbols in a partition: as many as a producer accepts. Beyond it, the
/// states with the oldest last window are dropped, those without an open episode first.
pub(crate) const MOST_SYMBOLS: usize = 60_000;
/// How many states are dropped at once, because finding the oldest is a search of all.
const DROPPED_AT_ONCE: usize = 1_000;

/// Counts since the beginning of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Episodes that have opened.
    pub(crate) opened: u64,
    /// Episodes that have closed.
    pub(crate) closed: u64,
    /// Windows not later than the last one of their symbol: repeated or out of order.
    pub(crate) passed_over: u64,
    /// Invalid records.
    pub(crate) refused: u64,
    /// Symbols whose state was dropped because there were too many.
    #[serde(default)]
    pub(crate) forgotten: u64,
}

impl Partition {
    /// Applies the next record; returns the alerts of episodes that open or close.
    pub(crate) fn take(&mut self, record: &Record, schedule: &Schedule, bounds: TimeBounds) -> Vec<Alert> {
        self.next = record.offset + 1;
        self.last = Some((record.offset, record.appended_at));
        if let Some(rules) = schedule.newer_than(self.rules.version, record.appended_at) {
            self.change(rules);
        }
        let row = match Row::read(&record.value) {
            Ok(row) => row,
            Err(error) => {
                // The sink stores it as a dead letter; here it is skipped.
                log::warn_skipped(record, &error);
                self.counts.refused += 1;
                return Vec::new();
            }
        };
        if let Err(beyond) = bounds.check(self.reached, record, [row.window_end, row.window_start]) {
            log::warn_skipped(record, &beyond);
            self.counts.refused += 1;
            return Vec::new();
        }
        self.reached = self.reached.max(Some(row.window_end));
        if symbol::is_ours(&row.symbol) {
            return Vec::new();
        }
        if self.symbols.len() >= MOST_SYMBOLS && !self.symbols.contains_key(&row.symbol) {
            self.drop_oldest();
        }
        let held = self.symbols.entry(row.symbol.clone()).or_insert_with(SymbolState::new);
        if row.window_end <= held.until {
            self.counts.passed_over += 1;
            return Vec::new();
        }
        let alerts = held.take(&self.rules.entries, &row);
        self.changed.insert(part_of(&row.symbol));
        for alert in &alerts {
            self.counts.opened += u64::from(alert.closed.is_none_or(|closed| closed == alert.opened));
            self.counts.closed += u64::from(alert.closed.is_some());
        }
        alerts
    }

    fn change(&mut self, rules: &Rules) {
        for (symbol, held) in &mut self.symbols {
            held.change(symbol, &self.rules, rules);
        }
        self.changed.extend(0..PARTS);
        self.rules.clone_from(rules);
    }

    fn drop_oldest(&mut self) {
        let mut oldest: Vec<_> =
            self.symbols.iter().map(|(symbol, held)| (held.open() > 0, held.until, symbol.clone())).collect();
        oldest.sort();
        oldest.truncate(DROPPED_AT_ONCE);
        if self.counts.forgotten == 0 {
            tracing::warn!(
                symbols = self.symbols.len(),
                "There are signals for more symbols than the alerts service holds; it drops the state of those whose last window is the oldest."
            );
        }
        self.counts.forgotten += oldest.len() as u64;
        for (_, _, symbol) in oldest {
            self.changed.insert(part_of(&symbol));
            self.symbols.remove(&symbol);
        }
    }

    /// The parts to store; they count as stored from now on.
    pub(crate) fn changed_parts(&mut self) -> BTreeSet<u32> {
        if !std::mem::replace(&mut self.in_parts, true) {
            self.changed.extend(0..PARTS);
        }
        std::mem::take(&mut self.changed)
    }

    /// The symbols of one part.
    pub(crate) fn part(&self, part: u32) -> BTreeMap<&str, &SymbolState> {
        let of_part = self.symbols.iter().filter(|(symbol, _)| part_of(symbol) == part);
        of_part.map(|(symbol, held)| (symbol.as_str(), held)).collect()
    }

    /// The state without the symbols.
    pub(crate) fn head(&self) -> Partition {
        Partition {
            next: self.next,
            reached: self.reached,
            counts: self.counts,
            rules: self.rules.clone(),
            in_parts: true,
            last: self.last,
            ..Partition::default()
        }
    }

    /// The number of open episodes.
    pub(crate) fn open(&self) -> usize {
        self.symbols.values().map(SymbolState::open).sum()
    }
}

/// The part in which a symbol is stored; stable across restarts and versions.
fn part_of(symbol: &str) -> u32 {
    partition_of(symbol, PARTS)
}

// The state in the log: for each partition of the signals a head, with the offset up to which
// the state holds, and the symbols in parts, so that the size of a record does not grow with
// the number of symbols.
//
// Head and parts are appended together and therefore consistent: in one transaction of the
// embedded log, or in one Kafka transaction of the lease.

/// The number of parts; a symbol's part is the hash of its name modulo this.
pub(crate) const PARTS: u32 = 128;

/// The symbols of one part, by name.
type Part = BTreeMap<String, SymbolState>;

/// Reads the last stored state of every partition. Invalid records are skipped, so that an
/// earlier record of the same key counts if the log still has it.
pub(crate) async fn read(log: &dyn Log) -> Result<BTreeMap<u32, Partition>, AlertsError> {
    let mut heads: BTreeMap<u32, Partition> = BTreeMap::new();
    let mut parts: BTreeMap<(u32, u32), Part> = BTreeMap::new();
    each_record(log, &ALERT_STATE, |record| match read_one(&record) {
        Ok(StoredRecord::Head(partition, head)) => drop(heads.insert(partition, *head)),
        Ok(StoredRecord::Part(place, part)) => drop(parts.insert(place, part)),
        Err(reason) => log::warn_skipped(&record, &reason),
    })
    .await?;
    for ((partition, _), part) in parts {
        // A state of an earlier version has all symbols in its head.
        if let Some(head) = heads.get_mut(&partition).filter(|head| head.in_parts) {
            head.symbols.extend(part);
        }
    }
    Ok(heads)
}

enum StoredRecord {
    Head(u32, Box<Partition>),
    Part((u32, u32), Part),
}

fn read_one(record: &Record) -> Result<StoredRecord, String> {
    let invalid_key = || format!("the key `{}` is not that of a partition or a part", record.key);
    let invalid_state =
        |error: serde_json::Error| format!("not a valid state of the alerts service: {error}");
    match record.key.split_once('/') {
        None => {
            let partition = record.key.parse().map_err(|_| invalid_key())?;
            Ok(StoredRecord::Head(
                partition,
                Box::new(serde_json::from_slice(&record.value).map_err(invalid_state)?),
            ))
        }
        Some((partition, part)) => {
            let partition = partition.parse().map_err(|_| invalid_key())?;
            let part = part.parse().ok().filter(|&part| part < PARTS).ok_or_else(invalid_key)?;
            Ok(StoredRecord::Part(
                (partition, part),
                serde_json::from_slice(&record.value).map_err(invalid_state)?,
            ))
        }
    }
}

/// Appends the state of the changed partitions: the heads, and the parts that have changed.
pub(crate) async fn write(
    log: &SharedLog,
    partitions: &mut BTreeMap<u32, Partition>,
    changed_partitions: &BTreeSet<u32>,
) -> Result<(), LogError> {
    let mut notes = Vec::new();
    for (number, state) in partitions.iter_mut().filter(|(number, _)| changed_partitions.contains(number)) {
        for part in state.changed_parts() {
            notes.push(Append::json(ALERT_STATE, &format!("{number}/{part}"), &state.part(part)));
        }
        notes.push(Append::json(ALERT_STATE, &number.to_string(), &state.head()));
    }
    log.append(notes).await
}

// The state of one rule for one symbol, updated value by value.
//
// With the threshold t and the hysteresis h, an episode above opens with a value > t and closes
// with a value ≤ t − h; below, it opens with a value < t and closes with a value ≥ t + h. A
// crossing is a change from below t − h to above t + h, or back, over any number of windows; a
// value within this band does not change the side.

/// An open or closed episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// The end of the window that opened it, epoch milliseconds.
    pub(crate) opened: Millis,
    /// The signal's value in that window.
    pub(crate) value: f64,
    /// The value farthest beyond the threshold so far.
    pub(crate) extreme: f64,
    /// The threshold when it opened.
    pub(crate) threshold: f64,
}

/// The side of the threshold on which the signal was last outside the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Above,
    Below,
}

/// What a new value changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transition {
    /// An episode opens.
    Opens(Episode),
    /// The open episode closes.
    Closes(Episode),
    /// The signal has crossed to this side: an episode of one window.
    Crosses(Episode, Side),
}

/// The state of a rule for one symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleState {
    /// The open episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Episode>,
    /// The last side; only for a rule with `crosses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) side: Option<Side>,
}

impl RuleState {
    /// Applies the signal of the window that ends at `at`, epoch milliseconds.
    pub(crate) fn step(&mut self, rule: &Rule, value: f64, at: Millis) -> Option<Transition> {
        let Rule { threshold, hysteresis, .. } = *rule;
        let episode = || Episode { opened: at, value, extreme: value, threshold };
        let (beyond, back) = match rule.comparison {
            Comparison::Above => (value > threshold, value <= threshold - hysteresis),
            Comparison::Below => (value < threshold, value >= threshold + hysteresis),
            Comparison::Crosses => {
                return self.cross(rule, value).map(|side| Transition::Crosses(episode(), side));
            }
        };
        match &mut self.open {
            None if beyond => {
                self.open = Some(episode());
                self.open.map(Transition::Opens)
            }
            None => None,
            Some(_) if back => self.open.take().map(Transition::Closes),
            Some(open) => {
                open.extreme = match rule.comparison {
                    Comparison::Below => open.extreme.min(value),
                    _ => open.extreme.max(value),
                };
                None
            }
        }
    }

    /// The side to which the signal has crossed, if it has.
    fn cross(&mut self, rule: &Rule, value: f64) -> Option<Side> {
        let side = if value > rule.threshold + rule.hysteresis {
            Side::Above
        } else if value < rule.threshold - rule.hysteresis {
            Side::Below
        } else {
            return None;
        };
        self.side.replace(side).filter(|before| *before != side).map(|_| side)
    }

    /// Whether this equals the initial state and need not be stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.side.is_none()
    }
}

// A row of the job `signals`. A rule names the column that it watches, so columns can be added
// to the job without a change here.

/// The signals of one symbol in one window; times are epoch milliseconds.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) symbol: String,
    pub(crate) window_start: Millis,
    pub(crate) window_end: Millis,
    #[serde(flatten)]
    columns: BTreeMap<String, Json>,
}

impl Row {
    /// Parses a record's value.
    pub(crate) fn read(json: &[u8]) -> Result<Row, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The value of a signal; `None` if it is null, not a number, or not among the columns.
    pub(crate) fn signal(&self, name: &str) -> Option<f64> {
        self.columns.get(name)?.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_looked_up_by_name_whatever_columns_there_are() {
        let json =
            br#"{"symbol": "A", "window_start": 0, "window_end": 60000, "rsi": 71, "z": null, "word": "x"}"#;
        let row = Row::read(json).unwrap();
        assert_eq!((row.symbol.as_str(), row.window_start, row.window_end), ("A", 0, 60_000));
        assert_eq!(row.signal("rsi"), Some(71.0));
        assert_eq!([row.signal("z"), row.signal("word"), row.signal("other")], [None; 3]);
        assert!(Row::read(br#"{"symbol": "A"}"#).is_err());
    }
}
