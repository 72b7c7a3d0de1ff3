//! What the sink has taken in and not yet written.

use std::sync::Arc;
use std::time::Duration;

use log::Append;
use store::{Measurement, Point};
use tokio::time::Instant;

/// A batch is written once it holds so many records …
const RECORDS: usize = 10_000;
/// … or once its first record has waited so long.
const AGE: Duration = Duration::from_millis(200);

/// Where bars, articles and the rows of the first job stand among the measurements.
pub(crate) const BARS: usize = 0;
pub(crate) const ARTICLES: usize = 1;
pub(crate) const FIRST_TABLE: usize = 2;

/// Points by measurement, in the order of the measurements.
pub(crate) type Points = Vec<(Arc<Measurement>, Vec<Point>)>;

/// What waits to be written.
pub(crate) struct Gathered {
    points: Points,
    /// Rows that may be stored already, by measurement.
    again: Vec<Vec<Point>>,
    letters: Vec<Append>,
    records: usize,
    since: Option<Instant>,
}

impl Gathered {
    pub(crate) fn new(measurements: Vec<Arc<Measurement>>) -> Gathered {
        let points: Points = measurements.into_iter().map(|measurement| (measurement, Vec::new())).collect();
        let again = points.iter().map(|_| Vec::new()).collect();
        Gathered { points, again, letters: Vec::new(), records: 0, since: None }
    }

    /// A record has been taken in, whatever comes of it.
    pub(crate) fn count(&mut self) {
        self.records += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Adds a point, if its measurement can hold it; else says why not.
    pub(crate) fn add(&mut self, measurement: usize, point: Point) -> Result<(), String> {
        let (measurement, points) = &mut self.points[measurement];
        measurement.check(&point).map_err(|error| error.to_string())?;
        points.push(point);
        Ok(())
    }

    /// Adds a point that may be stored already: what is stored has a say in it.
    pub(crate) fn add_again(&mut self, measurement: usize, point: Point) -> Result<(), String> {
        self.points[measurement].0.check(&point).map_err(|error| error.to_string())?;
        self.again[measurement].push(point);
        Ok(())
    }

    /// Adds a record that goes to the log before the points go to the store: a dead
    /// letter, or a gap.
    pub(crate) fn append(&mut self, record: Append) {
        self.letters.push(record);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether it is time to write.
    pub(crate) fn is_due(&self) -> bool {
        self.records >= RECORDS || self.since.is_some_and(|since| since.elapsed() >= AGE)
    }

    /// How much of `wait` may pass before it is time to write.
    pub(crate) fn may_wait(&self, wait: Duration) -> Duration {
        self.since.map_or(wait, |since| AGE.saturating_sub(since.elapsed()).min(wait))
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Taken {
        (self.records, self.since) = (0, None);
        let points =
            self.points.iter_mut().map(|(measurement, points)| (measurement.clone(), std::mem::take(points)));
        let points = points.collect();
        let again = self.again.iter_mut().enumerate();
        let again = again.map(|(measurement, points)| (measurement, std::mem::take(points)));
        let again = again.filter(|(_, points)| !points.is_empty()).collect();
        Taken { points, again, letters: std::mem::take(&mut self.letters) }
    }
}

/// What was gathered.
pub(crate) struct Taken {
    /// All measurements, also those without points.
    pub(crate) points: Points,
    /// Points that may be stored already, with the place of their measurement.
    pub(crate) again: Vec<(usize, Vec<Point>)>,
    /// Dead letters.
    pub(crate) letters: Vec<Append>,
}
