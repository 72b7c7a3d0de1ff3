//! Processes records and writes batches: each record becomes a point, a dead letter, or is
//! ignored; late ones are noted for recomputation.

use std::sync::Arc;

use control::foreign::{self, CONTROL};
use control::watchlist::EVERY_SYMBOL;
use log::{Position, Record, Skipped};
use model::status::ServiceStatus;
use model::time::{Millis, minute_of};
use model::topic::{NEWS_ARTICLES, SERVICE_STATUS, Topic};
use model::{AssetClass, DeadLetter, Gap, symbol};
use store::{Batch, StoreError};
use tokio::task::JoinSet;

use super::Sink;
use crate::decode::{self, Content, Raw, letters};
use crate::error::SinkError;
use crate::gathered::{ARTICLES, Contents, FIRST_TABLE, Points};
use crate::progress::{Counts, PartitionProgress, Progress, RecordId};
use crate::table::Layout;

impl Sink {
    /// Processes consecutive records of one partition.
    pub(super) fn process(&mut self, run: &[Record]) {
        let Record { topic, partition, .. } = &run[0];
        let mut place = self.progress.place(topic, *partition);
        let next = place.next;
        for record in run {
            // After a kill, records are polled again that the store has noted already.
            if record.offset < place.next {
                continue;
            }
            place.next = record.offset + 1;
            self.progress.log_time = self.progress.log_time.max(record.appended_at);
            self.gathered.count();
            if let Err(reason) = self.process_one(record, &mut place) {
                self.refuse(record, &reason);
            }
        }
        if let Some(last) = run.last().filter(|_| place.next > next) {
            place.last = Some(RecordId::of(last));
        }
        self.progress.set_place(topic, *partition, place);
    }

    /// Counts records that retention deleted before they were read. For bars it also records a
    /// gap, from the watermark before them to the watermark of the next record.
    pub(super) fn note_skipped(&mut self, skipped: &Skipped, records: &[Record]) {
        let Skipped { topic, partition, from, to } = skipped;
        self.progress.counts.skipped += to - from;
        if AssetClass::of_topic(topic).is_none() {
            return;
        }
        let next = records.iter().find(|record| record.topic == *topic && record.partition == *partition);
        let next = next.and_then(|record| decode::bar(&record.value).ok()).map(|raw| raw.complete_until);
        let Some((reached, next)) = self.progress.place(topic, *partition).reached.zip(next) else { return };
        let gap = Gap {
            symbol: EVERY_SYMBOL.to_owned(),
            from: reached,
            to: next.max(reached),
            reason: format!(
                "{} records of {topic}, partition {partition}, were deleted by retention before they were stored",
                to - from
            ),
        };
        self.gathered.count();
        self.gathered.append(gap.to_append());
    }

    fn process_one(&mut self, record: &Record, place: &mut PartitionProgress) -> Result<(), String> {
        if let Some(class) = AssetClass::of_topic(&record.topic) {
            let Some(measurement) = self.bars_of(class) else { return Ok(()) };
            self.process_raw(measurement, decode::bar(&record.value)?, record, place)
        } else if record.topic == NEWS_ARTICLES {
            self.process_raw(ARTICLES, decode::article(&record.value)?, record, place)
        } else if record.topic == SERVICE_STATUS {
            self.process_status(record)
        } else {
            if CONTROL.contains(&record.topic) {
                return foreign::check(record);
            }
            match self.tables.iter().position(|table| table.topic == record.topic) {
                Some(table) => self.process_row(table, record, place),
                None => Ok(()),
            }
        }
    }

    fn process_raw(
        &mut self,
        measurement: usize,
        raw: Raw,
        record: &Record,
        place: &mut PartitionProgress,
    ) -> Result<(), String> {
        // Lateness is judged by the watermark of the partition, which is never behind that of
        // the topic. So every record that an engine may treat as late is late here, in whatever
        // order it reads the partitions.
        self.bounds.check(place.reached, record, [raw.complete_until, raw.at])?;
        let before = place.reached.replace(raw.complete_until.max(place.reached.unwrap_or(Millis::MIN)));
        let (symbol, at, point) = match raw.content {
            Content::Clock => return Ok(()),
            Content::Bad(reason) => return Err(reason),
            Content::Data { symbol, at, point } => (symbol, at, point),
        };
        self.gathered.add(measurement, point)?;
        self.progress.counts.points += 1;
        if let Some(symbol) = &symbol {
            let class = AssetClass::of(symbol);
            let prices = || self.progress.watermark(&class.raw_topic());
            match AssetClass::of_topic(&record.topic) {
                Some(of_topic) if of_topic == class => self.days.touch_by_bar(symbol, at, prices),
                // Before the classes had topics of their own, that of stocks took every symbol.
                Some(_) => {}
                None if self.classes.contains(&class) => self.days.touch_by_article(symbol, at, prices),
                None => {}
            }
        }
        let minute = minute_of(at);
        if before.is_some_and(|before| minute < minute_of(before)) {
            self.note_late(&record.topic, symbol.as_deref(), minute);
        }
        Ok(())
    }

    fn note_late(&mut self, topic: &Topic, symbol: Option<&str>, minute: Millis) {
        let counts = &mut self.progress.counts;
        *(if AssetClass::of_topic(topic).is_some() {
            &mut counts.late
        } else {
            &mut counts.late_articles
        }) += 1;
        let Some(symbol) = symbol else { return };
        for table in &self.tables {
            if let Some(layout) = table.layout_over(topic) {
                let (from, to) = layout.touched(topic, minute);
                self.pending.add(table, table.recomputation_key(symbol), from, to);
            }
        }
    }

