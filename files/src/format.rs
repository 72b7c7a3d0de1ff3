//! The formats of files, by name and by extension.

use std::path::Path;
use std::str::FromStr;

use crate::FileError;

/// The format of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// JSON lines: one object a line.
    Json,
    /// Parquet.
    Parquet,
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no format: write csv, json (one object a line) or parquet")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Ok(Format::Csv),
            "json" | "jsonl" | "ndjson" => Ok(Format::Json),
            "parquet" => Ok(Format::Parquet),
            _ => Err(UnknownFormat(name.to_owned())),
        }
    }
}

impl Format {
    /// The format that the extension of `path` names.
    ///
    /// # Errors
    /// When the extension names none.
    pub fn from_path(path: &Path) -> Result<Format, FileError> {
        path.extension()
            .and_then(|extension| extension.to_str()?.parse().ok())
            .ok_or_else(|| FileError::Extension { path: path.to_owned() })
    }

    /// The format that the name of a file tells which may be compressed, as `bars.csv.gz`.
    pub(crate) fn of_packed_name(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_ascii_lowercase();
        let is_packed = ["gz", "gzip", "zst", "zstd", "br"].iter().any(|packed| extension == *packed);
        if is_packed { Format::from_path(path.file_stem()?.as_ref()) } else { Format::from_path(path) }.ok()
    }

    /// The format of a file whose name tells none, where its first bytes do.
    pub(crate) fn of_content(head: &[u8]) -> Option<Format> {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        text.starts_with(b"{").then_some(Format::Json)
    }
}

impl Format {
    /// Its name in HTTP; rows of JSON are one object a line.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Json => "application/x-ndjson",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The ending of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "jsonl",
            Format::Parquet => "parquet",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Parquet => "parquet",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_format_whatever_its_case() {
        for (name, format) in [
            ("a.csv", Format::Csv),
            ("b/c.JSONL", Format::Json),
            ("d.json", Format::Json),
            ("e.f.parquet", Format::Parquet),
        ] {
            assert_eq!(Format::from_path(Path::new(name)).unwrap(), format, "{name}");
        }
        for name in ["bars", "bars.txt", ".csv"] {
            let error = Format::from_path(Path::new(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(".parquet"), "{error}");
        }
        assert!("xml".parse::<Format>().unwrap_err().to_string().contains("`xml`"));
    }
}
