//! The running sink: reads records, writes batches, and schedules the recomputation of windows
//! that late records belong to.

mod recomputing;
mod records;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use control::foreign::CONTROL;
use control::recompute::Ask;
use control::shutdown::ShutdownToken;
use log::time_bounds::TimeBounds;
use log::{Reader, SharedLog};
use model::AssetClass;
use model::service::{RunState, Service};
use model::time::Millis;
use model::topic::{NEWS_ARTICLES, SERVICE_STATUS, Topic};
use store::{Measurement, SharedStore};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::aggregates::{self, Closed, Days};
use crate::delivery::Delivery;
use crate::error::SinkError;
use crate::gathered::{BARS, FIRST_TABLE, Gathered};
use crate::pipeline::{self, KnownServices, Reached, Status};
use crate::progress::{Note, Progress};
use crate::recompute::{self, Compute};
use crate::table::{Layout, Table};
use crate::versions::Newest;
use crate::work::{Pending, Windows};
use recomputing::{Recomputation, Repeats};
use records::WriteInProgress;

/// The name of the reader, under which offsets are committed.
const READER: &str = Service::Sink.name();
/// How many records one poll may return.
const POLL: usize = 2_000;
/// The longest wait for records before the request to stop is checked.
const WAIT: Duration = Duration::from_millis(250);
/// Notes of earlier versions about late minutes, which are deleted. Rows state their version
/// themselves now.
const OUTDATED: &str = "sink/late/";
/// The interval between two counts of unread records; on Kafka a count takes one request per
/// partition.
const COUNT_UNREAD: Duration = Duration::from_secs(10);

/// Which windows are recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Windows whose own rows have been read; a row that is read later would overwrite the
    /// recomputed one.
    Emitted,
    /// All closed windows; no more rows are emitted before the next start.
    Closed,
}

