//! Movement and trading over the day.

use model::Bar;
use simulation::{SYMBOLS, World};

use crate::{days, log_return, mean, session_of};

/// The mean of a quantity over all bars of the first and the last half hour
/// and the hour around the middle of sixty sessions.
fn open_noon_close(symbol: &str, quantity: impl Fn(&Bar) -> f64) -> [f64; 3] {
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for day in days(&World::new(2), 60) {
        let bars = session_of(&day, symbol);
        let session = simulation::CALENDAR
            .session(simulation::CALENDAR.date_of(bars[0].start_timestamp))
            .expect("bars come from sessions");
        let length = session.close - session.open;
        for bar in bars {
            let t = (bar.start_timestamp - session.open) as f64 / length as f64;
            match t {
                ..0.077 => parts[0].push(quantity(bar)),
                0.42..0.58 => parts[1].push(quantity(bar)),
                0.923.. => parts[2].push(quantity(bar)),
                _ => {}
            }
        }
    }
    parts.map(|part| mean(&part))
}

#[test]
fn volume_is_higher_at_the_open_and_the_close_than_at_noon() {
    for symbol in ["AAPL", "IBM", "SPY"] {
        let [open, noon, close] = open_noon_close(symbol, |bar| bar.volume);
        assert!(open > 1.5 * noon && close > 1.5 * noon, "{symbol}: {open} {noon} {close}");
    }
}

#[test]
fn volatility_is_highest_at_the_open_and_rises_again_towards_the_close() {
    for symbol in ["AAPL", "IBM", "SPY"] {
        let [open, noon, close] = open_noon_close(symbol, |bar| (bar.high / bar.low).ln());
        assert!(open > 1.5 * noon && close > 1.1 * noon && open > close, "{symbol}: {open} {noon} {close}");
    }
}

#[test]
fn every_symbol_moves_with_the_market() {
    let mut returns: Vec<Vec<f64>> = vec![Vec::new(); SYMBOLS.len()];
    for day in days(&World::new(2), 10) {
        let bars = SYMBOLS.map(|symbol| session_of(&day, symbol));
        for minute in bars[0].iter().skip(1).map(|bar| bar.start_timestamp) {
            let all: Option<Vec<f64>> = bars.iter().map(|bars| log_return(bars, minute, 1)).collect();
            for (of_symbol, value) in returns.iter_mut().zip(all.unwrap_or_default()) {
                of_symbol.push(value);
            }
        }
    }
    let product = |a: &[f64], b: &[f64]| mean(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>());
    let market = &returns[SYMBOLS.iter().position(|&symbol| symbol == "SPY").unwrap()];
    for (symbol, own) in SYMBOLS.iter().zip(&returns) {
        let correlation = product(own, market) / (product(own, own) * product(market, market)).sqrt();
        let expected = if *symbol == "SPY" { 0.999..1.001 } else { 0.2..0.9 };
        assert!(expected.contains(&correlation), "{symbol}: {correlation}");
    }
}
