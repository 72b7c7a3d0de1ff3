//! Tests that every way to compute a rolling job has the results of the general plan: bit for
//! bit for short windows, and up to rounding for windows of hours.

use model::schema::Value;
use model::time::{MINUTE, Millis};
use model::{Bar, Candle, Candles, Source};
use proptest::prelude::*;

use super::{Rolling, in_any_order, in_order};
use crate::batch::compute_planned;
use crate::job::Job;
use crate::plan::{Plan, Visibility};

/// A generated bar: symbol, minute, milliseconds into the minute, received time, prices,
/// volume.
type Drawn = (u8, i64, i64, i64, [f64; 4], u32);

fn drawn() -> impl Strategy<Value = Drawn> {
    let into = prop_oneof![8 => Just(0), 1 => 0..MINUTE];
    let price = prop_oneof![6 => 90.0..110.0, 1 => Just(100.0), 1 => 1e-300..1e300];
    (0..3_u8, 0..130_i64, into, 0..4_i64, [price.clone(), price.clone(), price.clone(), price], 0..5_u32)
}

fn bar((symbol, minute, into, received, mut prices, volume): Drawn) -> Bar {
    let [open, close] = [prices[1], prices[2]];
    prices.sort_by(f64::total_cmp);
    // A long gap between the first hour and the rest.
    let start = (minute + minute / 60 * 1_000) * MINUTE + into;
    Bar {
        symbol: char::from(b'A' + symbol).to_string(),
        open,
        high: prices[3],
        low: prices[0],
        close,
        volume: f64::from(volume) * 12.5,
        start_timestamp: start,
        end_timestamp: start + MINUTE,
        received_timestamp: start + received,
        source: Source::Replay,
        ..model::heartbeat::bar(0, 0)
    }
}

fn job() -> (Job, Rolling) {
    with_rolling(Job::named("volatility").unwrap())
}

/// The same job with windows of a whole session.
fn long_job() -> (Job, Rolling) {
    with_rolling(Job::named("volatility").unwrap().with_window(390 * MINUTE).unwrap())
}

fn with_rolling(job: Job) -> (Job, Rolling) {
    let rolling = Rolling::of(&job).unwrap();
    (job, rolling)
}

/// Roughly in time order, so that some bars are late and most are not.
fn in_disorder(drawn: Vec<(Drawn, i64)>) -> Vec<(i64, Bar)> {
    let mut order: Vec<(i64, Bar)> =
        drawn.into_iter().map(|(drawn, jitter)| (drawn.1 + jitter, bar(drawn))).collect();
    order.sort_by_key(|(at, _)| *at);
    order
}

