//! The batch path: runs a job over bars and articles that are all available.

use std::cmp::Ordering;

use model::schema::Value;
use model::time::{Millis, minute_of};
use model::{Article, AssetClass, Bar, Candle, Candles};

use crate::error::EngineError;
use crate::job::Job;
use crate::plan::{Plan, Row, Visibility};
use crate::rolling::{Rolling, in_any_order};
use crate::table::Rows;

/// How many bars are added between two closings of windows. Besides the input and the result,
/// only the rows of open windows are in memory.
const CHUNK: usize = 16 * 1024;

/// Runs `job` over bars and articles in any order. Returns all rows ordered by the key of the
/// job, then by window (in a job without windows by the time of its points), with values in the
/// order of [`Job::columns`]. No row is late, because the input is sorted by event time first.
/// Of several versions of a bar or article the one received last counts.
///
/// # Errors
/// If the job cannot be planned.
pub async fn compute(
    job: &Job,
    bars: Vec<Bar>,
    articles: Vec<Article>,
) -> Result<Vec<Vec<Value>>, EngineError> {
    compute_knowing(job, bars, articles, Visibility::Complete).await
}

/// As [`compute`], but without look-ahead: a window is computed from the bars and articles that
/// had been received (`received_timestamp`) by its end, and a window without such a row has no
/// result. A job without windows uses the first received version of each bar and article; its rows
/// state that received time.
///
/// # Errors
/// If the job cannot be planned.
pub async fn compute_as_of_arrival(
    job: &Job,
    bars: Vec<Bar>,
    articles: Vec<Article>,
) -> Result<Vec<Vec<Value>>, EngineError> {
    compute_knowing(job, bars, articles, Visibility::AsOfArrival).await
}

async fn compute_knowing(
    job: &Job,
    bars: Vec<Bar>,
    articles: Vec<Article>,
    visibility: Visibility,
) -> Result<Vec<Row>, EngineError> {
    if let Some(rolling) = Rolling::of(job).filter(|_| visibility == Visibility::Complete) {
        return Ok(rolled(&rolling, &bars));
    }
    compute_planned(Plan::of(job, visibility).await?, job, bars, articles, visibility).await
}

/// Runs a job of known measures, which needs no plan.
fn rolled(rolling: &Rolling, bars: &[Bar]) -> Vec<Row> {
    let mut candles = Candles::default();
    for bar in bars {
        let place = candles.place_of(&bar.symbol);
        candles.push(place, Candle::from(bar));
    }
    let by_symbol = in_any_order(
        rolling,
        std::iter::once(vec![candles]),
        |_| Vec::new(),
        |rows, windows| rows.extend(windows.rows()),
    );
    by_symbol.into_values().flatten().collect()
}

pub(crate) async fn compute_planned(
    mut plan: Plan,
    job: &Job,
    mut bars: Vec<Bar>,
    mut articles: Vec<Article>,
    visibility: Visibility,
) -> Result<Vec<Row>, EngineError> {
    if job.window.is_none() {
        // A windowed job replaces versions itself, but a join makes a row for each version.
        let bar = |bar: &Bar| (bar.symbol.clone(), bar.start_timestamp);
        keep_one_version(&mut bars, bar, |bar| bar.received_timestamp, visibility);
        let article = |found: &Article| (found.symbol.clone(), found.id.clone(), found.published_timestamp);
        keep_one_version(&mut articles, article, |found| found.received_timestamp, visibility);
    }
    bars.sort_by_key(|bar| bar.start_timestamp);
    articles.sort_by_key(|article| article.published_timestamp);
    let prices = job.reads.iter().position(|read| AssetClass::of_topic(read).is_some());
    let news = job.reads.iter().position(|read| *read == model::topic::NEWS_ARTICLES);
    let mut articles = articles.as_slice();
    let mut rows = Vec::new();
    for chunk in bars.chunks(CHUNK) {
        // All minutes before that of the last bar of the chunk are complete.
        let whole = chunk.last().map_or(Millis::MIN, |bar| minute_of(bar.start_timestamp));
        if let Some(source) = prices {
            rows.extend(push(&mut plan, job, source, |plan| plan.sources[source].of_bars(chunk))?);
        }
        let (before, after) =
            articles.split_at(articles.partition_point(|article| article.published_timestamp < whole));
        articles = after;
        if let Some(source) = news {
            rows.extend(push(&mut plan, job, source, |plan| plan.sources[source].of_articles(before))?);
        }
        rows.extend(plan.close(whole).await?);
    }
    if let Some(source) = news {
        rows.extend(push(&mut plan, job, source, |plan| plan.sources[source].of_articles(articles))?);
    }
    rows.extend(plan.close(Millis::MAX / 4).await?);
    sort(job, &mut rows);
    Ok(rows)
}

