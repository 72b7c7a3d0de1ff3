//! Opens a file: decompresses it, determines its format, and recognises files of other formats
//! by their first bytes. A folder of part files is read as one file.

use std::cmp::Ordering;
use std::fs;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::columns::FromRow;
use crate::csv_rows::Lines;
use crate::{BadRow, FileError, Format, Placed, Rows, one_file};

/// How many bytes are examined to determine the format.
const HEAD: usize = 8 << 10;
/// The size of the read buffer in bytes.
const BUFFER: usize = 1 << 16;
/// The largest window that a zstd file may require, as a power of two: what every tool writes
/// without `--long`. It bounds the memory.
const ZSTD_WINDOW: u32 = 27;

/// An open file of rows.
pub(crate) enum Input {
    /// Lines of text, decompressed while they are read.
    Csv(Lines),
    /// The same, with the first bytes.
    Json(Lines, Vec<u8>),
    /// Parquet.
    Parquet(File),
}

/// Opens a file. The extension determines the format, or the first bytes if it does not.
///
/// # Errors
/// When the file cannot be read or has none of the formats.
pub(crate) fn open(path: &Path) -> Result<Input, FileError> {
    let failed = |source| FileError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(failed)?;
    let foreign = |(what, remedy)| FileError::Foreign { path: path.to_owned(), what, remedy };
    if let Some(said) = foreign_format(&head) {
        return Err(foreign(said));
    }
    let named = Format::of_packed_name(path);
    if head.starts_with(PARQUET) || named == Some(Format::Parquet) && packing(&head).is_none() {
        file.rewind().map_err(failed)?;
        return Ok(Input::Parquet(file));
    }
    if extension_is(path, "br") {
        return Err(foreign(("compressed with brotli", "unpack it first (`brotli -d`)")));
    }
    let packing = packing(&head);
    let (head, input) = unpacked(packing, head, file).map_err(failed)?;
    if packing.is_some() {
        if head.starts_with(PARQUET) {
            return Err(foreign(("a Parquet file that was compressed once more", "unpack it first")));
        }
        if self::packing(&head).is_some() {
            return Err(foreign(("compressed twice", "unpack it once")));
        }
        if let Some(said) = foreign_format(&head) {
            return Err(foreign(said));
        }
    }
    let format = named.or_else(|| Format::of_content(&head));
    let input = Lines::new(input);
    match format {
        Some(Format::Csv) => Ok(Input::Csv(input)),
        Some(Format::Json) => Ok(Input::Json(input, head)),
        Some(Format::Parquet) => {
            Err(foreign(("named as Parquet and is text inside", "call it .csv or .jsonl, as it is")))
        }
        None => Err(FileError::Extension { path: path.to_owned() }),
    }
}

const PARQUET: &[u8] = b"PAR1";

/// A supported compression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
}

fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        _ => None,
    }
}

type Buffered = Box<dyn BufRead + Send>;

/// The first bytes after decompression, and a reader of everything.
fn unpacked(packing: Option<Packing>, head: Vec<u8>, rest: File) -> io::Result<(Vec<u8>, Buffered)> {
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(head.clone()).chain(rest));
    let mut input: Box<dyn Read + Send> = match packing {
        None => return Ok((head, Box::new(whole))),
        Some(Packing::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Some(Packing::Zstd) => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(whole)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    };
    let mut head = Vec::with_capacity(HEAD);
    // An error is returned after the bytes that could be decompressed.
    let failed = input.by_ref().take(HEAD as u64).read_to_end(&mut head).err();
    let input = Cursor::new(head.clone()).chain(Failing(failed)).chain(input);
    Ok((head, Box::new(BufReader::with_capacity(BUFFER, input))))
}

/// A reader that returns an error once, then end of file.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

