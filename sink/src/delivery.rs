//! The store, asked until it answers: what passes is waited for, what somebody must
//! mend is told and held against. Meanwhile nothing is read on, so nothing is lost.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use control::shutdown::{Shutdown, ShutdownToken};
use log::Fence;
use model::schema::Value;
use model::service::{Activity, RunState};
use model::time::Millis;
use net::RetryPolicy;
use store::{Batch, Measurement, Patience, Point, Query, Rows, SharedStore, Store, StoreError};

use crate::pipeline::Status;

/// How long to wait where the store does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// At most so long at first, then twice as long each time …
    pub(crate) first: Duration,
    /// … up to this.
    pub(crate) longest: Duration,
    /// While somebody has to mend something.
    pub(crate) hold: Duration,
}

impl Waits {
    /// Those of a service at work.
    pub(crate) const USUAL: Waits = Waits {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(30),
        hold: Duration::from_secs(15),
    };
}

/// A store that is asked again as long as that may help, or until the service is to stop.
pub(crate) struct Delivery {
    store: SharedStore,
    status: Status,
    waits: Waits,
    stop: ShutdownToken,
    /// Of a sink that works under a lease.
    fence: Option<Fence>,
}

impl Delivery {
    pub(crate) fn new(store: SharedStore, status: Status, waits: Waits, stop: ShutdownToken) -> Delivery {
        Delivery { store, status, waits, stop, fence: None }
    }

    /// The same for the holder of a lease: it takes the store over, and writes as long
    /// as no other has.
    pub(crate) async fn held_by(mut self, fence: Option<Fence>) -> Result<Delivery, StoreError> {
        if let Some(fence) = &fence {
            self.patiently(|| take_over(&self.store, fence)).await?;
        }
        self.fence = fence;
        Ok(self)
    }

    /// What the service says of itself.
    pub(crate) fn status(&self) -> Status {
        self.status.clone()
    }

    async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut waits = RetryPolicy::new(self.waits.first, self.waits.longest).waits();
        loop {
            let error = match attempt().await {
                Err(error) if !self.stop.stopped() => error,
                outcome => return outcome,
            };
            let wait = match error.patience() {
                Patience::None => return Err(error),
                Patience::Wait(asked) => {
                    tracing::warn!("Waiting for the store: {error}");
                    self.status.trouble(Activity::new(RunState::Waiting, format!("waiting: {error}"))).await;
                    waits.endless().max(asked.unwrap_or_default())
                }
                Patience::Hold => {
                    tracing::error!("Holding until this is mended, nothing is lost meanwhile: {error}");
                    self.status.trouble(Activity::new(RunState::Holding, format!("holding: {error}"))).await;
                    self.waits.hold
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.at_least(Shutdown::Stop) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Store for Delivery {
    async fn define(&self, measurement: &Measurement) -> Result<(), StoreError> {
        self.patiently(|| self.store.define(measurement)).await
    }

    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError> {
        self.patiently(|| self.store.measurements()).await
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.patiently(|| async {
            if let Some(fence) = &self.fence {
                check(&self.store, fence).await?;
            }
            self.store.write(batch.clone()).await
        })
        .await
    }

    async fn read(&self, query: &Query) -> Result<Rows, StoreError> {
        self.patiently(|| self.store.read(query)).await
    }

    async fn held(
        &self,
        measurement: &Arc<Measurement>,
        points: &[Point],
    ) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        self.patiently(|| self.store.held(measurement, points)).await
    }

    async fn latest(&self, measurement: &str) -> Result<Rows, StoreError> {
        self.patiently(|| self.store.latest(measurement)).await
    }

    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.patiently(|| self.store.notes(prefix)).await
    }

    async fn trimmed_before(&self, measurement: &str) -> Result<Option<Millis>, StoreError> {
        self.patiently(|| self.store.trimmed_before(measurement)).await
    }
}

// Who may write to the store: whoever holds the sink's lease now.
//
// The log refuses a holder that was shut out, a store does not. So each holder notes
// its number in the store when it begins, and looks before each write whether the note
// is still its own and whether its lease is certain. A store without compare-and-set
// leaves the time of one write between the look and its end: what a holder wrote then
// are points of the same log, which its successor writes again, and notes, which the
// successor replaces with its next batch.

/// The note with the number of the holder.
const KEY: &str = "sink/holder";

/// Takes the store over for the holder of `fence`: holders before it write no more.
///
/// # Errors
/// When a later one has taken it over, or the store fails.
pub async fn take_over(store: &SharedStore, fence: &Fence) -> Result<(), StoreError> {
    let (holder, ours) = (noted(store).await?, fence.number());
    if holder.is_some_and(|holder| holder > ours) || !fence.is_certain() {
        return Err(StoreError::Fenced);
    }
    let notes = vec![(KEY.to_owned(), Some(ours.to_string()))];
    store.write(Arc::new(Batch { points: Vec::new(), notes })).await
}

/// Makes sure that the holder of `fence` may write now.
pub(crate) async fn check(store: &SharedStore, fence: &Fence) -> Result<(), StoreError> {
    match noted(store).await? {
        Some(holder) if holder == fence.number() && fence.is_certain() => Ok(()),
        _ => Err(StoreError::Fenced),
    }
}

async fn noted(store: &SharedStore) -> Result<Option<u64>, StoreError> {
    let notes = store.notes(KEY).await?;
    Ok(notes.into_iter().find(|(key, _)| key == KEY).and_then(|(_, value)| value.parse().ok()))
}
