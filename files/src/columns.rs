//! The columns that a kind of row is made from.

use std::path::Path;

use wire::schema::ColumnType;

use crate::FileError;
use crate::cell::Row;

/// One column that a kind of row knows.
pub(crate) struct Known {
    /// The names it may have; the first is our own and goes before the others.
    pub names: &'static [&'static str],
    /// What it holds.
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
}

/// What rows are made into. Cells are asked for by their index in [`FromRow::COLUMNS`].
pub(crate) trait FromRow: Sized + Send + 'static {
    /// The columns; all others are ignored.
    const COLUMNS: &'static [Known];
    /// Whether a quoted cell of CSV may hold line breaks.
    const LINE_BREAKS: bool;

    /// Makes one of a row and checks it.
    ///
    /// # Errors
    /// The reason why the row is a bad one, with its column and value.
    fn from_row(row: &Row<'_>) -> Result<Self, String>;

    /// The columns that must be there and are not.
    fn missing(found: &dyn Fn(usize) -> bool) -> Vec<String> {
        Self::COLUMNS
            .iter()
            .enumerate()
            .filter(|(index, column)| column.required && !found(*index))
            .map(|(_, column)| column.names.join(" or "))
            .collect()
    }
}

/// Where each known column stands among the columns of a file.
pub(crate) fn find<T: FromRow>(path: &Path, names: &[String]) -> Result<Vec<Option<usize>>, FileError> {
    let known = |name: &String| T::COLUMNS.iter().any(|column| column.names.contains(&name.as_str()));
    for (index, name) in names.iter().enumerate() {
        if known(name) && names[..index].contains(name) {
            return Err(FileError::Repeated { path: path.to_owned(), column: name.clone() });
        }
    }
    let places: Vec<_> = T::COLUMNS
        .iter()
        .map(|column| column.names.iter().find_map(|wanted| names.iter().position(|name| name == wanted)))
        .collect();
    let missing = T::missing(&|index| places[index].is_some());
    if !missing.is_empty() {
        return Err(FileError::Columns { path: path.to_owned(), missing, found: names.to_vec() });
    }
    Ok(places)
}

/// The error for a file without a single row.
pub(crate) fn empty<T: FromRow>(path: &Path) -> FileError {
    FileError::Empty { path: path.to_owned(), wanted: T::missing(&|_| false) }
}
