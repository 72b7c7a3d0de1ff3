//! The sink at work: takes records in, writes batches, keeps count of what is
//! late, and has touched windows computed again.

use std::sync::Arc;
use std::time::Duration;

use store::{Batch, Measurement, SharedStore};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::again::Ask;
use wire::log::{Reader, Record, SharedLog};
use wire::stop::Stop;
use wire::time::{Millis, minute_of};
use wire::topic::{NEWS_ARTICLES, STOCK_PRICES, Topic};
use wire::{DeadLetter, symbol};

use crate::aggregates::{self, Days};
use crate::decode::{self, Content, Raw};
use crate::error::SinkError;
use crate::gathered::{ARTICLES, BARS, FIRST_TABLE, Gathered};
use crate::late::LateMinutes;
use crate::layout::Layout;
use crate::pending::{Pending, Windows};
use crate::progress::{Note, Place, Progress};
use crate::recompute::{self, Compute};
use crate::status::Status;
use crate::table::Table;

/// The name under which positions are committed.
const READER: &str = "sink";
/// How many records of a partition are taken at once.
const POLL: usize = 2_000;
/// How long to wait for records before looking at the wish to stop.
const WAIT: Duration = Duration::from_millis(250);

/// Which windows a recomputation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Those whose own rows have come by: a row that came later would overwrite them.
    Emitted,
    /// All that are closed: nothing more will be emitted before the next start.
    Closed,
}

pub(crate) struct Sink {
    reader: Box<dyn Reader>,
    log: SharedLog,
    store: SharedStore,
    tables: Vec<Table>,
    compute: Box<dyn Compute>,
    pub(crate) progress: Progress,
    late: LateMinutes,
    days: Days,
    pub(crate) pending: Pending,
    status: Status,
    gathered: Gathered,
}

impl Sink {
    pub(crate) async fn open(
        log: SharedLog,
        store: SharedStore,
        tables: Vec<Table>,
        compute: Box<dyn Compute>,
    ) -> Result<Sink, SinkError> {
        let raw = [Arc::new(Measurement::bars()), Arc::new(Measurement::articles())];
        let measurements: Vec<_> =
            raw.into_iter().chain(tables.iter().map(|table| table.measurement.clone())).collect();
        for measurement in measurements.iter().chain(aggregates::measurements()) {
            store.define(measurement).await?;
        }
        let results = tables.iter().map(|table| table.topic.clone());
        let topics: Vec<_> = [STOCK_PRICES, NEWS_ARTICLES].into_iter().chain(results).collect();
        Ok(Sink {
            reader: log.reader(READER, &topics).await?,
            progress: Progress::resume(&store, &log).await?,
            late: LateMinutes::load(&store).await?,
            days: Days::load(&store).await?,
            pending: Pending::load(&store).await?,
            status: Status::new(),
            gathered: Gathered::new(measurements),
            log,
            store,
            tables,
            compute,
        })
    }

    /// Works until `stop` asks for an end, computing touched windows again every
    /// `every`, and what is `asked` for at once.
    pub(crate) async fn run(
        mut self,
        every: Duration,
        mut asked: mpsc::Receiver<Ask>,
        stop: &Stop,
    ) -> Result<(), SinkError> {
        let mut recomputed = Instant::now();
        loop {
            if stop.stopped() {
                self.flush().await?;
                return self.say("stopped").await;
            }
            let draining = stop.draining();
            let idle = !self.read(if draining { Duration::ZERO } else { WAIT }).await?;
            if idle || self.gathered.is_due() {
                self.flush().await?;
            }
            if idle && draining && self.reader.caught_up().await? {
                self.recompute(Due::Closed, stop).await?;
                return self.say(if stop.stopped() { "stopped" } else { "finished" }).await;
            }
            self.aggregate_closed(stop).await?;
            if let Ok(ask) = asked.try_recv() {
                self.answer(ask).await?;
            }
            if recomputed.elapsed() >= every {
                self.recompute(Due::Emitted, stop).await?;
                recomputed = Instant::now();
            }
            if self.status.is_due() {
                self.say("running").await?;
            }
        }
    }

    /// Takes in what the log holds, waiting for it no longer than `wait` or than
    /// what has been gathered may wait; says whether anything came.
    pub(crate) async fn read(&mut self, wait: Duration) -> Result<bool, SinkError> {
        let records = self.reader.poll(POLL, self.gathered.may_wait(wait)).await?;
        for run in records.chunk_by(|a, b| a.topic == b.topic && a.partition == b.partition) {
            self.take(run);
        }
        Ok(!records.is_empty())
    }

