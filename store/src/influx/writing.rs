//! Writes points: new ones at once, and those that may exist already after a comparison with
//! the stored ones.
//!
//! InfluxDB overwrites single fields and has no versions. A point that is not newer than all
//! others with its tags is therefore compared with the stored point: an older version is not
//! written, and if the new point nulls a field, the stored point is deleted first. A crash in
//! between loses only points that will be written again, because notes and offsets are written
//! after the points.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::schema::Value;
use model::time::HOUR;

use super::lines;
use super::lines::{Layout, Lines};
use super::rows::{self, Tags};
use super::server::{Refusal, Server};
use crate::point::{Bounds, NANOS};
use crate::{Measurement, Point, RejectedPoint, StoreError};

/// The largest gap (ns) between two points that are looked up in one query.
const GAP: i64 = HOUR * NANOS;

/// The largest number of identities that are looked up in one query, except those of the same
/// time: the rows between them are read into memory.
const RUN: usize = 2_000;

/// The state of the writer.
#[derive(Default)]
pub(super) struct Writing {
    lines: Lines,
    /// For each line the group of its point, and its index there.
    origins: Vec<(usize, usize)>,
    layouts: HashMap<String, Layout>,
    /// The newest time written (ns), by measurement and tags as in a line.
    newest: HashMap<String, i64>,
    rejected: Vec<RejectedPoint>,
}

impl Writing {
    /// Writes the points of all groups; `shapes` are their stored shapes.
    pub(super) async fn write(
        &mut self,
        server: &Server,
        groups: &[(Arc<Measurement>, Vec<Point>)],
        shapes: &[Measurement],
    ) -> Result<(), StoreError> {
        self.clear();
        let mut existing = Vec::new();
        for (group, (measurement, points)) in groups.iter().enumerate() {
            self.prepare(server, measurement, &shapes[group]).await?;
            existing.push(self.add_new(group, measurement, points));
        }
        self.send(server).await?;
        for (group, places) in existing.iter().enumerate().filter(|(_, places)| !places.is_empty()) {
            let (measurement, points) = &groups[group];
            let compared = Compared::of(measurement, points, places);
            let changed = compared.against_stored(server, &shapes[group]).await?;
            for place in changed {
                self.push(group, place, &measurement.name, &points[place]);
            }
            self.send(server).await?;
        }
        match std::mem::take(&mut self.rejected) {
            none if none.is_empty() => Ok(()),
            rejected => Err(StoreError::Rejected(rejected)),
        }
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.origins.clear();
        self.rejected.clear();
    }

    /// Prepares the layout of a measurement, and reads the newest time of each of its series.
    async fn prepare(
        &mut self,
        server: &Server,
        measurement: &Arc<Measurement>,
        shape: &Measurement,
    ) -> Result<(), StoreError> {
        match self.layouts.get(&measurement.name) {
            Some(known) if Arc::ptr_eq(known.measurement(), measurement) => return Ok(()),
            Some(known) if known.measurement() == measurement => return Ok(()),
            Some(_) => {}
            None => {
                let layout = Layout::new(Arc::new(shape.clone()));
                for (tags, time) in rows::series(server, shape, &vec![None; shape.tags.len()]).await? {
                    let mut series = String::new();
                    if layout.write_series(&with_tags(shape, tags), &mut series).is_ok() {
                        self.newest.insert(series, time);
                    }
                }
            }
        }
        self.layouts.insert(measurement.name.clone(), Layout::new(measurement.clone()));
        Ok(())
    }

    /// Adds the lines of points that are newer than all others with their tags; returns the
    /// indices of the other points.
    fn add_new(&mut self, group: usize, measurement: &Measurement, points: &[Point]) -> Vec<usize> {
        let mut others = Vec::new();
        for (place, point) in points.iter().enumerate() {
            if !self.push(group, place, &measurement.name, point) {
                continue;
            }
            let last = self.lines.len() - 1;
            let (series, time) = (self.lines.series(last), self.lines.time(last));
            match self.newest.get_mut(series) {
                Some(newest) if time > *newest => *newest = time,
                None => drop(self.newest.insert(series.to_owned(), time)),
                Some(_) => {
                    self.lines.pop();
                    self.origins.pop();
                    others.push(place);
                }
            }
        }
        others
    }

    /// Adds the line of a point; returns false if it cannot be written.
    fn push(&mut self, group: usize, place: usize, measurement: &str, point: &Point) -> bool {
        let Some(layout) = self.layouts.get(measurement) else { return false };
        let pushed: Result<(), lines::Unwritable> = self.lines.push(layout, point);
        match pushed {
            Ok(()) => self.origins.push((group, place)),
            Err(reason) => {
                let reason = format!("measurement `{measurement}`: {reason}");
                self.rejected.push(RejectedPoint { group, point: place, reason, past_retention: false });
                return false;
            }
        }
        true
    }

