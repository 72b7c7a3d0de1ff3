//! What is known to be missing of the prices.

use control::watchlist::EVERY_SYMBOL;
use model::Gap;
use model::schema::Value;
use model::time::Millis;
use model::topic::GAPS;
use store::{Query, Rows, SharedStore};

use crate::error::Failure;
use crate::overview::each_page;

/// The most gaps of one answer: the newest.
const MOST: usize = 1_000;
/// The most gaps that are looked through for one answer, filled ones too.
const MOST_READ: usize = 100_000;

/// The gaps that nothing has filled and that touch the span, by their begin:
/// of one symbol and of the whole feed, or of every symbol.
pub(crate) async fn read(
    store: &SharedStore,
    symbol: Option<&str>,
    from: Option<Millis>,
    to: Option<Millis>,
) -> Result<Vec<Gap>, Failure> {
    let every = symbol.filter(|symbol| *symbol != EVERY_SYMBOL).map(|_| EVERY_SYMBOL);
    let mut found = Vec::new();
    for symbol in [symbol].into_iter().chain(every.map(Some)) {
        let query = Query {
            measurement: GAPS.measurement(),
            tags: symbol.map(|symbol| ("symbol".into(), symbol.to_owned())).into_iter().collect(),
            to,
            newest_first: true,
            ..Query::default()
        };
        // Rows come by symbol: the newest of all are kept while everything is read through.
        each_page(store, query, MOST, MOST_READ, |page| {
            let open = gaps(&page).into_iter();
            found.extend(open.filter(|gap| !gap.is_filled() && from.is_none_or(|from| gap.to > from)));
            found.sort_by(|one: &Gap, other| (one.from, &one.symbol).cmp(&(other.from, &other.symbol)));
            found.drain(..found.len().saturating_sub(MOST));
            Ok(())
        })
        .await?;
    }
    Ok(found)
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
