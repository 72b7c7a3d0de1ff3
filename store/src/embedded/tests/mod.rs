//! The store in the data folder: what it does beyond what every store must.

mod file;
mod trim;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::conformance::{Place, readings};
use crate::{EmbeddedStore, SharedStore, Store};

/// A store in a folder of its own.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(&self.path()).unwrap()
    }

    /// A new store that knows [`readings`].
    async fn with_readings(&self) -> EmbeddedStore {
        let store = self.open();
        store.define(&readings()).await.unwrap();
        store
    }
}

#[async_trait]
impl Place for Folder {
    async fn open(&self) -> SharedStore {
        Arc::new(Folder::open(self))
    }
}
