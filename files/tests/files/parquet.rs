//! Tests of bars in Parquet.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;

use crate::{Folder, outline};

/// The start of the first bar.
const START: i64 = 1_380_873_960_000;
/// Nanoseconds in a millisecond.
const NANOS: i64 = 1_000_000;

pub fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn floats(values: [f64; 3]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Writes three bars; the given columns replace those of the same name or are added.
pub fn three(path: &Path, other: Vec<(&'static str, ArrayRef)>) {
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("symbol", Arc::new(StringArray::from(vec!["A", "B", "C"]))),
        ("open", floats([2.0; 3])),
        ("high", floats([3.0; 3])),
        ("low", floats([1.0; 3])),
        ("close", floats([2.5; 3])),
        ("volume", floats([7.0; 3])),
        ("start_timestamp", Arc::new(Int64Array::from(vec![START, START + 60_000, START + 120_000]))),
    ];
    for (name, array) in other {
        columns.retain(|(known, _)| *known != name);
        columns.push((name, array));
    }
    write(path, columns);
}

fn bars(other: Vec<(&'static str, ArrayRef)>) -> Vec<Result<files::Placed<model::Bar>, files::BadRow>> {
    let folder = Folder::new();
    three(&folder.path("a.parquet"), other);
    let rows: Vec<_> = files::bars(&folder.path("a.parquet")).unwrap().collect();
    assert_same_as_candles(&folder.path("a.parquet"), &rows);
    rows
}

/// Reading in pieces yields the same rows and rejects the same rows.
fn assert_same_as_candles(path: &Path, rows: &[Result<files::Placed<model::Bar>, files::BadRow>]) {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for piece in files::candles(path).unwrap() {
        for batch in &piece.candles {
            let symbol = |place: u32| batch.symbols()[place as usize].clone();
            found.extend(batch.rows().iter().map(|(place, candle)| (symbol(*place), *candle)));
        }
        refused.extend(piece.refused);
    }
    let wanted = rows.iter().flatten().map(|row| (row.value.symbol.clone(), model::Candle::from(&row.value)));
    assert_eq!(found, wanted.collect::<Vec<_>>());
    assert_eq!(refused, rows.iter().filter_map(|row| row.clone().err()).collect::<Vec<_>>());
}

#[test]
fn figures_of_many_row_groups_come_in_the_order_of_the_file_without_what_is_bad_in_them() {
    let folder = Folder::new();
    let path = folder.path("groups.parquet");
    let rows = 5_000_i64;
    let float = |of: fn(i64) -> f64| -> ArrayRef { Arc::new((0..rows).map(of).collect::<Float64Array>()) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "symbol",
            Arc::new(StringArray::from_iter((0..rows).map(|row| match row {
                700 => None,
                701 => Some("no symbol"),
                _ => Some(["A", " B ", "BRK.B"][row as usize % 3]),
            }))),
        ),
        ("open", float(|row| if row == 1_300 { f64::NAN } else { 2.0 })),
        ("high", float(|row| 3.0 + row as f64)),
        ("low", float(|row| if row == 4_999 { 1e9 } else { 1.0 })),
        ("close", float(|_| 2.5)),
        ("volume", float(|row| if row == 0 { -1.0 } else { row as f64 })),
        ("vwap", float(|row| if row == 2_500 { -1.0 } else { 2.0 })),
        ("start_ms", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| START + row * 60_000)))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder();
    let properties = properties.set_max_row_group_row_count(Some(600)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let rows: Vec<_> = files::bars(&path).unwrap().collect();
    assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 5);
    assert!(rows[2_500].as_ref().unwrap().left_out.as_ref().unwrap().contains("`-1`, which is below zero"));
    assert_same_as_candles(&path, &rows);
}

#[test]
fn rows_become_bars_with_their_number() {
    let rows = bars(vec![("otc", Arc::new(BooleanArray::from(vec![Some(true), None, None])))]);
    assert_eq!(outline(&rows), (vec![1, 2, 3], vec![]));
    let first = &rows[0].as_ref().unwrap().value;
    assert_eq!((first.symbol.as_str(), first.close, first.otc, first.vwap), ("A", 2.5, Some(true), None));
}

