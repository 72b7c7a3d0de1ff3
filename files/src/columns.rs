//! The columns of which a kind of row is made, and where they are in a file.

use std::path::Path;

use model::schema::ColumnType;
use model::{Article, Bar};

use crate::csv_rows::{Header, Line};
use crate::input::{self, Input, no_parts, of};
use crate::value::{Cell, Row};
use crate::{BadRow, FileError, Placed, json_rows};

/// A known column of a kind of row.
pub(crate) struct Known {
    /// The accepted names; the first is Tickwire's own and takes precedence.
    pub names: &'static [&'static str],
    /// The type of its values.
    pub kind: ColumnType,
    /// Whether every row must have it.
    pub required: bool,
}

impl Known {
    pub(crate) const fn required(names: &'static [&'static str], kind: ColumnType) -> Known {
        Known { names, kind, required: true }
    }

    pub(crate) const fn optional(names: &'static [&'static str], kind: ColumnType) -> Known {
        Known { names, kind, required: false }
    }

    /// Its names, for an error message.
    pub(crate) fn ours(&self) -> String {
        self.names.join(" or ")
    }
}

/// A kind of row. Cells are accessed by their index in [`FromRow::COLUMNS`].
pub(crate) trait FromRow: Sized + Send + 'static {
    /// The known columns; all others are ignored.
    const COLUMNS: &'static [Known];
    /// Whether a quoted cell of CSV may hold line breaks.
    const LINE_BREAKS: bool;

    /// Converts and validates a row.
    ///
    /// # Errors
    /// When the row is invalid; the message contains the column and the value.
    fn from_row(row: &Row<'_>) -> Result<Self, String>;

    /// The required columns that are missing.
    fn missing(found: &dyn Fn(usize) -> bool) -> Vec<String>;
}

/// Converts the cells of a row; `text` is called only for an invalid row.
pub(crate) fn make<T: FromRow>(
    line: u64,
    cells: Vec<Cell<'_>>,
    text: impl FnOnce(&Row<'_>) -> Vec<u8>,
) -> Result<Placed<T>, BadRow> {
    let row = Row::new(T::COLUMNS, cells);
    match T::from_row(&row) {
        Ok(value) => Ok(Placed { line, value, left_out: row.left_out() }),
        Err(reason) => Err(BadRow { part: None, line, reason, text: text(&row), unread: false }),
    }
}

/// Where the values of a known column are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// The column is missing.
    Missing,
    /// In this column of the file.
    Column(usize),
    /// In the name of a folder, the same for all rows.
    Folder(String),
}

/// Finds each known column among the columns of a file, otherwise in the names of its folders,
/// such as `symbol=AAPL/part-0.parquet`.
pub(crate) fn find<T: FromRow>(path: &Path, names: &[String]) -> Result<Vec<Place>, FileError> {
    let known = |name: &String| T::COLUMNS.iter().any(|column| column.names.contains(&name.as_str()));
    for (index, name) in names.iter().enumerate() {
        if known(name) && names[..index].contains(name) {
            return Err(FileError::Repeated { path: path.to_owned(), column: name.clone() });
        }
    }
    let of_folders = in_folders::<T>(path);
    let place = |(column, folder): (&Known, Option<String>)| {
        let at = column.names.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
        at.map(Place::Column).or(folder.map(Place::Folder)).unwrap_or(Place::Missing)
    };
    let places: Vec<_> = T::COLUMNS.iter().zip(of_folders).map(place).collect();
    let missing = T::missing(&|index| places[index] != Place::Missing);
    if !missing.is_empty() {
        return Err(FileError::Columns { path: path.to_owned(), missing, found: names.to_vec() });
    }
    Ok(places)
}

/// The values of known columns in the names of a file's folders.
pub(crate) fn in_folders<T: FromRow>(path: &Path) -> Vec<Option<String>> {
    let folders: Vec<_> = path
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .filter_map(|folder| folder.as_os_str().to_str()?.split_once('='))
        .collect();
    let value = |column: &Known| {
        let named = |name: &&str| folders.iter().rev().find(|(key, _)| key == name);
        let (_, value) = column.names.iter().find_map(named)?;
        (*value != "__HIVE_DEFAULT_PARTITION__").then(|| unescaped(value))
    };
    T::COLUMNS.iter().map(value).collect()
}

