//! One partition of the signals: what its windows have come to so far.

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
use crate::service::{Held, Schedule};

/// Everything before `next`, under the rules of their times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partition {
    /// The next offset to take.
    pub(crate) next: u64,
    /// The end of the last window of any symbol.
    pub(crate) reached: Option<Millis>,
    pub(crate) counts: Counts,
    /// The rules in force.
    rules: Rules,
    /// In the log they are kept in parts; a state of before has them here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) symbols: BTreeMap<String, Held>,
    /// Whether the log keeps the symbols in parts.
    #[serde(default)]
    pub(crate) in_parts: bool,
    /// The last record that was taken: its offset, and when it was appended. A log that
    /// holds another record there is another log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<(u64, Millis)>,
    /// The parts that have changed since they were kept; all, where none was kept yet.
    #[serde(skip)]
    changed: BTreeSet<u32>,
}

/// Symbols held in a partition, at most: as many as a producer takes in. Of
/// those beyond, the one whose last window is the oldest is forgotten, one without an
/// open episode before one with.
pub(crate) const MOST_SYMBOLS: usize = 60_000;
/// How many are forgotten at once, so that not each new one costs a search.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// Counts since the log began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Episodes that opened.
    pub(crate) opened: u64,
    /// Episodes that closed.
    pub(crate) closed: u64,
    /// Windows that came again, or after a later one of their symbol.
    pub(crate) passed_over: u64,
    /// Records that are no rows.
    pub(crate) refused: u64,
    /// Symbols that were forgotten because there were too many.
    #[serde(default)]
    pub(crate) forgotten: u64,
}

impl Partition {
    /// Takes the next record; tells what opens and closes.
    pub(crate) fn take(&mut self, record: &Record, schedule: &Schedule, bounds: TimeBounds) -> Vec<Alert> {
        self.next = record.offset + 1;
        self.last = Some((record.offset, record.appended_at));
        if let Some(rules) = schedule.newer_than(self.rules.version, record.appended_at) {
            self.change(rules);
        }
        let row = match Row::read(&record.value) {
            Ok(row) => row,
            Err(error) => {
                // The sink keeps it as a dead letter; here it only must not stop what follows.
                log::passed_over(record, &error);
                self.counts.refused += 1;
                return Vec::new();
            }
        };
        if let Err(beyond) = bounds.check(self.reached, record, [row.window_end, row.window_start]) {
            log::passed_over(record, &beyond);
            self.counts.refused += 1;
            return Vec::new();
        }
        self.reached = self.reached.max(Some(row.window_end));
        if symbol::is_ours(&row.symbol) {
            return Vec::new();
        }
        if self.symbols.len() >= MOST_SYMBOLS && !self.symbols.contains_key(&row.symbol) {
            self.forget_some();
        }
        let held = self.symbols.entry(row.symbol.clone()).or_insert_with(Held::new);
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

    fn forget_some(&mut self) {
        let mut oldest: Vec<_> =
            self.symbols.iter().map(|(symbol, held)| (held.open() > 0, held.until, symbol.clone())).collect();
        oldest.sort();
        oldest.truncate(FORGOTTEN_AT_ONCE);
        if self.counts.forgotten == 0 {
            tracing::warn!(
                symbols = self.symbols.len(),
                "Signals come for more symbols than alerts hold; those silent for longest are forgotten."
            );
        }
        self.counts.forgotten += oldest.len() as u64;
        for (_, _, symbol) in oldest {
            self.changed.insert(part_of(&symbol));
            self.symbols.remove(&symbol);
        }
    }

    /// The parts to be kept; from now on they count as kept.
    pub(crate) fn changed_parts(&mut self) -> BTreeSet<u32> {
        if !std::mem::replace(&mut self.in_parts, true) {
            self.changed.extend(0..PARTS);
        }
        std::mem::take(&mut self.changed)
    }

    /// The symbols of one part.
    pub(crate) fn part(&self, part: u32) -> BTreeMap<&str, &Held> {
        let of_part = self.symbols.iter().filter(|(symbol, _)| part_of(symbol) == part);
        of_part.map(|(symbol, held)| (symbol.as_str(), held)).collect()
    }

    /// Everything but the symbols.
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

    /// How many episodes are open.
    pub(crate) fn open(&self) -> usize {
        self.symbols.values().map(Held::open).sum()
    }
}

/// The part in which a symbol is kept: always the same.
fn part_of(symbol: &str) -> u32 {
    partition_of(symbol, PARTS)
}

// What the alerts have come to, kept in the log: for each partition of the signals a
// head, with the offset up to which it holds, and the symbols in parts, so that no
// record grows with the number of symbols.
//
// Head and parts are appended together, so they are of one moment: to the log in a
// folder in one transaction, to Kafka in one transaction of the lease.

/// In how many parts the symbols of a partition are kept.
pub(crate) const PARTS: u32 = 128;

/// Symbols of one part, by name.
type Part = BTreeMap<String, Held>;

/// The partitions as they were noted last. What is no state is passed over: the one
/// before it counts, where the log still has it.
pub(crate) async fn read(log: &dyn Log) -> Result<BTreeMap<u32, Partition>, AlertsError> {
    let mut heads: BTreeMap<u32, Partition> = BTreeMap::new();
    let mut parts: BTreeMap<(u32, u32), Part> = BTreeMap::new();
    each_record(log, &ALERT_STATE, |record| match read_one(&record) {
        Ok(Noted::Head(partition, head)) => drop(heads.insert(partition, *head)),
        Ok(Noted::Part(place, part)) => drop(parts.insert(place, part)),
        Err(reason) => log::passed_over(&record, &reason),
    })
    .await?;
    for ((partition, _), part) in parts {
        // A state of before has everything in its head.
        if let Some(head) = heads.get_mut(&partition).filter(|head| head.in_parts) {
            head.symbols.extend(part);
        }
    }
    Ok(heads)
}

enum Noted {
    Head(u32, Box<Partition>),
    Part((u32, u32), Part),
}

fn read_one(record: &Record) -> Result<Noted, String> {
    let no_key = || format!("the key `{}` names no partition", record.key);
    let no_state = |error: serde_json::Error| format!("no state of alerts: {error}");
    match record.key.split_once('/') {
        None => {
            let partition = record.key.parse().map_err(|_| no_key())?;
            Ok(Noted::Head(partition, Box::new(serde_json::from_slice(&record.value).map_err(no_state)?)))
        }
        Some((partition, part)) => {
            let partition = partition.parse().map_err(|_| no_key())?;
            let part = part.parse().ok().filter(|&part| part < PARTS).ok_or_else(no_key)?;
            Ok(Noted::Part((partition, part), serde_json::from_slice(&record.value).map_err(no_state)?))
        }
    }
}

/// Notes partitions that have moved, with those of their parts that have changed.
pub(crate) async fn write(
    log: &SharedLog,
    partitions: &mut BTreeMap<u32, Partition>,
    moved: &BTreeSet<u32>,
) -> Result<(), LogError> {
    let mut notes = Vec::new();
    for (number, state) in partitions.iter_mut().filter(|(number, _)| moved.contains(number)) {
        for part in state.changed_parts() {
            notes.push(Append::json(ALERT_STATE, &format!("{number}/{part}"), &state.part(part)));
        }
        notes.push(Append::json(ALERT_STATE, &number.to_string(), &state.head()));
    }
    log.append(notes).await
}

// The life of an episode: one rule on one symbol, value by value.
//
// Above its threshold t with hysteresis h, an episode opens with a value > t
// and closes with one ≤ t − h; below, with a value < t and one ≥ t + h. A
// crossing is a passage from beyond t − h to beyond t + h, or back, however
// many windows lie between; what stays within the band is on the side that it
// came from.

/// An episode as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// The end of the window that opened it.
    pub(crate) opened: Millis,
    /// The signal then.
    pub(crate) value: f64,
    /// The signal farthest beyond the threshold so far.
    pub(crate) extreme: f64,
    /// The threshold then.
    pub(crate) threshold: f64,
}

