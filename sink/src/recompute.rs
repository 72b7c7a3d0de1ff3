//! Recomputes rows from stored bars and articles with the engine's batch path, so that the
//! stored rows equal a computation over all of them. Also has sets of time ranges.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::Job;
use model::schema::Value;
use model::time::{DAY, MINUTE, Millis};
use model::{Article, AssetClass, Bar, topic};
use serde::{Deserialize, Serialize};
use store::{Batch, Measurement, NoSuchRecord, Point, Query, Rows, SharedStore, if_defined};

use crate::error::SinkError;
use crate::progress::Progress;
use crate::table::{Layout, Table};
use crate::work::{Context, EVERY_SYMBOL, Portion, Windows, Work};

/// The longest range of places that is computed at once (ms).
const LONGEST: Millis = 7 * DAY;

/// The largest amount of time (ms), summed over all symbols, that is computed at once. It
/// bounds the memory, and how long a stop request waits.
const AT_ONCE: Millis = 20_000 * MINUTE;

/// The largest number of articles in memory; a portion with more is halved. Bars need no such
/// limit, because there is one per minute.
const ARTICLES_AT_ONCE: usize = 20_000;

/// The batch path: all rows of a job over bars and articles.
#[async_trait]
pub(crate) trait Compute: Send + Sync {
    async fn compute(
        &self,
        table: &Table,
        bars: Vec<Bar>,
        articles: Vec<Article>,
    ) -> Result<Vec<Vec<Value>>, SinkError>;
}

/// The engine as the batch path.
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

/// Recomputes every row of `jobs` whose point has an event time (ms) in [`from`, `to`), for all
/// symbols, from stored bars and articles; returns the number of rows. Stored rows that were
/// made of more than is stored now stay, and so do rows of open windows and rows whose input
/// has been deleted by retention.
///
/// # Errors
/// If the store or the computation fails; rows written before stay.
pub async fn recompute(
    store: &SharedStore,
    jobs: &[Job],
    from: Millis,
    to: Millis,
) -> Result<u64, SinkError> {
    let tables: Vec<_> = jobs.iter().map(Table::of).collect();
    let mut progress = Progress::load(store).await?;
    for table in &tables {
        store.define(&table.measurement).await?;
    }
    let engine = Engine(jobs.to_vec());
    let mut work = Work::asked(store, from, to).await?;
    loop {
        let context = Context { store, compute: &engine, tables: &tables, progress: progress.as_ref() };
        let Some(Portion { table, judged, .. }) = work.portion(&context).await? else { break };
        let table = &tables[table];
        if let Some(progress) = &mut progress {
            progress.wrote(&table.topic, judged.points.iter().filter_map(|point| table.time(&point.values)));
        }
        let notes = progress.iter().map(Progress::note).collect();
        let points = vec![(table.measurement.clone(), judged.points)];
        store.write(Batch { points, notes }.into()).await?;
    }
    Ok(work.finish(&tables).rows)
}

/// The watermark up to which the store holds all records of the raw topics that a table depends
/// on.
pub(crate) fn closed_until(progress: &Progress, table: &Table) -> Option<Millis> {
    let raw = table.reads.iter().filter(|topic| measurement_of(topic).is_some());
    raw.map(|topic| progress.watermark(topic)).min().flatten()
}

fn measurement_of(read: &topic::Topic) -> Option<Measurement> {
    if *read == topic::NEWS_ARTICLES {
        return Some(Measurement::articles());
    }
    AssetClass::of_topic(read).map(Measurement::bars_of)
}

/// How many symbols are computed together under [`EVERY_SYMBOL`].
pub(crate) async fn symbols(
    store: &SharedStore,
    table: &Table,
    windows: &Windows,
) -> Result<usize, SinkError> {
    let class = table.class.unwrap_or_default();
    match windows.contains_key(EVERY_SYMBOL) {
        true => Ok(latest(store, class).await?.rows.len().max(1)),
        false => Ok(1),
    }
}

