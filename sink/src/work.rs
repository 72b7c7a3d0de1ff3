//! Recomputation in portions, so that records are stored, offsets committed and stop requests
//! checked between two portions; and the rows that wait for recomputation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::AssetClass;
use model::time::{Millis, rfc3339};
use store::SharedStore;

use crate::error::SinkError;
use crate::progress::{Note, Progress, read_note};
use crate::recompute::{self, Compute, Ranges};
use crate::table::{Layout, Table};
use crate::versions::Judged;

/// How many symbols are looked up in one portion.
const SYMBOLS: usize = 64;

/// How many symbols a message about changed rows names.
const NAMED: usize = 5;

/// What a recomputation needs.
pub(crate) struct Context<'a> {
    pub(crate) store: &'a SharedStore,
    pub(crate) compute: &'a dyn Compute,
    pub(crate) tables: &'a [Table],
    /// The progress up to which the store is complete; `None` if all of it is.
    pub(crate) progress: Option<&'a Progress>,
}

/// The remaining work.
#[derive(Default)]
pub(crate) struct Work {
    /// The requested event times (ms), if all symbols are recomputed.
    asked: (Millis, Millis),
    /// Symbols that are still to be looked up, with the start of their latest bar.
    symbols: VecDeque<(String, Millis)>,
    /// The number of these symbols at the start.
    count: usize,
    /// The places of tables whose rows are computed for all symbols together, by the index of
    /// the table.
    together: BTreeMap<usize, Windows>,
    parts: VecDeque<(usize, Windows)>,
    done: BTreeMap<usize, Done>,
}

/// One portion of a recomputation.
pub(crate) struct Portion {
    /// The index of the table.
    pub(crate) table: usize,
    /// The places that it has recomputed.
    pub(crate) places: Windows,
    /// The rows, compared with the stored ones.
    pub(crate) judged: Judged,
}

/// The outcome for the rows of one measurement.
#[derive(Default)]
pub(crate) struct Done {
    rows: u64,
    changed: u64,
    poorer: u64,
    symbols: Vec<String>,
    span: Option<(Millis, Millis)>,
}

/// The outcome for all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// The number of recomputed rows.
    pub(crate) rows: u64,
}

impl Work {
    /// The recomputation of every row whose point has a time in [`from`, `to`).
    pub(crate) async fn asked(store: &SharedStore, from: Millis, to: Millis) -> Result<Work, SinkError> {
        let symbols: VecDeque<_> = recompute::newest_bars(store).await?.into();
        // Beyond all valid times, but small enough that sums of times do not overflow.
        let asked = (from.max(Millis::MIN / 4), to.min(Millis::MAX / 4));
        Ok(Work { asked, count: symbols.len(), symbols, ..Work::default() })
    }

    /// Adds places of a table.
    pub(crate) fn add(&mut self, tables: &[Table], table: usize, windows: &Windows, symbols: usize) {
        let parts = recompute::parts(&tables[table], windows, symbols);
        self.parts.extend(parts.into_iter().map(|part| (table, part)));
    }

    /// Computes the next portion; `None` when all is done. A portion is empty if it only looked
    /// up symbols.
    pub(crate) async fn portion(&mut self, context: &Context<'_>) -> Result<Option<Portion>, SinkError> {
        let nothing = |table| Portion { table, places: Windows::new(), judged: Judged::default() };
        if self.parts.is_empty() && !self.symbols.is_empty() {
            self.look_up(context).await?;
            return Ok(Some(nothing(0)));
        }
        if self.parts.is_empty() {
            for (table, windows) in std::mem::take(&mut self.together) {
                self.add(context.tables, table, &windows, self.count.max(1));
            }
        }
        let Some((table, places)) = self.parts.pop_front() else { return Ok(None) };
        let Context { store, compute, tables, .. } = *context;
        let halves = tables[table].layout.and_then(|layout| recompute::halves(layout, &places));
        let rows = recompute::rows(store, compute, &tables[table], &places, halves.is_some()).await?;
        let Some(rows) = rows else {
            halves.into_iter().flatten().rev().for_each(|half| self.parts.push_front((table, half)));
            return Ok(Some(nothing(table)));
        };
        let judged = Judged::of(store, &tables[table].measurement, rows).await?;
        self.done.entry(table).or_default().count(&judged);
        Ok(Some(Portion { table, places, judged }))
    }

