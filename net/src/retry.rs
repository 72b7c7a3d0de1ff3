//! Trying again: one policy for every request to the outside.
//!
//! Waits grow exponentially and are drawn with full jitter ("Exponential Backoff And
//! Jitter", AWS Architecture Blog, 2015): evenly between a floor and a bound that doubles,
//! so that many clients do not come back together. A server that says how long it wants to
//! be left alone (`Retry-After`, see [`retry_after`](crate::retry_after)) is never asked
//! sooner than that.
//!
//! A [`RetryPolicy`] is a builder for `backon`: an attempt that needs nothing between two
//! tries is repeated by [`Retryable`]. A loop that has to report its state or to listen for
//! a shutdown in between takes its waits from [`Waits`].

use std::time::Duration;

pub use backon::Retryable;

/// How long to wait before each further try, and how many tries there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    first: Duration,
    longest: Duration,
    floor: Duration,
    tries: Option<u32>,
}

impl RetryPolicy {
    /// Waits of up to `first` before the second try and twice as long before each further
    /// one, never longer than `longest`. There is no end to the tries.
    pub const fn new(first: Duration, longest: Duration) -> RetryPolicy {
        RetryPolicy { first, longest, floor: Duration::ZERO, tries: None }
    }

    /// No wait is shorter than `floor`.
    pub const fn at_least(self, floor: Duration) -> RetryPolicy {
        RetryPolicy { floor, ..self }
    }

    /// There are so many tries in all, the first one included.
    pub const fn with_tries(self, tries: u32) -> RetryPolicy {
        RetryPolicy { tries: Some(tries), ..self }
    }

    /// The wait after the `failures`th failure in a row (the first is 1), for a `draw` from 0 to 1.
    pub fn wait(&self, failures: u32, draw: f64) -> Duration {
        let doublings = 2_u32.saturating_pow(failures.saturating_sub(1));
        let bound = self.first.saturating_mul(doublings).min(self.longest);
        bound.mul_f64(draw.clamp(0.0, 1.0)).max(self.floor)
    }

    /// The waits of one series of tries.
    pub fn waits(self) -> Waits {
        Waits { policy: self, failures: 0 }
    }
}

impl backon::BackoffBuilder for RetryPolicy {
    type Backoff = Waits;

    fn build(self) -> Waits {
        self.waits()
    }
}

/// The waits between the tries of one series; an iterator that ends with the tries.
///
/// Call [`Waits::reset`] only once something useful has come: opening a connection proves
/// nothing.
#[derive(Clone, Debug)]
pub struct Waits {
    policy: RetryPolicy,
    failures: u32,
}

impl Waits {
    /// The wait after another failure, not shorter than what the server `asked` for; `None`
    /// when there have been enough tries.
    pub fn after(&mut self, asked: Option<Duration>) -> Option<Duration> {
        Some(self.next()?.max(asked.unwrap_or_default()))
    }

    /// The wait after another failure, of a policy that ends only in a success: the longest
    /// one where it has no more tries.
    pub fn endless(&mut self) -> Duration {
        self.next().unwrap_or(self.policy.longest)
    }

    /// Failures since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Begins with the shortest wait again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let ended = self.policy.tries.is_some_and(|tries| self.failures >= tries);
        (!ended).then(|| self.policy.wait(self.failures, draw()))
    }
}

/// An even draw from 0 to 1.
pub fn draw() -> f64 {
    fastrand::f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const POLICY: RetryPolicy = RetryPolicy::new(SECOND, SECOND.saturating_mul(30));

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_reset() {
        let waits: Vec<_> = (1..=8).map(|failures| POLICY.wait(failures, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(POLICY.wait(u32::MAX, 1.0), 30 * SECOND);
        let mut waits = POLICY.waits();
        waits.by_ref().take(8).for_each(drop);
        assert_eq!(waits.failures(), 8);
        waits.reset();
        assert!(waits.endless() <= SECOND && waits.failures() == 1);
    }

    #[test]
    fn the_jitter_spreads_over_the_whole_wait() {
        let waits: Vec<_> = std::iter::repeat_with(|| POLICY.waits().endless()).take(1_000).collect();
        assert!(waits.iter().all(|wait| *wait <= SECOND));
        let below = |share: f64| waits.iter().filter(|wait| **wait < SECOND.mul_f64(share)).count();
        assert!((350..650).contains(&below(0.5)), "{}", below(0.5));
        assert!((20..200).contains(&below(0.1)), "{}", below(0.1));
    }

    #[test]
    fn no_wait_is_shorter_than_the_floor_or_what_the_server_asks_for() {
        assert_eq!(POLICY.at_least(SECOND / 2).wait(1, 0.1), SECOND / 2);
        let mut waits = POLICY.waits();
        assert_eq!(waits.after(Some(90 * SECOND)), Some(90 * SECOND));
        assert!(waits.after(Some(Duration::ZERO)).is_some_and(|wait| wait <= 2 * SECOND));
    }

    #[tokio::test]
    async fn after_so_many_tries_the_last_error_is_the_answer() {
        let mut tries = 0;
        let attempt = || {
            tries += 1;
            std::future::ready(Err::<(), _>(tries))
        };
        let policy = RetryPolicy::new(Duration::ZERO, Duration::ZERO).with_tries(3);
        assert_eq!(attempt.retry(policy).await, Err(3));
        assert_eq!(policy.waits().count(), 2);
    }
}
