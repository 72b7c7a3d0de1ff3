//! Tests of the embedded store beyond those that every store passes.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::conformance::{Place, all_of, batch, ints, reading, readings};
use crate::{EmbeddedStore, Point, SharedStore, Store, StoreError};

/// A store in a temporary folder.
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

    /// A new store with the measurement [`readings`].
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

// The file: it survives the process, can be read while its owner writes, and is refused by
// older programs.

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let folder = Folder::new();
    let store = folder.with_readings().await;
    let points = (0..500).map(|n| reading("A", "", n, n, 0)).collect();
    let mut batch = batch(&readings(), points);
    Arc::make_mut(&mut batch).notes.push(("sink".into(), Some("500".into())));
    store.write(batch).await.unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(store.measurements().await.unwrap(), [readings()]);
    assert_eq!(ints(&store.read(&all_of("readings")).await.unwrap()), (0..500).collect::<Vec<_>>());
    assert_eq!(store.notes("").await.unwrap(), [("sink".into(), "500".into())]);
}

#[tokio::test]
async fn another_process_may_read_beside_the_owner_but_not_write() {
    let folder = Folder::new();
    let owner = folder.with_readings().await;
    let guest = EmbeddedStore::open_to_read(&folder.path()).unwrap();
    owner.write(batch(&readings(), vec![reading("A", "", 1, 7, 0)])).await.unwrap();
    assert_eq!(ints(&guest.read(&all_of("readings")).await.unwrap()), [7]);
    assert_eq!(guest.measurements().await.unwrap(), [readings()]);
    let refused = guest.write(batch(&readings(), vec![reading("A", "", 2, 8, 0)])).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })));
    assert!(matches!(guest.define(&readings()).await, Err(StoreError::ReadOnly { .. })));
    assert!(matches!(guest.trim("readings", 9).await, Err(StoreError::ReadOnly { .. })));
}

#[tokio::test]
async fn a_store_of_a_later_format_is_refused_with_the_remedy() {
    let folder = Folder::new();
    drop(folder.open());
    let connection = rusqlite::Connection::open(folder.path()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    for refused in [EmbeddedStore::open(&folder.path()), EmbeddedStore::open_to_read(&folder.path())] {
        let error = refused.err().unwrap().to_string();
        assert!(error.contains("format 99") && error.contains("newer tickwire"), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_made_by_reading() {
    let folder = Folder::new();
    let error = EmbeddedStore::open_to_read(&folder.path()).err().unwrap().to_string();
    assert!(error.contains("there is no store") && error.contains("--data-dir"), "{error}");
    assert!(!folder.path().exists());
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_with_its_name() {
    let folder = Folder::new();
    std::fs::write(folder.path(), "symbol,open\n".repeat(1_000)).unwrap();
    for refused in [EmbeddedStore::open(&folder.path()), EmbeddedStore::open_to_read(&folder.path())] {
        let error = refused.err().unwrap().to_string();
        assert!(error.contains("store.db") && error.contains("not a database"), "{error}");
    }
}

// Retention: old points are deleted, later ones stay, and the store records the boundary.

#[tokio::test]
async fn points_before_a_time_are_deleted_under_every_tag() {
    let folder = Folder::new();
    let store = folder.with_readings().await;
    let points: Vec<Point> =
        (0..90).map(|n| reading(["A", "B", "C"][n % 3], "", (n / 3) as i64, n as i64, 0)).collect();
    store.write(batch(&readings(), points)).await.unwrap();
    assert_eq!(store.trimmed_before("readings").await.unwrap(), None);
    assert_eq!(store.trim("readings", 29).await.unwrap(), 87);
    assert_eq!(ints(&store.read(&all_of("readings")).await.unwrap()), [87, 88, 89]);
    assert_eq!(store.trim("readings", 20).await.unwrap(), 0);
    assert_eq!(store.trimmed_before("readings").await.unwrap(), Some(29));
    assert!(matches!(store.trim("nothing", 20).await, Err(StoreError::Unknown { .. })));
}

#[tokio::test]
async fn more_points_than_one_transaction_deletes_are_deleted_too() {
    let folder = Folder::new();
    let store = folder.with_readings().await;
    let points: Vec<Point> =
        (0..50_000).map(|n| reading(["A", "B"][n % 2], "", n as i64, n as i64, 0)).collect();
    store.write(batch(&readings(), points)).await.unwrap();
    assert_eq!(store.trim("readings", 49_999).await.unwrap(), 49_999);
    assert_eq!(ints(&store.read(&all_of("readings")).await.unwrap()), [49_999]);
}
