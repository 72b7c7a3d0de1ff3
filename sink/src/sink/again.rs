//! Computing rows again beside the storing of new ones, a portion at a time; and rows
//! that come again from the log, against those that are stored.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use control::recompute::Ask;
use control::shutdown::ShutdownToken;
use model::topic::STOCK_PRICES;
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
use crate::work::{Bench, Done, Portion, Work};

/// Days, weeks and months of so many symbols are written in one portion.
const SYMBOLS: usize = 16;

/// How often what came again is told of.
const TELL: Duration = Duration::from_secs(60);

/// What is being computed again.
#[derive(Default)]
pub(super) struct Recomputation {
    work: Option<Work>,
    /// Who asked for it.
    answer: Option<oneshot::Sender<Result<u64, String>>>,
    /// Whether days, weeks and months that have closed are to be written.
    aggregating: bool,
    /// What became of them since that was told last, by measurement.
    aggregated: BTreeMap<String, Done>,
    /// When the last portion ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

impl Recomputation {
    /// Whether there is something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.work.is_some() || self.aggregating
    }

    /// Whether rows are being computed.
    pub(super) fn is_computing(&self) -> bool {
        self.work.is_some()
    }

    /// While records come in, at most half of the time goes into what is computed again.
    pub(super) fn is_its_turn(&self, idle: bool) -> bool {
        idle || self.last.is_none_or(|(ended, took)| ended.elapsed() >= took)
    }

    /// Nothing more will be computed: whoever asked is told so.
    pub(super) fn give_up(&mut self) {
        self.work = None;
        if let Some(answer) = self.answer.take() {
            let reason = "the sink was stopped before everything was computed again; what it had written until then stays. Ask once more when it runs";
            // Whoever asked may have gone.
            let _ = answer.send(Err(reason.to_owned()));
        }
    }
}

/// Rows that came again, since that was told last.
#[derive(Default)]
pub(super) struct Repeats {
    poorer: u64,
    richer: u64,
    unclear: u64,
    since: Option<Instant>,
}

impl Repeats {
    fn tell(&mut self) {
        if self.poorer + self.richer + self.unclear == 0
            || self.since.is_some_and(|since| since.elapsed() < TELL)
        {
            return;
        }
        tracing::info!(
            poorer = self.poorer,
            richer = self.richer,
            computed_again = self.unclear,
            "Rows came again that are not what is stored: a poorer one (of fewer bars or articles) leaves the stored row, a richer one replaces it, others are computed again."
        );
        *self = Repeats { since: Some(Instant::now()), ..Repeats::default() };
    }
}

impl Sink {
    /// Begins to compute what was asked for.
    pub(crate) async fn begin_asked(&mut self, ask: Ask) -> Result<(), SinkError> {
        self.again.work = Some(Work::asked(&self.store, ask.from, ask.to).await?);
        self.again.answer = Some(ask.answer);
        Ok(())
    }

    /// Begins to compute the windows that late records touch, and to write the days
    /// that have closed since something came in for them.
    pub(super) async fn begin_due(&mut self, due: Due) -> Result<(), SinkError> {
        let mut work = Work::default();
        for (at, table) in self.tables.clone().iter().enumerate() {
            let windows = self.due(table, due);
            let (windows, lost) = recompute::kept(&self.store, table, windows).await?;
            self.give_up(table, &lost);
            let symbols = recompute::symbols(&self.store, &windows).await?;
            work.add(&self.tables, at, &windows, symbols);
        }
        self.again.work = Some(work);
        self.again.aggregating = true;
        Ok(())
    }

    /// Computes again and aggregates until nothing is left, or `stop` asks for an end.
    pub(crate) async fn recompute(&mut self, due: Due, stop: &ShutdownToken) -> Result<(), SinkError> {
        // What has been begun belongs to it.
        self.finish_again(stop).await?;
        self.flush().await?;
        self.begin_due(due).await?;
        self.finish_again(stop).await
    }

    /// Goes on until nothing is left of what has been begun, or `stop` asks for an end.
    pub(crate) async fn finish_again(&mut self, stop: &ShutdownToken) -> Result<(), SinkError> {
        while !stop.stopped() && self.again.is_busy() {
            self.go_on_again().await?;
        }
        Ok(())
    }

    /// Writes days as soon as event time passes their close.
    #[cfg(test)]
    pub(crate) async fn aggregate_closed(&mut self, stop: &ShutdownToken) -> Result<(), SinkError> {
        self.look_for_closed();
        self.finish_again(stop).await
    }

    pub(super) fn look_for_closed(&mut self) {
        let watermark = self.progress.watermark(&STOCK_PRICES);
        self.again.aggregating |= watermark.is_some_and(|closed| self.days.has_closed(closed));
    }