fn extension_is(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// First bytes of other formats, with their description and the remedy.
const FOREIGN: [(&[u8], &str, &str); 23] = [
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook", "save it as CSV UTF-8"),
    (b"\xfd7zXZ\0", "compressed with xz", "unpack it first (`unxz -k`)"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it first (`lz4 -d`)"),
    (b"\xff\x06\0\0sNaPpY", "compressed with snappy", "unpack it first"),
    (b"\x1f\x9d", "compressed with compress", "unpack it first (`uncompress`)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first (`7z x`)"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (b"Obj\x01", "an Avro file", "convert it to Parquet, CSV or JSON lines"),
    (b"ORC\n", "an ORC file", "convert it to Parquet, CSV or JSON lines"),
    (b"ORC\x03", "an ORC file", "convert it to Parquet, CSV or JSON lines"),
    (b"ARROW1", "an Arrow file (Feather)", "write it as Parquet"),
    (b"FEA1", "a Feather file", "write it as Parquet"),
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "write it as Parquet or CSV"),
    (b"\x93NUMPY", "a NumPy array", "write it as Parquet or CSV"),
    (b"%PDF-", "a PDF document", "get the table as CSV"),
    (b"\xff\xfe", "text in UTF-16", "save it in UTF-8 (`iconv -f UTF-16 -t UTF-8`)"),
    (b"\xfe\xff", "text in UTF-16", "save it in UTF-8 (`iconv -f UTF-16 -t UTF-8`)"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file", "get it with `git lfs pull`"),
    (b"<?xml", "an XML document", "convert it to CSV or JSON lines"),
    (b"<!doctype html", "a web page", "the address gave an answer for people: look into the file"),
    (b"<html", "a web page", "the address gave an answer for people: look into the file"),
];

/// Which other format a file has, and the remedy.
fn foreign_format(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let holds = |words: &[u8]| head.windows(words.len()).any(|window| window == words);
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(match () {
            () if holds(b"[Content_Types].xml") || holds(b"xl/") => {
                ("an Excel workbook", "save it as CSV UTF-8")
            }
            () if holds(b"opendocument.spreadsheet") => ("a spreadsheet (ODS)", "save it as CSV in UTF-8"),
            () => ("a ZIP archive", "unpack it first (`unzip`)"),
        });
    }
    if head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY") {
        return Some(("compressed with bzip2", "unpack it first (`bunzip2 -k`)"));
    }
    // A tar archive has its magic number after the name of its first file.
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", "unpack it first (`tar -xf`) and name the file or the folder in it"));
    }
    let text = head.trim_ascii_start();
    let begins = |&&(magic, ..): &&(&[u8], &str, &str)| match magic.starts_with(b"<") {
        true => text.get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic)),
        false => head.starts_with(magic),
    };
    FOREIGN.iter().find(begins).map(|&(_, what, remedy)| (what, remedy))
}

// Folders of part files, as Spark, Dask and other tools write them, read in the order of the
// parts' names.

/// The maximum depth of folders within folders, as partitioned tables have them.
const DEEPEST: usize = 8;
/// The maximum number of parts; a folder with more is probably the wrong one.
const MOST: usize = 100_000;

/// The files that `path` stands for: the file itself, or the parts of the folder in reading
/// order. Names that begin with a dot or `_` are not parts.
///
/// # Errors
/// When the folder cannot be read, or contains something that would be read wrongly.
pub fn of(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut parts = Vec::new();
    add(path, path, 0, &mut parts)?;
    parts.sort_by(|one, other| by_name(one, other));
    Ok(parts)
}

/// The error for a folder without parts.
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

/// Orders by name with numbers compared by value: part.2 comes before part.10.
fn by_name(one: &Path, other: &Path) -> Ordering {
    let (mut left, mut right) = (one.as_os_str().as_encoded_bytes(), other.as_os_str().as_encoded_bytes());
    while let (Some(a), Some(b)) = (left.first(), right.first()) {
        if a.is_ascii_digit() && b.is_ascii_digit() {
            let (number, other_number) = (number(&mut left), number(&mut right));
            // Without leading zeros, the longer number is the greater one.
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

/// Removes the digits at the start; returns them without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    *text = rest;
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

/// The rows of the parts of a folder. A part that cannot be read yields one bad row; the other
/// parts are read.
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

    /// Opens the next part; `Some(Some(error))` if it cannot be read, `None` after the last.
    fn open_next(&mut self) -> Option<Option<FileError>> {
        let path = self.left.next()?;
        let part: Arc<str> = name_in(&self.folder, &path).into();
        match one_file(&path) {
            Ok(rows) => self.current = Some((part, rows)),
            // Spark writes a part for every task, even without rows.
            Err(error @ FileError::Empty { .. }) => return Some(Some(error)),
            Err(error) => {
                self.refused.push(refused(part, &error));
                return Some(Some(error));
            }
        }
        Some(None)
    }
}

/// The name of a part relative to its folder.
pub(crate) fn name_in(folder: &Path, part: &Path) -> String {
    part.strip_prefix(folder).unwrap_or(part).display().to_string()
}

/// A part that cannot be read, as a bad row.
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
