//! News, and what it does to prices.

use model::calendar::Phase;
use model::time::{HOUR, MINUTE, Millis, minute_of};
use simulation::{Day, SYMBOLS, World};

use crate::{days, log_return, mean, session_of};

/// Publication, as the first minute that can know of it, of a symbol's news
/// that is in the session with an hour to go and no other news around it.
fn lone_news<'a>(day: &'a Day, symbol: &'a str) -> impl Iterator<Item = Millis> + 'a {
    let published = |wanted: &'a str| {
        day.articles.iter().filter(move |article| article.key() == wanted).map(|it| it.published_timestamp)
    };
    published(symbol)
        .filter(|at| {
            simulation::CALENDAR.phase(at - HOUR) == Phase::Regular
                && simulation::CALENDAR.phase(at + HOUR) == Phase::Regular
        })
        .filter(move |at| {
            let near = |other: &Millis| (at - other).abs() < HOUR;
            published(symbol).chain(published("SPY")).filter(near).count() == 1
        })
        .map(|at| minute_of(at) + MINUTE)
}

#[test]
fn a_jump_follows_the_news_that_causes_it() {
    let mut jumps = 0;
    for day in days(&World::new(3), 60) {
        for symbol in SYMBOLS {
            let bars = session_of(&day, symbol);
            for pair in bars.windows(2).skip(30) {
                // Far beyond what a minute of the liveliest symbol brings without news.
                if (pair[1].close / pair[0].close).ln().abs() < 0.02 {
                    continue;
                }
                jumps += 1;
                let (from, to) = (pair[0].start_timestamp - 10 * MINUTE, pair[1].start_timestamp);
                let known = day.articles.iter().any(|article| {
                    [symbol, "SPY"].contains(&article.key())
                        && (from..to).contains(&article.published_timestamp)
                });
                assert!(known, "{symbol} jumps at {to} without news");
            }
        }
    }
    assert!(jumps > 5, "only {jumps} jumps in sixty sessions");
}

#[test]
fn some_news_moves_the_price_and_most_does_not() {
    let (mut moved, mut all) = (0, 0);
    for day in days(&World::new(3), 60) {
        for symbol in SYMBOLS.into_iter().filter(|&symbol| symbol != "SPY") {
            let bars = session_of(&day, symbol);
            for first in lone_news(&day, symbol) {
                let (Some(after), Some(before)) =
                    (log_return(&bars, first, 3), log_return(&bars, first - 30 * MINUTE, 30))
                else {
                    continue;
                };
                all += 1;
                // As far in three minutes as in the half hour before, and some cents more.
                moved += usize::from(after.abs() > before.abs() + 0.003);
            }
        }
    }
    let share = f64::from(u32::try_from(moved).unwrap()) / f64::from(u32::try_from(all).unwrap());
    assert!(all > 100 && (0.05..0.25).contains(&share), "{moved} of {all}");
}

#[test]
fn prices_do_not_know_the_news_before_it_is_out_and_calm_down_within_the_hour() {
    let (mut before, mut after, mut later) = (Vec::new(), Vec::new(), Vec::new());
    for day in days(&World::new(3), 120) {
        for symbol in SYMBOLS.into_iter().filter(|&symbol| symbol != "SPY") {
            let bars = session_of(&day, symbol);
            for first in lone_news(&day, symbol) {
                for (minutes, at) in [
                    (&mut before, first - 10 * MINUTE),
                    (&mut after, first),
                    (&mut later, first + 50 * MINUTE),
                ] {
                    let each = (0..10).filter_map(|minute| log_return(&bars, at + minute * MINUTE, 1));
                    minutes.extend(each.map(f64::abs));
                }
            }
        }
    }
    let [before, after, later] = [before, after, later].map(|minutes| mean(&minutes));
    assert!(after > 1.25 * before, "{before} {after}");
    assert!((0.85..1.15).contains(&(later / before)), "{before} {later}");
}

#[test]
fn more_news_comes_in_the_morning_than_later_in_the_day() {
    let mut hours = [0; 24];
    for day in days(&World::new(3), 30) {
        for article in &day.articles {
            // All of these sessions are in winter, five hours behind.
            hours[usize::try_from((article.published_timestamp - 5 * HOUR) / HOUR % 24).unwrap()] += 1;
        }
    }
    let count = |hours: &[i32]| hours.iter().sum::<i32>();
    assert!(count(&hours[7..11]) > 3 * count(&hours[11..15]) / 2, "{hours:?}");
    assert!(count(&hours[11..15]) > count(&hours[16..20]), "{hours:?}");
}
