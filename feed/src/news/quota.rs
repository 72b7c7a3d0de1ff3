//! How many calls a key has left: so many a second, and so many in any 24 hours.

use model::status::QuotaState;
use model::time::{self, DAY, Millis, SECOND};

/// The share of a day's calls that may be made at once.
const AT_ONCE: f64 = 0.05;

/// Calls come back evenly over the day, up to a few that may be made at once.
/// Together they never exceed the day's quota in any 24 hours, whenever the
/// server's own day begins.
#[derive(Clone, Debug)]
pub struct DayQuota {
    per_day: u64,
    /// Between two calls.
    gap: Millis,
    /// Calls that may be made at once now; a share of a call counts.
    at_hand: f64,
    /// When `at_hand` was counted.
    at: Millis,
    last_call: Option<Millis>,
    used_today: u64,
}

impl DayQuota {
    /// All calls of a plan of so many a day and a second; a plan of none has one.
    pub fn new(per_day: u32, per_second: u32, now: Millis) -> DayQuota {
        let per_day = u64::from(per_day.max(1));
        let gap = SECOND.div_euclid(Millis::from(per_second.max(1))).max(1);
        let quota = DayQuota { per_day, gap, at_hand: 0.0, at: now, last_call: None, used_today: 0 };
        DayQuota { at_hand: quota.most_at_hand(), ..quota }
    }

    /// Goes on from what an earlier run said. A call may have been its last act.
    pub fn resume(mut self, said: &QuotaState, now: Millis) -> DayQuota {
        self.at_hand = said.at_hand.clamp(0.0, self.most_at_hand());
        self.at = if time::is_believable(said.at) { said.at } else { now };
        self.used_today = said.used_today;
        self.count(now);
        self.last_call = Some(now);
        self
    }

    /// Calls that come back in a millisecond.
    pub fn rate(&self) -> f64 {
        (self.per_day as f64 - self.most_at_hand()).max(0.5) / DAY as f64
    }

    /// When the next call may be made, if none is made before.
    pub fn ready_at(&self, now: Millis) -> Millis {
        self.ready_with(1.0, now)
    }

    /// When a call may be made that leaves one, if none is made before.
    pub fn two_ready_at(&self, now: Millis) -> Millis {
        self.ready_with(2.0_f64.min(self.most_at_hand()), now)
    }

    fn ready_with(&self, calls: f64, now: Millis) -> Millis {
        let mut then = self.clone();
        then.count(now);
        let missing = (calls - then.at_hand).max(0.0);
        let returned = now + (missing / self.rate()).ceil() as Millis;
        // A last call in the future was made before the clock was put back.
        let spaced = self.last_call.filter(|&last| last <= now).map_or(now, |last| last + self.gap);
        returned.max(spaced).max(now)
    }

    /// A call is made now.
    pub fn spend(&mut self, now: Millis) {
        self.count(now);
        // Rounding to whole milliseconds may leave it a hair short.
        self.at_hand = (self.at_hand - 1.0).max(0.0);
        self.last_call = Some(now);
        self.used_today = self.used_today.saturating_add(1);
    }

    /// How it stands, to go on from after a restart.
    pub fn state(&self) -> QuotaState {
        let DayQuota { per_day, at_hand, at, used_today, .. } = *self;
        QuotaState { per_day, used_today, at_hand, at }
    }

    fn most_at_hand(&self) -> f64 {
        (self.per_day as f64 * AT_ONCE).floor().max(1.0)
    }

    fn count(&mut self, now: Millis) {
        if now.div_euclid(DAY) != self.at.div_euclid(DAY) {
            self.used_today = 0;
        }
        // A clock that was put back brings no calls back.
        let passed = (now - self.at).max(0) as f64;
        self.at_hand = (self.at_hand + passed * self.rate()).min(self.most_at_hand());
        self.at = now;
    }
}
