//! A small file as a server asks for it: read again when it changes, so that what
//! a command writes holds at once.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What tells one state of a file from another: files are replaced, not changed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

/// The file, and what it held when it was read last.
pub(super) struct Followed<T> {
    path: PathBuf,
    parse: fn(&Path, &str) -> T,
    read: Mutex<Read<T>>,
}

struct Read<T> {
    stamp: Option<Stamp>,
    /// How often it has changed.
    changes: u64,
    value: T,
}

impl<T: Default> Followed<T> {
    pub(super) fn new(path: &Path, parse: fn(&Path, &str) -> T) -> Followed<T> {
        let read = Read { stamp: None, changes: 0, value: T::default() };
        Followed { path: path.to_owned(), parse, read: Mutex::new(read) }
    }

    /// How often the file has been read, now included where it has changed.
    pub(super) fn changes(&self) -> u64 {
        self.fresh().changes
    }

    /// As it is now. A file that is not there or cannot be read holds nothing.
    fn fresh(&self) -> MutexGuard<'_, Read<T>> {
        let now = fs::metadata(&self.path).ok().map(|file| stamp(&file));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamp == now {
            return read;
        }
        let value = match fs::read_to_string(&self.path) {
            Ok(text) => (self.parse)(&self.path, &text),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(file = %self.path.display(), %error, "Nothing of this file is accepted.");
                }
                T::default()
            }
        };
        *read = Read { stamp: now, changes: read.changes + 1, value };
        read
    }

    /// What the file holds now, as `look` sees it.
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.fresh().value)
    }
}

fn stamp(file: &Metadata) -> Stamp {
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(file);
    #[cfg(not(unix))]
    let number = 0;
    Stamp { modified: file.modified().ok(), length: file.len(), number }
}
