//! Opens, checks and copies SQLite files of the data folder while another process may write
//! them.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// The remedy for a damaged file.
pub const REMEDY: &str = "stop tickwire, move it away, and restore a backup; a store.db is rebuilt as far as the log still holds its records";

/// The remedy for an error of SQLite on a file of the data folder.
pub fn advice(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            format!("The file is damaged: {REMEDY}")
        }
        _ => "Check that its disk is there, has room and may be written".to_owned(),
    }
}

/// Whether the file exists with a length of zero. SQLite takes such a file for a new database,
/// but never leaves one behind itself.
fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Warns if an empty file at `path` is about to become a new database.
pub fn warn_if_empty(path: &Path) {
    if is_empty(path) {
        tracing::warn!(
            "{} is empty and becomes a new database. If it held data, they were lost by a disk failure or a bad copy: {REMEDY}",
            path.display()
        );
    }
}

/// Opens the file at `path` for reading while another process may write it.
///
/// In a folder without write permission, as in a backup or under another user, SQLite cannot
/// create the `-shm` file that it shares with writers. Without a `-wal` file the database is
/// complete, and is then opened as immutable.
///
/// # Errors
/// The error of SQLite.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    if is_empty(path) && !has_changes_beside(path) {
        let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
        return Err(rusqlite::Error::SqliteFailure(failure, Some("the file is empty".into())));
    }
    let connection = Connection::open_with_flags(path, flags)?;
    let readable = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
    match readable {
        Err(error) if !has_changes_beside(path) => {
            let kept = Connection::open_with_flags(format!("file:{}?immutable=1", escaped(path)), flags)?;
            // If that fails as well, the first error is the more useful one.
            kept.query_row("PRAGMA schema_version", [], |_| Ok(())).map(|()| kept).map_err(|_| error)
        }
        outcome => outcome.map(|()| connection),
    }
}

/// Creates the file at `path`, if missing, with access for its owner only; removes access for
/// others (`o=`) from an existing file. SQLite gives its `-wal` and `-shm` files the same mode.
/// Failures are ignored here, because opening the file reports them.
pub fn keep_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        if made.is_err()
            && let Ok(found) = std::fs::metadata(path)
            && found.is_file()
            && found.permissions().mode() & 0o007 != 0
        {
            let mode = found.permissions().mode() & 0o770;
            let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Copies a consistent snapshot of the database `from` to the new file `to`.
///
/// # Errors
/// The error of SQLite.
pub fn copy(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let source = open_to_read(from)?;
    keep_private(to);
    let mut target = Connection::open(to)?;
    // In one step, because SQLite restarts a backup in steps after each concurrent write.
    Backup::new(&source, &mut target)?.run_to_completion(i32::MAX, Duration::from_millis(50), None)
}

/// What `PRAGMA quick_check` reports about the file at `path`; empty for a sound file.
///
/// # Errors
/// The error of SQLite, if the file cannot be opened or checked.
pub fn faults(path: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = open_to_read(path)?;
    let mut check = connection.prepare("PRAGMA quick_check(10)")?;
    let said = check.query_map([], |row| row.get::<_, String>(0))?;
    said.filter(|said| said.as_deref() != Ok("ok")).collect()
}

fn has_changes_beside(path: &Path) -> bool {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    std::fs::metadata(beside).is_ok_and(|found| found.len() > 0)
}

/// Escapes the path for use in an SQLite URI.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("the file is there").permissions().mode() & 0o777
    }

    #[test]
    fn files_and_their_copies_are_kept_from_other_users() {
        let folder = tempfile::tempdir().unwrap();
        let [new, old, copied] = ["new.db", "old.db", "copied.db"].map(|name| folder.path().join(name));
        keep_private(&new);
        assert_eq!(mode(&new), 0o600);
        Connection::open(&new).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        fs::write(&old, "").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
        keep_private(&old);
        assert_eq!(mode(&old), 0o640, "what its group may do is left as it was set");
        copy(&new, &copied).unwrap();
        assert_eq!(mode(&copied), 0o600);
    }

    #[test]
    fn a_damaged_or_empty_file_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        for bytes in [b"this was a database".repeat(400), Vec::new()] {
            fs::write(&path, bytes).unwrap();
            let said = crate::EmbeddedLog::open_to_read(&path).err().unwrap().to_string();
            assert!(said.contains("log.db") && said.contains(REMEDY), "{said}");
            assert!(!faults(&path).is_ok_and(|faults| faults.is_empty()));
        }
        fs::write(&path, b"this was a database".repeat(400)).unwrap();
        let said = crate::EmbeddedLog::open(&path, 1).err().unwrap().to_string();
        assert!(said.contains("log.db") && said.contains(REMEDY), "{said}");
    }
}