#[test]
fn numbers_and_times_of_any_width_are_taken() {
    let rows = bars(vec![
        ("symbol", Arc::new(StringViewArray::from(vec!["A", "B", "C"]))),
        ("open", Arc::new(Int32Array::from(vec![2; 3]))),
        ("high", Arc::new(Float32Array::from(vec![3.5; 3]))),
        ("volume", Arc::new(UInt64Array::from(vec![7; 3]))),
        (
            "start_timestamp",
            Arc::new(TimestampNanosecondArray::from(
                [0, 60_000, 120_000].map(|ms| (START + ms) * NANOS).to_vec(),
            )),
        ),
        (
            "end_timestamp",
            Arc::new(
                TimestampMicrosecondArray::from(
                    [60_000, 120_000, 180_000].map(|ms| (START + ms) * 1_000).to_vec(),
                )
                .with_timezone("UTC"),
            ),
        ),
        (
            "received_timestamp",
            Arc::new(StringArray::from(vec!["2013-10-04T08:07:01Z", "1380874081000", "1380874141000"])),
        ),
    ]);
    assert_eq!(outline(&rows), (vec![1, 2, 3], vec![]));
    let second = &rows[1].as_ref().unwrap().value;
    assert_eq!((second.high, second.volume, second.start_timestamp), (3.5, 7.0, START + 60_000));
    assert_eq!((second.end_timestamp, second.received_timestamp), (START + 120_000, START + 121_000));
    assert_eq!(rows[0].as_ref().unwrap().value.received_timestamp, START + 61_000);
}

#[test]
fn a_bad_row_is_named_with_its_number_and_loses_nothing_else() {
    let close = Float64Array::from(vec![Some(2.0), None, Some(f64::NAN)]);
    let rows = bars(vec![("close", Arc::new(close)), ("open", floats([2.0, 2.0, 2.0]))]);
    let (good, bad) = outline(&rows);
    assert_eq!(good, [1]);
    assert_eq!(bad[0], (2, "column `close` is empty"));
    assert_eq!(bad[1], (3, "column `close` is `NaN`, which is no finite number"));
    let text = String::from_utf8(rows[2].as_ref().unwrap_err().text.clone()).unwrap();
    assert!(text.contains(r#""symbol":"C""#) && text.contains(r#""close":"NaN""#), "{text}");
}

#[test]
fn a_column_of_another_type_or_a_missing_one_is_named() {
    let folder = Folder::new();
    let path = folder.path("typed.parquet");
    three(&path, vec![("close", Arc::new(BooleanArray::from(vec![true; 3])))]);
    let said = files::bars(&path).err().unwrap().to_string();
    assert!(
        said.contains("`close`") && said.contains("Boolean") && said.contains("numbers are needed"),
        "{said}"
    );
    write(&path, vec![("symbol", Arc::new(StringArray::from(vec!["A"])))]);
    let said = files::bars(&path).err().unwrap().to_string();
    assert!(
        said.contains("no column start_timestamp or start_ms, open") && said.contains("it has symbol"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_cut_off_anywhere_says_so() {
    let folder = Folder::new();
    let path = folder.path("cut.parquet");
    three(&path, vec![]);
    let whole = fs::read(&path).unwrap();
    for end in [1, 4, 11, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        fs::write(&path, &whole[..end]).unwrap();
        let said = files::bars(&path).err().unwrap().to_string();
        assert!(said.contains("cut.parquet") && said.contains("cut off"), "{end}: {said}");
    }
    fs::write(&path, "").unwrap();
    assert!(files::bars(&path).err().unwrap().to_string().contains("is empty"));
    fs::write(&path, "start_ms,symbol\n").unwrap();
    assert!(files::bars(&path).err().unwrap().to_string().contains("of another format"));
}

#[test]
fn rows_over_many_batches_are_all_read() {
    let folder = Folder::new();
    let path = folder.path("many.parquet");
    let many = 3_000;
    let floats = |value: f64| Arc::new(Float64Array::from(vec![value; many])) as ArrayRef;
    let starts = Int64Array::from_iter_values((0..many as i64).map(|n| START + n * 60_000));
    write(
        &path,
        vec![
            ("start_ms", Arc::new(starts)),
            ("symbol", Arc::new(StringArray::from(vec!["A"; many]))),
            ("open", floats(2.0)),
            ("high", floats(3.0)),
            ("low", floats(1.0)),
            ("close", floats(2.0)),
            ("volume", floats(0.0)),
        ],
    );
    let starts: Vec<_> = files::bars(&path).unwrap().map(|row| row.unwrap().value.start_timestamp).collect();
    assert_eq!(starts, (0..many as i64).map(|n| START + n * 60_000).collect::<Vec<_>>());
}
