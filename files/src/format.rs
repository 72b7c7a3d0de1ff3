//! The file formats, by name and by extension.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
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

/// An unknown name of a format.
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
    /// The format for the extension of `path`.
    ///
    /// # Errors
    /// When the extension is of no format.
    pub fn from_path(path: &Path) -> Result<Format, FileError> {
        path.extension()
            .and_then(|extension| extension.to_str()?.parse().ok())
            .ok_or_else(|| FileError::Extension { path: path.to_owned() })
    }

    /// The format for the extension of a file that may be compressed, such as `bars.csv.gz`.
    pub(crate) fn of_packed_name(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_ascii_lowercase();
        let is_packed = ["gz", "gzip", "zst", "zstd", "br"].iter().any(|packed| extension == *packed);
        if is_packed { Format::from_path(path.file_stem()?.as_ref()) } else { Format::from_path(path) }.ok()
    }

    /// The format according to the first bytes.
    pub(crate) fn of_content(head: &[u8]) -> Option<Format> {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        text.starts_with(b"{").then_some(Format::Json)
    }
}

impl Format {
    /// The media type in HTTP; JSON means JSON lines.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Json => "application/x-ndjson",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The extension of its files.
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

// Where a table is written: a file that appears only when it is complete, standard output, or a
// stream.

/// A destination. If it is dropped before [`Target::finish`], an incomplete file is removed.
pub(crate) struct Target {
    name: String,
    output: BufWriter<Output>,
    unfinished: Option<Unfinished>,
}

enum Output {
    File(File),
    Standard(io::Stdout),
    Stream(Box<dyn Write + Send>),
}

/// A file under a temporary name in the folder of the final one.
struct Unfinished {
    temporary: PathBuf,
    becomes: PathBuf,
}

impl Target {
    /// A file, or standard output. A pipe or a device is written directly.
    pub(crate) fn create(out: Option<&Path>) -> Result<Target, FileError> {
        let Some(path) = out else {
            let output = BufWriter::new(Output::Standard(io::stdout()));
            return Ok(Target { name: "standard output".into(), output, unfinished: None });
        };
        let name = format!("the file {}", path.display());
        create(path)
            .map(|(file, unfinished)| Target {
                name: name.clone(),
                output: BufWriter::with_capacity(1 << 16, Output::File(file)),
                unfinished,
            })
            .map_err(|source| FileError::Write { target: name, source })
    }

    /// A stream that is read while it is written; `name` describes it in errors.
    pub(crate) fn stream(name: &str, stream: Box<dyn Write + Send>) -> Target {
        let output = BufWriter::with_capacity(1 << 16, Output::Stream(stream));
        Target { name: name.to_owned(), output, unfinished: None }
    }

    /// The name for errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The error for a failed write.
    pub(crate) fn failed(&self, source: io::Error) -> FileError {
        FileError::Write { target: self.name.clone(), source }
    }

    /// Flushes everything to the disk and gives the file its final name.
    pub(crate) fn finish(mut self) -> Result<(), FileError> {
        let finished = self.output.flush().and_then(|()| {
            let Some(unfinished) = &self.unfinished else { return Ok(()) };
            if let Output::File(file) = self.output.get_ref() {
                file.sync_all()?;
            }
            fs::rename(&unfinished.temporary, &unfinished.becomes)
        });
        finished.map_err(|source| self.failed(source))?;
        self.unfinished = None;
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<(File, Option<Unfinished>)> {
    // A symbolic link is kept; the file that it refers to is replaced.
    let becomes = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&becomes) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if !metadata.is_file() => return Ok((File::create(&becomes)?, None)),
        Ok(_) | Err(_) => {}
    }
    let name = becomes.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let temporary = becomes.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let file = File::create(&temporary)?;
    Ok((file, Some(Unfinished { temporary, becomes })))
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::File(file) => file.write(bytes),
            Output::Standard(output) => output.write(bytes),
            Output::Stream(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::File(file) => file.flush(),
            Output::Standard(output) => output.flush(),
            Output::Stream(output) => output.flush(),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            // The failure has been reported already; this only removes the temporary file.
            let _ = fs::remove_file(unfinished.temporary);
        }
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