    async fn send(&mut self, server: &Server) -> Result<(), StoreError> {
        for bad in send(server, &self.lines).await? {
            let (group, point) = self.origins[bad.line];
            let (reason, past_retention) = (bad.reason, bad.past_retention);
            self.rejected.push(RejectedPoint { group, point, reason, past_retention });
        }
        self.lines.clear();
        self.origins.clear();
        Ok(())
    }
}

/// The stored rows with the identities of some points, with the columns of `given`.
pub(super) async fn held(
    server: &Server,
    shape: &Measurement,
    given: &Measurement,
    points: &[Point],
) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
    let mut held = vec![None; points.len()];
    let mut places: BTreeMap<(i64, Tags), Vec<usize>> = BTreeMap::new();
    for (place, point) in points.iter().enumerate() {
        if let Some((tags, time)) = given.identity(point) {
            places.entry((time, tags)).or_default().push(place);
        }
    }
    for run in in_runs(places.keys()) {
        let stored = stored_of(server, shape, &run).await?;
        for identity in run {
            let Some(row) = stored.get(&identity.1).and_then(|rows| rows.get(&identity.0)) else { continue };
            for place in &places[identity] {
                held[*place] = Some(given.in_order(&shape.columns, row));
            }
        }
    }
    Ok(held)
}

/// The stored rows in the range of a run of identities.
async fn stored_of(
    server: &Server,
    shape: &Measurement,
    run: &[&(i64, Tags)],
) -> Result<rows::Found, StoreError> {
    let mut series: Vec<Tags> = run.iter().map(|(_, tags)| tags.clone()).collect();
    series.sort();
    series.dedup();
    let (low, high) = (run[0].0, run[run.len() - 1].0);
    rows::rows_of(server, shape, &series, &Bounds { low, high }).await
}

/// Groups identities, ordered by time, into runs without long gaps. The size of a run is
/// bounded, because all rows in its range are read.
fn in_runs<'a>(identities: impl Iterator<Item = &'a (i64, Tags)>) -> Vec<Vec<&'a (i64, Tags)>> {
    let mut runs: Vec<Vec<&(i64, Tags)>> = Vec::new();
    for identity in identities {
        match runs.last_mut() {
            Some(run)
                if run.last().is_some_and(|last| identity.0.saturating_sub(last.0) <= GAP)
                    && (run.len() < RUN || run.last().is_some_and(|last| last.0 == identity.0)) =>
            {
                run.push(identity);
            }
            _ => runs.push(vec![identity]),
        }
    }
    runs
}

/// A row of which only the tags are known.
fn with_tags(shape: &Measurement, tags: Tags) -> Vec<Value> {
    let mut values = vec![Value::Null; shape.columns.len()];
    for (name, tag) in shape.tags.iter().zip(tags) {
        if let Some(at) = shape.index_of(name) {
            values[at] = Value::Text(tag);
        }
    }
    values
}

/// Points of one measurement that may be stored already; of each identity the one with the
/// latest version.
struct Compared<'a> {
    measurement: &'a Measurement,
    points: &'a [Point],
    /// The index of each point, by time, then tags.
    places: BTreeMap<(i64, Tags), usize>,
}