/// The symbols with bars, each with the start of its latest bar.
pub(crate) async fn newest_bars(store: &SharedStore) -> Result<Vec<(String, Millis)>, SinkError> {
    let mut newest = Vec::new();
    for class in AssetClass::ALL {
        let bars = read_bars(&latest(store, class).await?);
        // Before the classes had topics of their own, that of stocks took every symbol.
        let of_class = bars.into_iter().filter(|bar| AssetClass::of(&bar.symbol) == class);
        newest.extend(of_class.map(|bar| (bar.symbol, bar.start_timestamp)));
    }
    Ok(newest)
}

async fn latest(store: &SharedStore, class: AssetClass) -> Result<Rows, SinkError> {
    Ok(if_defined(store.latest(&class.raw_table()).await)?)
}

/// The bars of a symbol that the store holds between two times.
pub(crate) async fn stored_bars(
    store: &SharedStore,
    symbol: &str,
    from: Millis,
    to: Millis,
) -> Result<Vec<Bar>, SinkError> {
    let query = bars_query(AssetClass::of(symbol), symbol, Some(from), Some(to));
    Ok(read_bars(&if_defined(store.read(&query).await)?))
}

/// The start of the oldest bar of a symbol.
pub(crate) async fn oldest_bar(store: &SharedStore, symbol: &str) -> Result<Option<Millis>, SinkError> {
    let query = Query { limit: Some(1), ..bars_query(AssetClass::of(symbol), symbol, None, None) };
    Ok(read_bars(&if_defined(store.read(&query).await)?).first().map(|bar| bar.start_timestamp))
}

/// Converts stored bars. A bar that another program wrote in a wrong form is skipped, so that
/// the others remain usable; the number of bars in the results shows that it is missing.
pub(crate) fn read_bars(rows: &Rows) -> Vec<Bar> {
    readable(rows, "bar", |row| row.to_bars())
}

/// As [`read_bars`], for articles.
pub(crate) fn read_articles(rows: &Rows) -> Vec<Article> {
    readable(rows, "article", |row| row.to_articles())
}

fn readable<T>(rows: &Rows, what: &str, read: impl Fn(&Rows) -> Result<Vec<T>, NoSuchRecord>) -> Vec<T> {
    if let Ok(all) = read(rows) {
        return all;
    }
    let one =
        |row: &Vec<Value>| Rows { columns: rows.columns.clone(), rows: vec![row.clone()], last_key: None };
    let (mut all, mut first) = (Vec::new(), None);
    for row in &rows.rows {
        match read(&one(row)) {
            Ok(found) => all.extend(found),
            Err(error) => first = first.or(Some(error)),
        }
    }
    if let Some(first) = first {
        let unreadable = rows.rows.len() - all.len();
        tracing::warn!(
            unreadable,
            "Stored rows are skipped, because each is not a valid {what}: {first}. Another program wrote to this store"
        );
    }
    all
}

/// Splits places into those whose bars and articles are all stored, and those for which
/// retention has deleted some.
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
    let first_kept = layout.first_complete(trimmed);
    let (mut kept, mut expired) = (windows, Windows::new());
    for (symbol, starts) in &mut kept {
        let before = starts.until(first_kept);
        if !before.is_empty() {
            starts.remove(Millis::MIN, first_kept);
            expired.insert(symbol.clone(), before);
        }
    }
    kept.retain(|_, starts| !starts.is_empty());
    Ok((kept, expired))
}

/// Splits places into portions that can be computed at once; `symbols` is the number of symbols
/// under [`EVERY_SYMBOL`].
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