/// Keeps one version of each row: the one received last, or, without look-ahead, the one
/// received first. Of equal ones the later in the list stays.
fn keep_one_version<T, K: Ord>(
    rows: &mut Vec<T>,
    identity: impl Fn(&T) -> K,
    received: impl Fn(&T) -> Millis,
    visibility: Visibility,
) {
    rows.sort_by_cached_key(|row| {
        let received = received(row);
        (identity(row), if visibility == Visibility::Complete { received } else { -received })
    });
    rows.dedup_by(|later, kept| {
        let same = identity(later) == identity(kept);
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

/// Orders rows as the store orders their points: by key and time, and rows of one time by the
/// offset that distinguishes articles.
fn sort(job: &Job, rows: &mut [Row]) {
    let column = |name: &str| job.columns.iter().position(|column| column.name == name);
    let by = |row: &[Value], at: usize| (row[at].as_i64(), row[at].as_str().map(str::to_owned));
    let compare = |a: &Row, b: &Row, order: &[usize]| {
        let compared = order.iter().map(|&at| by(a, at).cmp(&by(b, at)));
        compared.fold(Ordering::Equal, Ordering::then)
    };
    let time = if job.window.is_some() { "window_start" } else { "path_time" };
    let order: Vec<_> = [column(&job.key), column(time)].into_iter().flatten().collect();
    let id = column("id").filter(|_| job.window.is_none());
    let offset = |row: &Row| id.and_then(|at| row[at].as_str()).map(model::article::offset_of);
    let all: Vec<_> = (0..job.columns.len()).filter(|_| job.window.is_none()).collect();
    rows.sort_by(|a, b| {
        let identity = compare(a, b, &order).then_with(|| offset(a).cmp(&offset(b)));
        identity.then_with(|| compare(a, b, &all))
    });
}

fn push(
    plan: &mut Plan,
    job: &Job,
    source: usize,
    rows: impl Fn(&Plan) -> datafusion::common::Result<Rows>,
) -> Result<Vec<Row>, EngineError> {
    let rows = rows(plan).map_err(EngineError::plan(&job.name))?;
    plan.push(source, &rows, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Source;
    use model::time::MINUTE;

    fn bar(symbol: &str, minute: i64, close: f64) -> Bar {
        Bar {
            symbol: symbol.into(),
            open: close,
            high: close + 0.5,
            low: close - 0.5,
            close,
            volume: 10.0,
            start_timestamp: minute * MINUTE,
            end_timestamp: (minute + 1) * MINUTE,
            received_timestamp: (minute + 1) * MINUTE,
            source: Source::Replay,
            ..model::heartbeat::bar(0, 0)
        }
    }

    async fn volatility(bars: Vec<Bar>) -> Vec<Vec<Value>> {
        compute(&Job::named("volatility").unwrap(), bars, Vec::new()).await.unwrap()
    }

    #[tokio::test]
    async fn one_bar_is_in_thirty_windows_of_its_symbol() {
        let rows = volatility(vec![bar("B", 100, 10.0), bar("A", 100, 10.0)]).await;
        assert_eq!(rows.len(), 60);
        let first: Vec<_> = rows[0][..4].to_vec();
        assert_eq!(
            first,
            [Value::Text("A".into()), Value::Int(71 * MINUTE), Value::Int(101 * MINUTE), Value::Int(1)]
        );
        assert_eq!(
            rows[59][..3],
            [Value::Text("B".into()), Value::Int(100 * MINUTE), Value::Int(130 * MINUTE)]
        );
        let realized = &rows[0][4];
        assert_eq!(*realized, Value::Null);
    }

    #[tokio::test]
    async fn order_and_repetition_of_bars_change_nothing() {
        let mut bars: Vec<_> =
            (0..90).map(|minute| bar("A", minute + minute / 7 * 13, 10.0 + (minute % 7) as f64)).collect();
        let straight = volatility(bars.clone()).await;
        bars.reverse();
        bars.extend_from_within(10..40);
        assert_eq!(volatility(bars).await, straight);
    }

    #[tokio::test]
    async fn of_a_corrected_bar_the_last_version_counts() {
        let wrong = Bar { close: 10.4, received_timestamp: 0, ..bar("A", 5, 10.0) };
        let right = bar("A", 5, 10.0);
        let next = bar("A", 6, 11.0);
        let rows = volatility(vec![right.clone(), wrong, next.clone()]).await;
        assert_eq!(rows, volatility(vec![right, next]).await);
    }

    #[tokio::test]
    async fn windows_on_both_sides_of_a_long_gap_are_whole() {
        let day = 24 * 60;
        let rows =
            volatility(vec![bar("A", 0, 10.0), bar("A", 240 * day, 11.0), bar("A", 240 * day + 1, 12.0)])
                .await;
        assert_eq!(rows.len(), 30 + 31);
        assert!(rows[..30].iter().all(|row| row[3] == Value::Int(1)));
        assert_eq!(rows[31 + 14][3], Value::Int(2));
    }
}
