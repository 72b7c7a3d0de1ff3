//! A folder of parts, as Spark, Dask and others write a file: read part after
//! part, in the order of their names.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::columns::FromRow;
use crate::{BadRow, FileError, Placed, Rows, one_file};

/// Folders within folders, as partitions make them, are looked into so deep.
const DEEPEST: usize = 8;
/// A folder with more parts is taken for the wrong one.
const MOST: usize = 100_000;

/// The files that `path` stands for: itself, or the parts of the folder in the
/// order in which they are read. What begins with a dot or `_` is no part.
///
/// # Errors
/// When the folder cannot be read, or its parts must not be read as they are.
pub fn of(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut parts = Vec::new();
    add(path, path, 0, &mut parts)?;
    parts.sort_by(|one, other| by_name(one, other));
    Ok(parts)
}

/// The error for a folder without a part.
pub(crate) fn no_parts(path: &Path) -> FileError {
    FileError::Folder { path: path.to_owned(), why: "is empty: it holds no parts of a file" }
}

fn add(top: &Path, folder: &Path, depth: usize, parts: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let refused = |why| FileError::Folder { path: top.to_owned(), why };
    let failed = |source| FileError::Open { path: folder.to_owned(), source };
    if ["_delta_log", ".hoodie"].iter().any(|name| folder.join(name).is_dir())
        || folder.join("metadata").is_dir() && folder.join("data").is_dir()
    {
        return Err(refused(
            "is a table (Delta, Hudi or Iceberg), whose folder holds rows that were replaced too: export it to a file",
        ));
    }
    if depth > DEEPEST {
        return Err(refused("holds folders within folders too deep: name the one with the parts"));
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_encoded_bytes().first().is_some_and(|first| b"._".contains(first)) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            add(top, &path, depth + 1, parts)?;
        } else if parts.len() == MOST {
            return Err(refused("holds more than 100000 files: name the one with the parts"));
        } else {
            parts.push(path);
        }
    }
    Ok(())
}

/// By name, in which numbers count as such: part.2 comes before part.10.
fn by_name(one: &Path, other: &Path) -> Ordering {
    let (mut left, mut right) = (one.as_os_str().as_encoded_bytes(), other.as_os_str().as_encoded_bytes());
    while let (Some(a), Some(b)) = (left.first(), right.first()) {
        if a.is_ascii_digit() && b.is_ascii_digit() {
            let (number, other_number) = (number(&mut left), number(&mut right));
            // Without zeros in front, the longer number is the greater one.
            let order = number.len().cmp(&other_number.len()).then_with(|| number.cmp(other_number));
            if order.is_ne() {
                return order;
            }
        } else if a == b {
            (left, right) = (&left[1..], &right[1..]);
        } else {
            return a.cmp(b);
        }
    }
    left.len().cmp(&right.len()).then_with(|| one.cmp(other))
}

/// Takes the digits off the start, without the zeros in front.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    *text = rest;
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

/// The rows of the parts of a folder. A part that cannot be read is one bad row;
/// the others are read.
pub(crate) struct Parts<T> {
    folder: PathBuf,
    left: std::vec::IntoIter<PathBuf>,
    current: Option<(Arc<str>, Rows<T>)>,
    refused: Vec<BadRow>,
}

impl<T: FromRow> Parts<T> {
    /// Opens the first part that can be read.
    pub(crate) fn open(folder: &Path) -> Result<Parts<T>, FileError> {
        let parts = of(folder)?;
        let mut rows =
            Parts { folder: folder.to_owned(), left: parts.into_iter(), current: None, refused: Vec::new() };
        let mut first = None;
        while rows.current.is_none() {
            let Some(error) = rows.open_next() else { break };
            first = first.or(error);
        }
        match (&rows.current, first) {
            (Some(_), _) => Ok(rows),
            (None, error) => Err(error.unwrap_or_else(|| no_parts(folder))),
        }
    }

    /// Opens the next part, and says what is wrong with it; none after the last.
    fn open_next(&mut self) -> Option<Option<FileError>> {
        let path = self.left.next()?;
        let part: Arc<str> = name_in(&self.folder, &path).into();
        match one_file(&path) {
            Ok(rows) => self.current = Some((part, rows)),
            // Spark writes a part for every task, rows or none.
            Err(error @ FileError::Empty { .. }) => return Some(Some(error)),
            Err(error) => {
                self.refused.push(refused(part, &error));
                return Some(Some(error));
            }
        }
        Some(None)
    }
}

/// The name of a part within its folder.
pub(crate) fn name_in(folder: &Path, part: &Path) -> String {
    part.strip_prefix(folder).unwrap_or(part).display().to_string()
}

/// A part that cannot be read, as a row.
pub(crate) fn refused(part: Arc<str>, error: &FileError) -> BadRow {
    let unread =
        matches!(error, FileError::Open { .. } | FileError::Unread { .. } | FileError::Parquet { .. });
    BadRow { part: Some(part), line: 1, reason: error.to_string(), text: Vec::new(), unread }
}

impl<T: FromRow> Iterator for Parts<T> {
    type Item = Result<Placed<T>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if !self.refused.is_empty() {
                return Some(Err(self.refused.remove(0)));
            }
            if let Some((part, rows)) = &mut self.current {
                match rows.next() {
                    Some(row) => return Some(row.map_err(|bad| BadRow { part: Some(part.clone()), ..bad })),
                    None => self.current = None,
                }
            }
            self.open_next()?;
        }
    }
}
