//! Prices over the days and years.

use simulation::{SYMBOLS, World};

use crate::{mean, of, sessions_after};

#[test]
fn prices_stay_within_a_plausible_range_over_a_quarter_of_a_century() {
    for seed in [1, 2, 3] {
        let world = World::new(seed);
        let mut ranges = [(f64::INFINITY, 0.0_f64); SYMBOLS.len()];
        for date in sessions_after("1999-12-31").step_by(40).take(164) {
            let day = world.day(date).unwrap();
            for (symbol, (lowest, highest)) in SYMBOLS.iter().zip(&mut ranges) {
                for bar in of(&day, symbol) {
                    *lowest = lowest.min(bar.low);
                    *highest = highest.max(bar.high);
                }
            }
        }
        for (symbol, (lowest, highest)) in SYMBOLS.iter().zip(ranges) {
            assert!(lowest > 5.0 && highest < 5_000.0, "{symbol}: {lowest} to {highest}");
            assert!((1.3..20.0).contains(&(highest / lowest)), "{symbol}: {lowest} to {highest}");
        }
    }
}

#[test]
fn a_day_begins_near_where_the_day_before_it_ended() {
    let world = World::new(1);
    let mut gaps = Vec::new();
    let mut ended: Vec<Option<f64>> = vec![None; SYMBOLS.len()];
    for date in sessions_after("2019-12-31").take(120) {
        let day = world.day(date).unwrap();
        for (symbol, ended) in SYMBOLS.iter().zip(&mut ended) {
            let bars = of(&day, symbol);
            if let Some(ended) = *ended {
                let gap = (bars[0].open / ended).ln().abs();
                assert!(gap < 0.06, "{symbol} on {date}: {gap}");
                gaps.push(gap);
            }
            *ended = bars.last().map(|bar| bar.close);
        }
    }
    assert!((0.001..0.01).contains(&mean(&gaps)), "{}", mean(&gaps));
}

#[test]
fn a_bar_opens_near_where_the_bar_before_it_closed() {
    let day = World::new(1).day(crate::date("2024-03-05")).unwrap();
    for symbol in SYMBOLS {
        let gaps: Vec<f64> =
            of(&day, symbol).windows(2).map(|pair| (pair[1].open / pair[0].close).ln().abs()).collect();
        assert!(mean(&gaps) < 0.001, "{symbol}: {}", mean(&gaps));
    }
}
