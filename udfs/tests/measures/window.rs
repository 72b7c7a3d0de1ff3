//! Windows of bars to call the measures with, and properties that hold for every measure.

use proptest::prelude::*;
use udfs::{Column, Udf, Value};

use crate::{ENOUGH, NO_VOLATILITY};

/// One row of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub start: i64,
    pub received: i64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
}

/// Rows in order of arrival.
#[derive(Clone, Debug)]
pub struct Window(pub Vec<Bar>);

impl Window {
    /// One bar a minute with the given open, high, low and close; its volume is its number
    /// times 100.
    pub fn of(prices: &[[f64; 4]]) -> Self {
        let bar = |(start, &[open, high, low, close]): (i64, &[f64; 4])| Bar {
            start: start * 60_000,
            received: (start + 1) * 60_000,
            open,
            high,
            low,
            close,
            volume: (start + 1) as f64 * 100.0,
        };
        Self((0..).zip(prices).map(bar).collect())
    }

    /// The same with closes only: open, high and low equal the close.
    pub fn of_closes(closes: &[f64]) -> Self {
        Self::of(&closes.iter().map(|&close| [close; 4]).collect::<Vec<_>>())
    }

    /// The result of a measure; `None` for NULL.
    pub fn measure(&self, name: &str) -> Option<f64> {
        let columns = Columns::of(&self.0);
        columns.call(udf(name))
    }
}

/// The function with this name.
pub fn udf(name: &str) -> &'static Udf {
    udfs::all().iter().find(|udf| udf.name == name).expect("a file of that name")
}

/// The columns that a measure may use, by the names of its arguments.
#[derive(Debug)]
pub struct Columns {
    pub times: [Vec<i64>; 2],
    pub numbers: [Vec<f64>; 5],
}

impl Columns {
    pub fn of(bars: &[Bar]) -> Self {
        let times = |of: fn(&Bar) -> i64| bars.iter().map(of).collect();
        let numbers = |of: fn(&Bar) -> f64| bars.iter().map(of).collect();
        Self {
            times: [times(|b| b.start), times(|b| b.received)],
            numbers: [
                numbers(|b| b.open),
                numbers(|b| b.high),
                numbers(|b| b.low),
                numbers(|b| b.close),
                numbers(|b| b.volume),
            ],
        }
    }

    pub fn call(&self, udf: &Udf) -> Option<f64> {
        let columns: Vec<Column<'_>> = udf
            .arguments
            .iter()
            .map(|argument| match argument.name {
                "start_timestamp" => Column::I64(&self.times[0]),
                "received_timestamp" => Column::I64(&self.times[1]),
                "open" => Column::F64(&self.numbers[0]),
                "high" => Column::F64(&self.numbers[1]),
                "low" => Column::F64(&self.numbers[2]),
                "close" => Column::F64(&self.numbers[3]),
                "volume" => Column::F64(&self.numbers[4]),
                other => panic!("{} takes {other}, which no bar has", udf.name),
            })
            .collect();
        match (udf.call)(&columns) {
            Value::Null => None,
            Value::F64(value) => Some(value),
            other => panic!("{} returned {other:?}", udf.name),
        }
    }
}

// Rows may arrive in any order, repeated and corrected; a measure depends on the final bars
// only.

fn prices() -> impl Strategy<Value = [f64; 4]> {
    [50.0..150.0, 50.0..150.0, 50.0..150.0, 50.0..150.0].prop_map(|mut four: [f64; 4]| {
        four.sort_by(f64::total_cmp);
        let [low, open, close, high] = four;
        [open, high, low, close]
    })
}

/// Bars in time order, and the same with outdated versions and repetitions, shuffled.
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
        let from = source.find("    // For each start the latest version").unwrap();
        let to = from + source[from..].find("\n    }\n").unwrap();
        &source[from..to]
    };
    let [first, others @ ..] = udfs::all() else { panic!("no measures") };
    for other in others {
        assert_eq!(settling(other.source), settling(first.source), "{} and {}", other.name, first.name);
    }
}

// A panic would end Arroyo's task, so every measure returns a finite number or NULL for any
// input.

fn column<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of, 0..6)
}

fn rows<T: std::fmt::Debug>(count: usize, of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of, count)
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![prop::num::f64::ANY, Just(0.0), Just(1.0), Just(f64::NAN), 0.0..200.0]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), 0..4_i64]
}

fn returns_finite_or_null(columns: &Columns) -> Result<(), TestCaseError> {
    for udf in udfs::all() {
        let value = columns.call(udf);
        prop_assert!(value.is_none_or(f64::is_finite), "{} is {value:?}", udf.name);
    }
    Ok(())
}

proptest! {
    #[test]
    fn numbers_of_any_kind_do_no_harm(columns in (0..12_usize).prop_flat_map(|n| {
        let numbers = || rows(n, number());
        ([rows(n, time()), rows(n, time())], [numbers(), numbers(), numbers(), numbers(), numbers()])
    })) {
        returns_finite_or_null(&Columns { times: columns.0, numbers: columns.1 })?;
    }

    #[test]
    fn columns_of_unequal_length_do_no_harm(
        times in [column(time()), column(time())],
        numbers in [column(number()), column(number()), column(number()), column(number()), column(number())],
    ) {
        returns_finite_or_null(&Columns { times, numbers })?;
    }
}

#[test]
fn columns_of_unequal_length_are_null() {
    for udf in udfs::all() {
        let closes: Vec<_> = [1.0, 2.0, 3.0, 4.0].into_iter().cycle().take(ENOUGH).collect();
        let mut columns = Columns::of(&Window::of_closes(&closes).0);
        assert!(columns.call(udf).is_some(), "{}", udf.name);
        for numbers in &mut columns.numbers {
            numbers.pop();
        }
        assert_eq!(columns.call(udf), None, "{}", udf.name);
    }
}

#[test]
fn a_price_that_is_no_price_is_null_and_not_zero() {
    for bad in [f64::NAN, f64::INFINITY, 0.0] {
        let mut closes: Vec<_> = [1.0, 2.0, 3.0].into_iter().cycle().take(ENOUGH).collect();
        closes[ENOUGH - 3] = bad;
        let window = Window::of_closes(&closes);
        // These use only the ends of the window, or accept a price of zero.
        let blind = |name| NO_VOLATILITY.contains(&name) || name == "average_cross";
        for udf in udfs::all().iter().filter(|udf| !blind(udf.name)) {
            assert_eq!(window.measure(udf.name), None, "{} with {bad}", udf.name);
        }
    }
}

#[test]
fn clock_records_alone_have_no_volatility() {
    let mut window = Window::of_closes(&[1.0; ENOUGH]);
    for bar in &mut window.0 {
        bar.volume = 0.0;
    }
    for udf in udfs::all().iter().filter(|udf| !NO_VOLATILITY.contains(&udf.name)) {
        assert_eq!(window.measure(udf.name), Some(0.0), "{}", udf.name);
    }
}
