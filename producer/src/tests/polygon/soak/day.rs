//! A recorded day, minute by minute.

use std::collections::BTreeMap;
use std::path::Path;

use test_servers::massive::MinuteBar;
use wire::time::{DAY, Millis};

/// The bars of each minute.
pub(super) type Minutes = BTreeMap<Millis, Vec<MinuteBar>>;

/// The day of the recorded file with the most bars.
pub(super) fn recorded_day() -> Option<Minutes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/us-equity-minute-bars.csv");
    if !path.exists() {
        println!("SKIPPED: {} is not there", path.display());
        return None;
    }
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
    days.into_values().max_by_key(|minutes| minutes.values().map(Vec::len).sum::<usize>())
}
