//! One symbol's closes and volumes, each at the time from which it was known.

use model::calendar::Calendar;
use model::time::{DAY, Millis};
use model::{AssetClass, Bar};

use crate::options::Clock;

/// A close and the volume that came with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Print {
    /// From then on it was known.
    pub known: Millis,
    /// The start of the bar that the price is of.
    pub start: Millis,
    /// The last price there was then.
    pub close: f64,
    /// Shares that became known.
    pub volume: f64,
}

/// The prints of one symbol, ordered by the time from which they were known.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    prints: Vec<Print>,
    class: AssetClass,
}

impl Tape {
    pub fn new(bars: &[&Bar], clock: Clock) -> Tape {
        let prints = match clock {
            Clock::Event => at_their_ends(bars),
            Clock::Arrival => as_they_came(bars),
        };
        let class = bars.first().map(|bar| AssetClass::of(&bar.symbol)).unwrap_or_default();
        Tape { prints, class }
    }

    pub fn prints(&self) -> &[Print] {
        &self.prints
    }

    /// The class of the symbol.
    pub fn class(&self) -> AssetClass {
        self.class
    }

    /// When the symbol trades.
    pub fn calendar(&self) -> Calendar {
        self.class.calendar()
    }

    /// From when on prices may be carried to `at`: no price is carried over the end of
    /// trading, and where trading never ends, none that is older than a day. Between
    /// sessions it is `otherwise`.
    pub fn carried_since(&self, at: Millis, otherwise: Millis) -> Millis {
        let calendar = self.calendar();
        match calendar.is_continuous() {
            true => calendar.trading_since(at).map_or(otherwise, |since| since.max(otherwise - DAY)),
            false => {
                let session = calendar.session(calendar.date_of(at));
                session.map_or(otherwise, |session| session.pre_open)
            }
        }
    }

    /// The prints known in (`after`, `until`].
    pub fn known_in(&self, after: Millis, until: Millis) -> &[Print] {
        let from = self.prints.partition_point(|print| print.known <= after);
        let to = self.prints.partition_point(|print| print.known <= until);
        &self.prints[from..to.max(from)]
    }

    pub fn first(&self) -> Option<Millis> {
        self.prints.first().map(|print| print.known)
    }

    pub fn last(&self) -> Option<Millis> {
        self.prints.last().map(|print| print.known)
    }
}

/// Of each start the version received last, known at its end.
fn at_their_ends(bars: &[&Bar]) -> Vec<Print> {
    let mut settled: Vec<&Bar> = bars.to_vec();
    // Stable: of equal versions the one that stands later wins.
    settled.sort_by_key(|bar| (bar.start_timestamp, bar.received_timestamp));
    settled.dedup_by(|later, kept| {
        let repeated = later.start_timestamp == kept.start_timestamp;
        if repeated {
            *kept = *later;
        }
        repeated
    });
    let print = |bar: &&Bar| Print {
        known: bar.end_timestamp,
        start: bar.start_timestamp,
        close: bar.close,
        volume: bar.volume,
    };
    let mut prints: Vec<_> = settled.iter().map(print).collect();
    prints.sort_by_key(|print| print.known);
    prints
}

/// Bars and their corrections in the order in which they were received. What
/// comes late adds its volume, but the last price stays that of the newest minute.
fn as_they_came(bars: &[&Bar]) -> Vec<Print> {
    // No bar is known before it ends, whatever a clock says.
    let known = |bar: &Bar| bar.received_timestamp.max(bar.end_timestamp);
    let mut came: Vec<&Bar> = bars.to_vec();
    came.sort_by_key(|bar| (known(bar), bar.start_timestamp));
    let mut prints: Vec<Print> = Vec::with_capacity(came.len());
    let mut newest: Option<&Bar> = None;
    for bar in came {
        let print = match newest {
            Some(before) if bar.start_timestamp < before.start_timestamp => {
                let Bar { close, start_timestamp: start, .. } = *before;
                Print { known: known(bar), start, close, volume: bar.volume }
            }
            Some(before) if bar.start_timestamp == before.start_timestamp => {
                let added = (bar.volume - before.volume).max(0.0);
                newest = Some(bar);
                Print { known: known(bar), start: bar.start_timestamp, close: bar.close, volume: added }
            }
            _ => {
                newest = Some(bar);
                Print { known: known(bar), start: bar.start_timestamp, close: bar.close, volume: bar.volume }
            }
        };
        prints.push(print);
    }
    prints
}

#[cfg(test)]
mod tests {
    use model::Source;
    use model::time::MINUTE;

    use super::*;

    fn bar(minute: i64, close: f64, received: i64) -> Bar {
        let start_timestamp = minute * MINUTE;
        Bar {
            start_timestamp,
            end_timestamp: start_timestamp + MINUTE,
            received_timestamp: received * MINUTE,
            close,
            volume: 10.0 * close,
            source: Source::Replay,
            ..model::heartbeat::bar(0, 0)
        }
    }

    fn prints(bars: &[Bar], clock: Clock) -> Vec<(i64, f64, f64)> {
        let bars: Vec<&Bar> = bars.iter().collect();
        let tape = Tape::new(&bars, clock);
        tape.prints().iter().map(|print| (print.known / MINUTE, print.close, print.volume)).collect()
    }

    #[test]
    fn by_event_time_the_version_received_last_counts_once_wherever_it_stands() {
        let bars = [bar(1, 5.0, 9), bar(0, 1.0, 1), bar(1, 3.0, 2), bar(0, 1.0, 1)];
        assert_eq!(prints(&bars, Clock::Event), [(1, 1.0, 10.0), (2, 5.0, 50.0)]);
    }

    #[test]
    fn by_arrival_a_correction_changes_the_price_when_it_comes_and_a_late_bar_does_not() {
        let bars = [bar(1, 3.0, 2), bar(0, 1.0, 6), bar(1, 5.0, 9), bar(2, 4.0, 0)];
        assert_eq!(
            prints(&bars, Clock::Arrival),
            [(2, 3.0, 30.0), (3, 4.0, 40.0), (6, 4.0, 10.0), (9, 4.0, 50.0)]
        );
    }
}
