//! The columns that a kind of row is made from.

use std::path::Path;

use model::schema::ColumnType;

use crate::value::{Cell, Row};
use crate::{BadRow, FileError, Placed};

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

    /// Its names, for a message.
    pub(crate) fn ours(&self) -> String {
        self.names.join(" or ")
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
    fn missing(found: &dyn Fn(usize) -> bool) -> Vec<String>;
}

/// Makes a value of the cells of a row; the text of a bad one is made when it is needed.
pub(crate) fn make<T: FromRow>(
    line: u64,
    cells: Vec<Cell<'_>>,
    text: impl FnOnce(&Row<'_>) -> Vec<u8>,
) -> Result<Placed<T>, BadRow> {
    let row = Row::new(T::COLUMNS, cells);
    match T::from_row(&row) {
        Ok(value) => Ok(Placed { line, value, left_out: row.left_out() }),
        Err(reason) => Err(BadRow { part: None, line, reason, text: text(&row), unread: false }),
    }
}

/// Where the value of a known column stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// Nowhere.
    Missing,
    /// In this column of the file.
    Column(usize),
    /// In the name of a folder around it, the same for all rows.
    Folder(String),
}

/// Where each known column stands: among the columns of a file, or else in the
/// names of the folders that it lies in, as in `symbol=AAPL/part-0.parquet`.
pub(crate) fn find<T: FromRow>(path: &Path, names: &[String]) -> Result<Vec<Place>, FileError> {
    let known = |name: &String| T::COLUMNS.iter().any(|column| column.names.contains(&name.as_str()));
    for (index, name) in names.iter().enumerate() {
        if known(name) && names[..index].contains(name) {
            return Err(FileError::Repeated { path: path.to_owned(), column: name.clone() });
        }
    }
    let of_folders = in_folders::<T>(path);
    let place = |(column, folder): (&Known, Option<String>)| {
        let at = column.names.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
        at.map(Place::Column).or(folder.map(Place::Folder)).unwrap_or(Place::Missing)
    };
    let places: Vec<_> = T::COLUMNS.iter().zip(of_folders).map(place).collect();
    let missing = T::missing(&|index| places[index] != Place::Missing);
    if !missing.is_empty() {
        return Err(FileError::Columns { path: path.to_owned(), missing, found: names.to_vec() });
    }
    Ok(places)
}

/// The values of known columns that the folders around a file name.
pub(crate) fn in_folders<T: FromRow>(path: &Path) -> Vec<Option<String>> {
    let folders: Vec<_> = path
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .filter_map(|folder| folder.as_os_str().to_str()?.split_once('='))
        .collect();
    let value = |column: &Known| {
        let named = |name: &&str| folders.iter().rev().find(|(key, _)| key == name);
        let (_, value) = column.names.iter().find_map(named)?;
        (*value != "__HIVE_DEFAULT_PARTITION__").then(|| unescaped(value))
    };
    T::COLUMNS.iter().map(value).collect()
}

/// A value in which `%3A` stands for a colon, as it does in names of folders.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The error for a file without a single row.
pub(crate) fn empty<T: FromRow>(path: &Path) -> FileError {
    FileError::Empty { path: path.to_owned(), wanted: T::missing(&|_| false) }
}
