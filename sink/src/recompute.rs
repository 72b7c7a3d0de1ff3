//! Windows computed again from stored bars and articles, by the engine's batch
//! path: what is stored then equals what a computation over all of them yields.

use async_trait::async_trait;
use engine::Job;
use store::{Batch, Measurement, Point, Query, SharedStore};
use wire::schema::Value;
use wire::time::{DAY, MINUTE, Millis};
use wire::{Article, Bar, topic};

use crate::error::SinkError;
use crate::pending::Windows;
use crate::progress::Progress;
use crate::ranges::Ranges;
use crate::table::Table;

/// A longer run of windows is computed in parts.
const LONGEST: Millis = 7 * DAY;

/// So much time, over all symbols, is computed at once: it bounds memory, and how
/// long a wish to stop waits.
const AT_ONCE: Millis = 20_000 * MINUTE;

/// The batch path: all rows that a job makes of bars and articles.
#[async_trait]
pub(crate) trait Compute: Send + Sync {
    async fn compute(
        &self,
        table: &Table,
        bars: Vec<Bar>,
        articles: Vec<Article>,
    ) -> Result<Vec<Vec<Value>>, SinkError>;
}

/// The engine as batch path.
pub(crate) struct Engine(Vec<Job>);

impl Engine {
    pub(crate) fn new(jobs: Vec<Job>) -> Engine {
        Engine(jobs)
    }
}

#[async_trait]
impl Compute for Engine {
    async fn compute(
        &self,
        table: &Table,
        bars: Vec<Bar>,
        articles: Vec<Article>,
    ) -> Result<Vec<Vec<Value>>, SinkError> {
        let Some(job) = self.0.iter().find(|job| job.topic == table.topic) else { return Ok(Vec::new()) };
        let rows = engine::compute(job, bars, articles).await;
        rows.map_err(|source| SinkError::Compute { job: job.name.clone(), source })
    }
}

/// Computes again every window of `jobs` that ends in [`from`, `to`), for all
/// symbols, from stored bars and articles; returns the number of windows
/// written. Windows that are still open, or from before what retention has kept,
/// are left as they are.
///
/// # Errors
/// When the store or the computation fails; windows written until then stay.
pub async fn recompute(
    store: &SharedStore,
    jobs: &[Job],
    from: Millis,
    to: Millis,
) -> Result<u64, SinkError> {
    let compute = Engine(jobs.to_vec());
    let progress = Progress::load(store).await?;
    let mut written = 0;
    for table in jobs.iter().map(Table::of) {
        let Some(hop) = table.hop else { continue };
        let closed = progress.as_ref().map_or(Some(to), |progress| closed_until(progress, &table));
        let Some(closed) = closed else { continue };
        store.define(&table.measurement).await?;
        // The end of a window may equal the time until which all is closed.
        let last = to.saturating_sub(1).min(closed).saturating_sub(hop.size);
        let windows = windows_with_bars(store, &table, from.saturating_sub(hop.size), last + 1).await?;
        let windows = kept(store, &table, windows).await?.0;
        for part in parts(&table, &windows) {
            let points = rows(store, &compute, &table, &part).await?;
            written += points.len() as u64;
            store.write(Batch { points: vec![(table.measurement.clone(), points)], notes: vec![] }).await?;
        }
    }
    Ok(written)
}

/// The event time until which every raw topic that a table is made from is whole
/// in the store.
pub(crate) fn closed_until(progress: &Progress, table: &Table) -> Option<Millis> {
    let raw = table.reads.iter().filter(|topic| measurement_of(topic).is_some());
    raw.map(|topic| progress.watermark(topic)).min().flatten()
}

fn measurement_of(read: &topic::Topic) -> Option<Measurement> {
    if *read == topic::STOCK_PRICES {
        Some(Measurement::bars())
    } else if *read == topic::NEWS_ARTICLES {
        Some(Measurement::articles())
    } else {
        None
    }
}

/// For every symbol with bars, its windows that start in [`from`, `to`).
async fn windows_with_bars(
    store: &SharedStore,
    table: &Table,
    from: Millis,
    to: Millis,
) -> Result<Windows, SinkError> {
    let mut windows = Windows::new();
    let Some(hop) = table.hop else { return Ok(windows) };
    for newest in store.latest(&Measurement::bars().name).await?.to_bars()? {
        let of_symbol = bars_query(&newest.symbol, None, None);
        let oldest = store.read(&Query { limit: Some(1), ..of_symbol }).await?.to_bars()?;
        let Some(oldest) = oldest.first() else { continue };
        let first = hop.first_start(oldest.start_timestamp).max(hop.slide_of(from + hop.slide - 1));
        let last = hop.slide_of(newest.start_timestamp).min(hop.slide_of(to - 1));
        let mut starts = Ranges::default();
        if starts.insert(first, last + hop.slide) {
            windows.insert(newest.symbol, starts);
        }
    }
    Ok(windows)
}

