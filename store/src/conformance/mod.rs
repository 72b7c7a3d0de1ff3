//! Tests that every store must pass, run against each of them.

mod read;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use model::schema::{Column, ColumnType, Value};

use crate::embedded::tests::Folder;
use crate::influx::tests::Bucket;
use crate::{Batch, Measurement, Point, Query, Rows, SharedStore};

/// The storage of a store, empty at first.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// Opens the store as another process would.
    async fn open(&self) -> SharedStore;
}

macro_rules! hold_for_every_store {
    ($($topic:ident::$sentence:ident,)*) => {
        mod embedded_store {
            $(#[tokio::test]
            async fn $sentence() {
                super::$topic::$sentence(&super::Folder::new()).await;
            })*
        }

        mod influx_store {
            $(#[tokio::test]
            async fn $sentence() {
                let Some(bucket) = super::Bucket::make().await else { return };
                super::$topic::$sentence(&bucket).await;
            })*
        }
    };
}

hold_for_every_store! {
    write::what_was_defined_is_known_with_order_tags_time_and_version,
    write::an_added_column_is_null_in_old_rows_and_shown_where_the_definition_puts_it,
    write::a_column_that_a_definition_no_longer_has_stays_at_the_end,
    write::a_definition_against_what_is_stored_is_refused_with_the_remedy,
    write::points_with_a_column_that_was_never_defined_are_refused,
    write::words_of_sql_are_names_like_any_other,
    read::a_store_holds_what_a_map_would,
    read::rows_come_ordered_by_tags_then_time,
    read::tags_and_times_narrow_what_is_read,
    read::newest_first_turns_round_the_times_within_equal_tags,
    read::pages_put_together_are_the_whole,
    read::the_latest_row_of_every_symbol_is_its_newest_over_all_other_tags,
    read::a_measurement_without_tags_is_one_row_of_times,
    read::rows_of_one_time_come_in_the_order_of_their_nanoseconds,
    read::what_is_held_is_found_by_the_identities_of_points,
    read::an_unknown_measurement_or_tag_is_named_with_those_that_there_are,
    write::every_type_comes_back_as_it_was_written,
    write::empty_and_blank_texts_keep_their_places_among_others,
    write::minus_zero_is_stored_as_zero,
    write::times_before_1970_keep_their_millisecond_under_an_offset,
    write::writing_twice_changes_nothing_and_a_rewrite_replaces_the_whole_row,
    write::an_older_version_does_not_replace_a_newer_one_and_of_equal_ones_the_later_wins,
    write::points_of_one_instant_are_told_apart_by_their_nanoseconds,
    write::a_batch_with_one_bad_point_writes_nothing_and_says_where,
    write::a_write_that_fails_does_not_take_those_beside_it_along,
    write::notes_are_set_and_forgotten_with_the_points_and_found_by_prefix,
}

/// A new store with the measurement [`readings`].
pub(crate) async fn with_readings(place: &dyn Place) -> SharedStore {
    let store = place.open().await;
    store.define(&readings()).await.unwrap();
    store
}

/// A measurement with two tags, a version and a column of every type.
pub(crate) fn readings() -> Measurement {
    use ColumnType::{Bool, Float, Int, Text, Time};
    let columns = [
        ("symbol", Text),
        ("at", Time),
        ("term", Text),
        ("float", Float),
        ("int", Int),
        ("moment", Time),
        ("text", Text),
        ("bool", Bool),
        ("version", Int),
    ];
    Measurement {
        name: "readings".into(),
        columns: columns.map(|(name, kind)| Column::new(name, kind)).into(),
        tags: vec!["symbol".into(), "term".into()],
        time: "at".into(),
        version: Some("version".into()),
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A point of [`readings`] with the given `int` and `version`.
pub(crate) fn reading(symbol: &str, term: &str, at: i64, int: i64, version: i64) -> Point {
    let values = vec![
        text(symbol),
        Value::Int(at),
        text(term),
        Value::Null,
        Value::Int(int),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Int(version),
    ];
    Point { nanos: 0, values }
}

pub(crate) fn batch(measurement: &Measurement, points: Vec<Point>) -> Arc<Batch> {
    Arc::new(Batch { points: vec![(Arc::new(measurement.clone()), points)], notes: vec![] })
}

pub(crate) fn all_of(measurement: &str) -> Query {
    Query { measurement: measurement.into(), ..Query::default() }
}

/// The `int` of every row of [`readings`].
pub(crate) fn ints(rows: &Rows) -> Vec<i64> {
    let at = rows.columns.iter().position(|column| column.name == "int").unwrap();
    rows.rows.iter().map(|row| row[at].as_i64().unwrap()).collect()
}
