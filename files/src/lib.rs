//! Reads bars and articles from files, and writes result tables to files, as CSV, JSON lines or
//! Parquet.
//!
//! Rows are read lazily, so the memory does not depend on the length of a file. An error of the
//! whole file is a [`FileError`]; an invalid row is a [`BadRow`] and does not affect the
//! others.

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

use model::{Article, AssetClass, Bar};

use columns::FromRow;
use input::Input;

pub use candles::{CandlePieces, Piece, candles};
pub use columns::RowReader;
pub use error::{BadRow, FileError};
pub use format::{Format, UnknownFormat};
pub use input::of as parts;
pub use table::TableWriter;

/// A value with its position in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<T> {
    /// The line, counted from 1 including the header; in Parquet the number of the row from 1.
    pub line: u64,
    /// The value.
    pub value: T,
    /// A description of the first optional value that could not be read and was left out.
    pub left_out: Option<String>,
}

impl<T> Placed<T> {
    /// The row as one that its reader rejects, with `text` as its bytes.
    pub fn rejected(&self, reason: String, text: Vec<u8>) -> BadRow {
        BadRow { part: None, line: self.line, reason, text, unread: false }
    }
}

/// The bars of a file, read lazily.
pub type BarRows = Rows<Bar>;
/// The articles of a file, read lazily.
pub type ArticleRows = Rows<Article>;

/// Opens a file of minute bars, or a folder of part files. CSV and JSON lines may be compressed
/// with gzip or zstd. The notation of values is the same in all formats; see docs/files.md.
/// Prices are taken as they are, neither adjusted nor converted.
///
/// The start of a bar is the column `start_timestamp` or `start_ms` (epoch milliseconds). Its
/// end defaults to one minute later, its received time to its end. The source of every bar is
/// `replay`; `complete_until` is 0 and is set by the producer.
///
/// # Errors
/// When the file cannot be read, is empty, is cut off (Parquet) or lacks required columns.
pub fn bars(path: &Path) -> Result<BarRows, FileError> {
    open(path)
}

/// Opens a file of articles, as [`bars`] does.
///
/// The first publication is the column `published_timestamp` or `published_ms`, and the
/// received time defaults to it; a symbol or a search term is required.
///
/// # Errors
/// As for [`bars`].
pub fn articles(path: &Path) -> Result<ArticleRows, FileError> {
    open(path)
}

/// The class of the bars of a file: that of its first good row; of a file without one, stocks.
///
/// # Errors
/// As for [`bars`].
pub fn class_of(path: &Path) -> Result<AssetClass, FileError> {
    let first = bars(path)?.find_map(Result::ok);
    Ok(first.map(|row| AssetClass::of(&row.value.symbol)).unwrap_or_default())
}

/// The rows of a file.
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
