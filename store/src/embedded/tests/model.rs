//! Any sequence of writes leaves what a map from identities to rows would hold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wire::schema::Value;

use super::{Folder, all_of, batch, reading, readings, text};
use crate::{Query, Store};

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_store_holds_what_a_map_would(batches in writes(), from in -3..3_i64, page in 1..5_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let store = folder.with_readings().await;
            let mut model = Model::new();
            for writes in batches {
                let mut points = Vec::new();
                for write in writes {
                    let mut point = reading(write.symbol, write.term, write.at, write.int, write.version);
                    point.nanos = write.nanos;
                    point.values[6] = write.note.as_deref().map_or(Value::Null, text);
                    let key = (write.symbol.into(), write.term.into(), write.at * 1_000_000 + write.nanos);
                    let newer = model.get(&key).is_none_or(|(stored, _)| write.version >= *stored);
                    if newer {
                        model.insert(key, (write.version, point.values.clone()));
                    }
                    points.push(point);
                }
                store.write(batch(&readings(), points)).await.unwrap();
            }
            let expected = |from: i64| -> Vec<Vec<Value>> {
                let kept = model.iter().filter(|((_, _, time), _)| *time >= from * 1_000_000);
                kept.map(|(_, (_, row))| row.clone()).collect()
            };
            assert_eq!(store.read(&all_of("readings")).await.unwrap().rows, expected(-3));
            let mut query = Query { from: Some(from), limit: Some(page), ..all_of("readings") };
            let mut paged = Vec::new();
            loop {
                let rows = store.read(&query).await.unwrap();
                paged.extend(rows.rows);
                query.after = rows.last_key;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(paged, expected(from));
        });
    }
}
