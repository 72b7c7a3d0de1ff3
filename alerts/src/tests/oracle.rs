//! Episodes against a plain account of what they are.

use control::rules::Rule;
use model::alert::Comparison;
use proptest::prelude::*;

use super::{START, row, rule};
use crate::held::Held;
use model::time::MINUTE;

/// Opening and closing windows, found by looking through the whole list again and again.
fn expected(rule: &Rule, values: &[Option<f64>]) -> Vec<(usize, Option<usize>)> {
    let (t, h) = (rule.threshold, rule.hysteresis);
    if rule.comparison == Comparison::Crosses {
        let clear: Vec<(usize, bool)> = (0..values.len())
            .filter_map(|at| values[at].filter(|x| *x > t + h || *x < t - h).map(|x| (at, x > t)))
            .collect();
        let passages = clear.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        return passages.map(|pair| (pair[1].0, Some(pair[1].0))).collect();
    }
    let turned = if rule.comparison == Comparison::Above { 1.0 } else { -1.0 };
    let opens = |x: f64| x * turned > t * turned;
    let closes = |x: f64| x <= t - h && turned > 0.0 || x >= t + h && turned < 0.0;
    let mut episodes = Vec::new();
    let mut from = 0;
    while let Some(opened) = (from..values.len()).find(|&at| values[at].is_some_and(opens)) {
        let closed = (opened..values.len()).find(|&at| values[at].is_some_and(closes));
        episodes.push((opened, closed));
        match closed {
            Some(closed) => from = closed,
            None => break,
        }
    }
    episodes
}

/// The same from the service's own part.
fn found(rule: &Rule, values: &[Option<f64>]) -> Vec<(usize, Option<usize>)> {
    let mut held = Held::new();
    let mut episodes: Vec<(usize, Option<usize>)> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let signal: Vec<_> = value.iter().map(|value| ("x", *value)).collect();
        let row = row("A", START + at as i64 * MINUTE, &signal);
        for alert in held.take(std::slice::from_ref(rule), &row) {
            let opened = at - ((row.window_end - alert.opened) / MINUTE) as usize;
            match alert.closed {
                Some(closed) if closed > alert.opened => {
                    let open = episodes.last_mut().unwrap();
                    assert_eq!((*open, closed), ((opened, None), row.window_end));
                    open.1 = Some(at);
                }
                Some(_) => episodes.push((at, Some(at))),
                None => episodes.push((opened, None)),
            }
            // A state that was written down and read again is the same state.
            held = serde_json::from_str(&serde_json::to_string(&held).unwrap()).unwrap();
        }
    }
    episodes
}

proptest! {
    #[test]
    fn episodes_are_what_a_plain_account_says(
        // Few values, so that thresholds are met exactly.
        values in prop::collection::vec(prop::option::weighted(0.9, (-6..=6_i32).prop_map(|n| f64::from(n) / 2.0)), 0..60),
        comparison in prop::sample::select(Comparison::ALL.to_vec()),
        threshold in (-3..=3_i32).prop_map(|n| f64::from(n) / 2.0),
        hysteresis in (0..=4_i32).prop_map(|n| f64::from(n) / 2.0),
    ) {
        let rule = Rule { comparison, threshold, hysteresis, ..rule("r", "above 0") };
        prop_assert_eq!(found(&rule, &values), expected(&rule, &values));
    }
}

#[test]
fn the_account_itself_finds_what_can_be_seen_at_a_glance() {
    let values = [1.0, 3.0, 2.5, 2.0, 3.0, 1.0, 2.6].map(Some);
    let above = Rule { hysteresis: 1.0, ..rule("r", "above 2.5") };
    assert_eq!(expected(&above, &values), [(1, Some(5)), (6, None)]);
    let below = Rule { hysteresis: 1.0, ..rule("r", "below 1.5") };
    assert_eq!(expected(&below, &values), [(0, Some(1)), (5, Some(6))]);
    assert_eq!(expected(&rule("r", "crosses 2"), &values), [(1, Some(1)), (5, Some(5)), (6, Some(6))]);
}
