//! The rows of a windowed job as what is compared.

use std::collections::BTreeMap;

use model::schema::{Column, Value};

use crate::impact::Window;

/// The job whose rows say how many articles each window holds, and its measurement.
pub const JOB: &str = "news_impact";

/// The rows of [`JOB`], by symbol; rows without its columns are none.
pub fn windows(columns: &[Column], rows: &[Vec<Value>]) -> BTreeMap<String, Vec<Window>> {
    let place = |name: &str| columns.iter().position(|column| column.name == name);
    let places = ["symbol", "window_start", "window_end", "articles", "jump_share", "realized"].map(place);
    let [Some(symbol), Some(start), Some(end), Some(articles), Some(jump_share), Some(realized)] = places
    else {
        return BTreeMap::new();
    };
    let mut windows: BTreeMap<String, Vec<Window>> = BTreeMap::new();
    for row in rows {
        let named = row[symbol].as_str().zip(row[start].as_i64()).zip(row[end].as_i64());
        let Some(((symbol, start), end)) = named else { continue };
        let window = Window {
            start,
            end,
            articles: row[articles].as_i64().map_or(0, i64::unsigned_abs),
            jump_share: row[jump_share].as_f64(),
            realized: row[realized].as_f64(),
        };
        windows.entry(symbol.to_owned()).or_default().push(window);
    }
    windows
}
