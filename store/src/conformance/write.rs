//! Tests that what was written is read back.

use std::sync::Arc;

use model::schema::{Column, ColumnType, Value};

use super::{Place, all_of, batch, ints, reading, readings, text, with_readings};
use crate::{Batch, Measurement, StoreError};

pub(super) async fn every_type_comes_back_as_it_was_written(place: &dyn Place) {
    let store = with_readings(place).await;
    let floats = [0.1 + 0.2, 5e-324, f64::MAX, -1.5, 20_000.0, 1e300, f64::MIN_POSITIVE];
    let mut points = Vec::new();
    for (n, float) in (0..).zip(floats) {
        let mut point = reading("A", "", n, i64::MIN + n, i64::MAX);
        point.values[3] = Value::Float(float);
        point.values[5] = Value::Int(7_258_118_400_000);
        point.values[6] = text("Ünï'c\"ode\0;--");
        point.values[7] = Value::Bool(n % 2 == 0);
        points.push(point);
    }
    points.push(reading("A", "", 100, 0, 0));
    store.write(batch(&readings(), points.clone())).await.unwrap();
    let rows = store.read(&all_of("readings")).await.unwrap();
    assert_eq!(rows.columns, readings().columns);
    assert_eq!(rows.rows, points.into_iter().map(|point| point.values).collect::<Vec<_>>());
}

pub(super) async fn empty_and_blank_texts_keep_their_places_among_others(place: &dyn Place) {
    let store = with_readings(place).await;
    let texts = ["first", "", "second", "", " ", "  ", "third", ""];
    for order in [[0, 1, 2, 3, 4, 5, 6, 7], [7, 2, 5, 0, 3, 6, 1, 4]] {
        for at in order {
            let mut point = reading("A", "x", at, 0, 0);
            point.values[6] = text(texts[at as usize]);
            store.write(batch(&readings(), vec![point])).await.unwrap();
        }
        let rows = store.read(&all_of("readings")).await.unwrap().rows;
        assert_eq!(rows.iter().map(|row| row[6].as_str().unwrap()).collect::<Vec<_>>(), texts);
    }
}

pub(super) async fn minus_zero_is_stored_as_zero(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut point = reading("A", "", 0, 0, 0);
    point.values[3] = Value::Float(-0.0);
    store.write(batch(&readings(), vec![point])).await.unwrap();
    let rows = store.read(&all_of("readings")).await.unwrap();
    assert_eq!(rows.rows[0][3].as_f64().unwrap().to_bits(), 0);
}

pub(super) async fn times_before_1970_keep_their_millisecond_under_an_offset(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut point = reading("A", "", -1, 0, 0);
    point.nanos = 999_999;
    store.write(batch(&readings(), vec![point])).await.unwrap();
    let rows = store.read(&all_of("readings")).await.unwrap();
    assert_eq!(rows.rows[0][1], Value::Int(-1));
    assert_eq!(rows.last_key, Some((vec!["A".into(), String::new()], -1)));
}

pub(super) async fn writing_twice_changes_nothing_and_a_rewrite_replaces_the_whole_row(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut full = reading("A", "x", 1, 1, 1);
    full.values[6] = text("gone after the rewrite");
    for _ in 0..2 {
        store.write(batch(&readings(), vec![full.clone(), full.clone()])).await.unwrap();
        assert_eq!(store.read(&all_of("readings")).await.unwrap().rows, [full.values.clone()]);
    }
    store.write(batch(&readings(), vec![reading("A", "x", 1, 2, 1)])).await.unwrap();
    let rows = store.read(&all_of("readings")).await.unwrap();
    assert_eq!(rows.rows, [reading("A", "x", 1, 2, 1).values]);
}

pub(super) async fn an_older_version_does_not_replace_a_newer_one_and_of_equal_ones_the_later_wins(
    place: &dyn Place,
) {
    let store = with_readings(place).await;
    for (int, version, stands) in [(1, 5, 1), (2, 4, 1), (3, 5, 3), (4, 6, 4), (5, 5, 4)] {
        store.write(batch(&readings(), vec![reading("A", "", 1, int, version)])).await.unwrap();
        assert_eq!(ints(&store.read(&all_of("readings")).await.unwrap()), [stands]);
    }
}

pub(super) async fn points_of_one_instant_are_told_apart_by_their_nanoseconds(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut points = vec![reading("A", "", 1, 1, 0), reading("A", "", 1, 2, 0)];
    points[1].nanos = 1;
    store.write(batch(&readings(), points)).await.unwrap();
    assert_eq!(ints(&store.read(&all_of("readings")).await.unwrap()), [1, 2]);
}

pub(super) async fn a_batch_with_one_bad_point_writes_nothing_and_says_where(place: &dyn Place) {
    let store = with_readings(place).await;
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut bad = reading("A", "", 2, 0, 0);
        bad.values[3] = Value::Float(value);
        let mut batch = batch(&readings(), vec![reading("A", "", 1, 0, 0), bad]);
        Arc::make_mut(&mut batch).notes.push(("note".into(), Some("kept".into())));
        let error = store.write(batch).await.unwrap_err().to_string();
        assert!(error.contains("`readings`, column `float`"), "{error}");
    }
    assert!(store.read(&all_of("readings")).await.unwrap().rows.is_empty());
    assert!(store.notes("").await.unwrap().is_empty());
}

