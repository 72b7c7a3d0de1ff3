//! The errors of the store, and whether a retry can succeed.

use std::time::Duration;

use model::schema::ColumnType;

use crate::check::{BadPoint, BadShape};

/// An error of the store, with a remedy in its message.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed.
    #[error("the store {path} failed: {source}. {}", log::sqlite::advice(source))]
    Sqlite {
        /// The file.
        path: String,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// The file has the format of a later version.
    #[error(
        "the store {path} has format {found}, this program reads up to {known}: run the newer tickwire that wrote it, or name another data folder with --data-dir"
    )]
    Newer {
        /// The file.
        path: String,
        /// The format of the file.
        found: i64,
        /// The latest format that this program reads.
        known: i64,
    },
    /// The bucket has the format of a later version.
    #[error(
        "{store} has format {found}, this program reads up to {known}: run the newer tickwire that wrote it, or name another bucket with influxdb.bucket"
    )]
    NewerBucket {
        /// The address and the bucket.
        store: String,
        /// The format of the bucket.
        found: i64,
        /// The latest format that this program reads.
        known: i64,
    },
    /// The file to be read does not exist.
    #[error("there is no store {path}: run `tickwire up` first, or name its data folder with --data-dir")]
    NotThere {
        /// The file.
        path: String,
    },
    /// A write to a store that was opened for reading.
    #[error("the store {path} was opened for reading only: only the running process that owns it can write")]
    ReadOnly {
        /// The file.
        path: String,
    },
    /// A measurement that was not defined.
    #[error("there is no measurement `{name}`: {}", the_known("measurements", known))]
    Unknown {
        /// The requested measurement.
        name: String,
        /// The existing measurements.
        known: Vec<String>,
    },
    /// A tag that the measurement does not have.
    #[error("measurement `{measurement}` has no tag `{tag}`: {}", the_known("tags", known))]
    UnknownTag {
        /// The measurement.
        measurement: String,
        /// The requested tag.
        tag: String,
        /// The existing tags.
        known: Vec<String>,
    },
    /// The shape of a measurement is invalid.
    #[error(transparent)]
    Shape(#[from] BadShape),
    /// A column is stored with another type.
    #[error(
        "column `{column}` of measurement `{measurement}` is stored as {stored:?}, not {asked:?}: give the column another name, or use another data folder"
    )]
    ColumnType {
        /// The measurement.
        measurement: String,
        /// The column.
        column: String,
        /// Its type in the store.
        stored: ColumnType,
        /// The requested type.
        asked: ColumnType,
    },
    /// A measurement is stored with other tags or another time column, so that its points would
    /// have other identities.
    #[error(
        "measurement `{measurement}` is stored with {stored}, not with {asked}: give the measurement another name, or use another data folder"
    )]
    Identity {
        /// The measurement.
        measurement: String,
        /// The stored tags and time.
        stored: String,
        /// The requested tags and time.
        asked: String,
    },
    /// Points have a column that was not defined.
    #[error(
        "measurement `{measurement}` has no column `{column}`: define the measurement before writing to it"
    )]
    UnknownColumn {
        /// The measurement.
        measurement: String,
        /// The column.
        column: String,
    },
    /// A point is invalid.
    #[error(transparent)]
    Point(#[from] BadPoint),
    /// The server cannot be reached or is overloaded.
    #[error("{store} is not available: {reason}. Check that it runs and is reached under this address")]
    Unavailable {
        /// The address and the bucket.
        store: String,
        /// The error.
        reason: String,
        /// How long the server asks to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The server refuses the request.
    #[error("{store} refuses: {reason}. {}", remedy(*status))]
    Refused {
        /// The address and the bucket.
        store: String,
        /// The HTTP status; 0 if no request was sent.
        status: u16,
        /// The message of the server.
        reason: String,
    },
    /// The server will never accept these points. All others have been written, but no note.
    #[error("the store refused {} point(s): {}", .0.len(), .0.first().map_or("", |first| &first.reason))]
    Rejected(Vec<RejectedPoint>),
    /// Another sink has taken over the store, or may have.
    #[error(
        "another sink has taken over the store, or may have, because this one was silent for too long: the points that it has not written are dropped, and their records are read again from the log"
    )]
    Fenced,
    /// The store has been closed.
    #[error("the store has been closed")]
    Closed,
}

/// A point that the server will never accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPoint {
    /// The index of its measurement in [`crate::Batch::points`].
    pub group: usize,
    /// Its index among the points of that measurement.
    pub point: usize,
    /// The message of the server.
    pub reason: String,
    /// Whether it is older than the retention of the store.
    pub past_retention: bool,
}

/// Whether a retry can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// After a while; the server may have said when.
    Wait(Option<Duration>),
    /// After the operator has fixed the cause.
    Hold,
    /// Never.
    None,
}

impl StoreError {
    /// Whether a retry can succeed.
    pub fn patience(&self) -> Patience {
        match self {
            StoreError::Unavailable { retry_after, .. } => Patience::Wait(*retry_after),
            StoreError::Refused { .. } => Patience::Hold,
            _ => Patience::None,
        }
    }
}

fn remedy(status: u16) -> &'static str {
    match status {
        401 => "Check the token: influxdb.token or influxdb.token_file",
        403 => {
            "The token does not have the rights: make one with `tickwire init`, for this organization and bucket"
        }
        404 => {
            "Check influxdb.org and influxdb.bucket; `tickwire init` makes the bucket, and nothing that is read from the log is lost meanwhile"
        }
        _ => "Check influxdb.url, influxdb.org, influxdb.bucket and influxdb.token",
    }
}

fn the_known(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        format!("it has no {what} yet")
    } else {
        format!("the {what} are {}", names.join(", "))
    }
}