/// The windows whose bars and articles are all still there, and the others.
pub(crate) async fn kept(
    store: &SharedStore,
    table: &Table,
    windows: Windows,
) -> Result<(Windows, Windows), SinkError> {
    let mut trimmed = None;
    for measurement in table.reads.iter().filter_map(measurement_of) {
        trimmed = trimmed.max(store.trimmed_before(&measurement.name).await?);
    }
    let (Some(trimmed), Some(hop)) = (trimmed, table.hop) else { return Ok((windows, Windows::new())) };
    let first_kept = hop.slide_of(trimmed - 1) + hop.slide;
    let (mut kept, mut lost) = (windows, Windows::new());
    for (symbol, starts) in &mut kept {
        let before = starts.until(first_kept);
        if !before.is_empty() {
            starts.remove(Millis::MIN, first_kept);
            lost.insert(symbol.clone(), before);
        }
    }
    kept.retain(|_, starts| !starts.is_empty());
    Ok((kept, lost))
}

/// Windows in portions, each small enough to be computed at once.
pub(crate) fn parts(table: &Table, windows: &Windows) -> Vec<Windows> {
    let size = table.hop.map_or(0, |hop| hop.size);
    let longest = table.hop.map_or(LONGEST, |hop| hop.slide_of(LONGEST).max(hop.slide));
    let (mut parts, mut part, mut span) = (Vec::new(), Windows::new(), 0);
    for (symbol, starts) in windows {
        for (mut from, to) in starts.iter() {
            while from < to {
                let until = to.min(from + longest);
                if span > 0 && span + until - from + size > AT_ONCE {
                    parts.push(std::mem::take(&mut part));
                    span = 0;
                }
                part.entry(symbol.clone()).or_default().insert(from, until);
                span += until - from + size;
                from = until;
            }
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// The rows of exactly these windows, computed from what is stored.
pub(crate) async fn rows(
    store: &SharedStore,
    compute: &dyn Compute,
    table: &Table,
    windows: &Windows,
) -> Result<Vec<Point>, SinkError> {
    let Some(hop) = table.hop else { return Ok(Vec::new()) };
    let (mut bars, mut articles) = (Vec::new(), Vec::new());
    for (symbol, starts) in windows {
        let mut spans = Ranges::default();
        for (from, to) in starts.iter() {
            spans.insert(from, to - hop.slide + hop.size);
        }
        for (from, to) in spans.iter() {
            if table.reads.contains(&topic::STOCK_PRICES) {
                bars.extend(store.read(&bars_query(symbol, Some(from), Some(to))).await?.to_bars()?);
            }
            if table.reads.contains(&topic::NEWS_ARTICLES) {
                articles.extend(store.read(&articles_query(symbol, from, to)).await?.to_articles()?);
            }
        }
    }
    let computed = compute.compute(table, bars, articles).await?;
    let is_asked_for = |row: &Vec<Value>| {
        let (Some(symbol), Some(end)) = (table.symbol(row), table.window_end(row)) else { return false };
        windows.get(symbol).is_some_and(|starts| starts.meets(end - hop.size, end - hop.size + 1))
    };
    Ok(computed.into_iter().filter(is_asked_for).map(as_stored).collect())
}

/// A row as it would have come through the log, where a number that is not
/// finite is null.
fn as_stored(mut row: Vec<Value>) -> Point {
    for value in &mut row {
        if matches!(value, Value::Float(number) if !number.is_finite()) {
            *value = Value::Null;
        }
    }
    Point { nanos: 0, values: row }
}

pub(crate) fn bars_query(symbol: &str, from: Option<Millis>, to: Option<Millis>) -> Query {
    let tags = vec![("symbol".to_owned(), symbol.to_owned())];
    Query { measurement: Measurement::bars().name, tags, from, to, ..Query::default() }
}

pub(crate) fn articles_query(symbol: &str, from: Millis, to: Millis) -> Query {
    let bars = bars_query(symbol, Some(from), Some(to));
    Query { measurement: Measurement::articles().name, ..bars }
}
