//! One partition of the signals: what its windows have come to so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::log::Record;
use wire::rules::Rules;
use wire::time::Millis;
use wire::{Alert, symbol};

use crate::held::Held;
use crate::row::Row;
use crate::schedule::Schedule;

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
    symbols: BTreeMap<String, Held>,
}

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
}

impl Partition {
    /// Takes the next record; tells what opens and closes.
    pub(crate) fn take(&mut self, record: &Record, schedule: &Schedule) -> Vec<Alert> {
        self.next = record.offset + 1;
        if let Some(rules) = schedule.newer_than(self.rules.version, record.appended_at) {
            self.change(rules);
        }
        let row = match Row::read(&record.value) {
            Ok(row) => row,
            Err(error) => {
                // The sink keeps it as a dead letter; here it only must not stop what follows.
                tracing::warn!(topic = %record.topic, offset = record.offset, %error, "Passing over a record that is no row of signals.");
                self.counts.refused += 1;
                return Vec::new();
            }
        };
        self.reached = self.reached.max(Some(row.window_end));
        if symbol::is_ours(&row.symbol) {
            return Vec::new();
        }
        let held = self.symbols.entry(row.symbol.clone()).or_insert_with(Held::new);
        if row.window_end <= held.until {
            self.counts.passed_over += 1;
            return Vec::new();
        }
        let alerts = held.take(&self.rules.entries, &row);
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
        self.rules.clone_from(rules);
    }

    /// How many episodes are open.
    pub(crate) fn open(&self) -> usize {
        self.symbols.values().map(Held::open).sum()
    }
}
