//! What a study can be asked for.

use model::time::{HOUR, Millis};

/// By which clock bars and articles become known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// A bar at its end, an article at its publication.
    #[default]
    Event,
    /// Each when it was first seen here, never before its event time: what a
    /// strategy could have acted on.
    Arrival,
}

/// How a study is made; the defaults are those of `docs/event-study.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// By which clock.
    pub clock: Clock,
    /// How many earlier sessions make up the baseline.
    pub sessions: usize,
    /// With fewer of them an event is left out; at least 2.
    pub least_sessions: usize,
    /// So many sessions back they are looked for.
    pub look_back: usize,
    /// A session is quiet if no article lies as close to the same clock time as
    /// this, and an article that follows another so closely is none of its own.
    pub quiet: Millis,
    /// The confidence of all bands, between 0 and 1.
    pub confidence: f64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: Clock::Event,
            sessions: 5,
            least_sessions: 3,
            look_back: 20,
            quiet: HOUR,
            confidence: 0.95,
        }
    }
}
