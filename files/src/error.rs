//! What can be wrong with a file, and with one of its rows.

use std::path::PathBuf;

use parquet::errors::ParquetError;

/// What makes a file as a whole unreadable, or impossible to write.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, a folder, or not ours to read.
    #[error("the file {} cannot be read: {source}. Check its name and its permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// An extension that names no format.
    #[error(
        "the file {} has no extension that names its format: call it .csv, .json (or .jsonl: one object a line) or .parquet",
        path.display()
    )]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// Nothing in it.
    #[error("the file {} is empty: rows with the columns {} are expected", path.display(), wanted.join(", "))]
    Empty {
        /// The file.
        path: PathBuf,
        /// The columns that must be there.
        wanted: Vec<String>,
    },
    /// Columns that must be there are not.
    #[error(
        "the file {} has no column {}; it has {}. The first line must name the columns",
        path.display(),
        missing.join(", "),
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is missing.
        missing: Vec<String>,
        /// What is there.
        found: Vec<String>,
    },
    /// One name on two columns: nobody can say which is meant.
    #[error("the file {} has two columns named `{column}`: rename or remove one", path.display())]
    Repeated {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A typed column of a type that cannot be what is asked for.
    #[error("the column `{column}` of {} has the type {found}: {wanted} are needed", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// One JSON document instead of one object a line.
    #[error(
        "the file {} starts with `[`: one object a line is read, not an array (`jq -c '.[]'` turns one into the other)",
        path.display()
    )]
    JsonArray {
        /// The file.
        path: PathBuf,
    },
    /// A Parquet file without its end, or something else under that name.
    #[error(
        "the file {} is no whole Parquet file ({source}): it was cut off on the way or is of another format; fetch or write it again",
        path.display()
    )]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        source: ParquetError,
    },
    /// A table that cannot be written.
    #[error(
        "{target} cannot be written: {source}. Check that its folder is there, has room and may be written"
    )]
    Write {
        /// The file, or standard output.
        target: String,
        /// The system's words.
        source: std::io::Error,
    },
}

impl FileError {
    /// Whether whoever was reading what we wrote has gone, as `head` does when it has enough.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, FileError::Write { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// One row that cannot be read; the rows around it can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadRow {
    /// The line, from 1 on, the header counted; in Parquet the number of the row, from 1 on.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// The row as it stands; of Parquet, as JSON.
    pub text: Vec<u8>,
}
