//! Writing: new points go out at once; of those that may be there already, what
//! is there decides.
//!
//! The server overwrites field by field and knows no versions. So a point that
//! is not newer than all others of its tags is compared with what is stored: an
//! older version is left out, and where the rewrite nulls a field the stored
//! point is deleted first. Between the two a crash can only lose what is written
//! again, since notes and positions follow the points.

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

/// Stored points are looked up in one query as long as no gap between them is longer.
const GAP: i64 = HOUR * NANOS;

/// No more are looked up in one query, but for those of one time: each brings the
/// rows between it and the next into memory.
const RUN: usize = 2_000;

/// What one writer knows.
#[derive(Default)]
pub(super) struct Writing {
    lines: Lines,
    /// Which point each line is: the group, and its place there.
    origins: Vec<(usize, usize)>,
    layouts: HashMap<String, Layout>,
    /// The newest time written, by measurement and tags as they stand in a line.
    newest: HashMap<String, i64>,
    rejected: Vec<RejectedPoint>,
}

impl Writing {
    /// Writes the points of all groups, whose shapes as stored are `shapes`.
    pub(super) async fn write(
        &mut self,
        server: &Server,
        groups: &[(Arc<Measurement>, Vec<Point>)],
        shapes: &[Measurement],
    ) -> Result<(), StoreError> {
        self.clear();
        let mut again = Vec::new();
        for (group, (measurement, points)) in groups.iter().enumerate() {
            self.know(server, measurement, &shapes[group]).await?;
            again.push(self.take_new(group, measurement, points));
        }
        self.send(server).await?;
        for (group, places) in again.iter().enumerate().filter(|(_, places)| !places.is_empty()) {
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

    /// Learns how points of a measurement are written, and how new its newest are.
    async fn know(
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

    /// Takes in the points that are newer than all others of their tags; returns
    /// the places of the others.
    fn take_new(&mut self, group: usize, measurement: &Measurement, points: &[Point]) -> Vec<usize> {
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

    /// Adds a point's line; whether it has one.
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

/// What is stored under the identities of some points, each with the columns of `given`.
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

/// The stored rows around a run of identities.
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

/// Identities, by time, in runs without long gaps. A run of many tags is short: all
/// that is stored in its time is read.
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

/// Values of a row of which only the tags are known.
fn with_tags(shape: &Measurement, tags: Tags) -> Vec<Value> {
    let mut values = vec![Value::Null; shape.columns.len()];
    for (name, tag) in shape.tags.iter().zip(tags) {
        if let Some(at) = shape.index_of(name) {
            values[at] = Value::Text(tag);
        }
    }
    values
}

/// Points of one measurement that may be stored already: of each identity the
/// one that stands in the end.
struct Compared<'a> {
    measurement: &'a Measurement,
    points: &'a [Point],
    /// Where each stands, by time, then tags.
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

    /// The places of the points that are to be written, by time. What they null
    /// has been deleted.
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

    /// Whether a point stands whatever is stored: it has no version, and a value
    /// for every column.
    fn is_whole(&self, shape: &Measurement, values: &[Value]) -> bool {
        shape.version.is_none()
            && shape.columns.len() == self.measurement.columns.len()
            && !values.contains(&Value::Null)
    }

    /// Whether the stored row has a value where the new one has none.
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

// Lines to the server: too many at once are split, bad ones are found and
// named, and everything else is stored.

/// A request holds no more lines …
const LINES: usize = 10_000;
/// … and no more bytes.
const BYTES: usize = 4 << 20;

/// A line that the server will never take.
#[derive(Debug)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) reason: String,
    pub(super) past_retention: bool,
}

/// Sends all lines; returns those that were refused. Sending them again does no harm.
pub(super) async fn send(server: &Server, lines: &Lines) -> Result<Vec<BadLine>, StoreError> {
    let mut bad = Vec::new();
    // What is still to be sent; the last goes first.
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

/// All lines in their order, cut into requests.
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

/// Tells lines that are older than the bucket keeps from the others. Age decides
/// alone, so few requests find the border, however many lines are too old.
async fn by_age(
    server: &Server,
    lines: &Lines,
    mut some: Vec<usize>,
) -> Result<(Vec<usize>, Vec<usize>), StoreError> {
    some.sort_by_key(|line| lines.time(*line));
    // The oldest is too old; nothing at all would be taken.
    let (mut too_old, mut kept) = (0, some.len());
    while kept - too_old > 1 {
        let middle = too_old + (kept - too_old) / 2;
        match server.write(lines.body(&some[middle..])).await {
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::BadLines { past_retention: true, .. }) => too_old = middle,
            // Refused for another reason: that is looked into later.
            Ok(()) | Err(_) => kept = middle,
        }
    }
    let rest = some.split_off(kept);
    Ok((some, rest))
}
