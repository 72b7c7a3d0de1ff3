//! Bars and articles in files, and result tables to files: CSV, JSON lines, Parquet.
//!
//! Reading is lazy: a file of any length takes the memory of a few rows. What
//! is wrong with a file as a whole is a [`FileError`]; what is wrong with one
//! row is a [`BadRow`], and the rows around it are read as if it were not there.

mod article;
mod bar;
mod candles;
mod columns;
mod csv_rows;
mod epoch;
mod error;
mod format;
mod input;
mod json_rows;
mod parquet_candles;
mod parquet_columns;
mod parquet_rows;
mod table;
mod value;

use std::path::Path;

use model::{Article, Bar};

use columns::FromRow;
use input::Input;

pub use candles::{CandlePieces, Piece, candles};
pub use columns::RowReader;
pub use error::{BadRow, FileError};
pub use format::{Format, UnknownFormat};
pub use input::of as parts;
pub use table::TableWriter;

/// A value with the place in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<T> {
    /// The line, from 1 on, the header counted; in Parquet the number of the row, from 1 on.
    pub line: u64,
    /// What stands there.
    pub value: T,
    /// The first of its optional values that could not be read and were left out, in words.
    pub left_out: Option<String>,
}

/// The bars of a file, read as they are asked for.
pub type BarRows = Rows<Bar>;
/// The articles of a file, read as they are asked for.
pub type ArticleRows = Rows<Article>;

/// Opens a file of minute bars, or a folder of its parts. CSV and JSON lines may
/// be compressed with gzip or zstd. How values may be written is the same in all
/// formats: docs/files.md has the table.
///
/// The start of a bar is the column `start_timestamp` or `start_ms`; its end
/// defaults to one minute later, its receipt to its end. The source of every bar
/// is a replay, and `complete_until` is left at 0 for whoever puts it on the log.
///
/// # Errors
/// When the file cannot be read, is empty, is cut off (Parquet) or lacks columns.
pub fn bars(path: &Path) -> Result<BarRows, FileError> {
    open(path)
}

/// Opens a file of articles, as [`bars`] does.
///
/// Publication is the column `published_timestamp` or `published_ms`, and
/// receipt defaults to it; a symbol or a search term must be there.
///
/// # Errors
/// As for [`bars`].
pub fn articles(path: &Path) -> Result<ArticleRows, FileError> {
    open(path)
}

/// The rows of a file, one by one.
pub struct Rows<T>(Box<dyn Iterator<Item = Result<Placed<T>, BadRow>> + Send>);

impl<T> Iterator for Rows<T> {
    type Item = Result<Placed<T>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

fn open<T: FromRow>(path: &Path) -> Result<Rows<T>, FileError> {
    if path.is_dir() { Ok(Rows(Box::new(input::Parts::open(path)?))) } else { one_file(path) }
}

fn one_file<T: FromRow>(path: &Path) -> Result<Rows<T>, FileError> {
    rows_of(path, input::open(path)?)
}

fn rows_of<T: FromRow>(path: &Path, input: Input) -> Result<Rows<T>, FileError> {
    Ok(Rows(match input {
        Input::Csv(lines) => Box::new(csv_rows::CsvRows::open(path, lines)?),
        Input::Json(lines, head) => Box::new(json_rows::JsonRows::open(path, lines, &head)?),
        Input::Parquet(file) => Box::new(parquet_rows::ParquetRows::open(path, file)?),
    }))
}
