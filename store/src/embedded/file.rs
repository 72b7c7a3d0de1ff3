//! The file of the embedded store: its format, its pool of read connections, and the catalogue
//! of its measurements.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use model::schema::Column;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::scan::{add_column, create};
use crate::point::{kind_of, word_of};
use crate::{Measurement, StoreError};

/// The format of the file (`user_version`); a later one is refused.
const FORMAT: i64 = 1;

/// Names that begin with `_` cannot collide with those of measurements and columns.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS _measurements (
        name TEXT PRIMARY KEY, time TEXT NOT NULL, version TEXT, trimmed_before INTEGER) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _columns (
        measurement TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
        tag INTEGER, PRIMARY KEY (measurement, position)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/// How many idle read connections are kept; more are closed.
const KEPT_IDLE: usize = 8;

/// How many prepared statements a connection caches.
const STATEMENTS: usize = 64;

/// The size in bytes to which the write-ahead log is truncated after a burst
/// (`journal_size_limit`).
const WAL_KEPT: i64 = 16 << 20;

/// The error of one step, without the name of the file; [`StoreFile::name_in`] adds it.
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

#[derive(Clone)]
pub(super) struct StoreFile {
    path: PathBuf,
    read_only: bool,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl StoreFile {
    pub(super) fn new(path: &Path, read_only: bool) -> StoreFile {
        StoreFile { path: path.to_owned(), read_only, idle: Arc::default() }
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Converts the error to one that names this file.
    pub(super) fn name_in(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Sqlite(source) => StoreError::Sqlite { path: self.name(), source },
            Fault::Store(error) => error,
        }
    }

    /// The single connection that writes; creates the file if it is missing.
    pub(super) fn connect_to_write(&self) -> Result<Connection, StoreError> {
        let connection = self.connect()?;
        self.refuse_newer(&connection)?;
        self.prepare(&connection).map_err(|error| self.name_in(error.into()))?;
        Ok(connection)
    }

    fn prepare(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", FORMAT)
    }

    /// Checks that there is a store with a known format.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.path.is_file() {
            return Err(StoreError::NotThere { path: self.name() });
        }
        let connection = self.connect()?;
        if self.refuse_newer(&connection)? == 0 {
            return Err(StoreError::NotThere { path: self.name() });
        }
        self.idle().push(connection);
        Ok(())
    }

    fn refuse_newer(&self, connection: &Connection) -> Result<i64, StoreError> {
        let found = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|error| self.name_in(error.into()))?;
        if found > FORMAT {
            return Err(StoreError::Newer { path: self.name(), found, known: FORMAT });
        }
        Ok(found)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let open = || {
            let connection = if self.read_only {
                log::sqlite::open_to_read(&self.path)?
            } else {
                log::sqlite::warn_if_empty(&self.path);
                log::sqlite::keep_private(&self.path);
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?
            };
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(connection)
        };
        open().map_err(|error: rusqlite::Error| self.name_in(error.into()))
    }

    /// Runs `query` on a thread for blocking work and in a transaction, so that it reads one
    /// consistent state.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let idle = file.idle().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => file.connect()?,
            };
            let answer = in_one_moment(&connection, query).map_err(|fault| file.name_in(fault));
            let mut idle = file.idle();
            if idle.len() < KEPT_IDLE {
                idle.push(connection);
            }
            answer
        });
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn in_one_moment<T>(
    connection: &Connection,
    query: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.unchecked_transaction()?;
    let answer = query(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

// The catalogue: the measurements and their columns, stored in the file so that every process
// knows them.

/// All measurements, ordered by name.
pub(super) fn all(connection: &Connection) -> Result<Vec<Measurement>, Fault> {
    names(connection)?.iter().map(|name| find(connection, name)).collect()
}

/// One measurement.
pub(super) fn find(connection: &Connection, name: &str) -> Result<Measurement, Fault> {
    match look_up(connection, name)? {
        Some(measurement) => Ok(measurement),
        None => {
            let known = names(connection)?;
            Err(Fault::Store(StoreError::Unknown { name: name.to_owned(), known }))
        }
    }
}

fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM _measurements ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn look_up(connection: &Connection, name: &str) -> rusqlite::Result<Option<Measurement>> {
    let found = connection
        .prepare_cached("SELECT time, version FROM _measurements WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((time, version)) = found else { return Ok(None) };
    let mut statement = connection
        .prepare_cached("SELECT name, kind, tag FROM _columns WHERE measurement = ?1 ORDER BY position")?;
    let mut rows = statement.query([name])?;
    let (mut columns, mut tags) = (Vec::new(), BTreeMap::new());
    while let Some(row) = rows.next()? {
        let (column, kind, tag): (String, String, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if let Some(place) = tag {
            tags.insert(place, column.clone());
        }
        columns.push(Column::new(column, kind_of(&kind).ok_or_else(|| unknown_kind(&kind))?));
    }
    let tags = tags.into_values().collect();
    Ok(Some(Measurement { name: name.to_owned(), columns, tags, time, version }))
}

/// Creates a measurement with its table, or adds missing columns.
pub(super) fn define(connection: &Connection, asked: &Measurement) -> Result<(), Fault> {
    let Some(stored) = look_up(connection, &asked.name)? else {
        connection.execute_batch(&create(asked))?;
        return keep(connection, asked);
    };
    if stored == *asked {
        return Ok(());
    }
    let merged = stored.merged_with(asked)?;
    for column in asked.columns.iter().filter(|column| stored.index_of(&column.name).is_none()) {
        connection.execute_batch(&add_column(&asked.name, column))?;
    }
    keep(connection, &merged)
}

fn keep(connection: &Connection, measurement: &Measurement) -> Result<(), Fault> {
    let Measurement { name, columns, tags, time, version } = measurement;
    connection.execute(
        "INSERT INTO _measurements (name, time, version) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET time = excluded.time, version = excluded.version",
        params![name, time, version],
    )?;
    connection.execute("DELETE FROM _columns WHERE measurement = ?1", [name])?;
    let mut insert = connection.prepare_cached("INSERT INTO _columns VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, column) in columns.iter().enumerate() {
        let tag = tags.iter().position(|tag| *tag == column.name);
        insert.execute(params![
            name,
            position as i64,
            column.name,
            word_of(column.kind),
            tag.map(|tag| tag as i64)
        ])?;
    }
    Ok(())
}

fn unknown_kind(word: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(format!("column of unknown type {word}"))
}
