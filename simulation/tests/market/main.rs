//! The simulated market, seen from outside.

mod bars;
mod halts;
mod levels;
mod news;
mod same_day;
mod sample;
mod shape;

use chrono::NaiveDate;
use model::Bar;
use model::calendar::Phase;
use model::time::{MINUTE, Millis};
use simulation::{Day, World};

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

/// The dates of the sessions after `text`, without end.
fn sessions_after(text: &str) -> impl Iterator<Item = NaiveDate> {
    std::iter::successors(Some(date(text)), |&date| Some(simulation::CALENDAR.next_session(date).date))
        .skip(1)
}

/// So many days from the session after 2023-12-29 on.
fn days(world: &World, count: usize) -> impl Iterator<Item = Day> {
    sessions_after("2023-12-29").take(count).filter_map(|date| world.day(date))
}

fn of<'a>(day: &'a Day, symbol: &str) -> Vec<&'a Bar> {
    day.bars.iter().filter(|bar| bar.symbol == symbol).collect()
}

/// The bars of a symbol's session proper, in which only halts leave holes.
fn session_of<'a>(day: &'a Day, symbol: &str) -> Vec<&'a Bar> {
    let mut bars = of(day, symbol);
    bars.retain(|bar| simulation::CALENDAR.phase(bar.start_timestamp) == Phase::Regular);
    bars
}

/// Log return over the `count` minutes from `start` on; none where a bar of its ends is missing.
fn log_return(bars: &[&Bar], start: Millis, count: i64) -> Option<f64> {
    let close = |at: Millis| {
        let index = bars.binary_search_by_key(&at, |bar| bar.start_timestamp).ok()?;
        Some(bars[index].close)
    };
    Some((close(start + (count - 1) * MINUTE)? / close(start - MINUTE)?).ln())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
