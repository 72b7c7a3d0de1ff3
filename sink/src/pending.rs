//! Rows that must be computed again, until they have been.

use std::collections::{BTreeMap, BTreeSet};

use model::time::Millis;

use crate::error::SinkError;
use crate::layout::Layout;
use crate::progress::{Note, read_note};
use crate::ranges::Ranges;
use crate::table::Table;

const PREFIX: &str = "sink/pending/";

/// The symbol under which rows wait that are computed for all symbols together.
pub(crate) const EVERY_SYMBOL: &str = "";

/// The places of rows, by symbol.
pub(crate) type Windows = BTreeMap<String, Ranges>;

/// The places of touched rows, by measurement and symbol.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    windows: BTreeMap<String, Windows>,
    changed: BTreeSet<(String, String)>,
}

impl Pending {
    pub(crate) async fn load(store: &store::SharedStore) -> Result<Pending, SinkError> {
        let mut pending = Pending::default();
        for (key, value) in store.notes(PREFIX).await? {
            let Some((measurement, symbol)) = key[PREFIX.len()..].split_once('/') else { continue };
            let Some(starts) = read_note::<Ranges>(&key, &value) else { continue };
            pending.windows.entry(measurement.to_owned()).or_default().insert(symbol.to_owned(), starts);
        }
        Ok(pending)
    }

    /// Adds the rows at the places from `from` to `to`.
    pub(crate) fn add(&mut self, table: &Table, symbol: &str, from: Millis, to: Millis) {
        let name = &table.measurement.name;
        let windows = self.windows.entry(name.clone()).or_default();
        if windows.entry(symbol.to_owned()).or_default().insert(from, to) {
            self.changed.insert((name.clone(), symbol.to_owned()));
        }
    }

    /// Those of a table before `until`.
    pub(crate) fn until(&self, table: &Table, until: Millis) -> Windows {
        let windows = self.windows.get(&table.measurement.name).into_iter().flatten();
        let due = windows.map(|(symbol, starts)| (symbol.clone(), starts.until(until)));
        due.filter(|(_, starts)| !starts.is_empty()).collect()
    }

    /// These have been computed again.
    pub(crate) fn done(&mut self, table: &Table, done: &Windows) {
        let name = &table.measurement.name;
        let Some(windows) = self.windows.get_mut(name) else { return };
        for (symbol, starts) in done {
            let Some(left) = windows.get_mut(symbol) else { continue };
            starts.iter().for_each(|(from, to)| left.remove(from, to));
            if left.is_empty() {
                windows.remove(symbol);
            }
            self.changed.insert((name.clone(), symbol.clone()));
        }
    }

    /// How many rows of these tables wait; those of all symbols together count as one.
    pub(crate) fn count(&self, tables: &[Table]) -> u64 {
        let of_table = |table: &Table| {
            let step = table.layout.map_or(1, Layout::step);
            let windows = self.windows.get(&table.measurement.name).into_iter().flatten();
            let spans = windows.flat_map(|(_, starts)| starts.iter());
            spans.map(|(from, to)| ((to - from) / step) as u64).sum::<u64>()
        };
        tables.iter().map(of_table).sum()
    }

    /// What has changed since the last call, as notes.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        let changed = std::mem::take(&mut self.changed);
        let note = |(measurement, symbol): (String, String)| {
            let starts = self.windows.get(&measurement).and_then(|windows| windows.get(&symbol));
            (
                format!("{PREFIX}{measurement}/{symbol}"),
                starts.and_then(|starts| serde_json::to_string(starts).ok()),
            )
        };
        changed.into_iter().map(note).collect()
    }
}