    /// Takes in records of one partition.
    fn take(&mut self, run: &[Record]) {
        let Record { topic, partition, .. } = &run[0];
        let mut place = self.progress.place(topic, *partition);
        for record in run {
            // What the store has noted already is polled again after a kill.
            if record.offset < place.next {
                continue;
            }
            place.next = record.offset + 1;
            self.progress.log_time = self.progress.log_time.max(record.appended_at);
            self.gathered.count();
            if let Err(reason) = self.take_one(record, &mut place) {
                self.refuse(record, &reason);
            }
        }
        self.progress.set_place(topic, *partition, place);
    }

    fn take_one(&mut self, record: &Record, place: &mut Place) -> Result<(), String> {
        if record.topic == STOCK_PRICES {
            self.take_raw(BARS, decode::bar(&record.value)?, record, place)
        } else if record.topic == NEWS_ARTICLES {
            self.take_raw(ARTICLES, decode::article(&record.value)?, record, place)
        } else {
            match self.tables.iter().position(|table| table.topic == record.topic) {
                Some(table) => self.take_row(table, record, place),
                None => Ok(()),
            }
        }
    }

    fn take_raw(
        &mut self,
        measurement: usize,
        raw: Raw,
        record: &Record,
        place: &mut Place,
    ) -> Result<(), String> {
        // A partition's own watermark is never behind that of the whole topic: what
        // any engine takes for late is late here, however it mixes the partitions.
        let before = place.reached.replace(raw.complete_until.max(place.reached.unwrap_or(Millis::MIN)));
        let (symbol, at, point) = match raw.content {
            Content::Clock => return Ok(()),
            Content::Bad(reason) => return Err(reason),
            Content::Data { symbol, at, point } => (symbol, at, point),
        };
        self.gathered.add(measurement, point)?;
        self.progress.counts.points += 1;
        let prices = || self.progress.watermark(&STOCK_PRICES);
        match &symbol {
            Some(symbol) if measurement == BARS => self.days.touch_by_bar(symbol, at, prices),
            Some(symbol) => self.days.touch_by_article(symbol, at, prices),
            None => {}
        }
        let minute = minute_of(at);
        if before.is_some_and(|before| minute < minute_of(before)) {
            self.note_late(&record.topic, symbol.as_deref(), minute, record.appended_at);
        }
        Ok(())
    }

    fn note_late(&mut self, topic: &Topic, symbol: Option<&str>, minute: Millis, appended_at: Millis) {
        let counts = &mut self.progress.counts;
        *(if *topic == STOCK_PRICES { &mut counts.late } else { &mut counts.late_articles }) += 1;
        let Some(symbol) = symbol else { return };
        self.late.remember(topic, symbol, minute, appended_at);
        for table in &self.tables {
            if let Some(layout) = table.layout_over(topic) {
                let (from, to) = layout.touched(topic, minute);
                self.pending.add(table, table.waits_under(symbol), from, to);
            }
        }
    }

    fn take_row(&mut self, table: usize, record: &Record, place: &mut Place) -> Result<(), String> {
        let (measurement, table) = (FIRST_TABLE + table, &self.tables[table]);
        let row = decode::row(table, &record.value)?;
        let time = table.time(&row);
        place.reached = place.reached.max(time);
        if table.symbol(&row).is_some_and(symbol::is_ours) {
            return Ok(());
        }
        // A path's row cannot take the place of a later version; a window's could.
        if let (Some(Layout::Windows(hop)), Some(symbol), Some(end)) =
            (table.layout, table.symbol(&row), time)
        {
            let start = end - hop.size;
            let of = (!table.ranks).then_some(symbol);
            if table.reads.iter().any(|topic| self.late.meets(topic, of, start, end)) {
                self.pending.add(table, table.waits_under(symbol), start, start + hop.slide);
            }
        }
        self.gathered.add(measurement, table.point(row))?;
        self.progress.counts.points += 1;
        Ok(())
    }

    fn refuse(&mut self, record: &Record, reason: &str) {
        let Record { topic, partition, offset, .. } = record;
        let reason = format!("partition {partition}, offset {offset}: {reason}");
        let letter = DeadLetter::new(topic.name(), reason, &record.value, wire::time::now());
        self.gathered.refuse(letter.to_append());
        self.progress.counts.rejected += 1;
    }

    /// Writes what was gathered, then commits the positions behind it.
    pub(crate) async fn flush(&mut self) -> Result<(), SinkError> {
        if self.write().await? {
            self.reader.commit(self.reader.positions()).await?;
        }
        Ok(())
    }

    /// Writes what was gathered with the notes that go with it; says whether
    /// there was anything.
    pub(crate) async fn write(&mut self) -> Result<bool, SinkError> {
        if self.gathered.is_empty() {
            return Ok(false);
        }
        let (points, letters) = self.gathered.take();
        if !letters.is_empty() {
            self.log.append(letters).await?;
        }
        let notes = self.notes();
        self.store.write(Batch { points, notes }).await?;
        Ok(true)
    }

