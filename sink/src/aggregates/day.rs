//! One day of a symbol, out of the bars of its regular session.

use std::collections::BTreeSet;

use store::SharedStore;
use udfs::Column;
use wire::Bar;
use wire::calendar::{self, SessionDay};
use wire::time::Millis;

use super::row::Row;
use crate::error::SinkError;
use crate::recompute::{articles_query, bars_query};

/// The day, as far as the store holds any of its bars.
pub(crate) async fn read(
    store: &SharedStore,
    symbol: &str,
    session: &SessionDay,
) -> Result<Option<Row>, SinkError> {
    let query = bars_query(symbol, Some(session.open), Some(session.close));
    let bars = store.read(&query).await?.to_bars()?;
    let articles = articles(store, symbol, session, session).await?;
    Ok(of(&bars, session, articles))
}

/// The day of these bars, which are settled and in order.
fn of(bars: &[Bar], session: &SessionDay, articles: i64) -> Option<Row> {
    let (first, last) = (bars.first()?, bars.last()?);
    Some(Row {
        start: session.open,
        end: session.close,
        open: first.open,
        high: bars.iter().map(|bar| bar.high).fold(f64::MIN, f64::max),
        low: bars.iter().map(|bar| bar.low).fold(f64::MAX, f64::min),
        close: last.close,
        volume: bars.iter().map(|bar| bar.volume).sum(),
        realized: realized(bars),
        articles,
        bars: bars.len() as i64,
    })
}

/// By the very function that the windows are made with: √(Σ r²) over the log
/// returns from each close to the next.
fn realized(bars: &[Bar]) -> Option<f64> {
    let starts: Vec<Millis> = bars.iter().map(|bar| bar.start_timestamp).collect();
    let received: Vec<Millis> = bars.iter().map(|bar| bar.received_timestamp).collect();
    let closes: Vec<f64> = bars.iter().map(|bar| bar.close).collect();
    let measure = udfs::all().iter().find(|udf| udf.name == "realized")?;
    match (measure.call)(&[Column::I64(&starts), Column::I64(&received), Column::F64(&closes)]) {
        udfs::Value::F64(realized) => Some(realized),
        _ => None,
    }
}

/// The number of distinct articles from the close before the first session,
/// left out, to the close of the last: each article falls to one session.
pub(crate) async fn articles(
    store: &SharedStore,
    symbol: &str,
    first: &SessionDay,
    last: &SessionDay,
) -> Result<i64, SinkError> {
    let since = calendar::previous_session(first.date).close;
    let rows = store.read(&articles_query(symbol, since + 1, last.close + 1)).await?;
    let articles = rows.to_articles()?;
    Ok(articles.iter().map(|article| article.id.as_str()).collect::<BTreeSet<_>>().len() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::bar::{HIGHEST_PRICE, LOWEST_PRICE, MOST_SHARES};
    use wire::time::MINUTE;

    #[test]
    fn a_day_of_bars_at_the_bounds_of_their_figures_can_be_stored() {
        let session = calendar::next_session("2024-03-04".parse().unwrap());
        let bars: Vec<Bar> = (session.open..session.close)
            .step_by(MINUTE as usize)
            .enumerate()
            .map(|(n, start)| {
                let price = if n % 2 == 0 { LOWEST_PRICE } else { HIGHEST_PRICE };
                let bar = Bar { symbol: "A".into(), volume: MOST_SHARES, ..wire::clock::bar(0, start) };
                Bar { open: price, high: price, low: price, close: price, ..bar }
            })
            .collect();
        assert!(bars.iter().all(|bar| bar.check().is_ok()));
        let day = of(&bars, &session, 0).unwrap();
        assert!(day.volume.is_finite() && day.realized.is_some_and(f64::is_finite), "{day:?}");
    }
}
