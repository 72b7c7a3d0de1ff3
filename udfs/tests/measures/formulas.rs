//! Each formula, worked by hand on four bars whose prices are powers of two.
//!
//! In units of ln 2 the bars are
//!
//! | bar | o | u | d | c | ln(H/L) | r |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 1 |    | 1 | −1 | 0 | 2 | |
//! | 2 | 1  | 1 | 0 | 1 | 1 | 2 |
//! | 3 | −1 | 1 | −1 | 0 | 2 | −1 |
//! | 4 | 1  | 0 | −1 | −1 | 1 | 0 |

use std::f64::consts::{LN_2, PI};

use crate::window::Window;
use crate::{ENOUGH, NO_VOLATILITY};

/// Open, high, low and close.
const BARS: [[f64; 4]; 4] =
    [[4.0, 8.0, 2.0, 4.0], [8.0, 16.0, 8.0, 16.0], [8.0, 16.0, 4.0, 8.0], [16.0, 16.0, 8.0, 8.0]];

#[track_caller]
fn is(window: &Window, name: &str, expected: f64) {
    let value = window.measure(name).expect("enough bars");
    assert!((value - expected).abs() <= 1e-14 * expected.abs(), "{name} is {value}, not {expected}");
}

#[test]
fn realized_adds_the_squared_returns() {
    is(&Window::of(&BARS), "realized", 5_f64.sqrt() * LN_2);
}

#[test]
fn bipower_adds_the_products_of_neighbouring_returns() {
    is(&Window::of(&BARS), "bipower", PI.sqrt() * LN_2);
}

#[test]
fn jump_share_is_what_bipower_leaves_of_the_variance() {
    is(&Window::of(&BARS), "jump_share", (5.0 - PI) / 5.0);
}

#[test]
fn a_steady_walk_has_no_jumps_and_a_single_step_is_one() {
    is(&Window::of_closes(&[1.0, 2.0, 1.0, 2.0, 1.0]), "jump_share", 0.0);
    is(&Window::of_closes(&[1.0, 1.0, 2.0, 2.0]), "jump_share", 1.0);
}

#[test]
fn parkinson_takes_the_ranges() {
    is(&Window::of(&BARS), "parkinson", (10.0 / (4.0 * 4.0 * LN_2)).sqrt() * LN_2);
}

#[test]
fn garman_klass_takes_ranges_and_bodies() {
    let squared = (5.0 - (2.0 * LN_2 - 1.0) * 2.0) / 4.0;
    is(&Window::of(&BARS), "garman_klass", squared.sqrt() * LN_2);
}

#[test]
fn rogers_satchell_ignores_a_drift_within_the_bars() {
    is(&Window::of(&BARS), "rogers_satchell", LN_2);
    is(&Window::of(&[[1.0, 2.0, 1.0, 2.0], [4.0, 4.0, 2.0, 2.0]]), "rogers_satchell", 0.0);
}

#[test]
fn gkyz_adds_the_gaps_and_leaves_the_first_bar_out() {
    let squared = (3.0 + 3.0 - (2.0 * LN_2 - 1.0) * 2.0) / 3.0;
    is(&Window::of(&BARS), "gkyz", squared.sqrt() * LN_2);
}

#[test]
fn yang_zhang_weighs_gaps_bodies_and_ranges() {
    let k = 0.34 / (1.34 + 4.0 / 2.0);
    let squared: f64 = 4.0 / 3.0 + k * 1.0 + (1.0 - k) * 2.0 / 3.0;
    is(&Window::of(&BARS), "yang_zhang", squared.sqrt() * LN_2);
}

#[test]
fn log_return_goes_from_the_first_open_to_the_last_close() {
    is(&Window::of(&BARS), "log_return", LN_2);
}

#[test]
fn volume_is_a_plain_sum_where_no_bar_is_repeated() {
    is(&Window::of(&BARS), "volume", 1_000.0);
}

#[test]
fn too_few_bars_are_null_and_enough_are_not() {
    let needs = [
        ("average_cross", 50),
        ("bipower", 3),
        ("bollinger", 20),
        ("garman_klass", 1),
        ("gkyz", 2),
        ("jump_share", 3),
        ("last_close", 1),
        ("log_return", 1),
        ("parkinson", 1),
        ("percent_move", 1),
        ("realized", 2),
        ("rogers_satchell", 1),
        ("rsi", 15),
        ("volatility_zscore", 56),
        ("volume", 1),
        ("yang_zhang", 3),
    ];
    assert_eq!(needs.map(|(name, _)| name).to_vec(), udfs::all().iter().map(|u| u.name).collect::<Vec<_>>());
    let many: Vec<_> = BARS.into_iter().cycle().take(ENOUGH).collect();
    for (name, bars) in needs {
        assert_eq!(Window::of(&many[..bars - 1]).measure(name), None, "{name} of {} bars", bars - 1);
        assert!(Window::of(&many[..bars]).measure(name).is_some(), "{name} of {bars} bars");
    }
}

#[test]
fn a_negative_square_is_zero() {
    let body_beyond_the_range = [[1.0, 4.0, 2.0, 16.0]; 3];
    is(&Window::of(&body_beyond_the_range[..1]), "garman_klass", 0.0);
    let inside_out = [[4.0, 4.5, 3.9, 5.0]; 1];
    is(&Window::of(&inside_out), "rogers_satchell", 0.0);
}

#[test]
fn a_price_that_stands_still_has_no_volatility() {
    let window = Window::of_closes(&[1.0; ENOUGH]);
    for udf in udfs::all().iter().filter(|udf| !NO_VOLATILITY.contains(&udf.name)) {
        assert_eq!(window.measure(udf.name), Some(0.0), "{}", udf.name);
    }
}

