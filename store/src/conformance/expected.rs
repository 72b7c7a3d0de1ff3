//! Any sequence of writes leaves what a map from identities to rows would hold.

use std::collections::BTreeMap;

use model::schema::Value;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{Place, all_of, batch, reading, readings, text};
use crate::{Measurement, Point, Query, SharedStore};

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

/// How many sequences are tried.
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

/// The point of a write, which the model holds from now on unless it holds a newer one.
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
