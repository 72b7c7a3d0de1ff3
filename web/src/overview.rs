//! The newest bar of every symbol, and the window of volatility that stands for it.

use std::collections::BTreeMap;

use model::{AssetClass, Source, symbol};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use store::{Query, Rows, SharedStore, StoreError, if_defined};

use crate::error::Failure;
use crate::measures;
use crate::windows::Windows;

/// One symbol with its newest bar and the newest window that has enough bars, else the newest of all; either may be missing still.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Latest {
    pub(crate) symbol: String,
    pub(crate) bar: Option<Map<String, Json>>,
    pub(crate) volatility: Option<Map<String, Json>>,
}

impl Latest {
    /// A measure of the window.
    pub(crate) fn measure(&self, name: &str) -> Option<f64> {
        self.volatility.as_ref()?.get(name)?.as_f64()
    }

    /// Whether the newest bar is no real market's.
    pub(crate) fn is_simulated(&self) -> bool {
        let source = self.bar.as_ref().and_then(|bar| bar.get("source")?.as_str());
        source == Some(Source::Simulation.as_str())
    }

    /// A column of the newest bar.
    pub(crate) fn price(&self, name: &str) -> Option<f64> {
        self.bar.as_ref()?.get(name)?.as_f64()
    }
}

/// Every symbol, in the order of their names.
pub(crate) async fn read(store: &SharedStore, windows: &Windows) -> Result<Vec<Latest>, StoreError> {
    let mut symbols: BTreeMap<String, Latest> = BTreeMap::new();
    for row in latest_bars(store).await? {
        entry(&mut symbols, row, |latest, row| latest.bar = Some(row));
    }
    let mut rows = latest(store, &measures::topic().measurement()).await?;
    windows.choose(store, &mut rows).await?;
    for row in rows {
        entry(&mut symbols, row, |latest, row| latest.volatility = Some(row));
    }
    Ok(symbols.into_values().collect())
}

/// The newest bar of every symbol of every class.
pub(crate) async fn latest_bars(store: &SharedStore) -> Result<Vec<Map<String, Json>>, StoreError> {
    let mut bars = Vec::new();
    for class in AssetClass::ALL {
        bars.extend(latest(store, &class.raw_table()).await?);
    }
    Ok(bars)
}

async fn latest(store: &SharedStore, measurement: &str) -> Result<Vec<Map<String, Json>>, StoreError> {
    if_defined(store.latest(measurement).await).map(objects)
}

/// Reads what a query asks for in pages of `page` rows, and hands on each, so that
/// no more than a page is held by it. Returns whether all was read: after `most`
/// rows it ends.
pub(crate) async fn each_page(
    store: &SharedStore,
    query: Query,
    page: usize,
    most: usize,
    mut take: impl FnMut(Rows) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let mut query = Query { limit: Some(page), ..query };
    let mut left = most;
    loop {
        let rows = if_defined(store.read(&query).await)?;
        let (count, last) = (rows.rows.len(), rows.last_key.clone());
        take(rows)?;
        if count < page || last.is_none() {
            return Ok(true);
        }
        left = left.saturating_sub(count);
        if left == 0 {
            return Ok(false);
        }
        query.after = last;
    }
}

/// Rows as JSON objects keyed by column.
pub(crate) fn objects(rows: Rows) -> Vec<Map<String, Json>> {
    let Rows { columns, rows, .. } = rows;
    rows.iter()
        .map(|row| {
            columns.iter().zip(row).map(|(column, value)| (column.name.clone(), value.to_json())).collect()
        })
        .collect()
}

fn entry(
    symbols: &mut BTreeMap<String, Latest>,
    row: Map<String, Json>,
    place: impl FnOnce(&mut Latest, Map<String, Json>),
) {
    let Some(name) = row.get("symbol").and_then(Json::as_str).filter(|name| !symbol::is_ours(name)) else {
        return;
    };
    let name = name.to_owned();
    let latest = symbols.entry(name.clone()).or_insert_with(|| Latest { symbol: name, ..Latest::default() });
    place(latest, row);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::schema::{Column, ColumnType, Value};
    use store::{Batch, EmbeddedStore, Measurement, Point, Store};

    use super::*;

    #[tokio::test]
    async fn pages_bring_each_row_once_and_end_after_the_most() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&folder.path().join("store.db")).unwrap();
        let columns = [("symbol", ColumnType::Text), ("at", ColumnType::Time)];
        let measurement = Measurement {
            name: "ticks".into(),
            columns: columns.map(|(name, kind)| Column::new(name, kind)).into(),
            tags: vec!["symbol".into()],
            time: "at".into(),
            version: None,
        };
        store.define(&measurement).await.unwrap();
        let point = |at| Point { nanos: 0, values: vec![Value::Text("A".into()), Value::Int(at)] };
        let points = vec![(Arc::new(measurement), (0..25).map(point).collect())];
        store.write(Batch { points, notes: Vec::new() }.into()).await.unwrap();
        let store: SharedStore = Arc::new(store);
        for (page, most, seen, all) in [(10, 100, 25, true), (5, 15, 15, false), (25, 100, 25, true)] {
            let (mut times, mut longest) = (Vec::new(), 0);
            let query = Query { measurement: "ticks".into(), newest_first: true, ..Query::default() };
            let read = each_page(&store, query, page, most, |rows| {
                longest = longest.max(rows.rows.len());
                times.extend(rows.rows.iter().filter_map(|row| row[1].as_i64()));
                Ok(())
            });
            assert_eq!(read.await.unwrap(), all);
            assert_eq!(times, (0..25).rev().take(seen).collect::<Vec<_>>());
            assert!(longest <= page);
        }
    }
}
