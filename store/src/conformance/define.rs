//! Measurements: made once, grown, and never bent.

use model::schema::{Column, ColumnType, Value};

use super::{Place, all_of, batch, ints, reading, readings, with_readings};
use crate::{Measurement, StoreError};

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
    // A writer that does not know the new column yet clears it in rows that it replaces.
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
