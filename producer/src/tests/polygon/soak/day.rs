//! A recorded day, minute by minute.

use std::collections::BTreeMap;

use model::time::{DAY, Millis};
use testkit::massive::MinuteBar;

/// The bars of each minute.
pub(super) type Minutes = BTreeMap<Millis, Vec<MinuteBar>>;

/// The day of the recorded file with the most bars.
pub(super) fn recorded_day() -> Minutes {
    let path = testkit::real_bars();
    let mut days: BTreeMap<Millis, Minutes> = BTreeMap::new();
    for row in files::bars(&path).unwrap() {
        let bar = row.unwrap().value;
        let minutes = days.entry(bar.start_timestamp / DAY).or_default();
        minutes.entry(bar.start_timestamp).or_default().push(MinuteBar {
            symbol: bar.symbol,
            start: bar.start_timestamp,
            prices: [bar.open, bar.high, bar.low, bar.close],
            volume: bar.volume,
        });
    }
    days.into_values()
        .max_by_key(|minutes| minutes.values().map(Vec::len).sum::<usize>())
        .expect("the file holds bars")
}
