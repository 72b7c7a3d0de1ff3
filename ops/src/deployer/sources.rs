//! The folders `sql/` and `udfs/`, read as they lie on the disk, so that a
//! changed job needs no new build.

use std::path::Path;

use crate::deployer::error::DeployError;

/// The file that holds the source tables.
const TABLES: &str = "tables";

/// A file by its name without the ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The name.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What the two folders hold.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The source tables.
    pub tables: File,
    /// The jobs, by name.
    pub jobs: Vec<File>,
    /// The functions, by name.
    pub functions: Vec<File>,
}

impl Sources {
    /// Reads every `.sql` file of one folder and every `.rs` file of the other.
    ///
    /// # Errors
    /// When a folder or file cannot be read, or `tables.sql` is not there.
    pub fn read(sql: &Path, udfs: &Path) -> Result<Sources, DeployError> {
        let mut jobs = files(sql, "sql")?;
        let tables = jobs.iter().position(|file| file.name == TABLES).ok_or_else(|| {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            DeployError::Unreadable { path: sql.join(TABLES).with_extension("sql"), source }
        })?;
        Ok(Sources { tables: jobs.remove(tables), jobs, functions: files(udfs, "rs")? })
    }
}

/// The files of a folder that have an ending, in the order of their names.
fn files(folder: &Path, ending: &str) -> Result<Vec<File>, DeployError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| DeployError::Unreadable { path, source }
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if let (Some(name), true) = (name, path.extension().is_some_and(|found| found == ending)) {
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            found.push(File { name: name.to_owned(), text });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
