//! Result tables to files.

use std::fs;

use files::{FileError, Format, TableWriter};
use model::schema::{Column, ColumnType, Value};

use crate::Folder;

fn columns() -> Vec<Column> {
    vec![
        Column::new("symbol", ColumnType::Text),
        Column::new("window_end", ColumnType::Time),
        Column::new("bars", ColumnType::Int),
        Column::new("realized", ColumnType::Float),
        Column::new("otc", ColumnType::Bool),
    ]
}

fn rows() -> Vec<Vec<Value>> {
    vec![
        vec![
            Value::Text("A,\"B\"".into()),
            Value::Int(60_000),
            Value::Int(3),
            Value::Float(0.1 + 0.2),
            Value::Bool(true),
        ],
        vec![Value::Text("C".into()), Value::Int(0), Value::Int(-1), Value::Float(-0.0), Value::Null],
        vec![Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
        vec![
            Value::Text("D".into()),
            Value::Int(1),
            Value::Int(1),
            Value::Float(f64::NAN),
            Value::Bool(false),
        ],
    ]
}

fn written(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.path(name);
    let mut table = TableWriter::create(None, &columns(), Some(&path)).unwrap();
    for row in rows() {
        table.write_row(&row).unwrap();
    }
    table.finish().unwrap();
    path
}

#[test]
fn csv_has_a_header_shortest_doubles_zero_for_minus_zero_and_nothing_for_null() {
    let text = fs::read_to_string(written(&Folder::new(), "t.csv")).unwrap();
    assert_eq!(
        text,
        "symbol,window_end,bars,realized,otc\n\"A,\"\"B\"\"\",60000,3,0.30000000000000004,true\nC,0,-1,0,\n,,,,\nD,1,1,,false\n"
    );
}

#[test]
fn json_has_one_object_a_line_in_the_order_of_the_columns() {
    let text = fs::read_to_string(written(&Folder::new(), "t.json")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"symbol":"A,\"B\"","window_end":60000,"bars":3,"realized":0.30000000000000004,"otc":true}"#
    );
    assert_eq!(lines[2], r#"{"symbol":null,"window_end":null,"bars":null,"realized":null,"otc":null}"#);
    assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn parquet_keeps_types_and_values() {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, TimestampMillisecondType};
    let file = fs::File::open(written(&Folder::new(), "t.parquet")).unwrap();
    let mut batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 4);
    let realized = batch.column_by_name("realized").unwrap().as_primitive::<Float64Type>();
    assert_eq!((realized.value(0), realized.value(1).to_bits()), (0.1 + 0.2, 0));
    assert_eq!(arrow::array::Array::null_count(realized), 2);
    let ends = batch.column_by_name("window_end").unwrap().as_primitive::<TimestampMillisecondType>();
    assert_eq!(ends.value(0), 60_000);
}

#[test]
fn a_table_that_is_not_finished_leaves_what_was_there_and_nothing_else() {
    let folder = Folder::new();
    for name in ["t.csv", "t.parquet"] {
        let path = folder.file(name, "before");
        let mut table = TableWriter::create(None, &columns(), Some(&path)).unwrap();
        table.write_row(&rows()[0]).unwrap();
        drop(table);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 2);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    let path = folder.path("none/t.csv");
    let error = TableWriter::create(Some(Format::Csv), &columns(), Some(&path)).err().unwrap();
    let said = error.to_string();
    assert!(said.contains("none/t.csv") && said.contains("cannot be written"), "{said}");
    assert!(matches!(error, FileError::Write { .. }) && !error.is_broken_pipe());
}

/// What a stream was given.
#[derive(Clone, Default)]
struct Given(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Given {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_is_given_the_bytes_of_the_file() {
    let folder = Folder::new();
    for name in ["t.csv", "t.jsonl", "t.parquet"] {
        let file = written(&folder, name);
        let given = Given::default();
        let format = Format::from_path(&file).unwrap();
        let mut table = TableWriter::stream(format, &columns(), "a stream", given.clone()).unwrap();
        rows().iter().for_each(|row| table.write_row(row).unwrap());
        table.finish().unwrap();
        assert!(*given.0.lock().unwrap() == fs::read(&file).unwrap(), "{name}");
        assert_eq!(format.extension(), name.split('.').nth(1).unwrap());
    }
}
