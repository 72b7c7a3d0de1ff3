//! The wall clock, and waiting by it.

use std::time::Duration;

use async_trait::async_trait;
use model::time::{self, Millis};

/// What time it is; the tests have a clock of their own.
#[async_trait]
pub(crate) trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Millis;
    /// Waits until `at`; may end earlier.
    async fn sleep_until(&self, at: Millis);
    /// From 0 to 1, even.
    fn jitter(&self) -> f64;
}

pub(crate) struct WallClock;

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Millis {
        time::now()
    }

    async fn sleep_until(&self, at: Millis) {
        // In short stretches: the clock may be set meanwhile.
        let wait = (at - time::now()).clamp(1, time::MINUTE);
        tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
    }

    fn jitter(&self) -> f64 {
        rand::random()
    }
}
