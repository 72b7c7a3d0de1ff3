//! The errors of files and of their rows.

use std::path::PathBuf;
use std::sync::Arc;

use parquet::errors::ParquetError;

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file does not exist or cannot be opened.
    #[error("the file {} cannot be read: {source}. Check its name and its permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The extension is of no format.
    #[error(
        "the file {} has no extension that names its format: call it .csv, .json (or .jsonl: one object a line) or .parquet; .gz and .zst may follow",
        path.display()
    )]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// The file is empty.
    #[error("the file {} is empty: rows with the columns {} are expected", path.display(), wanted.join(", "))]
    Empty {
        /// The file.
        path: PathBuf,
        /// The required columns.
        wanted: Vec<String>,
    },
    /// Required columns are missing.
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
        /// The missing columns.
        missing: Vec<String>,
        /// The columns that the file has.
        found: Vec<String>,
    },
    /// A column name occurs twice, so that the intended column is ambiguous.
    #[error("the file {} has two columns named `{column}`: rename or remove one", path.display())]
    Repeated {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A typed column has an unsuitable type.
    #[error("the column `{column}` of {} has the type {found}: {wanted} are needed", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What the column should contain.
        wanted: &'static str,
    },
    /// The file is a JSON document instead of one object a line.
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
        /// The `jq` filter that converts it.
        filter: String,
    },
    /// The file has another format, according to its first bytes.
    #[error("the file {} is {what}: {remedy}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The format.
        what: &'static str,
        /// The remedy.
        remedy: &'static str,
    },
    /// The folder does not consist of part files.
    #[error("the folder {} {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The problem and the remedy.
        why: &'static str,
    },
    /// The Parquet file uses an unsupported compression.
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
    /// The Parquet file is incomplete, or the file is not Parquet.
    #[error(
        "the file {} is not a complete Parquet file ({source}): it was cut off on the way or is of another format; fetch or write it again",
        path.display()
    )]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's error.
        source: ParquetError,
    },
    /// The file could be read up to a certain line only.
    #[error(
        "{file}, line {line}: {reason}. The file was cut off or damaged on the way: the rows before this line are used, those after it are missing; fetch or write the file again, then start over"
    )]
    Unread {
        /// The file, or the part of a folder.
        file: String,
        /// The first line, or in Parquet the first row, that could not be read.
        line: u64,
        /// The error of the operating system or of the decoder.
        reason: String,
    },
    /// The table cannot be written.
    #[error(
        "{target} cannot be written: {source}. Check that its folder is there, has room and may be written"
    )]
    Write {
        /// The file, or standard output.
        target: String,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl FileError {
    /// Whether the reader of a pipe has closed it, as `head` does.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, FileError::Write { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// The names of columns, in a text of bounded length.
fn named(found: &[String]) -> String {
    /// The maximum number of names, and of characters in a name.
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

/// A hint about the separator, for a header with a single column.
fn separator_hint(found: &[String]) -> &'static str {
    match found {
        [one] if one.contains(';') => ", separated by commas and not by semicolons",
        [one] if one.contains('\t') => ", separated by commas and not by tabs",
        [one] if one.contains('|') => ", separated by commas and not by `|`",
        [one, ..] if one.starts_with('{') => "; this is JSON: call it .jsonl",
        _ => "",
    }
}

/// An invalid row; the rows around it can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadRow {
    /// In a folder, the part that contains it.
    pub part: Option<Arc<str>>,
    /// The line, counted from 1 including the header; in Parquet the number of the row from 1.
    pub line: u64,
    /// Why it is invalid.
    pub reason: String,
    /// The bytes of the row; for Parquet, the row as JSON.
    pub text: Vec<u8>,
    /// Whether the file (or part) ends here because it was cut off or damaged, so that rows are
    /// missing.
    pub unread: bool,
}

impl BadRow {
    /// The error of the file, if it could not be read beyond this row.
    pub fn ends_file(&self, name: &str) -> Option<FileError> {
        let error =
            || FileError::Unread { file: self.file(name), line: self.line, reason: self.reason.clone() };
        self.unread.then(error)
    }

    /// The file that contains the row, where `name` was read: the file itself, or a part of the
    /// folder.
    pub fn file(&self, name: &str) -> String {
        match &self.part {
            Some(part) => format!("{name}/{part}"),
            None => name.to_owned(),
        }
    }
}