/// Computes the rows at exactly these places. `None` if the portion is `divisible` and has more
/// articles than fit into memory.
pub(crate) async fn rows(
    store: &SharedStore,
    compute: &dyn Compute,
    table: &Table,
    windows: &Windows,
    divisible: bool,
) -> Result<Option<Vec<Point>>, SinkError> {
    let Some(layout) = table.layout else { return Ok(Some(Vec::new())) };
    let (mut bars, mut articles) = (Vec::new(), Vec::new());
    for (symbol, starts) in windows {
        let mut spans = Ranges::default();
        for (from, to) in starts.iter() {
            let (from, to) = layout.inputs(from, to);
            spans.insert(from, to);
        }
        for (from, to) in spans.iter() {
            if table.reads.contains(&topic::NEWS_ARTICLES) {
                let limit = divisible.then(|| ARTICLES_AT_ONCE + 1 - articles.len());
                let query = Query { limit, ..articles_query(symbol, from, to) };
                articles.extend(read_articles(&store.read(&query).await?));
                if divisible && articles.len() > ARTICLES_AT_ONCE {
                    return Ok(None);
                }
            }
            if let Some(class) = table.reads.iter().find_map(AssetClass::of_topic) {
                let query = bars_query(class, symbol, Some(from), Some(to));
                bars.extend(read_bars(&if_defined(store.read(&query).await)?));
            }
        }
    }
    let computed = compute.compute(table, bars, articles).await?;
    let is_asked_for = |row: &Vec<Value>| {
        let (Some(symbol), Some(time)) = (table.symbol(row), table.time(row)) else { return false };
        let place = layout.place(time);
        windows.get(table.recomputation_key(symbol)).is_some_and(|starts| starts.meets(place, place + 1))
    };
    let points = computed.into_iter().filter(is_asked_for).map(|row| table.point(as_stored(row)));
    Ok(Some(points.filter(|point| can_be_stored(table, point)).collect()))
}

/// Whether a point fits its measurement. Rows of valid bars do; any other is left out, so that
/// the rest of the batch can be written.
fn can_be_stored(table: &Table, point: &Point) -> bool {
    match table.measurement.check(point) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!("A recomputed row is not stored: {error}");
            false
        }
    }
}

/// Splits places into two portions; `None` for a single place.
pub(crate) fn halves(layout: Layout, windows: &Windows) -> Option<[Windows; 2]> {
    let places: Vec<(&String, Millis, Millis)> = windows
        .iter()
        .flat_map(|(symbol, starts)| starts.iter().map(move |(from, to)| (symbol, from, to)))
        .collect();
    let mut halves = [Windows::new(), Windows::new()];
    if let [(symbol, from, to)] = places[..] {
        let steps = (to - from) / layout.step();
        if steps < 2 {
            return None;
        }
        let middle = from + steps / 2 * layout.step();
        halves[0].entry(symbol.clone()).or_default().insert(from, middle);
        halves[1].entry(symbol.clone()).or_default().insert(middle, to);
        return Some(halves);
    }
    for (at, (symbol, from, to)) in places.iter().enumerate() {
        let half = usize::from(at >= places.len() / 2);
        halves[half].entry((*symbol).clone()).or_default().insert(*from, *to);
    }
    Some(halves)
}

/// A row as it is after passing through the log, where a number that is not finite is null.
fn as_stored(mut row: Vec<Value>) -> Vec<Value> {
    for value in &mut row {
        if matches!(value, Value::Float(number) if !number.is_finite()) {
            *value = Value::Null;
        }
    }
    row
}

/// The query for the bars of a symbol, or of all, of a class.
pub(crate) fn bars_query(class: AssetClass, symbol: &str, from: Option<Millis>, to: Option<Millis>) -> Query {
    let symbol = (symbol != EVERY_SYMBOL).then(|| ("symbol".to_owned(), symbol.to_owned()));
    let tags = symbol.into_iter().collect();
    Query { measurement: class.raw_table(), tags, from, to, ..Query::default() }
}

pub(crate) fn articles_query(symbol: &str, from: Millis, to: Millis) -> Query {
    let bars = bars_query(AssetClass::default(), symbol, Some(from), Some(to));
    Query { measurement: Measurement::articles().name, ..bars }
}

