//! The calls that a plan allows in a minute.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::time::{MINUTE, Millis};

use feed::SharedClock;

pub(super) struct Quota {
    clock: SharedClock,
    per_minute: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the calls of the last minute were made.
    calls: VecDeque<Millis>,
    /// The server wants no call before.
    closed_until: Millis,
}

impl Quota {
    pub(super) fn new(clock: SharedClock, per_minute: u32) -> Quota {
        Quota { clock, per_minute: per_minute.max(1) as usize, state: Mutex::default() }
    }

    /// Waits until a call may be made, and counts it.
    pub(super) async fn take(&self) {
        while let Some(at) = self.try_take() {
            self.clock.sleep_until(at).await;
        }
    }

    /// The server has had enough until `at`.
    pub(super) fn close_until(&self, at: Millis) {
        let mut state = self.state();
        state.closed_until = state.closed_until.max(at);
    }

    /// Counts a call, or says when to try again.
    fn try_take(&self) -> Option<Millis> {
        let now = self.clock.now();
        let mut state = self.state();
        // A clock that was set back must not lock the quota.
        while state.calls.front().is_some_and(|call| *call + MINUTE <= now || *call > now) {
            state.calls.pop_front();
        }
        if state.closed_until > now {
            return Some(state.closed_until);
        }
        if state.calls.len() >= self.per_minute {
            return state.calls.front().map(|first| first + MINUTE);
        }
        state.calls.push_back(now);
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tests::HandWall;

    #[test]
    fn so_many_calls_a_minute_and_none_while_the_server_has_had_enough() {
        let clock = Arc::new(HandWall::at(1_000_000));
        let quota = Quota::new(clock.clone(), 2);
        assert_eq!((quota.try_take(), quota.try_take()), (None, None));
        assert_eq!(quota.try_take(), Some(1_060_000));
        clock.set(1_060_000);
        assert_eq!(quota.try_take(), None);
        quota.close_until(1_090_000);
        assert_eq!(quota.try_take(), Some(1_090_000));
        clock.set(1_090_000);
        assert_eq!((quota.try_take(), quota.try_take()), (None, Some(1_120_000)));
        clock.set(500_000);
        assert_eq!(quota.try_take(), Some(1_090_000));
    }
}