/// The side of the threshold on which a signal was seen last, beyond the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Above,
    Below,
}

/// What a value comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// An episode opens.
    Opens(Episode),
    /// The open one closes.
    Closes(Episode),
    /// The signal has passed to this side: an episode of one window.
    Crosses(Episode, Side),
}

/// Where a rule stands with a symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleState {
    /// The episode under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Episode>,
    /// Of a rule about crossings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) side: Option<Side>,
}

impl RuleState {
    /// Takes the signal of the window that ends at `at`.
    pub(crate) fn step(&mut self, rule: &Rule, value: f64, at: Millis) -> Option<Turn> {
        let Rule { threshold, hysteresis, .. } = *rule;
        let episode = || Episode { opened: at, value, extreme: value, threshold };
        let (beyond, back) = match rule.comparison {
            Comparison::Above => (value > threshold, value <= threshold - hysteresis),
            Comparison::Below => (value < threshold, value >= threshold + hysteresis),
            Comparison::Crosses => return self.cross(rule, value).map(|side| Turn::Crosses(episode(), side)),
        };
        match &mut self.open {
            None if beyond => {
                self.open = Some(episode());
                self.open.map(Turn::Opens)
            }
            None => None,
            Some(_) if back => self.open.take().map(Turn::Closes),
            Some(open) => {
                open.extreme = match rule.comparison {
                    Comparison::Below => open.extreme.min(value),
                    _ => open.extreme.max(value),
                };
                None
            }
        }
    }

    /// The side to which the signal has passed, if it has.
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

    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.side.is_none()
    }
}

// A row of the job `signals`. Its columns are the job's affair: a rule names
// one, and here it is looked up.

/// The signals of one symbol in one window.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) symbol: String,
    pub(crate) window_start: Millis,
    pub(crate) window_end: Millis,
    #[serde(flatten)]
    columns: BTreeMap<String, Json>,
}

impl Row {
    /// Reads a record's value.
    pub(crate) fn read(json: &[u8]) -> Result<Row, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// A signal; none where it is null, no number, or not among the columns.
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
