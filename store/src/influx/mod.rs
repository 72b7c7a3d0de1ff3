//! The store on InfluxDB 2: each point is one line of line protocol with its tags and its time
//! in ns.
//!
//! InfluxDB has no transactions, so the order of requests replaces them: first the points, then
//! one request with the notes that say what has been read. After a failure at any place,
//! writing the same batch again has the same result. One sink writes a bucket at a time; any
//! number of readers may read it.

mod answer;
pub(crate) mod lines;
mod rows;
mod server;
mod setup;
#[cfg(test)]
pub(crate) mod tests;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::schema::Value;
use model::time::{HOUR, Millis};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Batch, Measurement, Point, Query, Rows, Store, StoreError};
use lines::TextStore;
use server::Server;
use writing::Writing;

pub use server::InfluxAddress;
pub use setup::{BucketToken, FirstUser, InfluxAdmin, Rights, SetupError};

/// The format of the data in a bucket; a later one is refused.
const FORMAT: i64 = 1;
/// The key of the format among the shapes; names of measurements do not begin with `_`.
const FORMAT_KEY: &str = "_format";

/// How long a reader uses shapes that it has read.
const TRUSTED: Duration = Duration::from_secs(5);

/// How long the retention of the bucket is cached; `tickwire init` may change it.
const RETENTION_TRUSTED: Duration = Duration::from_secs(600);

/// The store in one bucket.
pub struct InfluxStore {
    server: Server,
    notes: TextStore,
    definitions: TextStore,
    shapes: Mutex<Shapes>,
    writing: Mutex<Writing>,
    /// The retention of the bucket, with the time when it was read.
    retention: Mutex<Option<(Instant, Option<Duration>)>>,
}

/// The shapes of measurements as they were last read or written.
#[derive(Default)]
struct Shapes {
    known: BTreeMap<String, Measurement>,
    read: Option<Instant>,
    /// The hour in which the shapes were last written.
    renewed: Millis,
}

impl InfluxStore {
    /// Makes the store at an address, without a request to the server.
    ///
    /// # Errors
    /// If an HTTP client cannot be created.
    pub fn new(address: InfluxAddress) -> Result<InfluxStore, StoreError> {
        Ok(InfluxStore {
            server: Server::new(address)?,
            notes: TextStore::new("tickwire_notes"),
            definitions: TextStore::new("tickwire_measurements"),
            shapes: Mutex::default(),
            writing: Mutex::default(),
            retention: Mutex::default(),
        })
    }

    async fn shape(&self, name: &str) -> Result<Measurement, StoreError> {
        let mut shapes = self.shapes.lock().await;
        let trusted = shapes.read.is_some_and(|read| read.elapsed() < TRUSTED);
        if !(trusted && shapes.known.contains_key(name)) {
            self.read_shapes(&mut shapes).await?;
        }
        shapes.of(name).cloned()
    }

    async fn read_shapes(&self, shapes: &mut Shapes) -> Result<(), StoreError> {
        let texts = self.defined().await?;
        let known =
            texts.iter().filter_map(|(name, text)| Some((name.clone(), lines::shape_of(name, text)?)));
        shapes.known = known.collect();
        shapes.read = Some(Instant::now());
        Ok(())
    }

    /// The stored texts of shapes, from a bucket with a known format.
    async fn defined(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let texts = self.definitions.read(&self.server, "").await?;
        // A bucket without a format was written by a version before formats.
        let found = texts.get(FORMAT_KEY).and_then(|text| text.parse().ok()).unwrap_or(FORMAT);
        if found > FORMAT {
            return Err(StoreError::NewerBucket { store: self.server.name(), found, known: FORMAT });
        }
        Ok(texts)
    }

    /// The stored shapes of the measurements of a batch, after checking that its points fit.
    async fn shapes_for(&self, batch: &Batch) -> Result<Vec<Measurement>, StoreError> {
        let mut shapes = self.shapes.lock().await;
        if batch.points.iter().any(|(given, _)| !shapes.known.contains_key(&given.name)) {
            self.read_shapes(&mut shapes).await?;
        }
        let mut stored = Vec::new();
        for (given, _) in &batch.points {
            let shape = shapes.of(&given.name)?;
            shape.check_given(given)?;
            stored.push(shape.clone());
        }
        self.renew(&mut shapes).await?;
        Ok(stored)
    }

