//! Rows of CSV.
//!
//! Lines are told apart before quotes are looked at, so that a quote that is
//! never closed spoils its own line and not the rest of the file.

use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::cell::{Cell, Row};
use crate::columns::{self, FromRow};
use crate::lines::{Line, Lines};
use crate::{BadRow, FileError, Placed};

/// A quoted cell runs over at most so many lines.
const LINES_A_ROW: usize = 100;

pub(crate) struct CsvRows<T> {
    lines: Lines,
    header: Header<T>,
    ended: bool,
}

/// What the first line says of those that follow.
pub(crate) struct Header<T> {
    columns: usize,
    places: Vec<Option<usize>>,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> Header<T> {
    pub(crate) fn read(path: &Path, lines: &mut Lines) -> Result<Header<T>, FileError> {
        let header = lines.next().map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        let header = header.ok_or_else(|| columns::empty::<T>(path))?;
        let names: Vec<_> = cells(&header.bytes)
            .iter()
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned())
            .collect();
        let places = columns::find::<T>(path, &names)?;
        Ok(Header { columns: names.len(), places, rows: PhantomData })
    }

    /// Reads one row.
    ///
    /// # Errors
    /// The reason why it is a bad one.
    pub(crate) fn row(&self, line: &Line) -> Result<T, String> {
        if let Some(length) = line.overlong {
            return Err(format!("the line has {length} bytes: no row is so long"));
        }
        if quotes(&line.bytes) != Quotes::Closed {
            return Err("a quote is opened and never closed".into());
        }
        let cells = cells(&line.bytes);
        if cells.len() != self.columns {
            return Err(format!("the row has {} columns, the header has {}", cells.len(), self.columns));
        }
        let cells = self.places.iter().map(|place| place.map_or(Cell::Missing, |place| cell(&cells[place])));
        T::from_row(&Row { columns: T::COLUMNS, cells: cells.collect() })
    }
}

impl<T: FromRow> CsvRows<T> {
    pub(crate) fn open(path: &Path, file: File) -> Result<CsvRows<T>, FileError> {
        let mut lines = Lines::new(file);
        let header = Header::read(path, &mut lines)?;
        Ok(CsvRows { lines, header, ended: false })
    }

    /// A line, with those that belong to it because a quote is open; if none
    /// closes it, the line alone.
    fn next_line(&mut self) -> std::io::Result<Option<Line>> {
        let Some(mut line) = self.lines.next()? else { return Ok(None) };
        if !T::LINE_BREAKS || quotes(&line.bytes) != Quotes::Open {
            return Ok(Some(line));
        }
        let mut whole = line.bytes.clone();
        let mut more = Vec::new();
        while more.len() < LINES_A_ROW
            && let Some(next) = self.lines.next_even_if_blank()?
        {
            whole.push(b'\n');
            whole.extend_from_slice(&next.bytes);
            more.push(next);
            match quotes(&whole) {
                Quotes::Open => {}
                Quotes::Broken => break,
                Quotes::Closed => {
                    line.bytes = whole;
                    return Ok(Some(line));
                }
            }
        }
        self.lines.give_back(more);
        Ok(Some(line))
    }
}

impl<T: FromRow> Iterator for CsvRows<T> {
    type Item = Result<Placed<T>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.next_line() {
            Ok(line) => line.map(|line| match self.header.row(&line) {
                Ok(value) => Ok(Placed { line: line.number, value }),
                Err(reason) => Err(BadRow { line: line.number, reason, text: line.bytes }),
            }),
            Err(error) => {
                self.ended = true;
                Some(Err(unreadable_from(self.lines.following(), &error)))
            }
        }
    }
}

/// The last row of a file that could not be read to its end.
pub(crate) fn unreadable_from(line: u64, error: &dyn std::error::Error) -> BadRow {
    BadRow { line, reason: format!("the file cannot be read from here on: {error}"), text: Vec::new() }
}

fn cells(line: &[u8]) -> ByteRecord {
    if !line.contains(&b'"') {
        return ByteRecord::from_iter(line.split(|&byte| byte == b','));
    }
    let mut record = ByteRecord::new();
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    // A reader of bytes in memory has nothing that could fail.
    let _ = reader.read_byte_record(&mut record);
    record
}

fn cell(bytes: &[u8]) -> Cell<'_> {
    match std::str::from_utf8(bytes.trim_ascii()) {
        Ok("") => Cell::Missing,
        Ok(text) => Cell::Untyped(text),
        Err(_) => Cell::Foreign(format!("{} (not UTF-8)", String::from_utf8_lossy(bytes))),
    }
}

/// How the quotes of a row stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// Every quote that opened is closed.
    Closed,
    /// The row ends within quotes.
    Open,
    /// A quote stands where none can: the one before it was never closed.
    Broken,
}

/// A quote opens at the start of a cell only, and closes at its end only;
/// within, it is doubled.
fn quotes(row: &[u8]) -> Quotes {
    let (mut quoted, mut cell_starts) = (false, true);
    let mut bytes = row.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match (byte, quoted, bytes.peek()) {
            (b'"', true, Some(b'"')) => drop(bytes.next()),
            (b'"', true, Some(b',') | None) => quoted = false,
            (b'"', true, Some(_)) => return Quotes::Broken,
            (b'"', false, _) if cell_starts => quoted = true,
            _ => {}
        }
        cell_starts = byte == b',' && !quoted;
    }
    if quoted { Quotes::Open } else { Quotes::Closed }
}
