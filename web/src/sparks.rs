//! The last closes of every symbol, for the small curves of the table.

use std::collections::BTreeMap;

use model::time::Millis;
use model::{AssetClass, symbol};
use serde::Serialize;
use store::{Query, SharedStore, StoreError, if_defined};

use crate::overview::{latest_bars, objects};

/// Closes of one symbol.
const CLOSES: usize = 60;
/// Symbols at once: a longer table has curves for the first ones only.
const MOST_SYMBOLS: usize = 200;

/// The closes of a symbol, and the start of the newest bar among them.
#[derive(Serialize)]
pub(crate) struct Spark {
    until: Millis,
    closes: Vec<f64>,
}

/// By symbol, in the order of time.
pub(crate) async fn read(store: &SharedStore) -> Result<BTreeMap<String, Spark>, StoreError> {
    let newest = latest_bars(store).await?;
    let symbols = newest.iter().filter_map(|row| row.get("symbol")?.as_str());
    let mut sparks = BTreeMap::new();
    for symbol in symbols.filter(|name| !symbol::is_ours(name)).take(MOST_SYMBOLS) {
        let query = Query {
            measurement: AssetClass::of(symbol).raw_table(),
            tags: vec![("symbol".into(), symbol.to_owned())],
            newest_first: true,
            limit: Some(CLOSES),
            ..Query::default()
        };
        let bars = objects(if_defined(store.read(&query).await)?);
        let until = bars.first().and_then(|bar| bar.get("start_timestamp")?.as_i64());
        let closes = bars.iter().rev().filter_map(|bar| bar.get("close")?.as_f64()).collect();
        if let Some(until) = until {
            sparks.insert(symbol.to_owned(), Spark { until, closes });
        }
    }
    Ok(sparks)
}