pub(super) async fn a_write_that_fails_does_not_take_those_beside_it_along(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut unknown = readings();
    unknown.name = "nobody".into();
    let (good, bad, other) = tokio::join!(
        store.write(batch(&readings(), vec![reading("A", "", 1, 1, 0)])),
        store.write(batch(&unknown, vec![reading("A", "", 1, 2, 0)])),
        store.write(batch(&readings(), vec![reading("B", "", 1, 3, 0)])),
    );
    good.unwrap();
    other.unwrap();
    assert!(matches!(bad, Err(StoreError::Unknown { name, .. }) if name == "nobody"));
    assert_eq!(ints(&store.read(&all_of("readings")).await.unwrap()), [1, 3]);
}

pub(super) async fn notes_are_set_and_forgotten_with_the_points_and_found_by_prefix(place: &dyn Place) {
    let store = place.open().await;
    let note = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    let notes = vec![note("a/2", Some("two")), note("a/1", Some("one")), note("b", Some("bee"))];
    store.write(Batch { points: vec![], notes }.into()).await.unwrap();
    let notes = vec![note("a/2", None), note("a/1", Some("uno")), note("never", None)];
    store.write(Batch { points: vec![], notes }.into()).await.unwrap();
    assert_eq!(store.notes("a/").await.unwrap(), [("a/1".to_owned(), "uno".to_owned())]);
    assert_eq!(store.notes("").await.unwrap().len(), 2);
    assert!(store.notes("c").await.unwrap().is_empty());
}

// Measurements: created once, extended with columns, never changed otherwise.

pub(super) async fn what_was_defined_is_known_with_order_tags_time_and_version(place: &dyn Place) {
    let store = with_readings(place).await;
    store.define(&Measurement::bars()).await.unwrap();
    store.define(&Measurement::bars()).await.unwrap();
    assert_eq!(store.measurements().await.unwrap(), [readings(), Measurement::bars()]);
}

pub(super) async fn an_added_column_is_null_in_old_rows_and_shown_where_the_definition_puts_it(
    place: &dyn Place,
) {
    let store = with_readings(place).await;
    store.write(batch(&readings(), vec![reading("A", "", 1, 1, 0)])).await.unwrap();
    let mut grown = readings();
    grown.columns.insert(4, Column::new("added", ColumnType::Float));
    store.define(&grown).await.unwrap();
    let mut point = reading("A", "", 2, 2, 0);
    point.values.insert(4, Value::Float(2.5));
    store.write(batch(&grown, vec![point])).await.unwrap();
    // A writer with the old definition clears the new column in rows that it replaces.
    store.write(batch(&readings(), vec![reading("A", "", 3, 3, 0)])).await.unwrap();
    let rows = store.read(&all_of("readings")).await.unwrap();
    assert_eq!(rows.columns, grown.columns);
    let added: Vec<_> = rows.rows.iter().map(|row| row[4].clone()).collect();
    assert_eq!(added, [Value::Null, Value::Float(2.5), Value::Null]);
    assert_eq!(ints(&rows), [1, 2, 3]);
}

pub(super) async fn a_column_that_a_definition_no_longer_has_stays_at_the_end(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut less = readings();
    let float = less.columns.remove(3);
    store.define(&less).await.unwrap();
    let mut wanted = less.columns.clone();
    wanted.push(float);
    assert_eq!(store.measurements().await.unwrap()[0].columns, wanted);
}

pub(super) async fn a_definition_against_what_is_stored_is_refused_with_the_remedy(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut other = readings();
    other.columns[3].kind = ColumnType::Int;
    let error = store.define(&other).await.unwrap_err();
    assert!(matches!(error, StoreError::ColumnType { .. }));
    assert!(
        error.to_string().contains("`float` of measurement `readings` is stored as Float, not Int"),
        "{error}"
    );
    let mut other = readings();
    other.tags.pop();
    let error = store.define(&other).await.unwrap_err().to_string();
    assert!(
        error.contains("stored with tags [symbol, term] and time `at`, not with tags [symbol]"),
        "{error}"
    );
    let mut other = readings();
    other.name = "Robert'); DROP TABLE".into();
    assert!(matches!(store.define(&other).await, Err(StoreError::Shape(_))));
    assert_eq!(store.measurements().await.unwrap(), [readings()]);
}

pub(super) async fn points_with_a_column_that_was_never_defined_are_refused(place: &dyn Place) {
    let store = with_readings(place).await;
    let mut grown = readings();
    grown.columns.push(Column::new("added", ColumnType::Bool));
    let mut point = reading("A", "", 1, 1, 0);
    point.values.push(Value::Bool(true));
    let error = store.write(batch(&grown, vec![point])).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownColumn { column, .. } if column == "added"));
}

pub(super) async fn words_of_sql_are_names_like_any_other(place: &dyn Place) {
    let store = place.open().await;
    let mut words = readings();
    words.name = "select".into();
    words.columns[3].name = "order".into();
    words.columns[8].name = "group".into();
    words.version = Some("group".into());
    store.define(&words).await.unwrap();
    for version in [2, 1] {
        store.write(batch(&words, vec![reading("A", "", 1, version, version)])).await.unwrap();
    }
    assert_eq!(ints(&store.read(&all_of("select")).await.unwrap()), [2]);
}