// Sets of times, stored as disjoint ranges.

/// A set of half-open ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Millis, Millis)>", into = "Vec<(Millis, Millis)>")]
pub(crate) struct Ranges(BTreeMap<Millis, Millis>);

impl From<Vec<(Millis, Millis)>> for Ranges {
    fn from(list: Vec<(Millis, Millis)>) -> Ranges {
        let mut ranges = Ranges::default();
        for (from, to) in list {
            ranges.insert(from, to);
        }
        ranges
    }
}

impl From<Ranges> for Vec<(Millis, Millis)> {
    fn from(ranges: Ranges) -> Vec<(Millis, Millis)> {
        ranges.iter().collect()
    }
}

impl Ranges {
    /// Adds a range; returns whether the set has changed.
    pub(crate) fn insert(&mut self, mut from: Millis, mut to: Millis) -> bool {
        if from >= to || self.covers(from, to) {
            return false;
        }
        if let Some((&start, &end)) = self.0.range(..from).next_back()
            && end >= from
        {
            (from, to) = (start, to.max(end));
        }
        while let Some((&start, &end)) = self.0.range(from..=to).next() {
            self.0.remove(&start);
            to = to.max(end);
        }
        self.0.insert(from, to);
        true
    }

    /// Removes a range.
    pub(crate) fn remove(&mut self, from: Millis, to: Millis) {
        if from >= to {
            return;
        }
        while let Some((start, end)) = self.last_before(to).filter(|(_, end)| *end > from) {
            self.0.remove(&start);
            if end > to {
                self.0.insert(to, end);
            }
            if start < from {
                self.0.insert(start, from);
            }
        }
    }

    /// Whether the set and a range have a common time.
    pub(crate) fn meets(&self, from: Millis, to: Millis) -> bool {
        from < to && self.last_before(to).is_some_and(|(_, end)| end > from)
    }

    /// Whether the set contains a whole range.
    fn covers(&self, from: Millis, to: Millis) -> bool {
        self.0.range(..=from).next_back().is_some_and(|(_, &end)| end >= to)
    }

    fn last_before(&self, to: Millis) -> Option<(Millis, Millis)> {
        self.0.range(..to).next_back().map(|(&start, &end)| (start, end))
    }

    /// The part of the set before `until`.
    pub(crate) fn until(&self, until: Millis) -> Ranges {
        Ranges(self.0.range(..until).map(|(&start, &end)| (start, end.min(until))).collect())
    }

    /// The ranges in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Millis, Millis)> + '_ {
        self.0.iter().map(|(&start, &end)| (start, end))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_would(steps in prop::collection::vec((any::<bool>(), 0..40_i64, 0..12_i64), 0..40)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, from, length) in steps {
                let span = from..from + length;
                if add {
                    let more = span.clone().any(|at| !set.contains(&at));
                    assert_eq!(ranges.insert(from, from + length), more);
                    set.extend(span);
                } else {
                    ranges.remove(from, from + length);
                    set.retain(|at| !span.contains(at));
                }
                let held: Vec<_> = ranges.iter().flat_map(|(from, to)| from..to).collect();
                assert_eq!(held, set.iter().copied().collect::<Vec<_>>());
                let list: Vec<_> = ranges.iter().collect();
                assert!(list.windows(2).all(|pair| pair[0].1 < pair[1].0), "{list:?} touch");
                let half: Vec<_> = ranges.until(20).iter().flat_map(|(from, to)| from..to).collect();
                assert_eq!(half, set.range(..20).copied().collect::<Vec<_>>());
                for at in 0..52 {
                    assert_eq!(ranges.meets(at, at + 3), set.range(at..at + 3).next().is_some());
                }
            }
            let text = serde_json::to_string(&ranges).unwrap();
            assert_eq!(serde_json::from_str::<Ranges>(&text).unwrap(), ranges);
        }
    }
}
