//! Reading whole files of bars and articles for the commands that need them.

use std::path::Path;

use files::{BadRow, Placed};
use indicatif::ProgressBar;
use model::{Article, Bar};

use super::progress;
use crate::printable;

/// So many refused rows are shown one by one; the rest is counted.
const SHOWN: u64 = 10;

/// All bars of a file; refused rows are named on standard error and left out.
pub fn bars(file: &Path) -> anyhow::Result<Vec<Bar>> {
    collect(file, "Reading bars", files::bars(file)?)
}

/// All articles of a file, likewise.
pub fn articles(file: &Path) -> anyhow::Result<Vec<Article>> {
    collect(file, "Reading articles", files::articles(file)?)
}

fn collect<T>(
    file: &Path,
    what: &'static str,
    rows: impl Iterator<Item = Result<Placed<T>, BadRow>>,
) -> anyhow::Result<Vec<T>> {
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
    reading.finish()?;
    Ok(good)
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
}

impl<'a> Reading<'a> {
    /// Begins with `what`.
    pub fn of(file: &'a Path, what: &'static str) -> Reading<'a> {
        Reading { file, bar: progress::bar(what, None), taken: 0, refused: 0, left_out: 0, told: 0 }
    }

    /// So many good rows more.
    pub fn took(&mut self, rows: usize) {
        self.taken += rows as u64;
        self.bar.inc(rows as u64);
    }

    /// A refused row, named on standard error.
    pub fn refused(&mut self, bad: &BadRow) {
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
    }

    /// Sums up.
    ///
    /// # Errors
    /// When there were rows, and none of them was a good one.
    pub fn finish(self) -> anyhow::Result<()> {
        let (file, refused) = (self.file.display(), self.refused);
        self.bar.finish_and_clear();
        if refused > SHOWN {
            eprintln!("tickwire: … and {} more such lines", refused - SHOWN);
        }
        if refused > 0 && self.taken == 0 {
            anyhow::bail!("no row of {file} could be taken, {refused} were refused");
        }
        if refused > 0 {
            eprintln!("tickwire: {file}: {refused} row(s) refused, {} taken", self.taken);
        }
        if self.left_out > 1 {
            eprintln!("tickwire: {file}: {} rows were taken without an optional value", self.left_out);
        }
        Ok(())
    }
}
