//! The store in the data folder: an SQLite file with one writer thread, which commits all
//! waiting requests in one transaction, and with concurrent readers.
//!
//! A measurement is a table that is clustered by the identity of its points, tags and time, so
//! that a range of one symbol is read from adjacent pages, however large the table is. The file
//! uses write-ahead logging with `synchronous = FULL`: what was written is on the disk when
//! `write` returns, and survives `kill -9` and a power failure.

mod file;
mod scan;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use model::schema::Value;
use model::time::Millis;
use rusqlite::OptionalExtension;

use crate::{Batch, Measurement, Point, Query, Rows, Store, StoreError};
use file::StoreFile;
use writer::{Request, Writer};

/// The store of one data folder.
pub struct EmbeddedStore {
    file: StoreFile,
    writer: Option<Writer>,
}

impl EmbeddedStore {
    /// Opens the store `path` for reading and writing, and creates it if it is missing.
    ///
    /// # Errors
    /// If the file cannot be opened or created, or has a later format.
    pub fn open(path: &Path) -> Result<EmbeddedStore, StoreError> {
        let file = StoreFile::new(path, false);
        let connection = file.connect_to_write()?;
        let writer = Some(Writer::start(file.clone(), connection)?);
        Ok(EmbeddedStore { file, writer })
    }

    /// Opens an existing store for reading only, while another process may write it.
    ///
    /// # Errors
    /// If the file does not exist or has a later format.
    pub fn open_to_read(path: &Path) -> Result<EmbeddedStore, StoreError> {
        let file = StoreFile::new(path, true);
        file.check()?;
        Ok(EmbeddedStore { file, writer: None })
    }

    /// Deletes the points of a measurement with a time before `before` (event time, ms);
    /// returns their number. Notes and later points stay.
    ///
    /// # Errors
    /// If there is no such measurement, or the file cannot be written.
    pub async fn trim(&self, measurement: &str, before: Millis) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let name = measurement.to_owned();
            // In parts, so that other writes get a turn.
            let part = self.writer()?.ask(|reply| Request::Trim(name, before, reply)).await?;
            removed += part;
            if part == 0 {
                return Ok(removed);
            }
        }
    }

    /// Lowers the recorded retention boundary of a measurement to `latest`, if it is later:
    /// points from `latest` on have not been deleted.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn trimmed_at_most(&self, measurement: &str, latest: Millis) -> Result<(), StoreError> {
        let name = measurement.to_owned();
        self.writer()?.ask(|reply| Request::TrimmedAtMost(name, latest, reply)).await
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::ReadOnly { path: self.file.name() })
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn define(&self, measurement: &Measurement) -> Result<(), StoreError> {
        measurement.check_shape()?;
        let measurement = measurement.clone();
        self.writer()?.ask(|reply| Request::Define(measurement, reply)).await
    }

    async fn measurements(&self) -> Result<Vec<Measurement>, StoreError> {
        self.file.read(file::all).await
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        for (measurement, points) in &batch.points {
            points.iter().try_for_each(|point| measurement.check(point))?;
        }
        self.writer()?.ask(|reply| Request::Write(batch, reply)).await
    }

    async fn read(&self, query: &Query) -> Result<Rows, StoreError> {
        let query = query.clone();
        self.file.read(move |connection| scan::read(connection, &query)).await
    }

    async fn held(
        &self,
        measurement: &Arc<Measurement>,
        points: &[Point],
    ) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        let identities: Vec<_> = points.iter().map(|point| measurement.identity(point)).collect();
        let given = measurement.clone();
        self.file.read(move |connection| scan::held(connection, &given, &identities)).await
    }

    async fn latest(&self, measurement: &str) -> Result<Rows, StoreError> {
        let name = measurement.to_owned();
        self.file.read(move |connection| scan::latest(connection, &name)).await
    }

    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let prefix = prefix.to_owned();
        self.file
            .read(move |connection| {
                let mut statement = connection
                    .prepare_cached("SELECT key, value FROM _notes WHERE key >= ?1 ORDER BY key")?;
                let notes = statement.query_map([&prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let within = |note: &rusqlite::Result<(String, String)>| {
                    note.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix))
                };
                Ok(notes.take_while(within).collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn trimmed_before(&self, measurement: &str) -> Result<Option<Millis>, StoreError> {
        let name = measurement.to_owned();
        self.file
            .read(move |connection| {
                let mut statement =
                    connection.prepare_cached("SELECT trimmed_before FROM _measurements WHERE name = ?1")?;
                let before: Option<Option<Millis>> =
                    statement.query_row([name], |row| row.get(0)).optional()?;
                Ok(before.flatten())
            })
            .await
    }
}
