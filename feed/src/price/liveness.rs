//! Whether a connection is alive, told by three signals: the link answers
//! pings, anything comes at all, and bars come while the market is open.

use std::time::Duration;

use model::AssetClass;
use model::time::{MINUTE, Millis, minute_of};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// How a link is told to be alive. It is a matter of the network and of real
/// time, whatever time the market has.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    /// How often the feed is asked for a sign of life …
    pub ping: Duration,
    /// … and how long it may give none.
    pub silent: Duration,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { ping: Duration::from_secs(20), silent: Duration::from_secs(50) }
    }
}

/// The signs of life of one connection.
#[derive(Debug)]
pub(super) struct Liveness {
    pulse: Pulse,
    class: AssetClass,
    /// From a minute's end until it is complete.
    lag: Millis,
    /// Any sign of life.
    heard: Instant,
    pinged: Instant,
    /// The oldest ping without an answer.
    unanswered: Option<Instant>,
    /// When the next minute is complete, should the link have been alive until then.
    minute_due: Millis,
    /// The last minute bar, else the opening.
    data: Millis,
}

impl Liveness {
    pub(super) fn new(pulse: Pulse, class: AssetClass, lag: Millis, now: Millis) -> Liveness {
        let at = Instant::now();
        Liveness {
            pulse,
            class,
            lag,
            heard: at,
            pinged: at,
            unanswered: None,
            minute_due: due_after(now, lag),
            data: now,
        }
    }

    /// A message has come at `now`. Returns until when everything that the feed
    /// sent is here, where the message proves that: the answer to a ping comes
    /// behind everything that was sent before the ping arrived.
    pub(super) fn on_event(&mut self, message: &Message, now: Millis) -> Option<Millis> {
        self.heard = Instant::now();
        if let Message::Pong(payload) = message {
            self.unanswered = None;
            return payload[..].try_into().ok().map(|sent| Millis::from_be_bytes(sent).min(now));
        }
        // A feed that sends but answers no pings is believed to send all.
        self.unanswered.filter(|since| since.elapsed() >= self.pulse.silent).map(|_| now)
    }

    /// A minute bar has come, or is waited for from now on.
    pub(super) fn data(&mut self, now: Millis) {
        self.data = now;
    }

    /// The ping that is due: every so often, and whenever a minute may be complete.
    pub(super) fn ping(&mut self, now: Millis) -> Option<Message> {
        let minute = now >= self.minute_due;
        if !minute && self.pinged.elapsed() < self.pulse.ping {
            return None;
        }
        if minute {
            self.minute_due = due_after(now, self.lag);
        }
        self.pinged = Instant::now();
        self.unanswered.get_or_insert(self.pinged);
        Some(Message::Ping(now.to_be_bytes().to_vec().into()))
    }

    /// Whether there has been no sign of life for too long.
    pub(super) fn is_silent(&self) -> bool {
        self.heard.elapsed() >= self.pulse.silent
    }

    /// For how many minutes no bar has come, where `patience` with an open market is at its end.
    pub(super) fn mute_for(&self, now: Millis, delay: Millis, patience: &MutePatience) -> Option<i64> {
        // Polygon brings stocks here: what it says of other markets keeps nothing alive.
        let calendar = self.class.calendar();
        let is_open = |at: Millis| calendar.phase(at - delay).is_session();
        let is_mute = now - self.data >= patience.0 && is_open(now) && is_open(now - patience.0);
        is_mute.then_some((now - self.data) / MINUTE)
    }

    /// When the link must be looked after next …
    pub(super) fn pulse(&self) -> Instant {
        (self.heard + self.pulse.silent).min(self.pinged + self.pulse.ping)
    }

    /// … and, by the wall clock, when something else is due.
    pub(super) fn wake(&self, patience: &MutePatience) -> [Millis; 2] {
        [self.minute_due, self.data + patience.0]
    }
}

fn due_after(now: Millis, lag: Millis) -> Millis {
    minute_of(now - lag) + MINUTE + lag
}

/// How long the feed may bring no bar while the market is open: an illiquid
/// list may be silent for good, so each time in vain doubles the patience.
#[derive(Debug)]
pub(super) struct MutePatience(Millis);

impl MutePatience {
    const FIRST: Millis = 5 * MINUTE;
    const LONGEST: Millis = 80 * MINUTE;

    pub(super) fn new() -> MutePatience {
        MutePatience(Self::FIRST)
    }

    pub(super) fn reset(&mut self) {
        self.0 = Self::FIRST;
    }

    pub(super) fn grow(&mut self) {
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::SECOND;

    const LAG: Millis = 5 * SECOND;
    const T: Millis = 100 * MINUTE;

    fn pulse(seconds: u64) -> Pulse {
        Pulse { ping: Duration::from_secs(seconds), silent: Duration::ZERO }
    }

    #[test]
    fn a_ping_is_due_when_a_minute_may_be_complete_and_its_answer_proves_that_time() {
        let mut link = Liveness::new(pulse(1_000), AssetClass::Stocks, LAG, T);
        assert_eq!(link.wake(&MutePatience::new())[0], T + LAG);
        assert_eq!(link.ping(T + LAG - 1), None);
        let Some(Message::Ping(payload)) = link.ping(T + LAG + 7) else { panic!("a ping is due") };
        assert_eq!(link.ping(T + LAG + 8), None);
        assert_eq!(link.on_event(&Message::Pong(payload.clone()), T + MINUTE), Some(T + LAG + 7));
        // Nothing is proved of a time that has not come.
        assert_eq!(link.on_event(&Message::Pong(payload), T), Some(T));
        assert_eq!(link.on_event(&Message::Pong(Vec::new().into()), T), None);
    }

    #[test]
    fn only_a_feed_that_never_answers_pings_is_believed_without() {
        let mut link = Liveness::new(pulse(0), AssetClass::Stocks, LAG, T);
        assert_eq!(link.on_event(&Message::text("[]"), T), None);
        assert!(link.ping(T).is_some());
        assert_eq!(link.on_event(&Message::text("[]"), T + 9), Some(T + 9));
        link.on_event(&Message::Pong(T.to_be_bytes().to_vec().into()), T);
        assert_eq!(link.on_event(&Message::text("[]"), T + 9), None);
    }
}