    /// Looks up the places of the rows of some more symbols.
    async fn look_up(&mut self, context: &Context<'_>) -> Result<(), SinkError> {
        let mut found: BTreeMap<usize, Windows> = BTreeMap::new();
        for _ in 0..SYMBOLS {
            let Some((symbol, newest)) = self.symbols.pop_front() else { break };
            let Some(oldest) = recompute::oldest_bar(context.store, &symbol).await? else { continue };
            for (at, table) in context.tables.iter().enumerate() {
                let Some(layout) = table.layout else { continue };
                if table.class.is_some_and(|class| class != AssetClass::of(&symbol)) {
                    continue;
                }
                let closed = context
                    .progress
                    .map_or(Some(self.asked.1), |progress| recompute::closed_until(progress, table));
                let Some(closed) = closed else { continue };
                let (from, to) = layout.places(self.asked.0, self.asked.1);
                let (first, last) = layout.with_bars(oldest, newest);
                let (first, last) = (first.max(from), last.min(to).min(layout.first_incomplete(closed)));
                let windows = if table.ranks { self.together.entry(at) } else { found.entry(at) };
                let symbol = table.recomputation_key(&symbol).to_owned();
                windows.or_default().entry(symbol).or_default().insert(first, last);
            }
        }
        if self.symbols.is_empty() {
            for (at, windows) in std::mem::take(&mut self.together) {
                let kept = recompute::kept(context.store, &context.tables[at], windows).await?.0;
                self.together.insert(at, kept);
            }
        }
        for (at, windows) in found {
            let kept = recompute::kept(context.store, &context.tables[at], windows).await?.0;
            self.add(context.tables, at, &kept, 1);
        }
        Ok(())
    }

    /// Logs what has changed, and returns the outcome for all rows.
    pub(crate) fn finish(self, tables: &[Table]) -> Totals {
        let mut totals = Totals::default();
        for (table, done) in self.done {
            totals.rows += done.rows;
            done.say(&tables[table].measurement.name);
        }
        totals
    }
}

impl Done {
    pub(crate) fn count(&mut self, judged: &Judged) {
        self.rows += judged.rows;
        self.poorer += judged.poorer;
        self.changed += judged.changed.len() as u64;
        for (symbol, time) in &judged.changed {
            if self.symbols.len() < NAMED && !self.symbols.contains(symbol) {
                self.symbols.push(symbol.clone());
            }
            let (first, last) = self.span.unwrap_or((*time, *time));
            self.span = Some((first.min(*time), last.max(*time)));
        }
    }

    /// Logs what has changed, so that a changed figure can be explained later.
    pub(crate) fn say(&self, measurement: &str) {
        if let Some((first, last)) = self.span {
            tracing::info!(
                measurement,
                rows = self.rows,
                changed = self.changed,
                symbols = self.symbols.join(", "),
                "Recomputed rows differ from the stored ones, from {} to {}.",
                rfc3339(first),
                rfc3339(last)
            );
        }
        if self.poorer > 0 {
            tracing::warn!(
                measurement,
                rows = self.poorer,
                "Recomputed rows are made of fewer bars or articles than the stored ones, which stay."
            );
        }
    }
}

// Rows that wait for recomputation.

const PREFIX: &str = "sink/pending/";

/// The key of rows that are computed for all symbols together.
pub(crate) const EVERY_SYMBOL: &str = "";

/// The places of rows, by symbol.
pub(crate) type Windows = BTreeMap<String, Ranges>;

/// The places of rows that wait for recomputation, by measurement and symbol.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    windows: BTreeMap<String, Windows>,
    changed: BTreeSet<(String, String)>,
}

impl Pending {
    pub(crate) async fn load(store: &SharedStore) -> Result<Pending, SinkError> {
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
        let name = &table.name();
        let windows = self.windows.entry(name.clone()).or_default();
        if windows.entry(symbol.to_owned()).or_default().insert(from, to) {
            self.changed.insert((name.clone(), symbol.to_owned()));
        }
    }

    /// The places of a table before `until`.
    pub(crate) fn until(&self, table: &Table, until: Millis) -> Windows {
        let windows = self.windows.get(&table.name()).into_iter().flatten();
        let due = windows.map(|(symbol, starts)| (symbol.clone(), starts.until(until)));
        due.filter(|(_, starts)| !starts.is_empty()).collect()
    }

    /// Removes places that have been recomputed.
    pub(crate) fn done(&mut self, table: &Table, done: &Windows) {
        let name = &table.name();
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

    /// The number of waiting rows of these tables; a row for all symbols together counts as
    /// one.
    pub(crate) fn count(&self, tables: &[Table]) -> u64 {
        let of_table = |table: &Table| {
            let step = table.layout.map_or(1, Layout::step);
            let windows = self.windows.get(&table.name()).into_iter().flatten();
            let spans = windows.flat_map(|(_, starts)| starts.iter());
            spans.map(|(from, to)| ((to - from) / step) as u64).sum::<u64>()
        };
        tables.iter().map(of_table).sum()
    }

    /// The notes for what has changed since the last call.
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
