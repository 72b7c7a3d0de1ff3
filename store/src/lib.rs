//! Points, and where they are kept: written once or many times with one
//! result, read back by measurement, tags and time.

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

/// Points as InfluxDB's line protocol.
pub mod line_protocol {
    pub use crate::influx::lines::{Layout, Lines, Unwritable};
}

/// A store. Cheap to clone behind [`SharedStore`].
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes a measurement, or adds the columns that it lacks and takes over the
    /// order in which they are shown.
    ///
    /// # Errors
    /// When the shape is none ([`BadShape`]), or contradicts what is stored: other
    /// tags, another time, or another type for a column.
    async fn define(&self, measurement: &Measurement) -> Result<(), StoreError>;

    /// Every measurement there is, by name.
    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError>;

    /// Writes points and changes notes; returns once durable. When it fails no note
    /// has changed, so that whoever writes the same again leaves everything in
    /// order; a store that can also leaves every point as it was.
    /// A point that is there already is replaced as a whole, unless it carries a
    /// later version; between equal versions the later write wins.
    ///
    /// # Errors
    /// When a measurement was never defined, or a point does not fit it
    /// ([`Measurement::check`]); nothing of the batch is then written. Where only
    /// the server knows what it takes, [`StoreError::Rejected`] names the points that
    /// it refused; all others have been written.
    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError>;

    /// The rows that a query asks for, at most [`Query::limit`].
    ///
    /// # Errors
    /// When there is no such measurement, or a named tag is none of its tags.
    async fn read(&self, query: &Query) -> Result<Rows, StoreError>;

    /// What is stored under the identities of these points, each with the columns of
    /// `measurement` in their order; `None` where nothing is.
    ///
    /// # Errors
    /// When there is no such measurement.
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

    /// The newest row of every symbol of a measurement: of every value of its
    /// first tag. Rows come ordered by that tag.
    ///
    /// # Errors
    /// When there is no such measurement.
    async fn latest(&self, measurement: &str) -> Result<Rows, StoreError>;

    /// The notes kept under keys that start with `prefix`, in order of their keys.
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError>;

    /// The point time before which a measurement has been trimmed: what is stored
    /// before it is not everything that was written.
    async fn trimmed_before(&self, measurement: &str) -> Result<Option<Millis>, StoreError>;

    /// Whether the store answers just now; cheap, and waits for no other work on it.
    ///
    /// # Errors
    /// When it does not, or no longer knows who asks.
    async fn health(&self) -> Result<(), StoreError> {
        self.measurements().await.map(drop)
    }
}

/// A store shared by services.
pub type SharedStore = Arc<dyn Store>;

/// What is written together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Points by measurement.
    pub points: Vec<(Arc<Measurement>, Vec<Point>)>,
    /// Notes to set, or with `None` to forget: what the sink must remember with
    /// exactly the points that it wrote.
    pub notes: Vec<(String, Option<String>)>,
}

/// Which rows are wanted. Rows come ordered by tags, then time.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The measurement.
    pub measurement: String,
    /// Tags that must have these values.
    pub tags: Vec<(String, String)>,
    /// Point time at or after this.
    pub from: Option<Millis>,
    /// Point time before this.
    pub to: Option<Millis>,
    /// Newest first within equal tags.
    pub newest_first: bool,
    /// At most so many rows; `None` is all.
    pub limit: Option<usize>,
    /// Only rows after the one with these tags and this point time in nanoseconds:
    /// the way to page through long results ([`Rows::last_key`]).
    pub after: Option<(Vec<String>, i64)>,
}

/// Rows with their columns.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The columns, in the measurement's order.
    pub columns: Vec<Column>,
    /// The values, a row a point.
    pub rows: Vec<Vec<Value>>,
    /// Tags and time (nanoseconds) of the last row, for [`Query::after`].
    pub last_key: Option<(Vec<String>, i64)>,
}
