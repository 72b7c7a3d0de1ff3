//! The lines of a file, numbered, each of bounded length.

use std::collections::VecDeque;
use std::io::{self, BufRead};

/// No row is longer, in bytes; of a line that is, this much is kept. It is a
/// hundred times what the longest headline and address need together.
pub(crate) const LONGEST: usize = 1 << 20;

/// One line, without its line break.
pub(crate) struct Line {
    /// From 1 on.
    pub number: u64,
    /// Its bytes, at most [`LONGEST`].
    pub bytes: Vec<u8>,
    /// Its whole length in bytes, where that is more than is kept.
    pub overlong: Option<usize>,
    /// Whether a line break ends it: the last line of a file that was cut off has none.
    pub ended: bool,
}

/// Reads a file line by line.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    read: u64,
    given_back: VecDeque<Line>,
    /// What follows the lines that were given back.
    failed: Option<io::Error>,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Lines {
        Lines { input, read: 0, given_back: VecDeque::new(), failed: None }
    }

    /// The next line that is not blank.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        while let Some(line) = self.next_even_if_blank()? {
            if !line.bytes.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// The next line, whatever is on it.
    ///
    /// # Errors
    /// When the file cannot be read on.
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

    /// Lines to be read again, in their order.
    pub(crate) fn give_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.given_back.push_front(line);
        }
    }

    /// Likewise, where the file could not be read on behind them.
    pub(crate) fn give_back_before(&mut self, lines: Vec<Line>, error: io::Error) {
        self.give_back(lines);
        self.failed = Some(error);
    }

    /// The number of the line that could not be read.
    pub(crate) fn following(&self) -> u64 {
        self.read + 1
    }
}
