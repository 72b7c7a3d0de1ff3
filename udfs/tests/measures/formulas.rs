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
