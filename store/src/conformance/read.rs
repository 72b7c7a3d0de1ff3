//! Tests of reading by tags and time, in the order of identities.

use std::collections::BTreeMap;

use model::schema::Value;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{Place, all_of, batch, ints, reading, readings, text, with_readings};
use crate::{Measurement, Point, Query, Rows, SharedStore, StoreError};

/// A, B and C, each with the terms "" and "x", each at the times 0 to 9; `int` counts from 0 in
/// the order of identities.
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

// Any sequence of writes has the result of a map from identities to rows.

#[derive(Clone, Debug)]
struct Write {
    symbol: &'static str,
    term: &'static str,
    at: i64,
    nanos: i64,
    int: i64,
    version: i64,
    note: Option<String>,
}

fn writes() -> impl Strategy<Value = Vec<Vec<Write>>> {
    let symbol = prop::sample::select(vec!["", "A", "AA", "B", "~"]);
    let term = prop::sample::select(vec!["", "x", "y z"]);
    let note = prop::option::of("[a-c]{0,3}");
    let write = (symbol, term, -3..3_i64, 0..2_i64, any::<i64>(), 0..3_i64, note).prop_map(
        |(symbol, term, at, nanos, int, version, note)| Write { symbol, term, at, nanos, int, version, note },
    );
    prop::collection::vec(prop::collection::vec(write, 0..8), 0..8)
}

type Model = BTreeMap<(String, String, i64), (i64, Vec<Value>)>;

/// How many sequences are tested.
const CASES: usize = 32;

pub(super) async fn a_store_holds_what_a_map_would(place: &dyn Place) {
    let store = place.open().await;
    let mut runner = TestRunner::default();
    let cases = (writes(), -3..3_i64, 1..5_usize);
    for case in 0..CASES {
        let (batches, from, page) = cases.new_tree(&mut runner).unwrap().current();
        let measurement = Measurement { name: format!("readings_{case}"), ..readings() };
        store.define(&measurement).await.unwrap();
        let told = format!("{batches:?}");
        let mut model = Model::new();
        for writes in batches {
            let points = writes.into_iter().map(|write| held(&mut model, &write)).collect();
            store.write(batch(&measurement, points)).await.unwrap();
        }
        let expected = |from: i64| -> Vec<Vec<Value>> {
            let kept = model.iter().filter(|((_, _, time), _)| *time >= from * 1_000_000);
            kept.map(|(_, (_, row))| row.clone()).collect()
        };
        assert_eq!(store.read(&all_of(&measurement.name)).await.unwrap().rows, expected(-3), "{told}");
        let query = Query { from: Some(from), limit: Some(page), ..all_of(&measurement.name) };
        assert_eq!(paged(&store, query).await, expected(from), "{told}");
    }
}

/// Makes the point of a write, and stores it in the model unless the model has a newer version.
fn held(model: &mut Model, write: &Write) -> Point {
    let mut point = reading(write.symbol, write.term, write.at, write.int, write.version);
    point.nanos = write.nanos;
    point.values[6] = write.note.as_deref().map_or(Value::Null, text);
    let key = (write.symbol.into(), write.term.into(), write.at * 1_000_000 + write.nanos);
    if model.get(&key).is_none_or(|(stored, _)| write.version >= *stored) {
        model.insert(key, (write.version, point.values.clone()));
    }
    point
}

async fn paged(store: &SharedStore, mut query: Query) -> Vec<Vec<Value>> {
    let mut paged = Vec::new();
    loop {
        let rows = store.read(&query).await.unwrap();
        paged.extend(rows.rows);
        query.after = rows.last_key;
        if query.after.is_none() {
            return paged;
        }
    }
}
