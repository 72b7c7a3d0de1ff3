//! What can be wrong with a file, and with one of its rows.

use std::path::PathBuf;
use std::sync::Arc;

use parquet::errors::ParquetError;

/// What makes a file as a whole unreadable, or impossible to write.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, or not ours to read.
    #[error("the file {} cannot be read: {source}. Check its name and its permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// An extension that names no format.
    #[error(
        "the file {} has no extension that names its format: call it .csv, .json (or .jsonl: one object a line) or .parquet; .gz and .zst may follow",
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
        "the file {} has no column {}; it has {}. The first line must name the columns{}",
        path.display(),
        missing.join(", "),
        named(found),
        separator_hint(found)
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
        "the file {} is {what}, and one object a line is read, which this makes of it: `jq -c '{filter}' {} > rows.jsonl`",
        path.display(),
        path.display()
    )]
    JsonDocument {
        /// The file.
        path: PathBuf,
        /// What its first bytes show.
        what: &'static str,
        /// What makes rows of it, in the language of `jq`.
        filter: String,
    },
    /// Something else, by its first bytes.
    #[error("the file {} is {what}: {remedy}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A folder that is no folder of parts.
    #[error("the folder {} {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, and what to do about it.
        why: &'static str,
    },
    /// Parquet in a compression that is not read.
    #[error(
        "the file {} is compressed with {codec} inside, which is not read: write it with zstd, snappy, gzip or lz4",
        path.display()
    )]
    Codec {
        /// The file.
        path: PathBuf,
        /// The compression.
        codec: &'static str,
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
    /// A file that could be read up to a place only.
    #[error(
        "{file}, line {line}: {reason}. The file was cut off or damaged on the way: the rows before this place are taken, those after it are missing; fetch or write the file again, then start over"
    )]
    Unread {
        /// The file, or the part of a folder.
        file: String,
        /// The line, or in Parquet the row, from which on it could not be read.
        line: u64,
        /// The system's or the format's words.
        reason: String,
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

/// The names of columns, in a message of bounded length.
fn named(found: &[String]) -> String {
    /// So many columns are named, with so many characters each.
    const NAMED: usize = 40;
    if found.is_empty() {
        return "none".to_owned();
    }
    let names = found.iter().take(NAMED).map(|name| match name.char_indices().nth(NAMED) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.clone(),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    match found.len().saturating_sub(NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// What a header of a single column tells of how the columns were separated.
fn separator_hint(found: &[String]) -> &'static str {
    match found {
        [one] if one.contains(';') => ", separated by commas and not by semicolons",
        [one] if one.contains('\t') => ", separated by commas and not by tabs",
        [one] if one.contains('|') => ", separated by commas and not by `|`",
        [one, ..] if one.starts_with('{') => "; this is JSON: call it .jsonl",
        _ => "",
    }
}

/// One row that cannot be read; the rows around it can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadRow {
    /// In a folder of parts, the part that it stands in.
    pub part: Option<Arc<str>>,
    /// The line, from 1 on, the header counted; in Parquet the number of the row, from 1 on.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// The row as it stands; of Parquet, as JSON.
    pub text: Vec<u8>,
    /// Whether the file (or the part) ends in this row and should not: it was cut off or
    /// damaged, and what followed is missing.
    pub unread: bool,
}

impl BadRow {
    /// The error of the file as a whole, where it could not be read beyond this row.
    pub fn ends_file(&self, name: &str) -> Option<FileError> {
        let error =
            || FileError::Unread { file: self.file(name), line: self.line, reason: self.reason.clone() };
        self.unread.then(error)
    }

    /// The file that it stands in, where `name` was read: the file itself, or a part of the folder.
    pub fn file(&self, name: &str) -> String {
        match &self.part {
            Some(part) => format!("{name}/{part}"),
            None => name.to_owned(),
        }
    }
}
