//! The sink at work: takes records in, writes batches, and has windows computed
//! again that late records touch.

mod behind;
mod take;

use std::sync::Arc;
use std::time::Duration;

use store::{Measurement, SharedStore};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::again::Ask;
use wire::log::{Reader, SharedLog};
use wire::stop::Stop;
use wire::time::Millis;
use wire::topic::{NEWS_ARTICLES, SERVICE_STATUS, STOCK_PRICES, Topic};

use crate::aggregates::{self, Days};
use crate::delivery::Delivery;
use crate::error::SinkError;
use crate::gathered::Gathered;
use crate::late::LateMinutes;
use crate::layout::Layout;
use crate::pending::{Pending, Windows};
use crate::pipeline::{self, Heard};
use crate::progress::{Note, Progress};
use crate::recompute::{self, Compute};
use crate::status::{Reached, Status};
use crate::table::Table;
use behind::Underway;

/// The name under which positions are committed.
const READER: &str = "sink";
/// How many records of a partition are taken at once.
const POLL: usize = 2_000;
/// How long to wait for records before looking at the wish to stop.
const WAIT: Duration = Duration::from_millis(250);
/// How often what is left to read is counted: on Kafka that is a question a partition.
const COUNT_UNREAD: Duration = Duration::from_secs(10);

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
    /// Asked until it answers.
    store: SharedStore,
    tables: Vec<Table>,
    compute: Box<dyn Compute>,
    pub(crate) progress: Progress,
    late: LateMinutes,
    days: Days,
    pub(crate) pending: Pending,
    heard: Heard,
    status: Status,
    unread: (Instant, u64),
    gathered: Gathered,
    underway: Option<Underway>,
}

impl Sink {
    pub(crate) async fn open(
        log: SharedLog,
        delivery: Arc<Delivery>,
        tables: Vec<Table>,
        compute: Box<dyn Compute>,
    ) -> Result<Sink, SinkError> {
        let store: SharedStore = delivery.clone();
        let measurements = measurements(&tables);
        for measurement in measurements.iter().chain(aggregates::measurements()) {
            store.define(measurement).await?;
        }
        let topics: Vec<_> = data_topics(&tables).into_iter().chain([SERVICE_STATUS]).collect();
        let progress = Progress::resume(&store, &log).await?;
        Ok(Sink {
            reader: progress.reader(READER, &topics, &log).await?,
            progress,
            late: LateMinutes::load(&store).await?,
            days: Days::load(&store).await?,
            pending: Pending::load(&store).await?,
            heard: Heard::default(),
            status: delivery.status(),
            unread: (Instant::now(), 0),
            gathered: Gathered::new(measurements),
            underway: None,
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
            if idle {
                self.flush().await?;
            } else if self.gathered.is_due() {
                self.write_behind().await?;
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
                self.put(vec![(table.measurement.clone(), rows)]).await?;
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
            self.put(points).await?;
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
        let reached = Reached {
            prices: self.progress.watermark(&STOCK_PRICES),
            results: self.results_until(|_| true),
            price_results: self.results_until(|table| table.reads == [STOCK_PRICES]),
        };
        let pending = self.pending.count(&self.tables);
        self.count_unread().await?;
        Ok(self.status.say(state, reached, &self.progress.counts, pending, self.unread.1).await?)
    }

    /// The time before which the rows of every windowed job that is `wanted` have come,
    /// whichever engine wrote them; `None` until each has written some. Of the windows
    /// that end with the furthest row others may still come, so it is one step less.
    fn results_until(&self, wanted: impl Fn(&Table) -> bool) -> Option<Millis> {
        let until = |table: &Table| match table.layout {
            Some(Layout::Windows(hop)) if wanted(table) => {
                Some(self.emitted(table).map(|end| end.saturating_sub(hop.slide)))
            }
            _ => None,
        };
        self.tables.iter().filter_map(until).min().flatten()
    }

    /// Counts the records that are left to read, now and then.
    async fn count_unread(&mut self) -> Result<(), SinkError> {
        if self.unread.0.elapsed() < COUNT_UNREAD {
            return Ok(());
        }
        let mut unread = 0;
        for topic in data_topics(&self.tables) {
            for extent in self.log.extents(&topic).await? {
                let next = self.progress.place(&topic, extent.partition).next.max(extent.first);
                unread += extent.next.saturating_sub(next);
            }
        }
        self.unread = (Instant::now(), unread);
        Ok(())
    }
}

/// The shapes of what is read from topics: raw records, the rows of `tables`, and
/// what services say of themselves.
pub(crate) fn measurements(tables: &[Table]) -> Vec<Arc<Measurement>> {
    let raw = [Measurement::bars(), Measurement::articles()].map(Arc::new);
    let results = tables.iter().map(|table| table.measurement.clone());
    raw.into_iter().chain(results).chain([Arc::new(pipeline::measurement())]).collect()
}

/// The topics that become points, but for what services say of themselves.
fn data_topics(tables: &[Table]) -> Vec<Topic> {
    let results = tables.iter().map(|table| table.topic.clone());
    [STOCK_PRICES, NEWS_ARTICLES].into_iter().chain(results).collect()
}
