//! How long to wait before trying again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Waits that double from `first` up to a cap, each drawn evenly from zero up
/// to there ("full jitter"), so that many clients do not come back together.
///
/// Call [`Backoff::reset`] only once a connection has brought useful data:
/// opening it proves nothing.
pub struct Backoff {
    first: Duration,
    cap: Duration,
    tries: u32,
    draw: Box<dyn FnMut() -> f64 + Send>,
}

impl Backoff {
    /// Starts with waits up to `first`; they never exceed `cap`.
    pub fn new(first: Duration, cap: Duration) -> Backoff {
        Backoff::with_draws(first, cap, even)
    }

    /// The same with draws of one's own, each from 0 to 1.
    pub fn with_draws(first: Duration, cap: Duration, draw: impl FnMut() -> f64 + Send + 'static) -> Backoff {
        Backoff { first, cap, tries: 0, draw: Box::new(draw) }
    }

    /// How long to wait now; the next wait may be twice as long.
    pub fn wait(&mut self) -> Duration {
        let bound = self.first.saturating_mul(2_u32.saturating_pow(self.tries)).min(self.cap);
        self.tries = self.tries.saturating_add(1);
        bound.mul_f64((self.draw)().clamp(0.0, 1.0))
    }

    /// How often [`Backoff::wait`] has been asked since the last reset.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Begins with the shortest wait again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

impl std::fmt::Debug for Backoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Backoff { first, cap, tries, .. } = self;
        write!(f, "Backoff {{ first: {first:?}, cap: {cap:?}, tries: {tries} }}")
    }
}

/// An even draw from 0 to 1; jitter needs no better randomness than the hasher's keys.
fn even() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_cap_and_begin_anew_after_a_reset() {
        let mut backoff = Backoff::with_draws(SECOND, 30 * SECOND, || 1.0);
        let waits: Vec<_> = (0..8).map(|_| backoff.wait().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(backoff.tries(), 8);
        backoff.reset();
        assert_eq!(backoff.wait(), SECOND);
        backoff.tries = u32::MAX;
        assert_eq!(backoff.wait(), 30 * SECOND);
    }

    #[test]
    fn the_jitter_spreads_over_the_whole_wait() {
        let mut backoff = Backoff::new(SECOND, SECOND);
        let waits: Vec<_> = (0..1_000).map(|_| backoff.wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= SECOND));
        let below = |share: f64| waits.iter().filter(|wait| **wait < SECOND.mul_f64(share)).count();
        assert!((350..650).contains(&below(0.5)), "{}", below(0.5));
        assert!((20..200).contains(&below(0.1)), "{}", below(0.1));
    }
}
