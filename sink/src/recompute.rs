//! Rows computed again from stored bars and articles, by the engine's batch path:
//! what is stored then equals what a computation over all of them yields.

use async_trait::async_trait;
use engine::Job;
use store::{Batch, Measurement, Point, Query, SharedStore};
use wire::schema::Value;
use wire::time::{DAY, MINUTE, Millis};
use wire::{Article, Bar, topic};

use crate::error::SinkError;
use crate::layout::Layout;
use crate::pending::{EVERY_SYMBOL, Windows};
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

/// Computes again every row of `jobs` whose point has a time in [`from`, `to`),
/// for all symbols, from stored bars and articles; returns the number of rows
/// written. Rows of windows that are still open, or from before what retention
/// has kept, are left as they are.
///
/// # Errors
/// When the store or the computation fails; rows written until then stay.
pub async fn recompute(
    store: &SharedStore,
    jobs: &[Job],
    from: Millis,
    to: Millis,
) -> Result<u64, SinkError> {
    let tables: Vec<_> = jobs.iter().map(Table::of).collect();
    let progress = Progress::load(store).await?;
    for table in &tables {
        store.define(&table.measurement).await?;
    }
    span(store, &Engine(jobs.to_vec()), &tables, progress.as_ref(), from, to).await
}

/// [`recompute`], of these tables.
pub(crate) async fn span(
    store: &SharedStore,
    compute: &dyn Compute,
    tables: &[Table],
    progress: Option<&Progress>,
    from: Millis,
    to: Millis,
) -> Result<u64, SinkError> {
    // Far beyond any time there is, and far from where sums of times overflow.
    let (from, to) = (from.max(Millis::MIN / 4), to.min(Millis::MAX / 4));
    let mut written = 0;
    for table in tables {
        let Some(layout) = table.layout else { continue };
        let closed = progress.map_or(Some(to), |progress| closed_until(progress, table));
        let Some(closed) = closed else { continue };
        let (first, last) = layout.places(from, to);
        let asked = (first, last.min(layout.whole_until(closed)));
        let windows = windows_with_bars(store, table, layout, asked).await?;
        let windows = kept(store, table, windows).await?.0;
        for part in parts(table, &windows, symbols(store, &windows).await?) {
            let points = rows(store, compute, table, &part).await?;
            written += points.len() as u64;
            let batch = Batch { points: vec![(table.measurement.clone(), points)], notes: vec![] };
            store.write(batch.into()).await?;
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

/// How many symbols are computed together under [`EVERY_SYMBOL`].
pub(crate) async fn symbols(store: &SharedStore, windows: &Windows) -> Result<usize, SinkError> {
    match windows.contains_key(EVERY_SYMBOL) {
        true => Ok(store.latest(&Measurement::bars().name).await?.rows.len().max(1)),
        false => Ok(1),
    }
}

/// For every symbol with bars, its places from the first of `asked` to the second.
async fn windows_with_bars(
    store: &SharedStore,
    table: &Table,
    layout: Layout,
    asked: (Millis, Millis),
) -> Result<Windows, SinkError> {
    let mut windows = Windows::new();
    for newest in store.latest(&Measurement::bars().name).await?.to_bars()? {
        let of_symbol = bars_query(&newest.symbol, None, None);
        let oldest = store.read(&Query { limit: Some(1), ..of_symbol }).await?.to_bars()?;
        let Some(oldest) = oldest.first() else { continue };
        let (first, last) = layout.with_bars(oldest.start_timestamp, newest.start_timestamp);
        let (first, last) = (first.max(asked.0), last.min(asked.1));
        if first < last {
            let symbol = table.waits_under(&newest.symbol).to_owned();
            windows.entry(symbol).or_default().insert(first, last);
        }
    }
    Ok(windows)
}

/// The rows whose bars and articles are all still there, and the others.
pub(crate) async fn kept(
    store: &SharedStore,
    table: &Table,
    windows: Windows,
) -> Result<(Windows, Windows), SinkError> {
    let mut trimmed = None;
    for measurement in table.reads.iter().filter_map(measurement_of) {
        trimmed = trimmed.max(store.trimmed_before(&measurement.name).await?);
    }
    let (Some(trimmed), Some(layout)) = (trimmed, table.layout) else { return Ok((windows, Windows::new())) };
    let first_kept = layout.kept_from(trimmed);
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

/// Places in portions, each small enough to be computed at once; so many `symbols`
/// stand behind [`EVERY_SYMBOL`].
pub(crate) fn parts(table: &Table, windows: &Windows, symbols: usize) -> Vec<Windows> {
    let Some(layout) = table.layout else { return Vec::new() };
    let (margin, step) = (layout.margin(), layout.step());
    let (mut parts, mut part, mut span) = (Vec::new(), Windows::new(), 0);
    for (symbol, starts) in windows {
        let weight = if symbol == EVERY_SYMBOL { symbols as Millis } else { 1 };
        let longest = LONGEST.min(AT_ONCE / weight).div_euclid(step).max(1) * step;
        for (mut from, to) in starts.iter() {
            while from < to {
                let until = to.min(from + longest);
                let more = (until - from + margin) * weight;
                if span > 0 && span + more > AT_ONCE {
                    parts.push(std::mem::take(&mut part));
                    span = 0;
                }
                part.entry(symbol.clone()).or_default().insert(from, until);
                span += more;
                from = until;
            }
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// The rows at exactly these places, computed from what is stored.
pub(crate) async fn rows(
    store: &SharedStore,
    compute: &dyn Compute,
    table: &Table,
    windows: &Windows,
) -> Result<Vec<Point>, SinkError> {
    let Some(layout) = table.layout else { return Ok(Vec::new()) };
    let (mut bars, mut articles) = (Vec::new(), Vec::new());
    for (symbol, starts) in windows {
        let mut spans = Ranges::default();
        for (from, to) in starts.iter() {
            let (from, to) = layout.inputs(from, to);
            spans.insert(from, to);
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
        let (Some(symbol), Some(time)) = (table.symbol(row), table.time(row)) else { return false };
        let place = layout.place(time);
        windows.get(table.waits_under(symbol)).is_some_and(|starts| starts.meets(place, place + 1))
    };
    Ok(computed.into_iter().filter(is_asked_for).map(|row| table.point(as_stored(row))).collect())
}

/// A row as it would have come through the log, where a number that is not
/// finite is null.
fn as_stored(mut row: Vec<Value>) -> Vec<Value> {
    for value in &mut row {
        if matches!(value, Value::Float(number) if !number.is_finite()) {
            *value = Value::Null;
        }
    }
    row
}

/// The bars of a symbol, or of all.
pub(crate) fn bars_query(symbol: &str, from: Option<Millis>, to: Option<Millis>) -> Query {
    let symbol = (symbol != EVERY_SYMBOL).then(|| ("symbol".to_owned(), symbol.to_owned()));
    let tags = symbol.into_iter().collect();
    Query { measurement: Measurement::bars().name, tags, from, to, ..Query::default() }
}

pub(crate) fn articles_query(symbol: &str, from: Millis, to: Millis) -> Query {
    let bars = bars_query(symbol, Some(from), Some(to));
    Query { measurement: Measurement::articles().name, ..bars }
}
