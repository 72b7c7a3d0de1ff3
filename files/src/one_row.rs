//! Single rows, as they were kept when their file was read: read once more.

use std::path::Path;

use model::{Article, Bar};

use crate::columns::FromRow;
use crate::csv_rows::Header;
use crate::input::{self, Input};
use crate::lines::Line;
use crate::{FileError, json_rows, parts};

/// Reads rows by themselves: JSON objects, and with the header of a file that
/// has one the rows of CSV.
#[derive(Default)]
pub struct RowReader {
    bars: Option<Header<Bar>>,
    articles: Option<Header<Article>>,
}

impl RowReader {
    /// A reader of JSON objects alone.
    pub fn new() -> RowReader {
        RowReader::default()
    }

    /// A reader of JSON objects and of rows with the columns of the CSV file `path`,
    /// or of the first part where it is a folder.
    ///
    /// # Errors
    /// When it cannot be read, is no CSV file, or its columns are neither those
    /// of bars nor those of articles.
    pub fn with_header_of(path: &Path) -> Result<RowReader, FileError> {
        let first = parts::of(path)?.into_iter().next().ok_or_else(|| parts::no_parts(path))?;
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
    /// The reason why it is a bad one.
    pub fn bar(&self, row: &[u8]) -> Result<Bar, String> {
        read(row, self.bars.as_ref())
    }

    /// Reads a row of articles.
    ///
    /// # Errors
    /// The reason why it is a bad one.
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