/// Decodes percent escapes such as `%3A`, which names of folders contain.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The error for a file without rows.
pub(crate) fn empty<T: FromRow>(path: &Path) -> FileError {
    FileError::Empty { path: path.to_owned(), wanted: T::missing(&|_| false) }
}

// Reads single rows again that were stored when their file was read, such as those of dead
// letters.

/// Reads single rows: JSON objects, and CSV rows if the header of their file is known.
#[derive(Default)]
pub struct RowReader {
    bars: Option<Header<Bar>>,
    articles: Option<Header<Article>>,
}

impl RowReader {
    /// A reader of JSON objects only.
    pub fn new() -> RowReader {
        RowReader::default()
    }

    /// A reader of JSON objects and of rows of the CSV file `path`, or of the first part if it
    /// is a folder.
    ///
    /// # Errors
    /// When the file cannot be read, is not CSV, or has neither the columns of bars nor those
    /// of articles.
    pub fn with_header_of(path: &Path) -> Result<RowReader, FileError> {
        let first = of(path)?.into_iter().next().ok_or_else(|| no_parts(path))?;
        let lines = || match input::open(&first)? {
            Input::Csv(lines) => Ok(Some(lines)),
            Input::Json(..) | Input::Parquet(_) => Ok(None),
        };
        let (Some(mut lines), Some(mut again)) = (lines()?, lines()?) else { return Ok(RowReader::new()) };
        let bars = Header::read(&first, &mut lines);
        let articles = Header::read(&first, &mut again).ok();
        match (bars, articles) {
            (Err(error), None) => Err(error),
            (bars, articles) => Ok(RowReader { bars: bars.ok(), articles }),
        }
    }

    /// Reads a row of bars.
    ///
    /// # Errors
    /// When the row is invalid.
    pub fn bar(&self, row: &[u8]) -> Result<Bar, String> {
        read(row, self.bars.as_ref())
    }

    /// Reads a row of articles.
    ///
    /// # Errors
    /// When the row is invalid.
    pub fn article(&self, row: &[u8]) -> Result<Article, String> {
        read(row, self.articles.as_ref())
    }
}

fn read<T: FromRow>(row: &[u8], header: Option<&Header<T>>) -> Result<T, String> {
    let line = Line { number: 1, bytes: row.to_vec(), overlong: None, ended: true };
    let read = match header {
        _ if row.trim_ascii_start().starts_with(b"{") => json_rows::read(&line, &[]),
        Some(header) => header.row(&line),
        None => return Err("a row of CSV does not tell its columns: name the file that it came from".into()),
    };
    read.map(|row| row.value).map_err(|bad| bad.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "start_ms,symbol,open,high,low,close,volume\n";
    const ROW: &[u8] = b"1709562600000,AAPL,10,11,9,10.5,100";

    #[test]
    fn a_json_object_tells_its_columns_and_a_row_of_csv_needs_its_header() {
        let json = br#"{"start_ms":1709562600000,"symbol":"AAPL","open":10,"high":11,"low":9,"close":10.5,"volume":100}"#;
        let bar = RowReader::new().bar(json).unwrap();
        assert_eq!((bar.symbol.as_str(), bar.close), ("AAPL", 10.5));
        assert!(RowReader::new().bar(ROW).unwrap_err().contains("name the file"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bars.csv");
        std::fs::write(&path, HEADER).unwrap();
        let reader = RowReader::with_header_of(&path).unwrap();
        assert_eq!(reader.bar(ROW).unwrap(), bar);
        assert!(reader.bar(b"1709562600000,AAPL,10").unwrap_err().contains("has 3 columns"));
        assert!(reader.article(ROW).is_err());
        std::fs::write(&path, "time,ticker\n").unwrap();
        assert!(RowReader::with_header_of(&path).is_err());
    }
}