pub(crate) struct Sink {
    reader: Box<dyn Reader>,
    log: SharedLog,
    /// The store, with retries.
    store: SharedStore,
    tables: Vec<Table>,
    /// The classes whose bars are stored.
    classes: Vec<AssetClass>,
    /// The latest row times of each table.
    newest: Vec<Newest>,
    compute: Box<dyn Compute>,
    pub(crate) progress: Progress,
    /// The limits on the times of records.
    bounds: TimeBounds,
    days: Days,
    pub(crate) pending: Pending,
    services: KnownServices,
    status: Status,
    /// The number of unread records, and when it was counted.
    unread: (Instant, u64),
    gathered: Gathered,
    in_progress: Option<WriteInProgress>,
    recomputation: Recomputation,
    repeats: Repeats,
    /// Notes of earlier versions, to be deleted.
    outdated: Vec<Note>,
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
        let topics: Vec<_> =
            data_topics(&tables).into_iter().chain([SERVICE_STATUS]).chain(CONTROL).collect();
        let progress = Progress::resume(&store, &log).await?;
        Ok(Sink {
            reader: progress.reader(READER, &topics, &log).await?,
            newest: tables.iter().map(|table| Newest::after(progress.floor(&table.topic))).collect(),
            days: Days::load(&store, progress.watermark(&AssetClass::Stocks.raw_topic())).await?,
            progress,
            bounds: TimeBounds::of(log.as_ref()),
            pending: Pending::load(&store).await?,
            services: KnownServices::default(),
            status: delivery.status(),
            unread: (Instant::now(), 0),
            gathered: Gathered::new(measurements),
            in_progress: None,
            recomputation: Recomputation::default(),
            repeats: Repeats::default(),
            outdated: store.notes(OUTDATED).await?.into_iter().map(|(key, _)| (key, None)).collect(),
            log,
            store,
            classes: classes(&tables),
            tables,
            compute,
        })
    }

    /// Runs until `stop` requests an end. Recomputes the windows of late records at the
    /// interval `every`, and in between what is requested through `asked`.
    pub(crate) async fn run(
        mut self,
        every: Duration,
        mut asked: mpsc::Receiver<Ask>,
        stop: &ShutdownToken,
    ) -> Result<(), SinkError> {
        let mut recomputed = Instant::now();
        loop {
            if stop.stopped() {
                self.flush().await?;
                self.recomputation.cancel();
                return self.say(RunState::Stopped).await;
            }
            let draining = stop.draining();
            let may_wait = !draining && !self.recomputation.is_busy();
            let idle = !self.read(if may_wait { WAIT } else { Duration::ZERO }).await?;
            if idle {
                self.flush().await?;
            } else if self.gathered.is_due() {
                self.start_write().await?;
            }
            if idle && draining && self.reader.caught_up().await? {
                self.recompute(Due::Closed, stop).await?;
                self.recomputation.cancel();
                return self.say(if stop.stopped() { RunState::Stopped } else { RunState::Finished }).await;
            }
            self.look_for_closed();
            if !self.recomputation.is_computing() {
                if let Ok(ask) = asked.try_recv() {
                    self.begin_asked(ask).await?;
                } else if recomputed.elapsed() >= every {
                    self.begin_due(Due::Emitted).await?;
                    recomputed = Instant::now();
                }
            }
            if self.recomputation.is_its_turn(idle) {
                self.run_portion().await?;
            }
            if self.status.is_due() {
                self.say(RunState::Running).await?;
            }
        }
    }

    /// Reads records, waiting for them at most `wait` and until the current batch is due;
    /// returns whether there were any.
    pub(crate) async fn read(&mut self, wait: Duration) -> Result<bool, SinkError> {
        let records = self.reader.poll(POLL, self.gathered.may_wait(wait)).await?;
        for skipped in self.reader.skipped() {
            self.note_skipped(&skipped, &records);
        }
        for run in records.chunk_by(|a, b| a.topic == b.topic && a.partition == b.partition) {
            self.process(run);
        }
        Ok(!records.is_empty())
    }

    /// Where the bars of a class stand among the measurements.
    fn bars_of(&self, class: AssetClass) -> Option<usize> {
        match self.classes.iter().position(|known| *known == class)? {
            0 => Some(BARS),
            place => Some(FIRST_TABLE + self.tables.len() + place),
        }
    }

    /// Until when the bars of each class are complete.
    fn closed(&self) -> Closed {
        let closed = |class: &AssetClass| Some((*class, self.progress.watermark(&class.raw_topic())?));
        self.classes.iter().filter_map(closed).collect()
    }

    fn notes(&mut self) -> Vec<Note> {
        let mut notes = vec![self.progress.note()];
        notes.extend(self.pending.take_notes());
        notes.extend(self.days.take_notes());
        notes.append(&mut self.outdated);
        notes
    }

    fn due(&self, table: &Table, due: Due) -> Windows {
        let closed = recompute::closed_until(&self.progress, table);
        let until = match (table.layout, due) {
            (Some(Layout::Windows(_)), Due::Emitted) => closed.min(self.emitted(table).map(|end| end - 1)),
            _ => closed,
        };
        let (Some(layout), Some(until)) = (table.layout, until) else { return Windows::new() };
        self.pending.until(table, layout.first_incomplete(until))
    }

    /// The latest window end among the rows of all jobs with the same windows and topics. More
    /// rows of these windows may still arrive. Jobs with the same windows are taken together,
    /// because a job that ranks emits nothing while the market is silent.
    fn emitted(&self, table: &Table) -> Option<Millis> {
        let alike = |other: &&Table| other.layout == table.layout && other.reads == table.reads;
        self.tables.iter().filter(alike).filter_map(|other| self.progress.emitted(&other.topic)).max()
    }

    fn abandon(&mut self, table: &Table, expired: &Windows) {
        if let Some((symbol, starts)) = expired.iter().next() {
            let from = starts.iter().next().map(|(from, _)| model::time::rfc3339(from)).unwrap_or_default();
            tracing::warn!(
                symbol,
                symbols = expired.len(),
                measurement = table.measurement.name,
                "Late records from {from} on belong to windows whose other bars were deleted by retention; these windows stay as they are."
            );
        }
        self.pending.done(table, expired);
    }

    async fn say(&mut self, state: RunState) -> Result<(), SinkError> {
        let reached = Reached {
            prices: self
                .classes
                .iter()
                .map(|class| self.progress.watermark(&class.raw_topic()))
                .min()
                .flatten(),
            results: self.results_until(|_| true),
            price_results: self
                .results_until(|table| table.reads.iter().all(|read| AssetClass::of_topic(read).is_some())),
        };
        let pending = self.pending.count(&self.tables);
        self.count_unread().await?;
        Ok(self.status.say(state, reached, &self.progress.counts, pending, self.unread.1).await?)
    }

    /// The time before which the rows of all `wanted` windowed jobs have arrived, whichever
    /// engine wrote them; `None` until each job has rows. Further rows of the latest window may
    /// still arrive, so it is one slide earlier.
    fn results_until(&self, wanted: impl Fn(&Table) -> bool) -> Option<Millis> {
        let until = |table: &Table| match table.layout {
            Some(Layout::Windows(hop)) if wanted(table) => {
                Some(self.emitted(table).map(|end| end.saturating_sub(hop.slide)))
            }
            _ => None,
        };
        self.tables.iter().filter_map(until).min().flatten()
    }

    /// Counts the unread records, at the interval [`COUNT_UNREAD`].
    async fn count_unread(&mut self) -> Result<(), SinkError> {
        if self.unread.0.elapsed() < COUNT_UNREAD {
            return Ok(());
        }
        let mut unread = 0;
        for topic in data_topics(&self.tables) {
            for extent in self.log.extents(&topic).await? {
                let next = self.progress.place(&topic, extent.partition).next;
                unread += log::unread(&*self.log, &topic, extent, next).await?;
            }
        }
        self.unread = (Instant::now(), unread);
        Ok(())
    }
}

/// The shapes of the measurements that are read from topics: raw records, the rows of `tables`,
/// and the status of services.
pub(crate) fn measurements(tables: &[Table]) -> Vec<Arc<Measurement>> {
    let classes = classes(tables);
    let bars = |classes: &[AssetClass]| -> Vec<_> {
        classes.iter().map(|class| Arc::new(Measurement::bars_of(*class))).collect()
    };
    let results = tables.iter().map(|table| table.measurement.clone());
    let mut all = bars(&classes[..1]);
    all.push(Arc::new(Measurement::articles()));
    all.extend(results.chain([Arc::new(pipeline::measurement())]));
    all.extend(bars(&classes[1..]));
    all
}

/// The classes whose bars the rows of `tables` are made of, at least one.
pub(crate) fn classes(tables: &[Table]) -> Vec<AssetClass> {
    let found: BTreeSet<AssetClass> = tables.iter().filter_map(|table| table.class).collect();
    match found.is_empty() {
        true => vec![AssetClass::default()],
        false => found.into_iter().collect(),
    }
}

/// The topics that become points, except the status of services.
fn data_topics(tables: &[Table]) -> Vec<Topic> {
    let results = tables.iter().map(|table| table.topic.clone());
    let bars = classes(tables).into_iter().map(AssetClass::raw_topic);
    bars.chain([NEWS_ARTICLES]).chain(results).collect()
}
