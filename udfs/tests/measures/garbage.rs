//! A panic would end Arroyo's task: whatever comes in, a measure returns a finite number or NULL.

use proptest::prelude::*;

use crate::window::{Columns, Window};
use crate::{ENOUGH, NO_VOLATILITY};

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
        // These look at the ends of the window alone, or do not mind a price of nothing.
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
