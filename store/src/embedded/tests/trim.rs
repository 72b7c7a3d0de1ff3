//! Retention: old points go, the rest stays, and it is remembered.

use super::Folder;
use crate::conformance::{all_of, batch, ints, reading, readings};
use crate::{Point, Store, StoreError};

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
