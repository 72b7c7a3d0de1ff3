//! What is known to be missing of the prices.

use store::{Query, Rows, SharedStore, StoreError};
use wire::Gap;
use wire::schema::Value;
use wire::time::Millis;
use wire::topic::GAPS;
use wire::watchlist::EVERY_SYMBOL;

use crate::overview::known;

/// The most gaps of one answer: the newest.
const MOST: usize = 1_000;

/// The gaps that nothing has filled and that touch the span, by their begin:
/// of one symbol and of the whole feed, or of every symbol.
pub(crate) async fn read(
    store: &SharedStore,
    symbol: Option<&str>,
    from: Option<Millis>,
    to: Option<Millis>,
) -> Result<Vec<Gap>, StoreError> {
    let of = |symbol: Option<&str>| Query {
        measurement: GAPS.measurement(),
        tags: symbol.map(|symbol| ("symbol".into(), symbol.to_owned())).into_iter().collect(),
        to,
        newest_first: true,
        limit: Some(MOST),
        ..Query::default()
    };
    let mut gaps = gaps(&known(store.read(&of(symbol)).await)?);
    if symbol.is_some_and(|symbol| symbol != EVERY_SYMBOL) {
        gaps.extend(self::gaps(&known(store.read(&of(Some(EVERY_SYMBOL))).await)?));
    }
    gaps.retain(|gap| !gap.is_filled() && from.is_none_or(|from| gap.to > from));
    gaps.sort_by(|one, other| (one.from, &one.symbol).cmp(&(other.from, &other.symbol)));
    Ok(gaps)
}

fn gaps(rows: &Rows) -> Vec<Gap> {
    let at = |name: &str| rows.columns.iter().position(|column| column.name == name);
    let columns = (at("symbol"), at("from"), at("to"), at("reason"));
    let (Some(symbol), Some(from), Some(to), Some(reason)) = columns else { return Vec::new() };
    let text = |value: &Value| value.to_json().as_str().unwrap_or_default().to_owned();
    let gap = |row: &Vec<Value>| {
        let (symbol, reason) = (text(&row[symbol]), text(&row[reason]));
        Some(Gap { symbol, from: row[from].as_i64()?, to: row[to].as_i64()?, reason })
    };
    rows.rows.iter().filter_map(gap).collect()
}
