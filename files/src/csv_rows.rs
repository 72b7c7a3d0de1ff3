//! Reads rows of CSV.
//!
//! The file is split into lines before quotes are interpreted, so that a quotation mark that is
//! never closed affects its own line only. After the rows of a file follow single rows that are
//! read again, and the splitting into lines, which JSON lines use too.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::marker::PhantomData;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::columns::{self, FromRow, Place};
use crate::value::Cell;
use crate::{BadRow, FileError, Placed};

/// The maximum number of lines of a quoted cell.
const LINES_A_ROW: usize = 100;

pub(crate) struct CsvRows<T> {
    lines: Lines,
    header: Header<T>,
    ended: bool,
}

/// What the header line determines for the rows.
pub(crate) struct Header<T> {
    columns: usize,
    places: Vec<Place>,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> Header<T> {
    pub(crate) fn read(path: &Path, lines: &mut Lines) -> Result<Header<T>, FileError> {
        let mut header = lines.next().map_err(|error| unread_header(path, &error))?;
        // A directive of Excel.
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
    /// When the row is invalid.
    pub(crate) fn row(&self, line: &Line) -> Result<Placed<T>, BadRow> {
        let bad = |reason| BadRow {
            part: None,
            line: line.number,
            reason,
            text: line.bytes.clone(),
            unread: false,
        };
        // An incomplete row on the last line, without a line break: the file was cut off.
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

/// The reason for rejecting a line that is too long.
pub(crate) fn overlong(length: usize) -> String {
    format!("the line has {length} bytes, which is longer than a row may be")
}

impl<T: FromRow> CsvRows<T> {
    pub(crate) fn open(path: &Path, mut lines: Lines) -> Result<CsvRows<T>, FileError> {
        let header = Header::read(path, &mut lines)?;
        Ok(CsvRows { lines, header, ended: false })
    }

    /// The next line, with the following ones if a quoted cell continues on them. If no closing
    /// quotation mark follows within the limits, the line alone.
    fn next_line(&mut self) -> io::Result<Option<Line>> {
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
                // The lines before the error may be rows of their own.
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

/// The error of a file whose header line cannot be read.
pub(crate) fn unread_header(path: &Path, error: &dyn std::error::Error) -> FileError {
    FileError::Unread { file: path.display().to_string(), line: 1, reason: error.to_string() }
}

fn cells(line: &[u8]) -> ByteRecord {
    if !line.contains(&b'"') {
        return ByteRecord::from_iter(line.split(|&byte| byte == b','));
    }
    let mut record = ByteRecord::new();
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    // A reader of bytes in memory cannot fail.
    let _ = reader.read_byte_record(&mut record);
    record
}

/// The state of quoting in a row that is scanned in pieces, each byte once.
///
/// A cell is quoted if it starts with a quotation mark, and ends at the closing one; inside,
/// quotation marks are doubled.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Quotes {
    /// At the start of a cell.
    #[default]
    Start,
    /// In a cell without quotes.
    Plain,
    /// Within quotes.
    Open,
    /// After a quotation mark in a quoted cell: an escape if another follows, otherwise the end
    /// of the cell.
    Quote,
}

impl Quotes {
    /// Scans further bytes; `false` if a quotation mark is in an impossible place, so the
    /// preceding one was never closed.
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

// Splits a file into numbered lines of bounded length.

/// The maximum length of a row, in bytes; a longer line is truncated. It is a hundred times the
/// maximum length of a headline and an address together.
pub(crate) const LONGEST: usize = 1 << 20;

/// One line, without its line break.
pub(crate) struct Line {
    /// Counted from 1.
    pub number: u64,
    /// Its bytes, at most [`LONGEST`].
    pub bytes: Vec<u8>,
    /// The full length in bytes, if it exceeds [`LONGEST`].
    pub overlong: Option<usize>,
    /// Whether a line break follows; the last line of a file that was cut off may lack it.
    pub ended: bool,
}

/// Reads a file line by line.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    read: u64,
    given_back: VecDeque<Line>,
    /// An error that follows the lines that were given back.
    failed: Option<io::Error>,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Lines {
        Lines { input, read: 0, given_back: VecDeque::new(), failed: None }
    }

    /// The next line that is not blank.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        while let Some(line) = self.next_even_if_blank()? {
            if !line.bytes.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// The next line, blank or not.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn next_even_if_blank(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.given_back.pop_front() {
            return Ok(Some(line));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (mut bytes, mut length, mut ended) = (Vec::new(), 0, false);
        while !ended {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let line_break = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..line_break.unwrap_or(buffer.len())];
            bytes.extend_from_slice(&part[..part.len().min(LONGEST - bytes.len())]);
            length += part.len();
            ended = line_break.is_some();
            let taken = part.len() + usize::from(ended);
            self.input.consume(taken);
        }
        if length == 0 && !ended {
            return Ok(None);
        }
        let overlong = (length > bytes.len()).then_some(length);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if self.read == 0 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        self.read += 1;
        Ok(Some(Line { number: self.read, bytes, overlong, ended }))
    }

    /// Returns lines to be read again, in order.
    pub(crate) fn give_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.given_back.push_front(line);
        }
    }

    /// As [`Lines::give_back`], followed by an error.
    pub(crate) fn give_back_before(&mut self, lines: Vec<Line>, error: io::Error) {
        self.give_back(lines);
        self.failed = Some(error);
    }

    /// The number of the line that could not be read.
    pub(crate) fn following(&self) -> u64 {
        self.read + 1
    }
}
