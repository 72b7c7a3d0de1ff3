//! Recomputes rows in portions, between batches of new records; and compares repeated rows from
//! the log with the stored ones.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use control::recompute::Ask;
use control::shutdown::ShutdownToken;
use store::Point;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Due, Sink};
use crate::aggregates::{Aggregated, say_not_finite};
use crate::error::SinkError;
use crate::gathered::{FIRST_TABLE, Points};
use crate::recompute;
use crate::table::{Layout, Table};
use crate::versions::{Judged, Verdict, verdict};
use crate::work::{Context, Done, Portion, Work};

/// The largest number of symbols whose days, weeks and months are written in one portion.
const SYMBOLS: usize = 16;

/// The shortest interval between two log messages about repeated rows.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The running recomputation.
#[derive(Default)]
pub(super) struct Recomputation {
    work: Option<Work>,
    /// The channel for the result, if the recomputation was requested.
    answer: Option<oneshot::Sender<Result<u64, String>>>,
    /// Whether closed days, weeks and months are to be written.
    aggregating: bool,
    /// The outcome of days, weeks and months since the last log message, by measurement.
    aggregated: BTreeMap<String, Done>,
    /// When the last portion ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

impl Recomputation {
    /// Whether there is work.
    pub(super) fn is_busy(&self) -> bool {
        self.work.is_some() || self.aggregating
    }

    /// Whether rows are being recomputed.
    pub(super) fn is_computing(&self) -> bool {
        self.work.is_some()
    }

    /// Whether the next portion may run. While records arrive, recomputation takes at most half
    /// of the time.
    pub(super) fn is_its_turn(&self, idle: bool) -> bool {
        idle || self.last.is_none_or(|(ended, took)| ended.elapsed() >= took)
    }

    /// Ends the recomputation; a requester gets an error.
    pub(super) fn cancel(&mut self) {
        self.work = None;
        if let Some(answer) = self.answer.take() {
            let reason = "the sink was stopped before everything was recomputed; what it had written before stays. Repeat the request when it runs again";
            // The requester may have gone.
            let _ = answer.send(Err(reason.to_owned()));
        }
    }
}

/// The repeated rows since the last log message.
#[derive(Default)]
pub(super) struct Repeats {
    poorer: u64,
    richer: u64,
    unclear: u64,
    since: Option<Instant>,
}

impl Repeats {
    fn log_once_due(&mut self) {
        if self.poorer + self.richer + self.unclear == 0
            || self.since.is_some_and(|since| since.elapsed() < LOG_INTERVAL)
        {
            return;
        }
        tracing::info!(
            poorer = self.poorer,
            richer = self.richer,
            computed_again = self.unclear,
            "Repeated rows differ from the stored ones: a poorer one (of fewer bars or articles) is dropped, a richer one replaces the stored row, others are recomputed."
        );
        *self = Repeats { since: Some(Instant::now()), ..Repeats::default() };
    }
}

impl Sink {
    /// Starts a requested recomputation.
    pub(crate) async fn begin_asked(&mut self, ask: Ask) -> Result<(), SinkError> {
        self.recomputation.work = Some(Work::asked(&self.store, ask.from, ask.to).await?);
        self.recomputation.answer = Some(ask.answer);
        Ok(())
    }

    /// Starts the recomputation of the windows of late records, and the writing of closed days
    /// that have changed.
    pub(super) async fn begin_due(&mut self, due: Due) -> Result<(), SinkError> {
        let mut work = Work::default();
        for (at, table) in self.tables.clone().iter().enumerate() {
            let windows = self.due(table, due);
            let (windows, expired) = recompute::kept(&self.store, table, windows).await?;
            self.abandon(table, &expired);
            let symbols = recompute::symbols(&self.store, table, &windows).await?;
            work.add(&self.tables, at, &windows, symbols);
        }
        self.recomputation.work = Some(work);
        self.recomputation.aggregating = true;
        Ok(())
    }

    /// Recomputes and aggregates until all is done, or `stop` requests an end.
    pub(crate) async fn recompute(&mut self, due: Due, stop: &ShutdownToken) -> Result<(), SinkError> {
        // A running recomputation is finished first.
        self.finish_recomputation(stop).await?;
        self.flush().await?;
        self.begin_due(due).await?;
        self.finish_recomputation(stop).await
    }

    /// Continues until the running recomputation is finished, or `stop` requests an end.
    pub(crate) async fn finish_recomputation(&mut self, stop: &ShutdownToken) -> Result<(), SinkError> {
        while !stop.stopped() && self.recomputation.is_busy() {
            self.run_portion().await?;
        }
        Ok(())
    }

    /// Writes the days that event time has closed.
    #[cfg(test)]
    pub(crate) async fn aggregate_closed(&mut self, stop: &ShutdownToken) -> Result<(), SinkError> {
        self.look_for_closed();
        self.finish_recomputation(stop).await
    }

    pub(super) fn look_for_closed(&mut self) {
        self.recomputation.aggregating |= self.days.has_closed(&self.closed());
    }