    /// One portion of what there is to do.
    pub(super) async fn go_on_again(&mut self) -> Result<(), SinkError> {
        if !self.again.is_busy() {
            return Ok(());
        }
        let begun = Instant::now();
        // Bars must be stored before windows are computed from them.
        self.flush().await?;
        if self.again.aggregating {
            self.aggregate().await?;
        }
        if let Some(mut work) = self.again.work.take() {
            let bench = Bench {
                store: &self.store,
                compute: self.compute.as_ref(),
                tables: &self.tables,
                progress: Some(&self.progress),
            };
            match work.portion(&bench).await {
                Ok(Some(portion)) => {
                    self.put_again(portion).await?;
                    self.again.work = Some(work);
                }
                Ok(None) => {
                    let rows = work.finish(&self.tables).rows;
                    if let Some(answer) = self.again.answer.take() {
                        // Whoever asked may have gone.
                        let _ = answer.send(Ok(rows));
                    }
                }
                Err(error @ SinkError::Compute { .. }) => {
                    // It stays noted, and is tried again; nothing else waits for it.
                    tracing::error!("{error}");
                    match self.again.answer.take() {
                        Some(answer) => drop(answer.send(Err(error.to_string()))),
                        None => self.again.work = Some(work),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.again.last = Some((Instant::now(), begun.elapsed()));
        Ok(())
    }

    /// Writes a portion together with the note that it is done.
    async fn put_again(&mut self, portion: Portion) -> Result<(), SinkError> {
        let Portion { table, places, judged } = portion;
        let counts = &mut self.progress.counts;
        counts.recomputed += judged.rows;
        counts.changed += judged.changed.len() as u64;
        counts.poorer += judged.poorer;
        let of = &self.tables[table];
        for point in &judged.points {
            if let (Some(symbol), Some(time)) = (of.symbol(&point.values), of.time(&point.values)) {
                self.newest[table].moves_on(symbol, time);
            }
        }
        self.progress.wrote(&of.topic, judged.points.iter().filter_map(|point| of.time(&point.values)));
        if self.again.answer.is_none() {
            self.pending.done(of, &places);
        }
        if judged.points.is_empty() && places.is_empty() {
            return Ok(());
        }
        self.put(vec![(of.measurement.clone(), judged.points)]).await
    }

    /// Writes some of the days that have closed, with their weeks and months, each
    /// symbol together with the note that it is done.
    async fn aggregate(&mut self) -> Result<(), SinkError> {
        let closed = self.progress.watermark(&STOCK_PRICES);
        for _ in 0..SYMBOLS {
            let next = match closed {
                Some(closed) => self.days.next_points(&self.store, closed).await?,
                None => None,
            };
            let Some(Aggregated { points, not_finite }) = next else {
                self.again.aggregating = false;
                for (measurement, done) in std::mem::take(&mut self.again.aggregated) {
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
                self.again.aggregated.entry(measurement.name.clone()).or_default().count(&judged);
                written.push((measurement, judged.points));
            }
            self.put(written).await?;
        }
        Ok(())
    }

    /// Adds rows that may be stored already to `points`, as far as they stand.
    pub(super) async fn settle_repeats(
        &mut self,
        points: &mut Points,
        again: Vec<(usize, Vec<Point>)>,
    ) -> Result<(), SinkError> {
        for (measurement, rows) in again {
            let table = self.tables[measurement - FIRST_TABLE].clone();
            let held = self.store.held(&table.measurement, &rows).await?;
            let beside = &mut points[measurement].1;
            let identity = |point: &Point| {
                let symbol = table.symbol(&point.values).unwrap_or_default().to_owned();
                (symbol, table.time(&point.values), point.nanos)
            };
            // Those of this batch come after what is stored.
            let mut places: HashMap<_, usize> =
                beside.iter().enumerate().map(|(place, point)| (identity(point), place)).collect();
            for (row, held) in rows.into_iter().zip(held) {
                let place = places.get(&identity(&row)).copied();
                let standing = place.map(|place| beside[place].values.as_slice()).or(held.as_deref());
                let verdict = verdict(&table.measurement, standing, &row.values);
                let is_windowed = matches!(table.layout, Some(Layout::Windows(_)));
                // A row of a window that is made of more still knows nothing of what came late.
                if verdict == Verdict::Unclear || (verdict == Verdict::Richer && is_windowed) {
                    self.wait_again(&table, &row);
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
        self.repeats.tell();
        Ok(())
    }

    /// The place of a row waits to be computed again.
    fn wait_again(&mut self, table: &Table, row: &Point) {
        let (symbol, time) = (table.symbol(&row.values), table.time(&row.values));
        if let (Some(layout), Some(symbol), Some(time)) = (table.layout, symbol, time) {
            let place = layout.place(time);
            self.pending.add(table, table.waits_under(symbol), place, place + layout.step());
        }
    }
}
