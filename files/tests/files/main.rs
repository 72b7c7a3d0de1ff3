//! Tests of the public interface for reading and writing files.

#![cfg(test)]

mod articles;
mod garbage;
mod json;
mod packed;
mod parquet;
mod spellings;

use std::fs;
use std::path::PathBuf;

use files::{BadRow, FileError, Placed};
use model::{Article, Bar};

/// A temporary folder for one test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn bars(&self, name: &str, text: impl AsRef<[u8]>) -> Vec<Result<Placed<Bar>, BadRow>> {
        files::bars(&self.file(name, text)).unwrap().collect()
    }

    fn articles(&self, name: &str, text: impl AsRef<[u8]>) -> Vec<Result<Placed<Article>, BadRow>> {
        files::articles(&self.file(name, text)).unwrap().collect()
    }

    fn refused(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let error: FileError = files::bars(&self.file(name, text)).err().unwrap();
        let said = error.to_string();
        assert!(said.contains(name), "{said}");
        said
    }
}

/// The lines of the valid rows, and those of the invalid ones with their reasons.
fn outline<T>(rows: &[Result<Placed<T>, BadRow>]) -> (Vec<u64>, Vec<(u64, &str)>) {
    let good = rows.iter().flatten().map(|placed| placed.line).collect();
    let bad = rows.iter().filter_map(|row| row.as_ref().err());
    (good, bad.map(|bad| (bad.line, bad.reason.as_str())).collect())
}
