//! Rows arrive in any order, again and corrected; the measures are of the bars as they finally are.

use proptest::prelude::*;

use crate::ENOUGH;
use crate::window::{Bar, Window};

fn prices() -> impl Strategy<Value = [f64; 4]> {
    [50.0..150.0, 50.0..150.0, 50.0..150.0, 50.0..150.0].prop_map(|mut four: [f64; 4]| {
        four.sort_by(f64::total_cmp);
        let [low, open, close, high] = four;
        [open, high, low, close]
    })
}

/// Bars in time order, and the same with outdated versions and repeats, shuffled.
fn arrivals() -> impl Strategy<Value = (Window, Window)> {
    let bars = prop::collection::vec(prices(), 0..ENOUGH + 10);
    let outdated = prop::collection::vec((any::<prop::sample::Index>(), prices(), 1..600_000_i64), 0..40);
    let repeated = prop::collection::vec(any::<prop::sample::Index>(), 0..10);
    (bars, outdated, repeated).prop_flat_map(|(prices, outdated, repeated)| {
        let bars = Window::of(&prices).0;
        let mut rows = bars.clone();
        if !bars.is_empty() {
            rows.extend(outdated.into_iter().map(|(which, [open, high, low, close], before)| {
                let Bar { start, received, .. } = *which.get(&bars);
                Bar { start, received: received - before, open, high, low, close, volume: 7.0 }
            }));
            rows.extend(repeated.into_iter().map(|which| *which.get(&bars)));
        }
        (Just(Window(bars)), Just(rows).prop_shuffle().prop_map(Window))
    })
}

proptest! {
    #[test]
    fn order_repeats_and_outdated_versions_change_no_bit((bars, rows) in arrivals()) {
        for udf in udfs::all() {
            let [plain, settled] = [&bars, &rows].map(|window| window.measure(udf.name).map(f64::to_bits));
            prop_assert_eq!(plain, settled, "{}", udf.name);
        }
    }
}

#[test]
fn of_versions_received_at_once_the_last_to_arrive_counts() {
    let bars = [[4.0, 8.0, 2.0, 4.0], [8.0, 16.0, 8.0, 16.0], [8.0, 16.0, 4.0, 8.0]];
    let final_bars = Window::of(&bars.into_iter().cycle().take(ENOUGH).collect::<Vec<_>>());
    let mut rows = final_bars.clone();
    let last = ENOUGH - 1;
    let first_of_last = Bar { close: 4096.0, high: 5000.0, low: 5.0, open: 8.0, volume: 1.0, ..rows.0[last] };
    rows.0.insert(last, first_of_last);
    for udf in udfs::all() {
        assert_eq!(rows.measure(udf.name), final_bars.measure(udf.name), "{}", udf.name);
    }
    rows.0.swap(last, last + 1);
    for udf in udfs::all() {
        assert_ne!(rows.measure(udf.name), final_bars.measure(udf.name), "{}", udf.name);
    }
}

#[test]
fn a_repeated_bar_does_not_make_up_for_a_missing_one() {
    let mut rows = Window::of(&[[4.0, 8.0, 2.0, 4.0]]);
    rows.0.extend_from_within(..);
    rows.0.extend_from_within(..);
    for name in ["realized", "bipower", "jump_share", "gkyz", "yang_zhang", "rsi"] {
        assert_eq!(rows.measure(name), None, "{name}");
    }
    assert_eq!(rows.measure("volume"), Some(100.0));
}

#[test]
fn every_file_settles_versions_by_the_same_text() {
    let settling = |source: &'static str| {
        let from = source.find("    // Of each start the latest version").unwrap();
        let to = from + source[from..].find("\n    }\n").unwrap();
        &source[from..to]
    };
    let [first, others @ ..] = udfs::all() else { panic!("no measures") };
    for other in others {
        assert_eq!(settling(other.source), settling(first.source), "{} and {}", other.name, first.name);
    }
}
