//! Rows come by tags and time, in the order of their identities.

use super::{Place, all_of, batch, ints, reading, readings, with_readings};
use crate::{Point, Query, Rows, SharedStore, StoreError};

/// A, B and C, each with the terms "" and "x", each at the times 0 to 9; `int`
/// counts from 0 in the order of identities.
async fn sixty(place: &dyn Place) -> SharedStore {
    let store = with_readings(place).await;
    let mut points: Vec<Point> = (0..60)
        .map(|n| reading(["A", "B", "C"][n / 20], ["", "x"][n / 10 % 2], (n % 10) as i64, n as i64, 0))
        .collect();
    points.reverse();
    store.write(batch(&readings(), points)).await.unwrap();
    store
}

async fn read(store: &SharedStore, query: Query) -> Vec<i64> {
    ints(&store.read(&Query { measurement: "readings".into(), ..query }).await.unwrap())
}

fn tags(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(tag, value)| ((*tag).into(), (*value).into())).collect()
}

pub(super) async fn rows_come_ordered_by_tags_then_time(place: &dyn Place) {
    let store = sixty(place).await;
    assert_eq!(read(&store, Query::default()).await, (0..60).collect::<Vec<_>>());
}

pub(super) async fn tags_and_times_narrow_what_is_read(place: &dyn Place) {
    let store = sixty(place).await;
    let of_b = Query { tags: tags(&[("symbol", "B")]), ..Query::default() };
    assert_eq!(read(&store, of_b.clone()).await, (20..40).collect::<Vec<_>>());
    let b_x = Query { tags: tags(&[("term", "x"), ("symbol", "B")]), ..Query::default() };
    assert_eq!(read(&store, b_x).await, (30..40).collect::<Vec<_>>());
    let x = Query { tags: tags(&[("term", "x")]), from: Some(9), ..Query::default() };
    assert_eq!(read(&store, x).await, [19, 39, 59]);
    let from_to = Query { from: Some(3), to: Some(5), ..of_b };
    assert_eq!(read(&store, from_to).await, [23, 24, 33, 34]);
    let nobody = Query { tags: tags(&[("symbol", "Z")]), ..Query::default() };
    assert!(read(&store, nobody).await.is_empty());
}

pub(super) async fn newest_first_turns_round_the_times_within_equal_tags(place: &dyn Place) {
    let store = sixty(place).await;
    let newest = |limit| Query { newest_first: true, limit: Some(limit), ..Query::default() };
    assert_eq!(read(&store, newest(3)).await, [9, 8, 7]);
    assert_eq!(read(&store, newest(12)).await[9..], [0, 19, 18]);
}

pub(super) async fn pages_put_together_are_the_whole(place: &dyn Place) {
    let store = sixty(place).await;
    let whole = |query: &Query| Query { limit: None, after: None, ..query.clone() };
    for limit in [1, 7, 10, 60] {
        for newest_first in [false, true] {
            for tags in [vec![], tags(&[("symbol", "B")]), tags(&[("term", "x")])] {
                let mut query =
                    Query { tags, newest_first, limit: Some(limit), to: Some(8), ..all_of("readings") };
                let mut paged = Vec::new();
                loop {
                    let page: Rows = store.read(&query).await.unwrap();
                    assert!(page.rows.len() <= limit);
                    paged.extend(ints(&page));
                    let Some(last) = page.last_key else { break };
                    query.after = Some(last);
                }
                assert_eq!(paged, read(&store, whole(&query)).await);
            }
        }
    }
}

pub(super) async fn the_latest_row_of_every_symbol_is_its_newest_over_all_other_tags(place: &dyn Place) {
    let store = sixty(place).await;
    let more = vec![reading("A", "", 50, 100, 0), reading("D", "y", -5, 101, 0)];
    store.write(batch(&readings(), more)).await.unwrap();
    let latest = store.latest("readings").await.unwrap();
    assert_eq!(ints(&latest), [100, 39, 59, 101]);
    assert_eq!(latest.columns, readings().columns);
}

pub(super) async fn a_measurement_without_tags_is_one_row_of_times(place: &dyn Place) {
    let store = place.open().await;
    let mut untagged = readings();
    untagged.tags.clear();
    store.define(&untagged).await.unwrap();
    let points = (0..5).map(|n| reading("A", "", n, n, 0)).collect();
    store.write(batch(&untagged, points)).await.unwrap();
    assert_eq!(read(&store, Query { from: Some(1), limit: Some(2), ..Query::default() }).await, [1, 2]);
    assert_eq!(ints(&store.latest("readings").await.unwrap()), [4]);
}

pub(super) async fn an_unknown_measurement_or_tag_is_named_with_those_that_there_are(place: &dyn Place) {
    let store = with_readings(place).await;
    let error = store.read(&all_of("readngs")).await.unwrap_err().to_string();
    assert_eq!(error, "there is no measurement `readngs`: the measurements are readings");
    let query = Query { tags: tags(&[("int", "1")]), ..all_of("readings") };
    let error = store.read(&query).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownTag { .. }));
    assert!(error.to_string().ends_with("no tag `int`: the tags are symbol, term"), "{error}");
}

pub(super) async fn rows_of_one_time_come_in_the_order_of_their_nanoseconds(place: &dyn Place) {
    let store = with_readings(place).await;
    let point = |int: i64, nanos: i64| Point { nanos, ..reading("A", "", 5, int, 0) };
    for (int, nanos) in [(2, 700_000), (0, 3), (3, 999_999), (1, 650_000)] {
        store.write(batch(&readings(), vec![point(int, nanos)])).await.unwrap();
    }
    assert_eq!(read(&store, Query::default()).await, [0, 1, 2, 3]);
    let newest = Query { newest_first: true, limit: Some(2), ..Query::default() };
    assert_eq!(read(&store, newest).await, [3, 2]);
}

pub(super) async fn what_is_held_is_found_by_the_identities_of_points(place: &dyn Place) {
    let store = sixty(place).await;
    let mut given = readings();
    given.columns.reverse();
    let given = std::sync::Arc::new(given);
    let point = |symbol: &str, term: &str, at: i64, nanos: i64| {
        let mut values = reading(symbol, term, at, -1, 0).values;
        values.reverse();
        Point { nanos, values }
    };
    let points = [
        point("B", "x", 3, 0),
        point("B", "x", 3, 1),
        point("A", "", 9, 0),
        point("Z", "", 0, 0),
        point("C", "x", 10, 0),
        point("B", "x", 3, 0),
    ];
    let held = store.held(&given, &points).await.unwrap();
    let int = given.index_of("int").unwrap();
    let ints: Vec<_> = held.iter().map(|row| row.as_ref().and_then(|row| row[int].as_i64())).collect();
    assert_eq!(ints, [Some(33), None, Some(9), None, None, Some(33)]);
}
