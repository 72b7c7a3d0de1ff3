//! Sources whose event time passes at a speed, and the pace at which it does: every moment
//! is due at a time of its own, so that slow appends delay what follows but never add up.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use control::shutdown::{Shutdown, ShutdownToken};
use feed::{SharedClock, TopicWriter, millis};
use model::time::{MINUTE, Millis};
use model::{AssetClass, Bar};

use crate::ProducerError;

/// Why a source brings nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is finite, and everything of it has been written.
    Finished,
    /// An end was wished.
    Stopped,
}

/// A source that is played at a speed.
#[async_trait]
pub(crate) trait PacedSource: Send {
    /// What it is, in words a person reads.
    fn name(&self) -> String;

    /// Whether it is no real market.
    fn is_simulated(&self) -> bool {
        false
    }

    /// The class of its bars; a source has one.
    async fn class(&mut self) -> AssetClass {
        AssetClass::Stocks
    }

    /// Brings its bars and their heartbeats to the topic writer, in order and at
    /// the given pace, until it ends or an end is wished.
    async fn play(
        self: Box<Self>,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<End, ProducerError>;
}

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

/// How fast event time passes, against the wall clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast; finite and above zero.
    Times(f64),
    /// As fast as the log takes it.
    Max,
}

/// A text that is no speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no speed: write a number above zero (60 plays an hour in a minute) or `max`")]
pub struct BadSpeed(String);

impl Speed {
    /// How long a span of event time lasts by the wall clock.
    pub(crate) fn lasts(self, span: Millis) -> Duration {
        match self {
            Speed::Times(times) => {
                let seconds = span.max(0) as f64 / 1_000.0 / times;
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
            Speed::Max => Duration::ZERO,
        }
    }
}

impl Default for Speed {
    fn default() -> Speed {
        Speed::Times(60.0)
    }
}

impl FromStr for Speed {
    type Err = BadSpeed;

    fn from_str(text: &str) -> Result<Speed, BadSpeed> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("max") {
            return Ok(Speed::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
            _ => Err(BadSpeed(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Speed::Times(times) => write!(f, "{times}"),
            Speed::Max => f.write_str("max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE;

    #[test]
    fn a_speed_is_a_number_above_zero_or_max() {
        assert_eq!("60".parse(), Ok(Speed::default()));
        assert_eq!(" 0.5 ".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("MAX".parse(), Ok(Speed::Max));
        for text in ["0", "-1", "nan", "inf", "fast", ""] {
            let error = text.parse::<Speed>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("`max`"), "{error}");
        }
    }

    #[test]
    fn sixty_times_plays_a_minute_in_a_second() {
        assert_eq!(Speed::default().lasts(MINUTE), Duration::from_secs(1));
        assert_eq!(Speed::Max.lasts(MINUTE), Duration::ZERO);
        assert_eq!(Speed::Times(f64::MIN_POSITIVE).lasts(MINUTE), Duration::MAX);
    }
}
