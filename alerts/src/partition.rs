//! One partition of the signals: what its windows have come to so far.

use std::collections::{BTreeMap, BTreeSet};

use control::rules::Rules;
use log::time_bounds::TimeBounds;
use log::{Record, partition_of};
use model::time::Millis;
use model::{Alert, symbol};
use serde::{Deserialize, Serialize};

use crate::held::Held;
use crate::row::Row;
use crate::schedule::Schedule;
use crate::state::PARTS;

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
