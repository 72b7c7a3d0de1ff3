//! The way of a price through the minutes around one time.

use model::time::{MINUTE, Millis, minute_of};

use crate::tape::{Print, Tape};

/// The window begins so many minutes before the event's minute.
pub const BEFORE: i64 = 30;
/// The window ends with this minute after the event's.
pub const AFTER: i64 = 60;
/// So many minutes a window has; minute m stands at index m + [`BEFORE`].
pub(crate) const MINUTES: usize = (BEFORE + AFTER + 1) as usize;

/// Prices and volumes of one window, minute by minute.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// The last print known at the event's time.
    pub reference: Print,
    /// The log return from the reference price to the last price known at the
    /// end of each minute. None before the first print that may be carried
    /// ([`Tape::carried_since`]) and after the window's last one.
    pub returns: Vec<Option<f64>>,
    /// What was traded in each minute, 0 where nothing was; none where the return is none.
    /// Of currencies, whose volume means nothing, 0 throughout.
    pub volumes: Vec<Option<f64>>,
}

/// Why there is no walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWalk {
    /// No price of that day was known in the window before the event.
    NoPriceBefore,
    /// No price became known in the window after it.
    NoPriceAfter,
}

/// The end of the window around `at`.
pub(crate) fn end(at: Millis) -> Millis {
    minute_of(at) + (AFTER + 1) * MINUTE
}

/// The begin of the window around `at`.
pub(crate) fn begin(at: Millis) -> Millis {
    minute_of(at) - BEFORE * MINUTE
}

impl Walk {
    /// The walk around `at`.
    ///
    /// The reference is the last print known at `at`: no price that holds a
    /// trade after `at` is taken, so a bar counts only from its end on.
    pub fn around(tape: &Tape, at: Millis) -> Result<Walk, NoWalk> {
        let day = tape.carried_since(at, begin(at));
        let before = tape.known_in(begin(at).max(day), at);
        let reference = *before.last().ok_or(NoWalk::NoPriceBefore)?;
        if tape.known_in(at, end(at)).is_empty() {
            return Err(NoWalk::NoPriceAfter);
        }
        let mut walk = Walk { reference, returns: vec![None; MINUTES], volumes: vec![None; MINUTES] };
        // What was known when the window began, if it may be carried.
        let mut price = tape.known_in(day, begin(at)).last().map(|print| print.close);
        let mut left = tape.known_in(begin(at).max(day), end(at));
        for minute in 0..MINUTES {
            let ends = begin(at) + (minute as i64 + 1) * MINUTE;
            let (now, later) = left.split_at(left.partition_point(|print| print.known <= ends));
            price = now.last().map(|print| print.close).or(price);
            if let Some(price) = price {
                walk.returns[minute] = Some((price / reference.close).ln());
                let volume = now.iter().map(|print| print.volume).sum();
                walk.volumes[minute] = Some(if tape.class().has_volume() { volume } else { 0.0 });
            }
            left = later;
            if left.is_empty() {
                break;
            }
        }
        Ok(walk)
    }
}

#[cfg(test)]
mod tests {
    use model::Bar;

    use super::*;
    use crate::options::Clock;

    /// 2024-03-05 10:00 in New York.
    const TEN: Millis = 1_709_650_800_000;

    fn tape(closes: &[(i64, f64)]) -> Tape {
        let bar = |&(minute, close): &(i64, f64)| {
            let start_timestamp = TEN + minute * MINUTE;
            let end_timestamp = start_timestamp + MINUTE;
            Bar { close, volume: 10.0, start_timestamp, end_timestamp, ..model::heartbeat::bar(0, 0) }
        };
        let bars: Vec<Bar> = closes.iter().map(bar).collect();
        Tape::new(&bars.iter().collect::<Vec<_>>(), Clock::Event)
    }

    fn at(walk: &Walk, minute: i64) -> (Option<f64>, Option<f64>) {
        let index = (minute + BEFORE) as usize;
        let price = walk.returns[index].map(|change| (change.exp() * 1e6).round() / 1e6);
        (price, walk.volumes[index])
    }

    #[test]
    fn the_reference_is_the_last_bar_that_had_ended_at_publication() {
        let tape = tape(&[(-2, 8.0), (-1, 10.0), (0, 20.0), (1, 30.0)]);
        for (published, reference) in [(TEN, 10.0), (TEN + 59_999, 10.0), (TEN - 1, 8.0)] {
            assert_eq!(Walk::around(&tape, published).unwrap().reference.close, reference, "{published}");
        }
        // The bar that ends at the very instant of publication is known then.
        assert_eq!(Walk::around(&tape, TEN + MINUTE).unwrap().reference.close, 20.0);
    }

    #[test]
    fn minutes_without_a_trade_keep_the_price_and_have_no_volume() {
        let walk =
            Walk::around(&tape(&[(-40, 5.0), (-3, 8.0), (-1, 10.0), (2, 20.0)]), TEN + 30_000).unwrap();
        assert_eq!(at(&walk, -30), (Some(0.5), Some(0.0)));
        assert_eq!(at(&walk, -3), (Some(0.8), Some(10.0)));
        assert_eq!(at(&walk, -2), (Some(0.8), Some(0.0)));
        assert_eq!(at(&walk, 0), (Some(1.0), Some(0.0)));
        assert_eq!(at(&walk, 2), (Some(2.0), Some(10.0)));
        assert_eq!(at(&walk, 3), (None, None));
    }

    #[test]
    fn no_price_is_taken_from_the_day_before_or_from_too_long_ago() {
        let open = TEN - 30 * MINUTE;
        let walk = Walk::around(&tape(&[(-1_000, 5.0), (-29, 8.0), (-20, 9.0)]), open + 5 * MINUTE).unwrap();
        assert_eq!(at(&walk, -30), (None, None));
        assert_eq!(walk.reference.close, 8.0);
        let stale = tape(&[(-40, 5.0), (3, 6.0)]);
        assert_eq!(Walk::around(&stale, TEN).unwrap_err(), NoWalk::NoPriceBefore);
        let stopped = tape(&[(-2, 5.0), (61, 6.0)]);
        assert_eq!(Walk::around(&stopped, TEN).unwrap_err(), NoWalk::NoPriceAfter);
    }
}