impl<'a> Compared<'a> {
    fn of(measurement: &'a Measurement, points: &'a [Point], places: &[usize]) -> Compared<'a> {
        let mut compared = Compared { measurement, points, places: BTreeMap::new() };
        for &place in places {
            let point = &points[place];
            let Some(time) = measurement.time_ns(point) else { continue };
            let held = compared.places.entry((time, tags_of(measurement, point))).or_insert(place);
            if version_of(measurement, &point.values) >= version_of(measurement, &points[*held].values) {
                *held = place;
            }
        }
        compared
    }

    /// The indices of the points to be written, by time. Stored points that have a field that
    /// the new one nulls are deleted.
    async fn against_stored(&self, server: &Server, shape: &Measurement) -> Result<Vec<usize>, StoreError> {
        let mut left_out = Vec::new();
        for run in self.runs(shape) {
            let stored = stored_of(server, shape, &run).await?;
            for (time, tags) in run {
                let Some(row) = stored.get(tags).and_then(|rows| rows.get(time)) else { continue };
                let place = self.places[&(*time, tags.clone())];
                let values = &self.points[place].values;
                if version_of(shape, row) > version_of(self.measurement, values) {
                    left_out.push(place);
                } else if self.nulls(shape, row, values) {
                    server.delete(&shape.name, &rows::named(shape, tags), *time).await?;
                }
            }
        }
        Ok(self.places.values().copied().filter(|place| !left_out.contains(place)).collect())
    }

    /// The identities that must be looked up, in runs without long gaps.
    fn runs(&self, shape: &Measurement) -> Vec<Vec<&(i64, Tags)>> {
        let unsure = |(_, place): &(_, &usize)| !self.is_whole(shape, &self.points[**place].values);
        in_runs(self.places.iter().filter(unsure).map(|(identity, _)| identity))
    }

    /// Whether a point replaces the stored one in any case: it has no version, and a value for
    /// every column.
    fn is_whole(&self, shape: &Measurement, values: &[Value]) -> bool {
        shape.version.is_none()
            && shape.columns.len() == self.measurement.columns.len()
            && !values.contains(&Value::Null)
    }

    /// Whether the stored row has a value where the new one is null.
    fn nulls(&self, shape: &Measurement, row: &[Value], values: &[Value]) -> bool {
        shape.columns.iter().zip(row).any(|(column, stored)| {
            let new = self.measurement.index_of(&column.name).and_then(|at| values.get(at));
            *stored != Value::Null && matches!(new, None | Some(Value::Null))
        })
    }
}

fn tags_of(measurement: &Measurement, point: &Point) -> Tags {
    let value = |tag: &String| measurement.index_of(tag).and_then(|at| point.values[at].as_str());
    measurement.tags.iter().map(|tag| value(tag).unwrap_or_default().to_owned()).collect()
}

/// The version of a row, if its measurement has versions.
fn version_of(measurement: &Measurement, values: &[Value]) -> Option<i64> {
    values.get(measurement.index_of(measurement.version.as_deref()?)?)?.as_i64()
}

// Sending lines: requests that are too large are split, invalid lines are found and reported,
// and all others are stored.

/// The largest number of lines in a request.
const LINES: usize = 10_000;
/// The largest size of a request in bytes.
const BYTES: usize = 4 << 20;

/// A line that the server will never accept.
#[derive(Debug)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) reason: String,
    pub(super) past_retention: bool,
}

/// Sends all lines; returns those that were refused. Sending them again has no further effect.
pub(super) async fn send(server: &Server, lines: &Lines) -> Result<Vec<BadLine>, StoreError> {
    let mut bad = Vec::new();
    // The remaining requests, the next one last.
    let mut requests = in_requests(lines);
    requests.reverse();
    while let Some(some) = requests.pop() {
        match server.write(lines.body(&some)).await {
            Ok(()) => {}
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::BadLines { reason, past_retention: true }) => {
                let (old, kept) = by_age(server, lines, some).await?;
                let old = old.into_iter();
                bad.extend(old.map(|line| BadLine { line, reason: reason.clone(), past_retention: true }));
                requests.extend(Some(kept).filter(|kept| !kept.is_empty()));
            }
            Err(Refusal::TooLarge(reason) | Refusal::BadLines { reason, .. }) => match some.as_slice() {
                [line] => bad.push(BadLine { line: *line, reason, past_retention: false }),
                several => {
                    let (first, second) = several.split_at(several.len() / 2);
                    requests.push(second.to_vec());
                    requests.push(first.to_vec());
                }
            },
        }
    }
    Ok(bad)
}

/// Splits all lines, in order, into requests.
fn in_requests(lines: &Lines) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for line in 0..lines.len() {
        bytes += lines.size(line);
        match requests.last_mut() {
            Some(request) if request.len() < LINES && bytes <= BYTES => request.push(line),
            _ => {
                requests.push(vec![line]);
                bytes = lines.size(line);
            }
        }
    }
    requests
}

/// Separates lines that are older than the retention of the bucket from the others, by binary
/// search over their times.
async fn by_age(
    server: &Server,
    lines: &Lines,
    mut some: Vec<usize>,
) -> Result<(Vec<usize>, Vec<usize>), StoreError> {
    some.sort_by_key(|line| lines.time(*line));
    // The oldest line is too old. It is possible that no line is accepted.
    let (mut too_old, mut kept) = (0, some.len());
    while kept - too_old > 1 {
        let middle = too_old + (kept - too_old) / 2;
        match server.write(lines.body(&some[middle..])).await {
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::BadLines { past_retention: true, .. }) => too_old = middle,
            // Refused for another reason, which the caller looks into.
            Ok(()) | Err(_) => kept = middle,
        }
    }
    let rest = some.split_off(kept);
    Ok((some, rest))
}
