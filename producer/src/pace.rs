//! The pace at which event time passes: every moment is due at a time of its
//! own, so that slow appends delay what follows but never add up.

use std::time::Duration;

use control::shutdown::{Shutdown, ShutdownToken};
use feed::{SharedClock, millis};
use model::time::{MINUTE, Millis};

use crate::Speed;

/// A stretch of closed hours, or of a replay without rows, takes this long.
const GAP: Duration = Duration::from_secs(1);

/// Keeps a source to its speed, and tells it when to end.
pub(crate) struct Pace {
    clock: SharedClock,
    /// When the clock was looked at first: what is due is counted from here.
    start: Millis,
    speed: Speed,
    stop: ShutdownToken,
    due: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(clock: SharedClock, speed: Speed, stop: ShutdownToken) -> Pace {
        Pace { start: clock.now(), clock, speed, stop, due: None }
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
        let last = self.due.unwrap_or_else(|| self.elapsed());
        self.due = Some(last.saturating_add(by));
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.clock.now().saturating_sub(self.start).max(0).unsigned_abs())
    }

    /// Whether what is due next must be waited for.
    pub(crate) fn is_early(&self) -> bool {
        self.due.is_some_and(|due| due > self.elapsed())
    }

    /// Whether an end is wished.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.draining()
    }

    /// Waits for what is due next; an end that is wished ends the wait.
    pub(crate) async fn wait(&self) {
        if let Some(due) = self.due {
            tokio::select! {
                () = self.clock.sleep_until(self.start.saturating_add(millis(due))) => {}
                () = self.stop.at_least(Shutdown::Drain) => {}
            }
        }
    }
}