/// The rows with the bits of every double: -0 differs from 0, and all NULLs are equal.
fn bits(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
    let bits = |value: &Value| match value {
        Value::Float(value) => format!("{:x}", value.to_bits()),
        other => format!("{other:?}"),
    };
    rows.iter().map(|row| row.iter().map(bits).collect()).collect()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn generally(bars: &[Bar]) -> Vec<Vec<Value>> {
    planned_generally(&job().0, bars)
}

fn planned_generally(job: &Job, bars: &[Bar]) -> Vec<Vec<Value>> {
    run(async {
        let plan = Plan::general(job).await.unwrap();
        compute_planned(plan, job, bars.to_vec(), Vec::new(), Visibility::Complete).await.unwrap()
    })
}

fn candles(bars: &[Bar]) -> Candles {
    let mut candles = Candles::default();
    for bar in bars {
        let place = candles.place_of(&bar.symbol);
        candles.push(place, Candle::from(bar));
    }
    candles
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn history_in_any_order_with_repeats_and_corrections_is_as_planned_generally(
        drawn in prop::collection::vec(drawn(), 0..400), cut in 1..60_usize,
    ) {
        let bars: Vec<Bar> = drawn.into_iter().map(bar).collect();
        let pieces = bars.chunks(cut).map(|piece| vec![candles(piece)]);
        let rows = in_any_order(&job().1, pieces, |_| Vec::new(), |rows, found| rows.extend(found.rows()));
        let rows: Vec<_> = rows.into_values().flatten().collect();
        prop_assert_eq!(bits(&rows), bits(&generally(&bars)));
    }

    #[test]
    fn history_in_order_is_as_planned_generally_however_it_is_cut_and_symbols_are_mixed(
        drawn in prop::collection::vec(drawn(), 0..400), cut in 1..60_usize, by_symbol: bool,
    ) {
        let mut bars: Vec<Bar> = drawn.into_iter().map(bar).collect();
        bars.sort_by_key(|bar| (bar.symbol.clone(), bar.start_timestamp));
        bars.dedup_by_key(|bar| (bar.symbol.clone(), bar.start_timestamp));
        if !by_symbol {
            bars.sort_by_key(|bar| bar.start_timestamp);
        }
        let pieces = bars.chunks(cut).map(|piece| piece.chunks(7).map(candles).collect());
        let rows = in_order(&job().1, pieces, |_| Vec::new(), |rows, found| rows.extend(found.rows()));
        let rows: Vec<_> = rows.unwrap().into_values().flatten().collect();
        prop_assert_eq!(bits(&rows), bits(&generally(&bars)));
    }

    #[test]
    fn the_log_s_way_gives_what_the_general_one_gives_late_rows_and_all(
        drawn in prop::collection::vec((drawn(), -20..20_i64), 0..300), behind in 0..40_i64,
    ) {
        let order = in_disorder(drawn);
        let (job, _) = job();
        let (fast, general) = streamed_both_ways(&job, &order, behind);
        prop_assert_eq!(fast.len(), general.len());
        for (fast, general) in fast.iter().zip(&general) {
            prop_assert_eq!(bits(fast), bits(general));
        }
    }
}

/// Whether two rows are equal up to rounding.
fn nearly(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| match (one, other) {
            (Value::Float(one), Value::Float(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
            (one, other) => one == other,
        })
}

fn all_nearly(some: &[Vec<Value>], others: &[Vec<Value>]) -> Result<(), TestCaseError> {
    prop_assert_eq!(some.len(), others.len());
    for (one, other) in some.iter().zip(others) {
        prop_assert!(nearly(one, other), "{:?} {:?}", one, other);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn windows_of_hours_are_as_planned_generally_and_whenever_computed_the_same(
        drawn in prop::collection::vec((drawn(), -20..20_i64), 0..500), behind in 1_040..1_100_i64,
    ) {
        let order = in_disorder(drawn);
        let bars: Vec<Bar> = order.iter().map(|(_, bar)| bar.clone()).collect();
        let (job, rolling) = long_job();
        let pieces = [vec![candles(&bars)]].into_iter();
        let rows = in_any_order(&rolling, pieces, |_| Vec::new(), |rows, found| rows.extend(found.rows()));
        let rows: Vec<_> = rows.into_values().flatten().collect();
        all_nearly(&rows, &planned_generally(&job, &bars))?;
        // The watermark stays behind the gap, so that no bar is late and many are summed up
        // before one arrives.
        let streamed = run(async {
            let plan = Plan::of(&job, Visibility::Complete).await.unwrap();
            streamed(plan, &order, behind).await
        });
        let mut streamed: Vec<_> = streamed.into_iter().flatten().collect();
        let skipped = |row: &Vec<Value>| matches!(row[2], Value::Int(end) if end <= 10 * MINUTE);
        let mut rows: Vec<_> = rows.into_iter().filter(|row| !skipped(row)).collect();
        let place = |row: &Vec<Value>| format!("{:?}", &row[..3]);
        streamed.sort_by_key(place);
        rows.sort_by_key(place);
        prop_assert_eq!(bits(&streamed), bits(&rows));
    }

    #[test]
    fn windows_of_hours_take_late_rows_as_the_general_way_does(
        drawn in prop::collection::vec((drawn(), -20..20_i64), 0..400), behind in 0..40_i64,
    ) {
        let order = in_disorder(drawn);
        let (job, _) = long_job();
        let (fast, general) = streamed_both_ways(&job, &order, behind);
        all_nearly(&fast.concat(), &general.concat())?;
    }
}

/// The rows that are emitted at each step of the watermark.
type Steps = Vec<Vec<Vec<Value>>>;

/// The rows that the plan of the job emits, and those of the general plan.
fn streamed_both_ways(job: &Job, order: &[(i64, Bar)], behind: i64) -> (Steps, Steps) {
    run(async {
        let fast = Plan::of(job, Visibility::Complete).await.unwrap();
        let general = Plan::general(job).await.unwrap();
        (streamed(fast, order, behind).await, streamed(general, order, behind).await)
    })
}

/// The rows at each step of the watermark, which follows the bars.
async fn streamed(mut plan: Plan, order: &[(i64, Bar)], behind: i64) -> Steps {
    let mut out = Vec::new();
    plan.skip_until(10 * MINUTE);
    let mut watermark: Millis = 0;
    for chunk in order.chunks(9) {
        let bars: Vec<Bar> = chunk.iter().map(|(_, bar)| bar.clone()).collect();
        let rows = plan.sources[0].of_bars(&bars).unwrap();
        plan.push(0, &rows, &[]).unwrap();
        watermark = bars.iter().map(|bar| bar.start_timestamp - behind * MINUTE).fold(watermark, Millis::max);
        out.push(plan.close(watermark).await.unwrap());
    }
    out.push(plan.close(1_000_000 * MINUTE).await.unwrap());
    out
}

#[test]
fn a_bar_that_comes_twice_or_after_a_later_one_is_no_order() {
    let at = |minute: i64| bar((0, minute, 0, 0, [100.0; 4], 1));
    for minutes in [vec![1, 2, 2], vec![1, 3, 2], vec![5, 6, 1]] {
        let bars: Vec<Bar> = minutes.into_iter().map(at).collect();
        let pieces = bars.chunks(2).map(|piece| vec![candles(piece)]);
        assert!(in_order(&job().1, pieces, |_| (), |(), _| ()).is_err());
    }
}
