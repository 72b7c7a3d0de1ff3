//! The file with its format, and its connections for reading: made as needed,
//! used again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::StoreError;

/// The format of the file; a higher one is refused.
const FORMAT: i64 = 1;

/// Names that start with `_` cannot collide with measurements and columns.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS _measurements (
        name TEXT PRIMARY KEY, time TEXT NOT NULL, version TEXT, trimmed_before INTEGER) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _columns (
        measurement TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
        tag INTEGER, PRIMARY KEY (measurement, position)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/// Connections that wait for the next reader; more readers at once make their own.
const KEPT_IDLE: usize = 8;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;

/// After a burst, the write-ahead log is cut back to this many bytes.
const WAL_KEPT: i64 = 16 << 20;

/// What went wrong inside one step; the file is named by [`StoreFile::name_in`].
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

    /// The fault as an error that names this file.
    pub(super) fn name_in(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Sqlite(source) => StoreError::Sqlite { path: self.name(), source },
            Fault::Store(error) => error,
        }
    }

    /// The one connection that writes; makes the file where there is none.
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

    /// That there is a store to read from, of a format that is known.
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

    /// Runs `query` on a thread for blocking work, in a transaction: all that it
    /// reads is of one moment.
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