    /// Runs one portion of the work.
    pub(super) async fn run_portion(&mut self) -> Result<(), SinkError> {
        if !self.recomputation.is_busy() {
            return Ok(());
        }
        let begun = Instant::now();
        // Windows are computed from stored bars.
        self.flush().await?;
        if self.recomputation.aggregating {
            self.aggregate().await?;
        }
        if let Some(mut work) = self.recomputation.work.take() {
            let context = Context {
                store: &self.store,
                compute: self.compute.as_ref(),
                tables: &self.tables,
                progress: Some(&self.progress),
            };
            match work.portion(&context).await {
                Ok(Some(portion)) => {
                    self.write_portion(portion).await?;
                    self.recomputation.work = Some(work);
                }
                Ok(None) => {
                    let rows = work.finish(&self.tables).rows;
                    if let Some(answer) = self.recomputation.answer.take() {
                        // The requester may have gone.
                        let _ = answer.send(Ok(rows));
                    }
                }
                Err(error @ SinkError::Compute { .. }) => {
                    // The work stays noted and is retried; nothing else waits for it.
                    tracing::error!("{error}");
                    match self.recomputation.answer.take() {
                        Some(answer) => drop(answer.send(Err(error.to_string()))),
                        None => self.recomputation.work = Some(work),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.recomputation.last = Some((Instant::now(), begun.elapsed()));
        Ok(())
    }

    /// Writes a portion, with the note that it is done.
    async fn write_portion(&mut self, portion: Portion) -> Result<(), SinkError> {
        let Portion { table, places, judged } = portion;
        let counts = &mut self.progress.counts;
        counts.recomputed += judged.rows;
        counts.changed += judged.changed.len() as u64;
        counts.poorer += judged.poorer;
        let of = &self.tables[table];
        for point in &judged.points {
            if let (Some(symbol), Some(time)) = (of.symbol(&point.values), of.time(&point.values)) {
                self.newest[table].advance(symbol, time);
            }
        }
        self.progress.wrote(&of.topic, judged.points.iter().filter_map(|point| of.time(&point.values)));
        if self.recomputation.answer.is_none() {
            self.pending.done(of, &places);
        }
        if judged.points.is_empty() && places.is_empty() {
            return Ok(());
        }
        self.put(vec![(of.measurement.clone(), judged.points)]).await
    }

    /// Writes some closed days with their weeks and months, each symbol with the note that it
    /// is done.
    async fn aggregate(&mut self) -> Result<(), SinkError> {
        let closed = self.closed();
        for _ in 0..SYMBOLS {
            let next = match closed.is_empty() {
                false => self.days.next_points(&self.store, &closed).await?,
                true => None,
            };
            let Some(Aggregated { points, not_finite }) = next else {
                self.recomputation.aggregating = false;
                for (measurement, done) in std::mem::take(&mut self.recomputation.aggregated) {
                    done.say(&measurement);
                }
                return Ok(());
            };
            if not_finite > 0 {
                self.progress.counts.not_finite += not_finite;
                say_not_finite(not_finite);
            }
            let mut written = Points::new();
            for (measurement, points) in points {
                let judged = Judged::of(&self.store, &measurement, points).await?;
                self.progress.counts.changed += judged.changed.len() as u64;
                self.progress.counts.poorer += judged.poorer;
                self.recomputation.aggregated.entry(measurement.name.clone()).or_default().count(&judged);
                written.push((measurement, judged.points));
            }
            self.put(written).await?;
        }
        Ok(())
    }

    /// Compares rows that may be stored already with the stored ones, and adds those that are
    /// to be written to `points`.
    pub(super) async fn compare_repeats(
        &mut self,
        points: &mut Points,
        repeated: Vec<(usize, Vec<Point>)>,
    ) -> Result<(), SinkError> {
        for (measurement, rows) in repeated {
            let table = self.tables[measurement - FIRST_TABLE].clone();
            let held = self.store.held(&table.measurement, &rows).await?;
            let beside = &mut points[measurement].1;
            let identity = |point: &Point| {
                let symbol = table.symbol(&point.values).unwrap_or_default().to_owned();
                (symbol, table.time(&point.values), point.nanos)
            };
            // A row of the same batch is later than the stored one.
            let mut places: HashMap<_, usize> =
                beside.iter().enumerate().map(|(place, point)| (identity(point), place)).collect();
            for (row, held) in rows.into_iter().zip(held) {
                let place = places.get(&identity(&row)).copied();
                let standing = place.map(|place| beside[place].values.as_slice()).or(held.as_deref());
                let verdict = verdict(&table.measurement, standing, &row.values);
                let is_windowed = matches!(table.layout, Some(Layout::Windows(_)));
                // A row made of more than the stored one may still lack late records.
                if verdict == Verdict::Unclear || (verdict == Verdict::Richer && is_windowed) {
                    self.mark_for_recomputation(&table, &row);
                }
                if verdict == Verdict::Richer && place.is_none() {
                    self.progress.counts.changed += 1;
                    self.repeats.richer += 1;
                }
                match (verdict, place) {
                    (Verdict::Same, _) => {}
                    (Verdict::Poorer, _) => {
                        self.progress.counts.poorer += 1;
                        self.repeats.poorer += 1;
                    }
                    (Verdict::Unclear, _) => self.repeats.unclear += 1,
                    (Verdict::New | Verdict::Completed | Verdict::Richer, Some(place)) => {
                        beside[place] = row;
                    }
                    (Verdict::New | Verdict::Completed | Verdict::Richer, None) => {
                        places.insert(identity(&row), beside.len());
                        beside.push(row);
                    }
                }
            }
        }
        self.repeats.log_once_due();
        Ok(())
    }

    /// Marks the place of a row for recomputation.
    fn mark_for_recomputation(&mut self, table: &Table, row: &Point) {
        let (symbol, time) = (table.symbol(&row.values), table.time(&row.values));
        if let (Some(layout), Some(symbol), Some(time)) = (table.layout, symbol, time) {
            let place = layout.place(time);
            self.pending.add(table, table.recomputation_key(symbol), place, place + layout.step());
        }
    }
}
