//! The folder of secrets: one folder in it for each service, which sees no other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use net::Secret;

use crate::private_file::{self, Readers};

/// Secrets by the service that they are for.
pub struct SecretsFolder(PathBuf);

impl SecretsFolder {
    pub fn at(path: &Path) -> SecretsFolder {
        SecretsFolder(path.to_owned())
    }

    /// Where `file` is, as `sink/influxdb-token`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// What `file` holds, if it is there and not empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, file: &str) -> anyhow::Result<Option<Secret>> {
        let path = self.path(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Secret::new(text)).filter(|secret| !secret.is_empty())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| {
                format!("{} cannot be read: run this as the user who made it", path.display())
            }),
        }
    }

    /// Puts `secret` into `file`, for one service to read.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&self, file: &str, secret: &Secret) -> anyhow::Result<()> {
        self.write(file, secret.expose(), Readers::Services)
    }

    /// Puts `text` into `file`, for nobody but whoever runs this.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep_private(&self, file: &str, text: &str) -> anyhow::Result<()> {
        self.write(file, text, Readers::Owner)
    }

    fn write(&self, file: &str, text: &str, readers: Readers) -> anyhow::Result<()> {
        let path = self.path(file);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            private_file::make_folder(folder, Readers::Services)?;
        }
        private_file::write_for(&path, text, readers)
    }
}