    fn process_row(
        &mut self,
        table: usize,
        record: &Record,
        place: &mut PartitionProgress,
    ) -> Result<(), String> {
        let (measurement, of) = (FIRST_TABLE + table, &self.tables[table]);
        let row = decode::row(of, &record.value)?;
        let time = of.time(&row);
        if let Some(time) = time {
            self.bounds.check(place.reached, record, [time, time])?;
        }
        place.reached = place.reached.max(time);
        if of.symbol(&row).is_some_and(symbol::is_ours) {
            return Ok(());
        }
        let is_new = match (of.layout, of.symbol(&row), time) {
            // A row that may not be new is compared with the stored one: it may come from a
            // restarted engine that lacks the late records.
            (Some(Layout::Windows(_)), Some(symbol), Some(time)) => self.newest[table].advance(symbol, time),
            (Some(Layout::Paths { .. }), ..) => false,
            _ => true,
        };
        let point = of.point(row);
        match is_new {
            true => self.gathered.add(measurement, point)?,
            false => self.gathered.add_repeated(measurement, point)?,
        }
        self.progress.counts.points += 1;
        Ok(())
    }

    /// Processes the status of a service. It is not counted as a point, because the count is
    /// part of the status and would change it again.
    fn process_status(&mut self, record: &Record) -> Result<(), String> {
        let status = ServiceStatus::parse(&record.value)?;
        let measurement = FIRST_TABLE + self.tables.len();
        self.services.points(status).into_iter().try_for_each(|point| self.gathered.add(measurement, point))
    }

    fn refuse(&mut self, record: &Record, reason: &str) {
        let Record { topic, partition, offset, .. } = record;
        log::warn_skipped(record, &reason);
        let reason = format!("partition {partition}, offset {offset}: {reason}");
        let letter = DeadLetter::new(topic.name(), reason, &record.value, model::time::now());
        self.gathered.append(letter.to_append());
        self.progress.counts.rejected += 1;
    }
}

// Writing in the background: the next batch is collected while the store writes the current
// one. Only one batch is written at a time, so that batches are stored in order, and offsets
// are committed only after their batch is stored.

/// A batch that is being written.
pub(super) struct WriteInProgress {
    batch: Arc<Batch>,
    /// The progress in the notes of the batch.
    progress: Progress,
    /// The positions of the reader after the batch.
    positions: Vec<Position>,
    /// The task that writes; dropping this aborts it.
    writing: JoinSet<Result<(), StoreError>>,
}

impl Sink {
    /// Writes the collected batch and commits its offsets.
    pub(crate) async fn flush(&mut self) -> Result<(), SinkError> {
        self.start_write().await?;
        self.commit_written().await
    }

    /// Waits for the previous batch, then starts to write the collected one with its notes.
    pub(crate) async fn start_write(&mut self) -> Result<(), SinkError> {
        self.commit_written().await?;
        if self.gathered.is_empty() {
            return Ok(());
        }
        let Contents { mut points, repeated, letters } = self.gathered.take();
        if !letters.is_empty() {
            self.log.append(letters).await?;
        }
        if !repeated.is_empty() {
            self.compare_repeats(&mut points, repeated).await?;
        }
        points.retain(|(_, points)| !points.is_empty());
        let batch = Arc::new(Batch { points, notes: self.notes() });
        let (store, sent) = (self.store.clone(), batch.clone());
        let mut writing = JoinSet::new();
        writing.spawn(async move { store.write(sent).await });
        let (progress, positions) = (self.progress.clone(), self.reader.positions());
        self.in_progress = Some(WriteInProgress { batch, progress, positions, writing });
        Ok(())
    }

    async fn commit_written(&mut self) -> Result<(), SinkError> {
        match self.finish_write().await? {
            Some(positions) => Ok(self.reader.commit(positions).await?),
            None => Ok(()),
        }
    }

    /// Waits for the batch that is being written, if any; returns its positions.
    pub(crate) async fn finish_write(&mut self) -> Result<Option<Vec<Position>>, SinkError> {
        let Some(WriteInProgress { batch, progress, positions, mut writing }) = self.in_progress.take()
        else {
            return Ok(None);
        };
        let outcome = match writing.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => std::future::pending().await,
            },
            None => Ok(()),
        };
        self.finish_batch(outcome, &batch, progress).await?;
        Ok(Some(positions))
    }

    /// Writes points with their notes, and waits. No batch may be in progress.
    pub(super) async fn put(&mut self, points: Points) -> Result<(), SinkError> {
        let batch = Arc::new(Batch { points, notes: self.notes() });
        let outcome = self.store.write(batch.clone()).await;
        self.finish_batch(outcome, &batch, self.progress.clone()).await
    }

    /// Makes dead letters of points that the store will never accept, then writes the notes of
    /// the batch with the counts added to `progress`.
    async fn finish_batch(
        &mut self,
        outcome: Result<(), StoreError>,
        batch: &Batch,
        mut progress: Progress,
    ) -> Result<(), SinkError> {
        let rejected = match outcome {
            Err(StoreError::Rejected(rejected)) => rejected,
            outcome => return Ok(outcome?),
        };
        let mut more = Counts::default();
        let letters = letters(rejected, &batch.points, &mut more);
        for counts in [&mut self.progress.counts, &mut progress.counts] {
            counts.rejected += more.rejected;
            counts.too_old += more.too_old;
        }
        if !letters.is_empty() {
            self.log.append(letters).await?;
        }
        // All other points have been written. The first note is the progress.
        let mut notes = batch.notes.clone();
        notes[0] = progress.note();
        Ok(self.store.write(Batch { points: Vec::new(), notes }.into()).await?)
    }
}
