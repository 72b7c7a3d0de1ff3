//! Whether anything is known of a symbol that is asked for.

use control::watchlist;
use model::AssetClass;
use model::topic::NEWS_ARTICLES;
use store::{Query, StoreError, if_defined};

use crate::AppState;
use crate::error::Failure;
use crate::measures;

/// Whether the store has anything of a symbol, or the watchlist names it. Before
/// the first bar of all nothing is known, and everything may still come.
pub(crate) async fn may_be_asked(site: &AppState, symbol: &str) -> Result<bool, Failure> {
    for measurement in measurements(symbol) {
        if is_stored(site, measurement, Some(symbol)).await? {
            return Ok(true);
        }
    }
    let listed = watchlist::read(&*site.log).await?;
    if listed.symbols().contains(&symbol) {
        return Ok(true);
    }
    for class in AssetClass::ALL {
        if is_stored(site, class.raw_table(), None).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn measurements(symbol: &str) -> [String; 3] {
    [AssetClass::of(symbol).raw_table(), measures::topic().measurement(), NEWS_ARTICLES.measurement()]
}

async fn is_stored(site: &AppState, measurement: String, symbol: Option<&str>) -> Result<bool, StoreError> {
    let tags = symbol.map(|symbol| ("symbol".into(), symbol.to_owned())).into_iter().collect();
    let query = Query { measurement, tags, limit: Some(1), ..Query::default() };
    Ok(!if_defined(site.store.read(&query).await)?.rows.is_empty())
}
