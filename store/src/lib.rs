//! The store: points that can be written repeatedly with the same result, and read by
//! measurement, tags and time.
//!
//! The trait [`Store`] has two implementations, [`EmbeddedStore`] in the data folder and
//! [`InfluxStore`] on InfluxDB 2. A point is identified by its measurement, tags and time.

mod check;
#[cfg(test)]
mod conformance;
mod embedded;
mod error;
mod influx;
mod point;
mod raw;

use std::sync::Arc;

use async_trait::async_trait;
use model::schema::{Column, Value};
use model::time::Millis;

pub use check::{BadPoint, BadShape};
pub use embedded::EmbeddedStore;
pub use error::{Patience, RejectedPoint, StoreError};
pub use influx::{BucketToken, FirstUser, InfluxAddress, InfluxAdmin, InfluxStore, Rights, SetupError};
pub use point::{Measurement, Point};
pub use raw::NoSuchRecord;

/// InfluxDB's line protocol.
pub mod line_protocol {
    pub use crate::influx::lines::{Layout, Lines, Unwritable};
}

/// A store. It is shared as a [`SharedStore`].
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Creates a measurement, or adds missing columns and adopts the new order of columns.
    ///
    /// # Errors
    /// If the shape is invalid ([`BadShape`]), or conflicts with the stored one: other tags,
    /// another time column, or another type of a column.
    async fn define(&self, measurement: &Measurement) -> Result<(), StoreError>;

    /// All measurements, ordered by name.
    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError>;

    /// Writes points and changes notes; returns when they are durable. A failed write has not
    /// changed any note, so that writing the same batch again is always safe; a store with
    /// transactions has not changed any point either.
    ///
    /// A stored point is replaced completely, unless it has a later version; of equal versions
    /// the later write counts.
    ///
    /// # Errors
    /// If a measurement was not defined, or a point does not fit it ([`Measurement::check`]);
    /// nothing of the batch has been written then. If only the server can judge a point,
    /// [`StoreError::Rejected`] has the refused points, and all others have been written.
    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError>;

    /// The rows of a query, at most [`Query::limit`].
    ///
    /// # Errors
    /// If there is no such measurement, or it does not have a given tag.
    async fn read(&self, query: &Query) -> Result<Rows, StoreError>;

    /// The stored rows with the identities of these points, with the columns of `measurement`
    /// in their order; `None` for a point that is not stored.
    ///
    /// # Errors
    /// If there is no such measurement.
    async fn held(
        &self,
        measurement: &Arc<Measurement>,
        points: &[Point],
    ) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        let mut held = Vec::with_capacity(points.len());
        for point in points {
            let Some((tags, time)) = measurement.identity(point) else {
                held.push(None);
                continue;
            };
            let query = Query {
                measurement: measurement.name.clone(),
                tags: measurement.tags.iter().cloned().zip(tags.iter().cloned()).collect(),
                limit: Some(1),
                after: Some((tags.clone(), time.saturating_sub(1))),
                ..Query::default()
            };
            let rows = self.read(&query).await?;
            let found = rows.last_key == Some((tags, time));
            let row = rows.rows.into_iter().next().filter(|_| found);
            held.push(row.map(|row| measurement.in_order(&rows.columns, &row)));
        }
        Ok(held)
    }

    /// The newest row of every symbol of a measurement (more precisely, of every value of its
    /// first tag), ordered by that tag.
    ///
    /// # Errors
    /// If there is no such measurement.
    async fn latest(&self, measurement: &str) -> Result<Rows, StoreError>;

    /// The notes whose keys begin with `prefix`, ordered by key.
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError>;

    /// The event time (ms) before which retention has deleted points of a measurement; `None`
    /// if it has not deleted any.
    async fn trimmed_before(&self, measurement: &str) -> Result<Option<Millis>, StoreError>;

    /// Checks whether the store answers; cheap, and does not wait for other requests.
    ///
    /// # Errors
    /// If the store does not answer, or refuses the credentials.
    async fn health(&self) -> Result<(), StoreError> {
        self.measurements().await.map(drop)
    }
}

/// A store shared by services.
pub type SharedStore = Arc<dyn Store>;

/// Points and notes that are written together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The points, by measurement.
    pub points: Vec<(Arc<Measurement>, Vec<Point>)>,
    /// Notes to set, or with `None` to delete. The sink stores its offsets in them together
    /// with the points that were read up to these offsets.
    pub notes: Vec<(String, Option<String>)>,
}

/// A query. Its rows are ordered by tags, then by time.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The measurement.
    pub measurement: String,
    /// The values that tags must have.
    pub tags: Vec<(String, String)>,
    /// The first event time (ms).
    pub from: Option<Millis>,
    /// The event time (ms) that ends the range, exclusive.
    pub to: Option<Millis>,
    /// Whether rows with equal tags are ordered newest first.
    pub newest_first: bool,
    /// The largest number of rows; `None` for no limit.
    pub limit: Option<usize>,
    /// Returns only rows after the one with these tags and this time (ns), to read long results
    /// in pages ([`Rows::last_key`]).
    pub after: Option<(Vec<String>, i64)>,
}

/// The rows of a query.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The columns, in the order of the measurement.
    pub columns: Vec<Column>,
    /// One list of values per point.
    pub rows: Vec<Vec<Value>>,
    /// The tags and the time (ns) of the last row, for [`Query::after`].
    pub last_key: Option<(Vec<String>, i64)>,
}

/// The rows of a read, or no rows if the measurement was not defined yet.
///
/// # Errors
/// Every other error of the read.
pub fn if_defined(rows: Result<Rows, StoreError>) -> Result<Rows, StoreError> {
    match rows {
        Err(StoreError::Unknown { .. }) => Ok(Rows::default()),
        rows => rows,
    }
}
