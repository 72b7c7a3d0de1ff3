//! Rows of CSV.
//!
//! Lines are told apart before quotes are looked at, so that a quote that is
//! never closed spoils its own line and not the rest of the file.

use std::marker::PhantomData;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::columns::{self, FromRow, Place};
use crate::lines::{LONGEST, Line, Lines};
use crate::value::Cell;
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
    places: Vec<Place>,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> Header<T> {
    pub(crate) fn read(path: &Path, lines: &mut Lines) -> Result<Header<T>, FileError> {
        let mut header = lines.next().map_err(|error| unread_header(path, &error))?;
        // What Excel reads as a setting.
        if header.as_ref().is_some_and(|line| line.bytes.eq_ignore_ascii_case(b"sep=,")) {
            header = lines.next().map_err(|error| unread_header(path, &error))?;
        }
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
    pub(crate) fn row(&self, line: &Line) -> Result<Placed<T>, BadRow> {
        let bad = |reason| BadRow {
            part: None,
            line: line.number,
            reason,
            text: line.bytes.clone(),
            unread: false,
        };
        // A row that lacks its end in the last line of a file that lacks its own.
        let cut_off = |reason| BadRow { unread: !line.ended, ..bad(reason) };
        if let Some(length) = line.overlong {
            return Err(bad(overlong(length)));
        }
        let mut quotes = Quotes::default();
        if !quotes.read(&line.bytes) || quotes.are_open() {
            return Err(cut_off("a quote is opened and never closed".into()));
        }
        let cells = cells(&line.bytes);
        if cells.len() != self.columns {
            let (has, named) = (cells.len(), self.columns);
            let reason = format!("the row has {has} columns, the header has {named}");
            return Err(if has < named { cut_off(reason) } else { bad(reason) });
        }
        let cell = |place: &'_ Place| match place {
            Place::Missing => Cell::Missing,
            Place::Column(at) => Cell::bytes(&cells[*at]),
            Place::Folder(value) => Cell::Text(value.clone().into()),
        };
        columns::make(line.number, self.places.iter().map(cell).collect(), |_| line.bytes.clone())
    }
}

/// The reason why a line is no row.
pub(crate) fn overlong(length: usize) -> String {
    format!("the line has {length} bytes: no row is so long")
}

impl<T: FromRow> CsvRows<T> {
    pub(crate) fn open(path: &Path, mut lines: Lines) -> Result<CsvRows<T>, FileError> {
        let header = Header::read(path, &mut lines)?;
        Ok(CsvRows { lines, header, ended: false })
    }

    /// A line, with those that belong to it because a quote is open; if none
    /// closes it within the length of a row, the line alone.
    fn next_line(&mut self) -> std::io::Result<Option<Line>> {
        let Some(mut line) = self.lines.next()? else { return Ok(None) };
        let mut quotes = Quotes::default();
        if !T::LINE_BREAKS || line.overlong.is_some() || !quotes.read(&line.bytes) || !quotes.are_open() {
            return Ok(Some(line));
        }
        let mut length = line.bytes.len();
        let mut more = Vec::new();
        while more.len() < LINES_A_ROW && length <= LONGEST {
            let next = match self.lines.next_even_if_blank() {
                Ok(Some(next)) => next,
                Ok(None) => break,
                // The lines up to there may be rows of their own.
                Err(error) => {
                    self.lines.give_back_before(more, error);
                    return Ok(Some(line));
                }
            };
            length += 1 + next.bytes.len();
            let goes_on = next.overlong.is_none() && length <= LONGEST;
            let is_whole = goes_on && quotes.read(b"\n") && quotes.read(&next.bytes);
            more.push(next);
            if !is_whole {
                break;
            }
            if !quotes.are_open() {
                for next in more {
                    line.ended = next.ended;
                    line.bytes.push(b'\n');
                    line.bytes.extend_from_slice(&next.bytes);
                }
                return Ok(Some(line));
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
            Ok(line) => line.map(|line| self.header.row(&line)),
            Err(error) => {
                self.ended = true;
                Some(Err(unreadable_from(self.lines.following(), &error)))
            }
        }
    }
}

/// The last row of a file that could not be read to its end.
pub(crate) fn unreadable_from(line: u64, error: &dyn std::error::Error) -> BadRow {
    let reason = format!("the file cannot be read from here on: {error}");
    BadRow { part: None, line, reason, text: Vec::new(), unread: true }
}

/// The error of a file whose first line cannot be read.
pub(crate) fn unread_header(path: &Path, error: &dyn std::error::Error) -> FileError {
    FileError::Unread { file: path.display().to_string(), line: 1, reason: error.to_string() }
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

/// How the quotes of a row stand, read piece by piece: each byte is looked at once.
///
/// A quote opens at the start of a cell only, and closes at its end only;
/// within, it is doubled.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Quotes {
    /// At the start of a cell.
    #[default]
    Start,
    /// In a cell without quotes.
    Plain,
    /// Within quotes.
    Open,
    /// After a quote within quotes: doubled if another follows, else the end of the cell.
    Quote,
}

impl Quotes {
    /// Reads on; false when a quote stands where none can, so that the one before
    /// it was never closed.
    fn read(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            *self = match (*self, byte) {
                (Quotes::Start, b'"') | (Quotes::Quote, b'"') => Quotes::Open,
                (Quotes::Open, b'"') => Quotes::Quote,
                (Quotes::Open, _) => Quotes::Open,
                (_, b',') => Quotes::Start,
                (Quotes::Quote, _) => return false,
                (Quotes::Start | Quotes::Plain, _) => Quotes::Plain,
            };
        }
        true
    }

    fn are_open(self) -> bool {
        self == Quotes::Open
    }
}
