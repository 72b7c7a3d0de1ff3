//! One day of a symbol, out of the bars of its session.

use std::collections::BTreeSet;

use model::calendar::SessionDay;
use model::time::Millis;
use model::{Bar, Instrument};
use store::SharedStore;
use udfs::Column;

use super::row::Row;
use crate::error::SinkError;
use crate::recompute::{articles_query, read_articles, stored_bars};

/// The day, as far as the store holds any of its bars.
pub(crate) async fn read(
    store: &SharedStore,
    symbol: &str,
    session: &SessionDay,
) -> Result<Option<Row>, SinkError> {
    let bars = stored_bars(store, symbol, session.open, session.close).await?;
    let news = news(store, symbol, session, session).await?;
    Ok(of(&bars, session, &news))
}

/// The day of these bars, which are settled and in order.
fn of(bars: &[Bar], session: &SessionDay, news: &News) -> Option<Row> {
    let (first, last) = (bars.first()?, bars.last()?);
    Some(Row {
        start: session.open,
        end: session.close,
        open: first.open,
        high: bars.iter().map(|bar| bar.high).fold(f64::MIN, f64::max),
        low: bars.iter().map(|bar| bar.low).fold(f64::MAX, f64::min),
        close: last.close,
        volume: finite(bars.iter().map(|bar| bar.volume).sum()),
        realized: realized(bars),
        articles: news.articles,
        bars: bars.len() as i64,
        received_until: bars.iter().map(|bar| bar.received_timestamp).max().max(news.received_until),
    })
}

/// Nothing for what is not finite: each volume is, their sum may not be.
pub(super) fn finite(sum: f64) -> Option<f64> {
    Some(sum).filter(|sum| sum.is_finite())
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

/// The news of a run of sessions.
pub(crate) struct News {
    /// How many distinct articles.
    pub(crate) articles: i64,
    /// When the last of them was received.
    pub(crate) received_until: Option<Millis>,
}

/// The articles from the close before the first session, left out, to the close of
/// the last: each article falls to one session.
pub(crate) async fn news(
    store: &SharedStore,
    symbol: &str,
    first: &SessionDay,
    last: &SessionDay,
) -> Result<News, SinkError> {
    let since = Instrument::of(symbol).calendar().previous_session(first.date).close;
    let rows = store.read(&articles_query(symbol, since + 1, last.close + 1)).await?;
    let articles = read_articles(&rows);
    Ok(News {
        articles: articles.iter().map(|article| article.id.as_str()).collect::<BTreeSet<_>>().len() as i64,
        received_until: articles.iter().map(|article| article.received_timestamp).max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::bar::{HIGHEST_PRICE, LOWEST_PRICE, MOST_SHARES};
    use model::time::MINUTE;

    #[test]
    fn a_day_of_bars_at_the_bounds_of_their_figures_can_be_stored() {
        let calendar = Instrument::of("A").calendar();
        let session = calendar.next_session("2024-03-04".parse().unwrap());
        let bars: Vec<Bar> = (session.open..session.close)
            .step_by(MINUTE as usize)
            .enumerate()
            .map(|(n, start)| {
                let price = if n % 2 == 0 { LOWEST_PRICE } else { HIGHEST_PRICE };
                let bar = Bar { symbol: "A".into(), volume: MOST_SHARES, ..model::heartbeat::bar(0, start) };
                Bar { open: price, high: price, low: price, close: price, ..bar }
            })
            .collect();
        assert!(bars.iter().all(|bar| bar.check().is_ok()));
        let day = of(&bars, &session, &News { articles: 0, received_until: None }).unwrap();
        assert!(
            day.volume.is_some_and(f64::is_finite) && day.realized.is_some_and(f64::is_finite),
            "{day:?}"
        );
    }
}
