//! Writing behind: while the store takes a batch, the next one is gathered. One
//! batch is on its way at a time, so that they arrive in order; positions are
//! committed only once what they stand for has arrived.

use std::sync::Arc;

use log::Position;
use store::{Batch, StoreError};
use tokio::task::JoinSet;

use super::Sink;
use crate::error::SinkError;
use crate::gathered::{Points, Taken};
use crate::progress::{Counts, Progress};
use crate::rejected;

/// A batch on its way to the store.
pub(super) struct Underway {
    batch: Arc<Batch>,
    /// How far the sink had come with it, as its notes say.
    progress: Progress,
    /// Where the reader stood.
    positions: Vec<Position>,
    /// Ends with this.
    writing: JoinSet<Result<(), StoreError>>,
}

impl Sink {
    /// Writes what was gathered, then commits the positions behind it.
    pub(crate) async fn flush(&mut self) -> Result<(), SinkError> {
        self.write_behind().await?;
        self.commit_arrived().await
    }

    /// Sends what was gathered on its way, with the notes that go with it, once the
    /// batch before it has arrived.
    pub(crate) async fn write_behind(&mut self) -> Result<(), SinkError> {
        self.commit_arrived().await?;
        if self.gathered.is_empty() {
            return Ok(());
        }
        let Taken { mut points, again, letters } = self.gathered.take();
        if !letters.is_empty() {
            self.log.append(letters).await?;
        }
        if !again.is_empty() {
            self.settle_repeats(&mut points, again).await?;
        }
        points.retain(|(_, points)| !points.is_empty());
        let batch = Arc::new(Batch { points, notes: self.notes() });
        let (store, sent) = (self.store.clone(), batch.clone());
        let mut writing = JoinSet::new();
        writing.spawn(async move { store.write(sent).await });
        let (progress, positions) = (self.progress.clone(), self.reader.positions());
        self.underway = Some(Underway { batch, progress, positions, writing });
        Ok(())
    }

    async fn commit_arrived(&mut self) -> Result<(), SinkError> {
        match self.arrived().await? {
            Some(positions) => Ok(self.reader.commit(positions).await?),
            None => Ok(()),
        }
    }

    /// Waits until the batch on its way has arrived, if there is one; returns the
    /// positions behind it.
    pub(crate) async fn arrived(&mut self) -> Result<Option<Vec<Position>>, SinkError> {
        let Some(Underway { batch, progress, positions, mut writing }) = self.underway.take() else {
            return Ok(None);
        };
        let outcome = match writing.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Everything is being taken down, and this with it.
                Err(_) => std::future::pending().await,
            },
            None => Ok(()),
        };
        self.settle(outcome, &batch, progress).await?;
        Ok(Some(positions))
    }

    /// Writes points with the notes that go with them, and waits for it; nothing
    /// else may be on its way.
    pub(super) async fn put(&mut self, points: Points) -> Result<(), SinkError> {
        let batch = Arc::new(Batch { points, notes: self.notes() });
        let outcome = self.store.write(batch.clone()).await;
        self.settle(outcome, &batch, self.progress.clone()).await
    }

    /// Points that the store will never take become dead letters, and the notes,
    /// which stand for `progress`, follow all the same.
    async fn settle(
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
        let letters = rejected::letters(rejected, &batch.points, &mut more);
        for counts in [&mut self.progress.counts, &mut progress.counts] {
            counts.rejected += more.rejected;
            counts.too_old += more.too_old;
        }
        if !letters.is_empty() {
            self.log.append(letters).await?;
        }
        // All other points have been written; the first note is the progress.
        let mut notes = batch.notes.clone();
        notes[0] = progress.note();
        Ok(self.store.write(Batch { points: Vec::new(), notes }.into()).await?)
    }
}
