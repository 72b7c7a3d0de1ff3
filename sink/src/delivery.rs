//! A store with retries, and with fencing. Transient errors are retried with back-off; errors
//! that need the operator are logged, and retried at intervals. Meanwhile no further records
//! are read, so nothing is lost.

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

/// The waits between retries, where the store does not ask for a certain wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// The first wait at most; doubled with every retry …
    pub(crate) first: Duration,
    /// … up to this wait.
    pub(crate) longest: Duration,
    /// The wait between retries of an error that needs the operator.
    pub(crate) hold: Duration,
}

impl Waits {
    /// The waits of a running service.
    pub(crate) const USUAL: Waits = Waits {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(30),
        hold: Duration::from_secs(15),
    };
}

/// A store whose requests are retried as long as that can succeed, or until the service is
/// asked to stop.
pub(crate) struct Delivery {
    store: SharedStore,
    status: Status,
    waits: Waits,
    stop: ShutdownToken,
    /// The fence of the lease under which the sink runs, if any.
    fence: Option<Fence>,
}

impl Delivery {
    pub(crate) fn new(store: SharedStore, status: Status, waits: Waits, stop: ShutdownToken) -> Delivery {
        Delivery { store, status, waits, stop, fence: None }
    }

    /// Takes over the store for the holder of a lease; each write then checks that no later
    /// holder has taken it over.
    pub(crate) async fn under_lease(mut self, fence: Option<Fence>) -> Result<Delivery, StoreError> {
        if let Some(fence) = &fence {
            self.with_retries(|| take_over(&self.store, fence)).await?;
        }
        self.fence = fence;
        Ok(self)
    }

    /// The status of the service.
    pub(crate) fn status(&self) -> Status {
        self.status.clone()
    }

    async fn with_retries<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, StoreError>
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
                    self.status
                        .interrupted(Activity::new(RunState::Waiting, format!("waiting: {error}")))
                        .await;
                    waits.endless().max(asked.unwrap_or_default())
                }
                Patience::Hold => {
                    tracing::error!(
                        "Holding until the operator fixes this; nothing is lost meanwhile: {error}"
                    );
                    self.status
                        .interrupted(Activity::new(RunState::Holding, format!("holding: {error}")))
                        .await;
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
        self.with_retries(|| self.store.define(measurement)).await
    }

    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError> {
        self.with_retries(|| self.store.measurements()).await
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.with_retries(|| async {
            if let Some(fence) = &self.fence {
                check(&self.store, fence).await?;
            }
            self.store.write(batch.clone()).await
        })
        .await
    }

    async fn read(&self, query: &Query) -> Result<Rows, StoreError> {
        self.with_retries(|| self.store.read(query)).await
    }

    async fn held(
        &self,
        measurement: &Arc<Measurement>,
        points: &[Point],
    ) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        self.with_retries(|| self.store.held(measurement, points)).await
    }

    async fn latest(&self, measurement: &str) -> Result<Rows, StoreError> {
        self.with_retries(|| self.store.latest(measurement)).await
    }

    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.with_retries(|| self.store.notes(prefix)).await
    }

    async fn trimmed_before(&self, measurement: &str) -> Result<Option<Millis>, StoreError> {
        self.with_retries(|| self.store.trimmed_before(measurement)).await
    }
}

// Fencing: only the holder of the sink's lease may write to the store.
//
// The log refuses the writes of an earlier holder, but a store does not. Each holder therefore
// stores its fencing number in a note when it starts, and checks before each write that the
// note still has its number and that its lease is certain. The store has no compare-and-set, so
// a takeover between the check and the end of the write is not detected. This does no harm:
// such a write has points from the same log, which the next holder writes again, and notes,
// which the next holder replaces with its next batch.

/// The key of the note with the fencing number of the holder.
const KEY: &str = "sink/holder";

/// Takes over the store for the holder of `fence`; earlier holders can no longer write.
///
/// # Errors
/// If a later holder has taken it over, or the store fails.
pub async fn take_over(store: &SharedStore, fence: &Fence) -> Result<(), StoreError> {
    let (holder, ours) = (noted(store).await?, fence.number());
    if holder.is_some_and(|holder| holder > ours) || !fence.is_certain() {
        return Err(StoreError::Fenced);
    }
    let notes = vec![(KEY.to_owned(), Some(ours.to_string()))];
    store.write(Arc::new(Batch { points: Vec::new(), notes })).await
}

/// Checks that the holder of `fence` may write.
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
