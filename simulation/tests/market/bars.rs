//! Every bar and article is a valid one, in order and within its session.

use model::time::MINUTE;
use model::{Bar, Source};
use simulation::{SYMBOLS, World};

use crate::{date, of, session_of};

/// Full days, a half day, and the days around a change of clocks.
const DAYS: [&str; 5] = ["2024-03-05", "2024-03-08", "2024-03-11", "2024-07-03", "2012-10-31"];

#[test]
fn bars_are_ordered_by_start_then_symbol_and_lie_within_the_session() {
    for day in DAYS {
        let session = simulation::CALENDAR.session(date(day)).unwrap();
        let bars = World::new(1).day(date(day)).unwrap().bars;
        let place = |bar: &Bar| (bar.start_timestamp, bar.symbol.clone());
        assert!(bars.is_sorted_by(|a, b| place(a) < place(b)), "{day}");
        assert!(bars[0].start_timestamp >= session.pre_open, "{day}");
        assert!(bars[bars.len() - 1].end_timestamp <= session.post_close, "{day}");
    }
}

#[test]
fn every_bar_is_valid_and_in_whole_minutes_cents_and_shares() {
    for day in DAYS {
        for bar in World::new(1).day(date(day)).unwrap().bars {
            assert_eq!(bar.check(), Ok(()), "{bar:?}");
            assert_eq!(bar.start_timestamp % MINUTE, 0);
            assert_eq!(bar.end_timestamp, bar.start_timestamp + MINUTE);
            for price in [bar.open, bar.high, bar.low, bar.close] {
                assert_eq!((price * 100.0).round() / 100.0, price, "{bar:?}");
            }
            assert!(bar.volume >= 1.0 && bar.volume.fract() == 0.0, "{bar:?}");
            assert_eq!(bar.source, Source::Simulation);
            assert_eq!((bar.received_timestamp, bar.complete_until), (bar.end_timestamp, 0));
        }
    }
}

#[test]
fn every_article_is_valid_has_an_identity_of_its_own_and_says_that_it_is_simulated() {
    let world = World::new(1);
    let mut ids = std::collections::HashSet::new();
    for day in DAYS {
        let session = simulation::CALENDAR.session(date(day)).unwrap();
        let articles = world.day(date(day)).unwrap().articles;
        assert!(articles.is_sorted_by_key(|article| article.published_timestamp), "{day}");
        for article in articles {
            assert_eq!(article.check(), Ok(()), "{article:?}");
            assert!(SYMBOLS.contains(&article.key()));
            assert!(article.headline.starts_with("Simulated: ") && !article.headline.contains(['{', '}']));
            assert!(article.url.starts_with("https://simulated.invalid/"));
            assert!((session.pre_open..session.post_close).contains(&article.published_timestamp));
            assert_eq!(article.source, Source::Simulation);
            assert_eq!(article.received_timestamp, article.published_timestamp);
            assert!(ids.insert(article.id.clone()), "{} comes twice", article.id);
        }
    }
}

#[test]
fn every_symbol_trades_through_the_session_and_a_half_day_is_shorter() {
    let world = World::new(1);
    for (day, minutes) in [("2024-03-05", 390), ("2024-07-03", 210)] {
        let day = world.day(date(day)).unwrap();
        for symbol in SYMBOLS {
            let traded = session_of(&day, symbol).len();
            assert!((minutes - 20..=minutes).contains(&traded), "{symbol}: {traded} of {minutes}");
        }
    }
}

#[test]
fn before_the_open_trading_has_gaps_and_a_quiet_symbol_has_more_of_them() {
    let day = World::new(1).day(date("2024-03-05")).unwrap();
    let open = simulation::CALENDAR.session(date("2024-03-05")).unwrap().open;
    let before = |symbol| of(&day, symbol).iter().filter(|bar| bar.start_timestamp < open).count();
    for symbol in SYMBOLS {
        assert!((3..250).contains(&before(symbol)), "{symbol}: {} of 330 minutes", before(symbol));
    }
    assert!(before("IBM") < before("SPY"));
}