// The signals, compared with a different computation on longer windows.

#[track_caller]
fn is_nearly(window: &Window, name: &str, expected: f64) {
    let value = window.measure(name).expect("enough bars");
    assert!((value - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{name} is {value}, not {expected}");
}

/// Closes of a deterministic walk without a period.
fn wandering(bars: usize) -> Vec<f64> {
    (0..bars).map(|at| 100.0 + ((at * at * 37 + at * 11) % 101) as f64 / 25.0).collect()
}

#[test]
fn the_level_and_the_move_are_those_of_the_ends() {
    let window = Window::of(&[[4.0, 8.0, 2.0, 4.0], [8.0, 16.0, 8.0, 16.0], [8.0, 16.0, 4.0, 9.0]]);
    is_nearly(&window, "last_close", 9.0);
    is_nearly(&window, "percent_move", 125.0);
}

#[test]
fn the_averages_cross_where_the_fast_one_overtakes_the_slow_one() {
    // The last ten of fifty closes are 110, the others 100: F = 110, S = 102.
    let closes: Vec<_> = (0..50).map(|at| if at < 40 { 100.0 } else { 110.0 }).collect();
    is_nearly(&Window::of_closes(&closes), "average_cross", 100.0 * 8.0 / 102.0);
    let earlier = [vec![7.0; 30], closes].concat();
    is_nearly(&Window::of_closes(&earlier), "average_cross", 100.0 * 8.0 / 102.0);
}

#[test]
fn the_relative_strength_is_wilders() {
    let closes = wandering(120);
    let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // With explicit weights: the first 14 changes share the weight that the later ones leave.
    let average = |side: fn(f64) -> f64| {
        let later = changes.len() - 14;
        let kept = |after: usize| (13.0_f64 / 14.0).powi(after as i32);
        let first: f64 = changes[..14].iter().map(|&c| side(c)).sum::<f64>() / 14.0 * kept(later);
        let rest = changes[14..].iter().enumerate().map(|(at, &c)| side(c) / 14.0 * kept(later - 1 - at));
        first + rest.sum::<f64>()
    };
    let strength = average(|c| c.max(0.0)) / average(|c| (-c).max(0.0));
    is_nearly(&Window::of_closes(&closes), "rsi", 100.0 - 100.0 / (1.0 + strength));
}

#[test]
fn the_relative_strength_of_one_way_streets_is_at_its_ends() {
    let up: Vec<_> = (1..=15).map(f64::from).collect();
    let down: Vec<_> = up.iter().rev().copied().collect();
    assert_eq!(Window::of_closes(&up).measure("rsi"), Some(100.0));
    assert_eq!(Window::of_closes(&down).measure("rsi"), Some(0.0));
    assert_eq!(Window::of_closes(&[3.0; 15]).measure("rsi"), Some(50.0));
}

#[test]
fn the_bollinger_position_is_that_between_the_bands() {
    // Nineteen times ±1 around 100 and a last close of 101: mean and deviation of 20 such values.
    let closes: Vec<_> = (0..20).map(|at| if at % 2 == 0 { 99.0 } else { 101.0 }).collect();
    is_nearly(&Window::of_closes(&closes), "bollinger", 0.75);
    let wandering = wandering(30);
    let last = &wandering[10..];
    let mean = last.iter().sum::<f64>() / 20.0;
    let of_squares = last.iter().map(|c| c * c).sum::<f64>() / 20.0 - mean * mean;
    let lower = mean - 2.0 * of_squares.sqrt();
    let upper = mean + 2.0 * of_squares.sqrt();
    is_nearly(&Window::of_closes(&wandering), "bollinger", (last[19] - lower) / (upper - lower));
    assert_eq!(Window::of_closes(&[5.0; 20]).measure("bollinger"), Some(0.5));
}

/// A walk whose returns are ±`steps[block]` in blocks of ten minutes, the first of which begins
/// after one bar.
fn walk(steps: &[f64]) -> Window {
    let mut log = 0.0_f64;
    let mut closes = vec![1.0];
    for (at, step) in steps.iter().flat_map(|step| [step; 10]).enumerate() {
        log += if at % 2 == 0 { *step } else { -step };
        closes.push(log.exp());
    }
    Window::of_closes(&closes)
}

#[test]
fn the_score_of_volatility_is_that_of_the_last_ten_minutes_among_the_others() {
    let window = walk(&[0.01, 0.02, 0.03, 0.04, 0.05, 0.09]);
    // Mean 0.03, sample deviation √(0.001 / 4).
    is_nearly(&window, "volatility_zscore", 0.06 / (0.001_f64 / 4.0).sqrt());
    let calm = walk(&[0.01, 0.02, 0.03, 0.04, 0.05, 0.0]);
    is_nearly(&calm, "volatility_zscore", -0.03 / (0.001_f64 / 4.0).sqrt());
}

#[test]
fn without_a_level_to_differ_from_there_is_no_score() {
    assert_eq!(walk(&[0.01; 5]).measure("volatility_zscore"), None);
    assert_eq!(walk(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.01]).measure("volatility_zscore"), None);
    assert_eq!(walk(&[0.01; 6]).measure("volatility_zscore"), Some(0.0));
}

#[test]
fn a_block_with_few_bars_is_left_out_of_the_level() {
    let mut window = walk(&[0.01, 0.5, 0.02, 0.03, 0.04, 0.05, 0.09]);
    // Four bars of the second block remain; the return over the hole counts in the third.
    let held = window.0.clone();
    window.0.retain(|bar| !(15..=20).contains(&(bar.start / 60_000)));
    assert!(window.0.len() == held.len() - 6);
    is_nearly(&window, "volatility_zscore", 0.06 / (0.001_f64 / 4.0).sqrt());
}
