//! The wall clock that live sources go by, so that tests can play hours at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::time::{self, Millis};

/// The time of day.
#[async_trait]
pub(crate) trait Wall: Send + Sync {
    /// Now.
    fn now(&self) -> Millis;

    /// Waits until [`Wall::now`] has reached `at`.
    async fn until(&self, at: Millis);
}

/// A wall clock shared by tasks.
pub(crate) type SharedWall = Arc<dyn Wall>;

/// The clock of this machine.
pub(crate) struct SystemWall;

/// The longest sleep at once: a machine that was suspended, or whose clock was set, wakes up in time.
const NAP: Millis = 1_000;

#[async_trait]
impl Wall for SystemWall {
    fn now(&self) -> Millis {
        time::now()
    }

    async fn until(&self, at: Millis) {
        loop {
            let left = at.saturating_sub(self.now());
            if left <= 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left.min(NAP).unsigned_abs())).await;
        }
    }
}

/// A duration in [`Millis`].
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
