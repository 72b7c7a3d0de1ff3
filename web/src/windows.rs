//! Which window of a symbol stands for it: the newest that has enough bars, so
//! that the thin windows at the end of a day do not hide what was measured.

use std::collections::{HashMap, HashSet};

use model::time::Millis;
use serde_json::{Map, Value as Json};
use store::{Query, SharedStore, StoreError, if_defined};
use tokio::sync::Mutex;

use crate::measures;
use crate::overview::objects;

/// A window with at least as many bars is shown before newer ones with fewer.
pub(crate) const ENOUGH_BARS: i64 = 15;

/// How many windows of one symbol are looked through: about a day of minutes.
const LOOK_BACK: usize = 960;
/// How many windows of all symbols one request looks through; where they are
/// not enough, the next request goes on and newest windows are shown till then.
const LOOK_BACK_AT_ONCE: usize = 120_000;

/// Whether a result row has enough bars to stand for its symbol.
pub(crate) fn has_enough(row: &Map<String, Json>) -> bool {
    row.get("bars").and_then(Json::as_i64).is_none_or(|bars| bars >= ENOUGH_BARS)
}

/// What has been looked through already.
#[derive(Default)]
pub(crate) struct Windows(Mutex<HashMap<String, Seen>>);

/// Of one symbol.
#[derive(Clone, Copy)]
struct Seen {
    /// The end of the newest window looked at.
    until: Millis,
    /// The end of the newest one with enough bars.
    enough: Option<Millis>,
}

impl Windows {
    /// Puts the windows that stand for their symbols in the place of newest ones that are too thin.
    pub(crate) async fn choose(
        &self,
        store: &SharedStore,
        newest: &mut [Map<String, Json>],
    ) -> Result<(), StoreError> {
        let mut seen = self.0.lock().await;
        // What has gone from the store is not remembered either.
        let there: HashSet<&str> =
            newest.iter().filter_map(|row| row.get("symbol").and_then(Json::as_str)).collect();
        seen.retain(|symbol, _| there.contains(symbol.as_str()));
        let mut left = LOOK_BACK_AT_ONCE;
        for row in newest.iter_mut().filter(|row| !has_enough(row)) {
            let Some(symbol) = row.get("symbol").and_then(Json::as_str).map(str::to_owned) else { continue };
            let Some(end) = row.get("window_end").and_then(Json::as_i64) else { continue };
            // An end before the one seen is of another folder's past: everything is looked at again.
            let before = seen.get(&symbol).copied().filter(|seen| seen.until <= end);
            let since = before.map(|before| before.until.saturating_add(1));
            let mut found = None;
            if since.is_none_or(|since| since <= end) {
                if left == 0 {
                    continue;
                }
                let rows = read(store, &symbol, since, None).await?;
                left = left.saturating_sub(rows.len().max(1));
                found = rows.into_iter().find(has_enough);
            }
            let again = before.and_then(|before| before.enough).filter(|_| found.is_none());
            if let Some(at) = again {
                found = read(store, &symbol, Some(at), Some(at.saturating_add(1))).await?.pop();
            }
            let enough = found.as_ref().and_then(|row| row.get("window_end")?.as_i64());
            seen.insert(symbol, Seen { until: end, enough });
            if let Some(found) = found {
                *row = found;
            }
        }
        Ok(())
    }
}

async fn read(
    store: &SharedStore,
    symbol: &str,
    from: Option<Millis>,
    to: Option<Millis>,
) -> Result<Vec<Map<String, Json>>, StoreError> {
    let query = Query {
        measurement: measures::topic().measurement(),
        tags: vec![("symbol".into(), symbol.to_owned())],
        from,
        to,
        newest_first: true,
        limit: Some(LOOK_BACK),
        after: None,
    };
    if_defined(store.read(&query).await).map(objects)
}