    fn notes(&mut self) -> Vec<Note> {
        let mut notes = vec![self.progress.note()];
        notes.extend(self.late.take_notes());
        notes.extend(self.pending.take_notes());
        notes.extend(self.days.take_notes());
        notes
    }

    /// Computes again what was asked for, between two batches: nothing is written
    /// meanwhile that it would not know of.
    async fn answer(&mut self, ask: Ask) -> Result<(), SinkError> {
        self.flush().await?;
        let (compute, progress) = (self.compute.as_ref(), Some(&self.progress));
        let outcome = recompute::span(&self.store, compute, &self.tables, progress, ask.from, ask.to).await;
        if let Ok(rows) = outcome {
            self.progress.counts.recomputed += rows;
        }
        // Whoever asked may have gone.
        let _ = ask.answer.send(outcome.map_err(|error| error.to_string()));
        Ok(())
    }

    /// Computes windows again that late records touch, in portions, each written
    /// together with the note that it is done.
    pub(crate) async fn recompute(&mut self, due: Due, stop: &Stop) -> Result<(), SinkError> {
        // Bars must be stored before windows are computed from them.
        self.flush().await?;
        for table in self.tables.clone() {
            let windows = self.due(&table, due);
            let (windows, lost) = recompute::kept(&self.store, &table, windows).await?;
            self.give_up(&table, &lost);
            let symbols = recompute::symbols(&self.store, &windows).await?;
            for part in recompute::parts(&table, &windows, symbols) {
                if stop.stopped() {
                    return Ok(());
                }
                let rows = recompute::rows(&self.store, self.compute.as_ref(), &table, &part).await?;
                self.progress.counts.recomputed += rows.len() as u64;
                self.pending.done(&table, &part);
                let (points, notes) = (vec![(table.measurement.clone(), rows)], self.notes());
                self.store.write(Batch { points, notes }).await?;
            }
        }
        self.late.forget(self.progress.log_time);
        self.aggregate(stop).await
    }

    /// Writes days as soon as event time passes their close.
    pub(crate) async fn aggregate_closed(&mut self, stop: &Stop) -> Result<(), SinkError> {
        match self.progress.watermark(&STOCK_PRICES) {
            Some(closed) if self.days.has_closed(closed) => self.aggregate(stop).await,
            _ => Ok(()),
        }
    }

    /// Writes days that have closed, with their weeks and months, each symbol
    /// together with the note that it is done.
    async fn aggregate(&mut self, stop: &Stop) -> Result<(), SinkError> {
        self.flush().await?;
        let Some(closed) = self.progress.watermark(&STOCK_PRICES) else { return Ok(()) };
        while !stop.stopped()
            && let Some(points) = self.days.next_points(&self.store, closed).await?
        {
            let notes = self.notes();
            self.store.write(Batch { points, notes }).await?;
        }
        Ok(())
    }

    fn due(&self, table: &Table, due: Due) -> Windows {
        let closed = recompute::closed_until(&self.progress, table);
        let until = match (table.layout, due) {
            (Some(Layout::Windows(_)), Due::Emitted) => closed.min(self.emitted(table).map(|end| end - 1)),
            _ => closed,
        };
        let (Some(layout), Some(until)) = (table.layout, until) else { return Windows::new() };
        self.pending.until(table, layout.whole_until(until))
    }

    /// The furthest window's end among the rows of the jobs with these windows over
    /// these topics: of the windows that end there, others may still come. A job that
    /// ranks emits nothing while the market is silent; others then speak for it.
    fn emitted(&self, table: &Table) -> Option<Millis> {
        let alike = |other: &&Table| other.layout == table.layout && other.reads == table.reads;
        self.tables.iter().filter(alike).filter_map(|other| self.progress.emitted(&other.topic)).max()
    }

    fn give_up(&mut self, table: &Table, lost: &Windows) {
        for (symbol, starts) in lost {
            let from = starts.iter().next().map(|(from, _)| wire::time::rfc3339(from)).unwrap_or_default();
            tracing::warn!(
                symbol,
                measurement = table.measurement.name,
                "Late records from {from} on touch windows whose other bars are gone by retention; these windows stay as they are."
            );
        }
        self.pending.done(table, lost);
    }

    async fn say(&mut self, state: &str) -> Result<(), SinkError> {
        let (watermark, pending) = (self.progress.watermark(&STOCK_PRICES), self.pending.count(&self.tables));
        Ok(self.status.say(&self.log, state, watermark, &self.progress.counts, pending).await?)
    }
}