    async fn write_checked(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut writing = self.writing.lock().await;
        let shapes = self.shapes_for(batch).await?;
        writing.write(&self.server, &batch.points, &shapes).await?;
        if batch.notes.is_empty() {
            return Ok(());
        }
        let notes = batch.notes.iter().map(|(key, text)| (key.as_str(), text.as_deref()));
        self.notes.write(&self.server, notes).await
    }

    /// Writes the shapes again once an hour, so that they survive the retention of the bucket.
    async fn renew(&self, shapes: &mut Shapes) -> Result<(), StoreError> {
        let hour = model::time::now().div_euclid(HOUR);
        if shapes.renewed < hour && !shapes.known.is_empty() {
            // A newer program may have written here in the meantime.
            self.defined().await?;
            let known = shapes.known.values();
            let texts = known.map(|shape| (shape.name.as_str(), lines::shape_text(shape)));
            let texts: Vec<_> = texts.chain([(FORMAT_KEY, FORMAT.to_string())]).collect();
            let texts = texts.iter().map(|(name, text)| (*name, Some(text.as_str())));
            self.definitions.write(&self.server, texts).await?;
            shapes.renewed = hour;
        }
        Ok(())
    }
}

impl Shapes {
    fn of(&self, name: &str) -> Result<&Measurement, StoreError> {
        self.known.get(name).ok_or_else(|| StoreError::Unknown {
            name: name.to_owned(),
            known: self.known.keys().cloned().collect(),
        })
    }
}

#[async_trait]
impl Store for InfluxStore {
    async fn define(&self, measurement: &Measurement) -> Result<(), StoreError> {
        measurement.check_shape()?;
        let mut shapes = self.shapes.lock().await;
        self.read_shapes(&mut shapes).await?;
        let merged = match shapes.known.get(&measurement.name) {
            Some(stored) if stored == measurement => return Ok(()),
            Some(stored) => stored.merged_with(measurement)?,
            None => measurement.clone(),
        };
        let (text, format) = (lines::shape_text(&merged), FORMAT.to_string());
        let texts = [(FORMAT_KEY, Some(format.as_str())), (merged.name.as_str(), Some(text.as_str()))];
        self.definitions.write(&self.server, texts).await?;
        shapes.known.insert(merged.name.clone(), merged);
        Ok(())
    }

    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError> {
        let mut shapes = self.shapes.lock().await;
        self.read_shapes(&mut shapes).await?;
        Ok(shapes.known.values().cloned().collect())
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        for (measurement, points) in &batch.points {
            points.iter().try_for_each(|point| measurement.check(point))?;
        }
        let written = self.write_checked(&batch).await;
        if let Err(StoreError::Refused { status: 404, .. }) = written {
            // A bucket that was deleted and created again is empty: it needs the shapes again.
            self.shapes.lock().await.renewed = Millis::MIN;
        }
        written
    }

    async fn read(&self, query: &Query) -> Result<Rows, StoreError> {
        let shape = self.shape(&query.measurement).await?;
        rows::read(&self.server, &shape, query).await
    }

    async fn held(
        &self,
        measurement: &Arc<Measurement>,
        points: &[Point],
    ) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        let shape = self.shape(&measurement.name).await?;
        writing::held(&self.server, &shape, measurement, points).await
    }

    async fn latest(&self, measurement: &str) -> Result<Rows, StoreError> {
        let shape = self.shape(measurement).await?;
        rows::latest(&self.server, &shape).await
    }

    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        Ok(self.notes.read(&self.server, prefix).await?.into_iter().collect())
    }

    async fn trimmed_before(&self, _: &str) -> Result<Option<Millis>, StoreError> {
        let mut known = self.retention.lock().await;
        let retention = match *known {
            Some((at, retention)) if at.elapsed() < RETENTION_TRUSTED => retention,
            // A failure is not cached, because `None` means that the bucket keeps points
            // without limit.
            _ => {
                let retention = self.server.retention().await?;
                *known = Some((Instant::now(), retention));
                retention
            }
        };
        let age = retention.and_then(|age| Millis::try_from(age.as_millis()).ok());
        Ok(age.map(|age| model::time::now() - age))
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.server.health().await
    }
}
