//! The batch of records that have been read but not yet written.

use std::sync::Arc;
use std::time::Duration;

use log::Append;
use store::{Measurement, Point};
use tokio::time::Instant;

/// The number of records at which the batch is written.
const RECORDS: usize = 10_000;
/// The age of its first record at which the batch is written.
const AGE: Duration = Duration::from_millis(200);

/// The indices of the bars of the first class, articles and the first job among the
/// measurements. Behind all jobs are the statuses of services and the bars of other classes.
pub(crate) const BARS: usize = 0;
pub(crate) const ARTICLES: usize = 1;
pub(crate) const FIRST_TABLE: usize = 2;

/// Points by measurement, in the order of the measurements.
pub(crate) type Points = Vec<(Arc<Measurement>, Vec<Point>)>;

/// The batch that is being collected.
pub(crate) struct Gathered {
    points: Points,
    /// Rows that may be stored already, by the index of their measurement.
    repeated: Vec<Vec<Point>>,
    letters: Vec<Append>,
    records: usize,
    since: Option<Instant>,
}

impl Gathered {
    pub(crate) fn new(measurements: Vec<Arc<Measurement>>) -> Gathered {
        let points: Points = measurements.into_iter().map(|measurement| (measurement, Vec::new())).collect();
        let repeated = points.iter().map(|_| Vec::new()).collect();
        Gathered { points, repeated, letters: Vec::new(), records: 0, since: None }
    }

    /// Counts a record that was read, whatever becomes of it.
    pub(crate) fn count(&mut self) {
        self.records += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Adds a point; the error says why its measurement cannot hold it.
    pub(crate) fn add(&mut self, measurement: usize, point: Point) -> Result<(), String> {
        let (measurement, points) = &mut self.points[measurement];
        measurement.check(&point).map_err(|error| error.to_string())?;
        points.push(point);
        Ok(())
    }

    /// Adds a point that may be stored already, and is to be compared with the stored one.
    pub(crate) fn add_repeated(&mut self, measurement: usize, point: Point) -> Result<(), String> {
        self.points[measurement].0.check(&point).map_err(|error| error.to_string())?;
        self.repeated[measurement].push(point);
        Ok(())
    }

    /// Adds a record that is appended to the log before the points are written: a dead letter
    /// or a gap.
    pub(crate) fn append(&mut self, record: Append) {
        self.letters.push(record);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether the batch is to be written now.
    pub(crate) fn is_due(&self) -> bool {
        self.records >= RECORDS || self.since.is_some_and(|since| since.elapsed() >= AGE)
    }

    /// How long the caller may wait, at most `wait`, until the batch is due.
    pub(crate) fn may_wait(&self, wait: Duration) -> Duration {
        self.since.map_or(wait, |since| AGE.saturating_sub(since.elapsed()).min(wait))
    }

    /// Takes the content of the batch and leaves it empty.
    pub(crate) fn take(&mut self) -> Contents {
        (self.records, self.since) = (0, None);
        let points =
            self.points.iter_mut().map(|(measurement, points)| (measurement.clone(), std::mem::take(points)));
        let points = points.collect();
        let repeated = self.repeated.iter_mut().enumerate();
        let repeated = repeated.map(|(measurement, points)| (measurement, std::mem::take(points)));
        let repeated = repeated.filter(|(_, points)| !points.is_empty()).collect();
        Contents { points, repeated, letters: std::mem::take(&mut self.letters) }
    }
}

/// The content of a batch.
pub(crate) struct Contents {
    /// All measurements, including those without points.
    pub(crate) points: Points,
    /// Points that may be stored already, with the index of their measurement.
    pub(crate) repeated: Vec<(usize, Vec<Point>)>,
    /// Dead letters and gaps.
    pub(crate) letters: Vec<Append>,
}
