//! Reading whole files of bars and articles for the commands that need them.

use std::path::Path;

use files::{BadRow, FileError, Placed};
use indicatif::ProgressBar;
use log::time_bounds::RowTimes;
use model::{Article, Bar};

use super::progress;
use crate::printable;

/// So many refused rows are shown one by one; the rest is counted.
const SHOWN: u64 = 10;

/// The rows of a file that could be taken.
pub struct Taken<T> {
    /// In the order of the file.
    pub rows: Vec<T>,
    /// Where the file could not be read to its end.
    pub unread: Unread,
}

/// Why a file could not be read to its end, if it could not: the command works on the rows
/// before that place, and fails in the end.
#[must_use]
#[derive(Debug, Default)]
pub struct Unread(Option<FileError>);

impl Unread {
    /// Ends a command that has written what could be made of its files.
    ///
    /// # Errors
    /// When a file could not be read to its end.
    pub fn end(self) -> anyhow::Result<()> {
        self.0.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The first of two.
    pub fn or(self, other: Unread) -> Unread {
        Unread(self.0.or(other.0))
    }
}

/// All bars of a file; refused rows are named on standard error and left out. Which those
/// are is judged as a replay of the file judges.
pub fn bars(file: &Path) -> anyhow::Result<Taken<Bar>> {
    let mut times = RowTimes::default();
    let rows = files::bars(file)?.map(|row| {
        row.and_then(|row| match times.check(row.value.start_timestamp) {
            Ok(()) => Ok(row),
            Err(reason) => Err(row.rejected(reason, Vec::new())),
        })
    });
    collect(file, "Reading bars", rows)
}

/// All articles of a file, likewise.
pub fn articles(file: &Path) -> anyhow::Result<Taken<Article>> {
    let mut rows: Vec<_> = files::articles(file)?.collect();
    // A replay plays articles in the order of their time, whatever that of the file is.
    let mut in_time: Vec<_> = rows.iter_mut().filter(|row| row.is_ok()).collect();
    in_time.sort_by_key(|row| row.as_ref().map_or(0, |row| row.value.published_timestamp));
    let mut times = RowTimes::default();
    for row in in_time {
        if let Ok(placed) = row
            && let Err(reason) = times.check(placed.value.published_timestamp)
        {
            *row = Err(placed.rejected(reason, Vec::new()));
        }
    }
    collect(file, "Reading articles", rows.into_iter())
}

fn collect<T>(
    file: &Path,
    what: &'static str,
    rows: impl Iterator<Item = Result<Placed<T>, BadRow>>,
) -> anyhow::Result<Taken<T>> {
    let mut reading = Reading::of(file, what);
    let mut good = Vec::new();
    for row in rows {
        match row {
            Ok(row) => {
                reading.took(1);
                if let Some(what) = row.left_out {
                    reading.left_out(row.line, &what);
                }
                good.push(row.value);
            }
            Err(bad) => reading.refused(&bad),
        }
    }
    Ok(Taken { rows: good, unread: reading.finish()? })
}

/// What is told of a file while it is read, and in the end.
pub struct Reading<'a> {
    file: &'a Path,
    bar: ProgressBar,
    taken: u64,
    refused: u64,
    left_out: u64,
    /// So many refused rows have been told of in an earlier reading.
    told: u64,
    /// The first place from which on the file, or a part of it, could not be read.
    unread: Option<FileError>,
}

impl<'a> Reading<'a> {
    /// Begins with `what`.
    pub fn of(file: &'a Path, what: &'static str) -> Reading<'a> {
        Reading {
            file,
            bar: progress::bar(what, None),
            taken: 0,
            refused: 0,
            left_out: 0,
            told: 0,
            unread: None,
        }
    }

    /// So many good rows more.
    pub fn took(&mut self, rows: usize) {
        self.taken += rows as u64;
        self.bar.inc(rows as u64);
    }

    /// A refused row, named on standard error.
    pub fn refused(&mut self, bad: &BadRow) {
        if self.unread.is_none() {
            self.unread = bad.ends_file(&self.file.display().to_string());
        }
        self.refused += 1;
        if self.refused > self.told && self.refused <= SHOWN {
            let file = bad.file(&self.file.display().to_string());
            let said = printable(&format!("{file}, line {}: {}", bad.line, bad.reason));
            self.bar.suspend(|| eprintln!("tickwire: {said}"));
        }
    }

    /// A row that was taken without an optional value that could not be read;
    /// the first of them is named on standard error.
    pub fn left_out(&mut self, line: u64, what: &str) {
        self.left_out += 1;
        if self.left_out == 1 {
            let file = self.file.display();
            let said = printable(&format!("{file}, line {line}: {what}, and the row is taken"));
            self.bar.suspend(|| eprintln!("tickwire: {said}"));
        }
    }

    /// The file is read once more, from its beginning; what has been told is not told again.
    pub fn again(&mut self, what: &'static str) {
        self.bar.set_message(what);
        self.bar.reset();
        (self.told, self.taken, self.refused) = (self.told.max(self.refused), 0, 0);
        self.unread = None;
    }

    /// Sums up; says whether the file could be read to its end.
    ///
    /// # Errors
    /// When there were rows, and none of them was a good one.
    pub fn finish(self) -> anyhow::Result<Unread> {
        let (file, refused) = (self.file.display(), self.refused);
        self.bar.finish_and_clear();
        if refused > SHOWN {
            eprintln!("tickwire: … and {} more such lines", refused - SHOWN);
        }
        if refused > 0 && self.taken == 0 {
            Unread(self.unread).end()?;
            anyhow::bail!("no row of {file} could be taken, {refused} were refused");
        }
        if refused > 0 {
            eprintln!("tickwire: {file}: {refused} row(s) refused, {} taken", self.taken);
        }
        if self.left_out > 1 {
            eprintln!("tickwire: {file}: {} rows were taken without an optional value", self.left_out);
        }
        Ok(Unread(self.unread))
    }
}
