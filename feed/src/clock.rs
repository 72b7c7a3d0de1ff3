//! The time that feeds go by: one trait, so that tests can play hours at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::time::{self, Millis};

/// What time it is, and waiting by it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, in epoch milliseconds.
    fn now(&self) -> Millis;

    /// Waits until [`Clock::now`] has reached `at`. It may return earlier if the clock was set
    /// back, so that the caller can read the clock again.
    async fn sleep_until(&self, at: Millis);
}

/// A clock that several tasks go by.
pub type SharedClock = Arc<dyn Clock>;

/// The wall clock of this machine, which may be set at any time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest sleep at once: a machine that was suspended, or whose clock was set, wakes
/// up in time. A clock that goes back by more has been set.
const NAP: Millis = 1_000;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Millis {
        time::now()
    }

    async fn sleep_until(&self, at: Millis) {
        let mut latest = self.now();
        while latest < at {
            let nap = (at - latest).min(NAP);
            tokio::time::sleep(Duration::from_millis(nap.unsigned_abs())).await;
            let now = self.now();
            if now < latest - NAP {
                return;
            }
            latest = latest.max(now);
        }
    }
}

/// A clock that starts with the time of this machine and is never set: what is played at a
/// speed does not stall or rush when the wall clock is.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    start: Millis,
    since: Instant,
}

impl SteadyClock {
    /// One that starts now.
    pub fn new() -> SteadyClock {
        SteadyClock { start: time::now(), since: Instant::now() }
    }
}

impl Default for SteadyClock {
    fn default() -> SteadyClock {
        SteadyClock::new()
    }
}

#[async_trait]
impl Clock for SteadyClock {
    fn now(&self) -> Millis {
        self.start.saturating_add(millis(self.since.elapsed()))
    }

    async fn sleep_until(&self, at: Millis) {
        let left = at.saturating_sub(self.now()).max(0);
        tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
    }
}

/// A duration in milliseconds; one that is too long is as long as can be waited for.
pub fn millis(duration: Duration) -> Millis {
    // A quarter of the range: no sum of it with a time overflows.
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_reaches_what_is_waited_for() {
        let clocks: [SharedClock; 2] = [Arc::new(SystemClock), Arc::new(SteadyClock::new())];
        for clock in clocks {
            let until = clock.now() + 20;
            clock.sleep_until(until).await;
            assert!(clock.now() >= until);
            clock.sleep_until(until - 1_000_000).await;
        }
    }
}
