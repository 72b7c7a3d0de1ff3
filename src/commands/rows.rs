//! Reading whole files of bars and articles for the commands that need them.

use std::path::Path;

use files::{BadRow, Placed};
use wire::{Article, Bar};

use super::progress;

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
    let bar = progress::bar(what, None);
    let (mut good, mut refused) = (Vec::new(), 0);
    for row in bar.wrap_iter(rows) {
        match row {
            Ok(row) => good.push(row.value),
            Err(bad) => {
                refused += 1;
                if refused <= SHOWN {
                    bar.suspend(|| {
                        eprintln!("tickwire: {}, line {}: {}", file.display(), bad.line, bad.reason);
                    });
                }
            }
        }
    }
    bar.finish_and_clear();
    if refused > SHOWN {
        eprintln!("tickwire: … and {} more such lines", refused - SHOWN);
    }
    if refused > 0 && good.is_empty() {
        anyhow::bail!("no row of {} could be taken, {refused} were refused", file.display());
    }
    if refused > 0 {
        eprintln!("tickwire: {}: {refused} row(s) refused, {} taken", file.display(), good.len());
    }
    Ok(good)
}
