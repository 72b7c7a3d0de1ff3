//! Where a table is written to: a file that appears only when it is whole, standard output, or a stream.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::FileError;

/// A place to write to. Dropped before [`Target::finish`], it leaves nothing behind.
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

/// A file under a temporary name, beside the one that it will be.
struct Unfinished {
    temporary: PathBuf,
    becomes: PathBuf,
}

impl Target {
    /// A file, or standard output. A pipe or a device is written to as it stands.
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

    /// A stream that somebody reads as it is written; `name` says what it is.
    pub(crate) fn stream(name: &str, stream: Box<dyn Write + Send>) -> Target {
        let output = BufWriter::with_capacity(1 << 16, Output::Stream(stream));
        Target { name: name.to_owned(), output, unfinished: None }
    }

    /// What it is, in words for an error.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The error for what went wrong while writing.
    pub(crate) fn failed(&self, source: io::Error) -> FileError {
        FileError::Write { target: self.name.clone(), source }
    }

    /// Brings everything to the disk, and the file under its name.
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
    // A link is kept, and what it leads to is written anew.
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
            // Whatever failed has been reported; this only clears up after it.
            let _ = fs::remove_file(unfinished.temporary);
        }
    }
}
