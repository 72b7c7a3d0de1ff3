//! The files of `sql/`, read as Arroyo's dialect.

mod hop;
mod interval;
mod statements;
mod tables;

use std::path::Path;

use crate::error::EngineError;

pub(crate) use hop::{WindowedQuery, end_column, pull_out_windows, start_column};
pub(crate) use interval::updating_ttl;
pub(crate) use statements::statements;
pub(crate) use tables::{SinkTable, SourceTable, Table};

/// The file that holds the source tables.
pub(crate) const TABLES: &str = "tables";

/// Every file of `sql/` by name, as built into the program.
pub(crate) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

/// Every file of a folder by name, as `sql/` has them.
///
/// # Errors
/// When the folder or a file cannot be read, or the source tables are not there.
pub(crate) fn files_of(folder: &Path) -> Result<Vec<(String, String)>, EngineError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| EngineError::Unreadable { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if let (Some(name), true) = (name, path.extension().is_some_and(|ending| ending == "sql")) {
            files.push((name.to_owned(), std::fs::read_to_string(&path).map_err(unreadable(&path))?));
        }
    }
    files.sort();
    if !files.iter().any(|(name, _)| name == TABLES) {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(unreadable(&folder.join(TABLES).with_extension("sql"))(missing));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_as_what_is_built_in_and_one_without_source_tables_is_refused() {
        let here = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sql"));
        let files = files_of(here).unwrap();
        assert!(files.iter().map(|(name, text)| (name.as_str(), text.as_str())).eq(FILES.iter().copied()));
        let elsewhere = files_of(&here.join("../udfs")).unwrap_err().to_string();
        assert!(elsewhere.contains("tables.sql"), "{elsewhere}");
        assert!(files_of(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere"));
    }
}
