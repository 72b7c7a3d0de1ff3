//! What can go wrong with the store.

use std::time::Duration;

use model::schema::ColumnType;

use crate::check::{BadPoint, BadShape};

/// What can go wrong with the store, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own error.
    #[error("the store {path} failed: {source}. {}", log::sqlite::advice(source))]
    Sqlite {
        /// The file.
        path: String,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// The file was written by a later version.
    #[error(
        "the store {path} has format {found}, this program reads up to {known}: run the newer tickwire that wrote it, or name another data folder with --data-dir"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The bucket was written by a later version.
    #[error(
        "{store} has format {found}, this program reads up to {known}: run the newer tickwire that wrote it, or name another bucket with influxdb.bucket"
    )]
    NewerBucket {
        /// Which store.
        store: String,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// There is no store to read from.
    #[error("there is no store {path}: run `tickwire up` first, or name its data folder with --data-dir")]
    NotThere {
        /// The file.
        path: String,
    },
    /// A store opened for reading was asked to write.
    #[error("the store {path} was opened for reading only: its running owner writes it")]
    ReadOnly {
        /// The file.
        path: String,
    },
    /// A measurement that nobody defined.
    #[error("there is no measurement `{name}`: {}", the_known("measurements", known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A tag that the measurement does not have.
    #[error("measurement `{measurement}` has no tag `{tag}`: {}", the_known("tags", known))]
    UnknownTag {
        /// The measurement.
        measurement: String,
        /// What was asked for.
        tag: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A shape that no measurement can have.
    #[error(transparent)]
    Shape(#[from] BadShape),
    /// A column that is stored with another type.
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
        /// The type that it was to have.
        asked: ColumnType,
    },
    /// Tags or time differ from what is stored: points would have other identities.
    #[error(
        "measurement `{measurement}` is stored with {stored}, not with {asked}: give the measurement another name, or use another data folder"
    )]
    Identity {
        /// The measurement.
        measurement: String,
        /// Tags and time in the store.
        stored: String,
        /// Tags and time asked for.
        asked: String,
    },
    /// Points with a column that was never defined.
    #[error(
        "measurement `{measurement}` has no column `{column}`: define the measurement before writing to it"
    )]
    UnknownColumn {
        /// The measurement.
        measurement: String,
        /// The column.
        column: String,
    },
    /// A point that cannot be stored.
    #[error(transparent)]
    Point(#[from] BadPoint),
    /// The server is not to be had, or has too much to do.
    #[error("{store} is not available: {reason}. Check that it runs and is reached under this address")]
    Unavailable {
        /// Which store.
        store: String,
        /// What happened.
        reason: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The server refuses us.
    #[error("{store} refuses: {reason}. {}", remedy(*status))]
    Refused {
        /// Which store.
        store: String,
        /// The status of its answer; 0 where it was not even asked.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// Points that the server will never take. The others have been written, notes have not.
    #[error("the store refused {} point(s): {}", .0.len(), .0.first().map_or("", |first| &first.reason))]
    Rejected(Vec<RejectedPoint>),
    /// Another writer has taken over, or may have.
    #[error(
        "another sink has taken the store over, or this one was silent for so long that another may have: what it held is dropped, and read again from the log"
    )]
    Fenced,
    /// The store has been closed.
    #[error("the store has been closed")]
    Closed,
}

/// A point that the server will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPoint {
    /// Its place among [`crate::Batch::points`].
    pub group: usize,
    /// Its place among the points of that measurement.
    pub point: usize,
    /// Why.
    pub reason: String,
    /// It is older than the store keeps points at all.
    pub past_retention: bool,
}

/// Whether it helps to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It passes by itself; the store may have said when.
    Wait(Option<Duration>),
    /// Somebody has to do something first.
    Hold,
    /// It stays as it is.
    None,
}

impl StoreError {
    /// Whether trying again may succeed.
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
