//! The pace at which event time passes: every moment is due at a time of its
//! own, so that slow appends delay what follows but never add up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use control::shutdown::{Shutdown, ShutdownToken};
use model::time::MINUTE;

use crate::Speed;

/// A stretch of closed hours, or of a replay without rows, takes this long.
const GAP: Duration = Duration::from_secs(1);

/// The time by which things are due.
#[async_trait]
pub(crate) trait Clock: Send + Sync {
    /// Time since the clock was made.
    fn elapsed(&self) -> Duration;

    /// Waits until [`Clock::elapsed`] has reached `at`.
    async fn sleep_until(&self, at: Duration);
}

/// The clock on the wall.
pub(crate) struct WallClock(Instant);

impl WallClock {
    pub(crate) fn new() -> WallClock {
        WallClock(Instant::now())
    }
}

#[async_trait]
impl Clock for WallClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep(at.saturating_sub(self.elapsed())).await;
    }
}

/// Keeps a source to its speed, and tells it when to end.
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    speed: Speed,
    stop: ShutdownToken,
    due: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(clock: Arc<dyn Clock>, speed: Speed, stop: ShutdownToken) -> Pace {
        Pace { clock, speed, stop, due: None }
    }

    /// The next minute is due one minute of event time after what was due last.
    pub(crate) fn minute(&mut self) {
        self.step(self.speed.lasts(MINUTE));
    }

    /// What follows a gap is due a second after what was due last.
    pub(crate) fn gap(&mut self) {
        if self.speed != Speed::Max {
            self.step(GAP);
        }
    }

    fn step(&mut self, by: Duration) {
        let last = self.due.unwrap_or_else(|| self.clock.elapsed());
        self.due = Some(last.saturating_add(by));
    }

    /// Whether what is due next must be waited for.
    pub(crate) fn is_early(&self) -> bool {
        self.due.is_some_and(|due| due > self.clock.elapsed())
    }

    /// Whether an end is wished.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.draining()
    }

    /// Waits for what is due next; an end that is wished ends the wait.
    pub(crate) async fn wait(&self) {
        if let Some(due) = self.due {
            tokio::select! {
                () = self.clock.sleep_until(due) => {}
                () = self.stop.at_least(Shutdown::Drain) => {}
            }
        }
    }
}
