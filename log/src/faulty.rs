//! A log that fails at a chosen append, as if the process were killed there; for tests of
//! services.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use model::time::Millis;
use model::topic::Topic;

use super::{Append, Extent, Fence, Lease, Log, LogError, Position, Reader, Record, SharedLog};

/// How much of the failing append of a [`FaultyLog`] is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePoint {
    /// Nothing, as when the process is killed just before.
    Before,
    /// All records, without an acknowledgement, as when the process is killed just after.
    After,
    /// The first `n` records, which Kafka may do but the embedded log may not.
    Within(usize),
}

/// A wrapper of another log that works for some appends and then fails for ever. It keeps what
/// was appended through it.
pub struct FaultyLog {
    inner: SharedLog,
    state: Mutex<State>,
    broken: FailurePoint,
}

struct State {
    left: usize,
    appends: Vec<Vec<Append>>,
}

impl FaultyLog {
    /// Wraps `inner` and fails after `appends` appends, in the way of `broken`.
    pub fn new(inner: SharedLog, appends: usize, broken: FailurePoint) -> FaultyLog {
        FaultyLog { inner, state: Mutex::new(State { left: appends, appends: Vec::new() }), broken }
    }

    /// The appends that succeeded.
    pub fn appends(&self) -> Vec<Vec<Append>> {
        self.state().appends.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Log for FaultyLog {
    async fn append(&self, mut records: Vec<Append>) -> Result<(), LogError> {
        let works = {
            let mut state = self.state();
            let works = state.left > 0;
            state.left = state.left.saturating_sub(1);
            if works {
                state.appends.push(records.clone());
            }
            works
        };
        if works {
            return self.inner.append(records).await;
        }
        match self.broken {
            FailurePoint::Before => {}
            FailurePoint::After => self.inner.append(records).await?,
            FailurePoint::Within(length) => {
                records.truncate(length);
                self.inner.append(records).await?;
            }
        }
        Err(LogError::Closed)
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn clock_keys(&self) -> u32 {
        self.inner.clock_keys()
    }

    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError> {
        self.inner.extents(topic).await
    }

    async fn read(&self, topic: &Topic, part: u32, from: u64, limit: usize) -> Result<Vec<Record>, LogError> {
        self.inner.read(topic, part, from, limit).await
    }

    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError> {
        self.inner.offset_at(topic, partition, at).await
    }

    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError> {
        self.inner.reader(name, topics).await
    }

    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError> {
        self.inner.committed(name).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.inner.topics().await
    }

    async fn appended(&self, wait: Duration) {
        self.inner.appended(wait).await;
    }

    async fn lease(&self, name: &str) -> Result<Box<dyn Lease>, LogError> {
        self.inner.lease(name).await
    }

    fn fence(&self) -> Option<Fence> {
        self.inner.fence()
    }

    async fn fenced(&self, name: &str) -> Result<Option<SharedLog>, LogError> {
        self.inner.fenced(name).await
    }

    async fn health(&self) -> Result<(), LogError> {
        self.inner.health().await
    }
}
