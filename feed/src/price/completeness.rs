//! Up to when the prices are complete: the time until which the feed is known
//! to have brought everything, less its delay and the time to settle, held back
//! while a hole is being filled.

use model::time::{MINUTE, Millis, minute_of};

#[derive(Debug)]
pub(super) struct Completeness {
    /// From a minute's end until all its bars are here.
    lag: Millis,
    /// What the feed is later than that.
    late: Millis,
    /// How long a hole may hold everything back.
    fill_wait: Millis,
    /// Everything that the feed sent before this wall time is here.
    heard: Option<Millis>,
    /// What has been stated.
    stated: Option<Millis>,
    hole: Option<Hole>,
}

/// A time from which on bars may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// The first bar start that may be missing.
    pub(super) from: Millis,
    /// When it was noticed, by the wall clock.
    pub(super) noticed: Millis,
}

impl Completeness {
    /// Goes on from what was `stated` in the log.
    pub(super) fn new(lag: Millis, fill_wait: Millis, stated: Option<Millis>) -> Completeness {
        Completeness { lag, late: 0, fill_wait, heard: None, stated, hole: None }
    }

    /// What has been stated last.
    pub(super) fn stated(&self) -> Option<Millis> {
        self.stated
    }

    /// The open hole.
    pub(super) fn hole(&self) -> Option<Hole> {
        self.hole
    }

    /// Everything that the feed sent before `at` is here. A link that has died
    /// is found out only later: what it ought to have brought since is not complete.
    pub(super) fn on_event(&mut self, at: Millis) {
        self.heard = self.heard.max(Some(at));
    }

    /// From now on, bars may be missing; an earlier hole goes on.
    pub(super) fn lose(&mut self, now: Millis) {
        let from = self.stated.unwrap_or_else(|| self.target(now));
        self.hole.get_or_insert(Hole { from, noticed: now });
    }

    /// The hole has been filled, or what is missing of it is recorded.
    pub(super) fn mend(&mut self) {
        self.hole = None;
    }

    /// The feed turned out to be so much later than its delay.
    pub(super) fn delay_by(&mut self, late: Millis) {
        self.late = late;
    }

    /// The minute up to which a feed without holes is complete.
    pub(super) fn target(&self, now: Millis) -> Millis {
        minute_of(now - self.lag - self.late)
    }

    /// What can be stated now: never less than before.
    pub(super) fn due(&self, now: Millis) -> Option<Millis> {
        let target = self.target(now);
        let until = match self.hole {
            None => target.min(self.target(self.heard?)),
            Some(hole) if now < hole.noticed + self.fill_wait => target.min(hole.from),
            // Bars that are filled in at last are late only where they must be.
            Some(hole) => target.min(hole.from.max(self.target(now - self.fill_wait))),
        };
        match self.stated {
            Some(stated) => (until > stated).then_some(until),
            None => Some(until),
        }
    }

    /// It has been stated that everything before `until` is there.
    pub(super) fn state(&mut self, until: Millis) {
        self.stated = Some(until);
    }

    /// When [`Completeness::due`] may say something new.
    pub(super) fn wake(&self, now: Millis) -> Millis {
        let next = self.stated.map_or(now, |stated| stated + MINUTE + self.lag + self.late);
        let times = match self.hole {
            None => [next, next, next],
            Some(hole) => [next, next + self.fill_wait, hole.noticed + self.fill_wait],
        };
        times.into_iter().filter(|at| *at > now).min().unwrap_or(now + MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::{HOUR, SECOND};

    const LAG: Millis = 905 * SECOND;
    const WAIT: Millis = 120 * SECOND;
    const T: Millis = 100 * HOUR;

    /// On a link of which everything is known.
    fn alive(stated: Option<Millis>) -> Completeness {
        let mut prices = Completeness::new(LAG, WAIT, stated);
        prices.on_event(T + 1_000 * HOUR);
        prices
    }

    #[test]
    fn a_minute_is_complete_when_delay_and_settling_have_passed_its_end() {
        let mut prices = alive(None);
        prices.state(T);
        assert_eq!(prices.due(T + MINUTE + LAG - 1), None);
        assert_eq!(prices.wake(T + LAG), T + MINUTE + LAG);
        assert_eq!(prices.due(T + MINUTE + LAG), Some(T + MINUTE));
    }

    #[test]
    fn a_minute_is_not_complete_before_the_link_is_known_to_have_been_alive() {
        let mut prices = Completeness::new(LAG, WAIT, Some(T));
        assert_eq!(prices.due(T + HOUR), None);
        prices.on_event(T + 3 * MINUTE + LAG);
        prices.on_event(T);
        assert_eq!(prices.due(T + HOUR), Some(T + 3 * MINUTE));
        // What the dead link did not bring is the hole.
        prices.state(T + 3 * MINUTE);
        prices.lose(T + HOUR);
        assert_eq!(prices.hole().map(|hole| hole.from), Some(T + 3 * MINUTE));
    }

    #[test]
    fn a_hole_holds_everything_back_until_filled() {
        let mut prices = alive(Some(T));
        let now = T + LAG + 30 * SECOND;
        prices.lose(now);
        prices.lose(now + 60 * SECOND);
        assert_eq!(prices.hole(), Some(Hole { from: T, noticed: now }));
        assert_eq!(prices.due(now + WAIT - 1), None);
        prices.mend();
        assert_eq!(prices.due(now + WAIT - 1), Some(T + 2 * MINUTE));
    }

    #[test]
    fn after_the_wait_time_goes_on_but_stays_a_wait_behind() {
        let mut prices = Completeness::new(LAG, WAIT, Some(T));
        let now = T + LAG + 30 * SECOND;
        prices.lose(now);
        assert_eq!(prices.due(now + WAIT), None);
        let at = prices.wake(now + WAIT);
        assert_eq!(at, T + MINUTE + LAG + WAIT);
        assert_eq!(prices.due(at), Some(T + MINUTE));
        assert_eq!(prices.due(at + HOUR), Some(T + MINUTE + HOUR));
    }

    #[test]
    fn after_downtime_history_has_its_wait_before_time_jumps() {
        let mut prices = Completeness::new(LAG, WAIT, Some(T));
        let now = T + 8 * HOUR;
        prices.lose(now);
        assert_eq!(prices.due(now + WAIT - 1), None);
        assert_eq!(prices.wake(now), now + WAIT);
        assert_eq!(prices.due(now + WAIT), Some(minute_of(now - LAG)));
    }

    #[test]
    fn a_feed_later_than_its_delay_is_waited_for() {
        let mut prices = alive(Some(T));
        prices.delay_by(HOUR);
        assert_eq!(prices.due(T + HOUR + LAG), None);
        assert_eq!(prices.wake(T + HOUR), T + MINUTE + LAG + HOUR);
        assert_eq!(prices.due(T + MINUTE + LAG + HOUR), Some(T + MINUTE));
    }

    #[test]
    fn it_never_falls_when_the_clock_is_set_back() {
        let prices = alive(Some(T));
        assert_eq!(prices.due(T - HOUR), None);
    }
}
